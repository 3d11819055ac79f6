"""Section 7, the folder of definitions: the services deployed now."""
import os

import pytest

from harness import logdata

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"

FULL = """\
# As OSCAR stores it.
name: {name}
cluster_id: oscar-cluster
image: images.example.org/grycap/{name}
memory: 256Mi
cpu: '1.0'
alpine: false
script: |
  #!/bin/sh
  echo "name: other"
  cat $INPUT_FILE_PATH
environment:
  variables: {{A: "1", B: '2'}}
input:
- storage_provider: minio.default
  path: in
owner: a1@egi.eu
visibility: restricted
allowed_users: [b2@egi.eu, "c3@egi.eu"]
log_level: INFO
"""


def services(folder, definitions):
    """A folder with these files: {path: text or bytes}."""
    root = folder / "services"
    root.mkdir(exist_ok=True)
    for path, text in definitions.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def active(app):
    """(services deployed now, status, notes)"""
    answer = app.summary(DAY)
    source = answer.source("service-inventory")
    return answer.json()["totals"]["services_count_active"], source["status"], source.get("notes")


COUNTED = {
    "one": ({"a.yaml": "name: a\n"}, 1),
    "several": ({"a.yaml": "name: a\n", "b.yaml": "name: b\n", "c.yml": "name: c\n"}, 3),
    "as OSCAR stores it": ({"a.yaml": FULL.format(name="a")}, 1),
    "in two namespaces": ({"a.yaml": "name: a\n", "oscar-svc-x/a.yaml": "name: a\n"}, 2),
    "only in sub-folders": ({"oscar-svc-x/a.yaml": "name: a\n", "oscar-svc-y/b.yaml": "name: b\n"}, 2),
    "the namespace itself as a sub-folder": ({"oscar-svc/a.yaml": "name: a\n"}, 1),
    "the file's name does not matter": ({"x.yaml": "name: a\n"}, 1),
    "JSON is YAML": ({"a.yaml": '{"name": "a", "visibility": "public"}'}, 1),
    "private, restricted and public alike": ({f"{v}.yaml": f"name: {v}\nvisibility: {v}\n"
                                              for v in ("private", "restricted", "public")}, 3),
    "Windows line ends": ({"a.yaml": "name: a\r\nimage: x\r\n"}, 1),
    "a byte order mark": ({"a.yaml": b"\xef\xbb\xbfname: a\n"}, 1),
    "a document's marks": ({"a.yaml": "---\nname: a\n...\n"}, 1),
}


@pytest.mark.parametrize("row", COUNTED)
def test_definitions_are_counted(start, folder, row):
    definitions, expected = COUNTED[row]
    app = start({"OSCAR_METRICS_SERVICES_DIR": services(folder, definitions)})
    assert active(app) == (expected, "ok", None)


BROKEN = {
    "no YAML": "{[",
    "an unclosed quote": 'name: "a\n',
    "a tab for indentation": "name:\n\t- a\n",
    "empty": "",
    "a list": "- name: a\n",
    "a word": "a\n",
    "no name": "image: x\n",
    "an empty name": "name: ''\n",
    "a name that is none": "name: Not_A_Name\n",
    "a name that is a list": "name: [a]\n",
    "a name with a NUL": 'name: "a\\0b"\n',
    "no UTF-8": b"name: a\nimage: \xff\xfe\n",
    "too large": "name: a\nscript: '" + "x" * 1_100_000 + "'\n",
    "deep": "name: a\nx: " + "[" * 100000 + "\n",
    # One page of text that would be a billion words.
    "a bomb": "name: a\nx0: &x0 [l,l,l,l,l,l,l,l,l]\n" + "".join(
        f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 10)) + "owner: *x9\n",
}


@pytest.mark.parametrize("row", BROKEN)
def test_a_broken_definition_costs_that_service_only(start, folder, row):
    root = services(folder, {"good.yaml": "name: good\n", "broken-one.yaml": BROKEN[row], "also.yaml": "name: also\n"})
    count, status, notes = active(start({"OSCAR_METRICS_SERVICES_DIR": root}))
    assert (count, status) == (2, "partial")
    assert "broken-one" in notes


def test_the_words_of_a_broken_definition_are_not_repeated(start, folder):
    root = services(folder, {"x.yaml": "name: Secret_4711\nenvironment: {PASSWORD: s3cr3t-4711\n"})
    app = start({"OSCAR_METRICS_SERVICES_DIR": root})
    _, _, notes = active(app)
    assert "4711" not in notes
    assert "4711" not in app.stderr()


def link_to_itself(path):
    path.symlink_to(path.name)



@pytest.mark.parametrize("make", [link_to_itself, os.mkfifo], ids=["a loop of links", "a FIFO"])
def test_a_definition_that_cannot_be_read_costs_that_service_only(start, folder, make):
    root = services(folder, {"good.yaml": "name: good\n"})
    make(root / "bad.yaml")
    count, status, notes = active(start({"OSCAR_METRICS_SERVICES_DIR": root}))
    assert (count, status) == (1, "partial")
    assert "bad" in notes


def test_one_name_twice_in_a_namespace_is_one_service(start, folder):
    root = services(folder, {"a.yaml": "name: a\n", "b.yaml": "name: a\n"})
    count, _, _ = active(start({"OSCAR_METRICS_SERVICES_DIR": root}))
    assert count == 1


def test_an_empty_folder_is_an_empty_inventory(start, folder):
    assert active(start({"OSCAR_METRICS_SERVICES_DIR": services(folder, {})})) == (0, "ok", None)


def test_a_folder_that_is_not_there_is_missing_and_the_rest_goes_on(start, folder):
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    app = start({"OSCAR_METRICS_SERVICES_DIR": folder / "nowhere", "OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    count, status, notes = active(app)
    assert (count, status) == (0, "missing")
    assert notes
    assert app.summary(DAY).json()["totals"]["requests_count_total"] == 1
    # It says nothing about reports that it does not feed.
    assert app.breakdown(DAY + "&group_by=user").header("OSCAR-Metrics-Complete") == "true"


def test_a_file_where_the_folder_should_be_is_missing(start, folder):
    (folder / "services").write_text("name: a\n")
    assert active(start({"OSCAR_METRICS_SERVICES_DIR": folder / "services"}))[:2] == (0, "missing")


def test_the_inventory_follows_the_folder(start, folder):
    root = services(folder, {"a.yaml": "name: a\n"})
    app = start({"OSCAR_METRICS_SERVICES_DIR": root})
    assert active(app)[0] == 1
    services(folder, {"b.yaml": "name: b\n", "oscar-svc-x/c.yaml": "name: c\n"})
    assert active(app)[0] == 3
    (root / "a.yaml").unlink()
    assert active(app)[0] == 2
    (root / "b.yaml").write_text("{[")
    assert active(app)[:2] == (1, "partial")


def test_many_definitions(start, folder):
    root = services(folder, {f"s{n}.yaml": FULL.format(name=f"s{n}") for n in range(1000)})
    assert active(start({"OSCAR_METRICS_SERVICES_DIR": root})) == (1000, "ok", None)
