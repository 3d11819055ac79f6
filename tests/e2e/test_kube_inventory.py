"""Section 7, the Kubernetes API: the services deployed now, from their ConfigMaps."""
import json
import threading
import time

import pytest

from harness import expect
from harness.fake_prometheus import Cut, Endless, Hold, Reply
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Kube, expired, internal_error, too_busy
from harness.tls import Authority
from harness.together import together
from harness.waiting import SLOWDOWN, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
FRESH = {"HTTP_CACHE_CONTROL": "no-cache"}


@pytest.fixture
def kube(folder):
    kube = Kube(folder / "kube")
    yield kube
    kube.close()


@pytest.fixture
def start(start, folder):
    """As everywhere, but nobody asks the API for the logs of pods."""
    def start_app(settings=None, **how):
        return start({"OSCAR_METRICS_LOG_FILES": folder / "none.log", **(settings or {})}, **how)

    return start_app


def active(app, fresh=True):
    """(services deployed now, status, notes); `fresh`: as the API has them at this moment."""
    answer = app.get("/system/metrics", DAY, **(FRESH if fresh else {}))
    source = answer.source("service-inventory")
    expect.check_sources(answer.json()["sources"][:1], {"service-inventory": source["status"]})
    return answer.json()["totals"]["services_count_active"], source["status"], source.get("notes")


def test_services_of_all_namespaces(start, kube):
    kube.put_service("a")
    kube.put_service("b", namespace="oscar-svc-x")
    kube.put_service("a", namespace="oscar-svc-x")
    kube.put_config_map("other", {"function_config.yaml": "name: other\n"})
    app = start(kube.settings)
    assert active(app) == (3, "ok", None)
    (asked,) = kube.lists("configmaps")
    assert (asked.namespace, asked.form["labelSelector"], asked.form["limit"]) == (None, "oscar_service", "500")
    assert kube.lists("namespaces") == [], "nobody asked whose they are"


def test_pages(start, kube):
    for n in range(1001):
        kube.put_service(f"s{n}")
    app = start(kube.settings)
    assert active(app) == (1001, "ok", None)
    assert len(kube.lists("configmaps")) == 3
    kube.max_limit = 100
    kube.forget()
    assert active(app) == (1001, "ok", None)
    assert len(kube.lists("configmaps")) == 11


def test_a_folder_of_definitions_comes_first(start, kube, folder):
    kube.put_service("a")
    (folder / "services").mkdir()
    app = start({**kube.settings, "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    assert active(app) == (0, "ok", None)
    assert kube.lists("configmaps") == []


def test_neither_a_folder_nor_a_cluster(start):
    count, status, notes = active(start())
    assert (count, status) == (0, "missing")
    assert notes.startswith("not configured")


def test_in_a_pod(start, kube):
    """The variables that Kubernetes sets; the pod's files stand at fixed places, so that others are named here."""
    kube.put_service("a")
    host, port = kube.url.removeprefix("https://").split(":")
    app = start({**kube.settings, "OSCAR_METRICS_KUBE_URL": None, "KUBERNETES_SERVICE_HOST": host,
                 "KUBERNETES_SERVICE_PORT": port})
    assert active(app) == (1, "ok", None)


def test_in_a_pod_without_an_account(start, kube):
    app = start({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"})
    count, status, notes = active(app)
    assert (count, status) == (0, "missing")
    assert "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" in notes


# Bad definitions.

BOMB = "name: b\nx0: &x0 [l,l,l,l,l,l,l,l,l]\n" + "".join(
    f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 10)) + "owner: *x9\n"

BROKEN = {
    "a bomb": BOMB,
    "a large bomb": "name: b\nx: &x [y]\nz: [" + "*x," * 300_000 + "]\nowner: [1]\n",
    "too large": "name: b\nscript: '" + "x" * 1_048_576 + "'\n",
    "an owner that is a list": "name: b\nowner: [1]\n",
    "users that are no list": "name: b\nallowed_users: secret-user\n",
    "no name": "owner: secret-user\nimage: x\n",
    "two documents": "name: b\n---\nname: b\nvisibility: public\n",
    "empty": "",
    "a NUL": "name: b\0\n",
}


@pytest.mark.parametrize("row", BROKEN)
def test_a_broken_definition_costs_that_service_only(start, kube, row):
    kube.put_service("a")
    kube.put_service("b", BROKEN[row])
    kube.put_service("c")
    app = start(kube.settings)
    began = time.monotonic()
    count, status, notes = active(app)
    assert time.monotonic() - began < 5 * SLOWDOWN
    assert (count, status) == (2, "partial")
    assert notes.startswith("oscar-svc/b: ") and "secret" not in notes


@pytest.mark.parametrize("data", [None, {}, {"script.sh": "x"}])
def test_a_configmap_without_a_definition(start, kube, data):
    kube.put_service("a")
    kube.put_config_map("b", data, labels={"oscar_service": "b"})
    assert active(start(kube.settings)) == (1, "partial", "oscar-svc/b: no function_config.yaml in it")


def test_the_words_of_a_definition_are_not_repeated(start, kube):
    kube.put_service("b", "name: S3cret_1\nenvironment: {PASSWORD: s3cr3t\n", script="s3cr3t")
    app = start(kube.settings)
    _, _, notes = active(app)
    token = kube.token_file.read_text().strip()
    for text in (notes, app.stderr()):
        assert "s3cr3t" not in text.lower() and token not in text


# Lists that cannot be read to their end.

def test_a_list_that_expires_is_read_again(start, kube):
    for n in range(600):
        kube.put_service(f"s{n:03}")
    app = start(kube.settings)
    kube.fails("configmaps", None, expired(), None)
    assert active(app) == (600, "ok", None)
    assert ["continue" in asked.form for asked in kube.lists("configmaps")] == [False, True, False, True]


def test_a_list_that_always_expires_is_given_up(start, kube):
    for n in range(501):
        kube.put_service(f"s{n:03}")
    kube.fault = lambda asked, reply: expired() if "continue" in asked.form else reply
    count, status, notes = active(start(kube.settings))
    assert (count, status) == (0, "missing")
    assert "410" in notes
    assert len(kube.lists("configmaps")) <= 10


@pytest.mark.parametrize("fault", [internal_error(), Reply("", 503), too_busy(), Cut("{}" * 99)],
                         ids=["500", "503", "429", "cut"])
def test_what_passes_is_tried_again(start, kube, fault):
    kube.put_service("a")
    kube.fails("configmaps", fault, None)
    assert active(start(kube.settings)) == (1, "ok", None)


HALVES = {
    "garbage": Reply(b"\x00\xff garbage"),
    "truncated": lambda reply: Reply(reply.body[:-10]),
    "HTML": Reply("<html>", content_type="text/html"),
    "another kind": Reply(json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})),
    "500": internal_error(),
    "a body without an end": Endless(),
}


@pytest.mark.parametrize("row", HALVES)
def test_half_a_list_counts_as_none(start, kube, row):
    for n in range(501):
        kube.put_service(f"s{n:03}")
    fault = HALVES[row]
    kube.fault = lambda asked, reply: reply if "continue" not in asked.form else (
        fault(reply) if callable(fault) else fault)
    app = start(kube.settings)
    count, status, notes = active(app)
    assert (count, status) == (0, "missing")
    assert notes.startswith("cannot list configmaps in all namespaces: the Kubernetes API")
    kube.works()
    assert active(app) == (501, "ok", None)


def test_a_slow_list_ends_with_the_deadline(start, kube):
    held = Hold()
    kube.fails("configmaps", held)
    app = start({**kube.settings, "OSCAR_METRICS_DEADLINE": "1s"})
    count, status, notes = active(app)
    assert (count, status) == (0, "missing")
    assert "deadline" in notes


# Who gets in.

def test_the_token_rotates(start, kube):
    kube.put_service("a")
    app = start(kube.settings)
    assert active(app) == (1, "ok", None)
    kube.rotate()
    assert active(app) == (1, "ok", None)


def test_a_token_that_is_replaced_meanwhile(start, kube):
    kube.put_service("a")
    app = start(kube.settings)
    old = kube.token_file.read_text()
    new = kube.rotate()
    kube.token_file.write_text(old)

    def replace(asked, reply):
        kube.token_file.write_text(new)
        return reply

    kube.fault = replace
    assert active(app) == (1, "ok", None)
    assert len(kube.lists("configmaps")) == 2


def test_a_token_that_is_not_accepted(start, kube):
    kube.tokens = set()
    count, status, notes = active(start(kube.settings))
    assert (count, status) == (0, "missing")
    assert "401" in notes and kube.token_file.read_text().strip() not in notes
    assert len(kube.lists("configmaps")) == 2, "once more with the token read again"


@pytest.mark.parametrize("content, words", [(None, "there is no such file"), ("", "it is empty"),
                                            ("a b", "it holds more than a token")])
def test_a_token_file_that_is_none(start, kube, content, words):
    kube.put_service("a")
    token = kube.token_file.read_text()
    kube.token_file.unlink()
    if content is not None:
        kube.token_file.write_text(content)
    app = start(kube.settings)
    count, status, notes = active(app)
    assert (count, status) == (0, "missing")
    assert notes == f"the Kubernetes API cannot be asked: the token file {kube.token_file}: {words}"
    assert kube.lists("configmaps") == []
    kube.token_file.write_text(token)
    assert active(app) == (1, "ok", None)


def test_no_permission_names_it(start, kube):
    kube.denied.add("configmaps")
    assert active(start(kube.settings)) == (
        0, "missing", "may not list configmaps in all namespaces: the Kubernetes API refuses it to "
        "system:serviceaccount:oscar:oscar-metrics (403)")


def _no_ca(folder, kube):
    return {"OSCAR_METRICS_KUBE_CA_FILE": folder / "nowhere.pem"}


def _another_ca(folder, kube):
    return {"OSCAR_METRICS_KUBE_CA_FILE": Authority(folder / "another").ca}


def _junk_ca(folder, kube):
    (folder / "junk.pem").write_text("no certificate\n")
    return {"OSCAR_METRICS_KUBE_CA_FILE": folder / "junk.pem"}


def _system_s_ca(folder, kube):
    return {"OSCAR_METRICS_KUBE_CA_FILE": None}


def _another_name(folder, kube):
    return {"OSCAR_METRICS_KUBE_URL": kube.url.replace("127.0.0.1", "localhost")}


@pytest.mark.parametrize("change", [_no_ca, _another_ca, _junk_ca, _system_s_ca, _another_name])
def test_a_connection_that_cannot_be_verified_is_none(start, kube, folder, change):
    kube.put_service("a")
    count, status, notes = active(start({**kube.settings, **change(folder, kube)}))
    assert (count, status) == (0, "missing")
    assert "CA file" in notes or "certificate" in notes
    assert kube.lists("configmaps") == []


def test_plain_http_where_the_url_says_so(start, folder):
    kube = Kube(folder / "kube", tls=False)
    kube.put_service("a")
    assert active(start(kube.settings)) == (1, "ok", None)
    kube.close()


# Shared by all workers.

def test_one_read_for_all_who_ask(start, kube):
    kube.put_service("a")
    app = start(kube.settings)
    held, let_go = Hold(), threading.Thread(target=lambda: (held.wait_held(), held.release()))

    def hold(asked, reply):
        if asked.resource != "configmaps":
            return reply
        held.reply = reply
        return held

    kube.fault = hold
    let_go.start()
    together(8, lambda _: check(active(app, fresh=False)))
    let_go.join()
    assert len(kube.lists("configmaps")) == 1
    kube.works()
    check(active(app, fresh=False))
    assert len(kube.lists("configmaps")) == 1
    check(active(app))
    assert len(kube.lists("configmaps")) == 2, "the admin may have it read anew"


def check(found):
    assert found == (1, "ok", None)


def test_who_waits_reads_when_the_other_goes_away(start, folder):
    kube = Kube(folder / "kube", tls=False)  # the end of a connection is seen without TLS
    kube.put_service("a")
    app = start(kube.settings)
    held = Hold()
    kube.fails("configmaps", held, None)
    first = app.begin("/system/metrics", DAY)
    held.wait_held()
    second = app.begin("/system/metrics", DAY)
    first.close()
    held.wait_gone()
    answer = second.answer()
    second.close()
    kube.close()
    assert answer.source("service-inventory")["status"] == "ok"
    assert answer.json()["totals"]["services_count_active"] == 1


def test_only_what_changed_is_parsed_again(start, kube):
    """Seen from outside: a definition of the same version is not looked at."""
    kube.put_service("a", "{[")
    kube.put_service("b")
    app = start(kube.settings)
    assert active(app)[:2] == (1, "partial")
    with kube.lock:
        (item,) = [item for item in kube.objects["configmaps"].values() if item["metadata"]["name"] == "a"]
        item["data"] = {"function_config.yaml": "name: a\n"}
        kube._rendered.clear()
    assert active(app)[:2] == (1, "partial")
    kube.put("configmaps", item)
    assert active(app) == (2, "ok", None)


def test_the_inventory_follows_the_cluster(start, kube):
    app = start(kube.settings)
    assert active(app) == (0, "ok", None)
    kube.put_service("a")
    kube.put_service("b", namespace="oscar-svc-x")
    assert active(app)[0] == 2
    kube.delete("configmaps", "a", "oscar-svc")
    assert active(app)[0] == 1
    kube.put_service("b", "{[", namespace="oscar-svc-x")
    assert active(app)[:2] == (0, "partial")


@pytest.fixture(scope="module")
def issuer():
    server = HostileOidc()
    yield server.issuer("/x", EcKey())
    server.close()


def test_a_service_made_private_is_hidden_soon(start, kube, issuer):
    kube.put_service("a", "name: a\nowner: carol\nvisibility: public\n")
    app = start({**kube.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
    bearer = "Bearer " + issuer.token("alice")

    def status():
        return app.get("/system/metrics/a", DAY, auth=bearer).status

    assert status() == 200
    kube.put_service("a", "name: a\nowner: carol\nvisibility: private\n")
    changed = time.monotonic()
    wait_until(lambda: status() == 403, "the service to be hidden", patience=10)
    assert time.monotonic() - changed < 10
    # All that were asked meanwhile were told by few reads.
    assert len(kube.lists("configmaps")) <= 4


def test_users_are_told_nothing_by_half_an_inventory(start, kube, issuer):
    kube.put_service("a", "name: a\nvisibility: public\n")
    kube.put_service("b", "name: b\nvisibility: public\nvisibility: public\n")
    app = start({**kube.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
    bearer = "Bearer " + issuer.token("alice")
    assert app.get("/system/metrics/a", DAY, auth=bearer).status == 200
    assert app.get("/system/metrics/b", DAY, auth=bearer).status == 403
    kube.denied.add("configmaps")
    app = start({**kube.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
    for path in ("", "/a", "/b", "/c"):
        expect.plain(app.get("/system/metrics" + path, DAY, auth=bearer), 503, "service inventory unavailable")


FULL = """\
name: {name}
cluster_id: oscar-cluster
image: images.example.org/grycap/{name}
memory: 256Mi
cpu: '1.0'
environment:
  variables: {{A: "1", B: '2'}}
labels: {{owner_name: Some_Body}}
input:
- storage_provider: minio.default
  path: in
owner: 62bb11b40398f73778b66f344d282242debb8ee3ebb106717a123ca213162926@egi.eu
visibility: restricted
allowed_users: [b2@egi.eu, "c3@egi.eu"]
log_level: INFO
"""


def test_ten_thousand_services(start, kube):
    for n in range(10_000):
        kube.put_service(f"service-{n:05}", FULL.format(name=f"service-{n:05}"), f"oscar-svc-{n % 100}",
                         script="#!/bin/sh\n" + "echo something\n" * 20)
    pages = kube.prerender("configmaps", "oscar_service", 500)
    app = start(kube.settings)
    began = time.monotonic()
    assert active(app) == (10_000, "ok", None)
    assert time.monotonic() - began < 10 * SLOWDOWN, "the bench has the real bound"
    assert len(kube.lists("configmaps")) == pages == 20
