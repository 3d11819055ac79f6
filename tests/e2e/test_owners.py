"""Section 11, over a folder of definitions: the owners, and reports limited to one of them."""
import pytest

from harness import expect, logdata
from harness.fake_prometheus import vector
from harness.logdata import request

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"

DEFINITIONS = {
    "shared.yaml": "name: shared\nowner: cluster_admin\n",
    "both.yaml": "name: both\nowner: cluster_admin\n",
    "oscar-svc-alice/mine.yaml": "name: mine\nowner: alice@egi.eu\n",
    "oscar-svc-alice/both.yaml": "name: both\nowner: alice@egi.eu\n",
    "oscar-svc-zoe/hers.yaml": "name: hers\nowner: Zoe@egi.eu\n",
    "oscar-svc-paul/his.yaml": "name: his\nowner: paul@egi.eu\n",
}
LINES = [
    # Lines that carry their namespace belong to it.
    request(T, "/run/x", "u1", "mine", "oscar-svc-alice"),
    request(T, "/job/x", "u1", "mine", "oscar-svc-alice"),
    request(T, "/run/x", "u2", "gone", "oscar-svc-alice"),
    request(T, "/run/x", "u2", "both", "oscar-svc-alice"),
    request(T, "/run/x", "u3", "both", "oscar-svc"),
    request(T, "/run/x", "u4", "hers", "oscar-svc-zoe"),
    request(T, "/run/x", "u5", "mine", "oscar-svc-zoe"),
    # Those without belong to the namespace of the service of that name, if there is one.
    request(T, "/run/mine", "u6"),
    request(T, "/run/shared", "u7"),
    request(T, "/run/unknown", "u8"),
]


@pytest.fixture(scope="module")
def app(start_shared, shared_folder, shared_fake):
    for path, text in DEFINITIONS.items():
        file = shared_folder / "services" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    logdata.write(shared_folder / "x.log", logdata.REQUESTS_BEGIN, *LINES)
    logdata.write(shared_folder / "y.log", logdata.EXPOSED_BEGIN,
                  logdata.nginx_line("01/Jan/2026:10:00:00 +0000", "/system/services/mine/exposed"),
                  logdata.nginx_line("01/Jan/2026:10:00:00 +0000", "/system/services/shared/exposed"))
    return start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "x.log", "PROMETHEUS_URL": shared_fake.url,
                         "OSCAR_METRICS_EXPOSED_LOG_FILES": shared_folder / "y.log",
                         "OSCAR_METRICS_SERVICES_DIR": shared_folder / "services"})


OWNERS = [
    {"id": "alice@egi.eu", "name": "alice@egi.eu", "namespace": "oscar-svc-alice"},
    {"id": "cluster_admin", "name": "oscar", "namespace": "oscar-svc"},
    {"id": "paul@egi.eu", "name": "paul@egi.eu", "namespace": "oscar-svc-paul"},
    {"id": "Zoe@egi.eu", "name": "Zoe@egi.eu", "namespace": "oscar-svc-zoe"},
]


def test_owners_are_sorted_by_name_without_case(app):
    answer = app.get("/system/metrics/owners").json()
    assert answer == {"owners": OWNERS}
    assert all(list(owner) == ["id", "name", "namespace"] for owner in answer["owners"])


def test_the_shared_owner_is_always_there(start, folder):
    (folder / "services").mkdir()
    app = start({"OSCAR_METRICS_SERVICES_DIR": folder / "services", "OSCAR_SERVICES_NAMESPACE": "mine"})
    assert app.get("/system/metrics/owners").json() == \
        {"owners": [{"id": "cluster_admin", "name": "oscar", "namespace": "mine"}]}


def test_the_shared_owner_is_there_without_an_inventory(start):
    # A backend that fails never fails a report; dashboards ask for the owners when they load.
    assert start().get("/system/metrics/owners").json() == {"owners": [OWNERS[1]]}


def test_the_range_of_the_owners_must_be_one(app):
    expect.bad_request(app.get("/system/metrics/owners", "end=x"), "invalid end timestamp")
    expect.bad_request(app.get("/system/metrics/owners", "start=x"), "invalid start timestamp")


def test_owners_are_for_the_admin(app):
    expect.plain(app.get("/system/metrics/owners", auth=None), 401, "authentication required")


def test_owners_of_owners_is_an_unknown_parameter(app):
    assert app.get("/system/metrics/owners", "owner=nobody").json() == {"owners": OWNERS}


UNKNOWN = ["nobody", "alice", "ALICE@egi.eu", "alice@egi.eux", "oscar", "oscar-svc-alice", "%zz", "alice@egi.eu%00"]


@pytest.mark.parametrize("path,query", [("/system/metrics", ""), ("/system/metrics/breakdown", "group_by=user"),
                                        ("/system/metrics/breakdown", "group_by=user&format=csv"),
                                        ("/system/metrics/yolo", "")])
@pytest.mark.parametrize("owner", UNKNOWN)
def test_an_unknown_owner_is_not_found(app, path, query, owner):
    expect.plain(app.get(path, f"{DAY}&{query}&owner={owner}"), 404, "metrics owner not found")


@pytest.mark.parametrize("value", ["", "+", "&owner=nobody"])
def test_an_empty_owner_is_everybody(app, value):
    assert app.summary(f"{DAY}&owner={value}").json()["totals"]["requests_count_total"] == len(LINES)


TOTALS = {
    # owner: (active, services, sync, async, exposed, users)
    "alice@egi.eu": (2, 3, 4, 1, 1, ["u1", "u2", "u6"]),
    "Zoe@egi.eu": (1, 2, 2, 0, 0, ["u4", "u5"]),
    "paul@egi.eu": (1, 0, 0, 0, 0, []),
    "cluster_admin": (2, 2, 2, 0, 1, ["u3", "u7"]),
}


@pytest.mark.parametrize("owner", TOTALS)
def test_a_summary_of_one_owner(app, owner):
    totals = app.summary(f"{DAY}&owner={owner}").json()["totals"]
    assert (totals["services_count_active"], totals["services_count_total"], totals["requests_count_sync"],
            totals["requests_count_async"], totals["requests_count_exposed"], totals["users"]) == TOTALS[owner]


@pytest.mark.parametrize("owner", TOTALS)
def test_breakdowns_of_one_owner_add_up(app, owner):
    _, services, sync, asynchronous, exposed, users = TOTALS[owner]
    items = app.breakdown(f"{DAY}&owner={owner}&group_by=service").json()["items"]
    assert len(items) == services
    assert sum(item["requests_count_total"] for item in items) == sync + asynchronous
    assert sum(item["requests_count_exposed"] for item in items) == exposed
    items = app.breakdown(f"{DAY}&owner={owner}&group_by=user").json()["items"]
    assert [item["key"] for item in items] == users


def test_requests_that_may_be_an_owners_are_said(start, folder):
    for path in ("both.yaml", "oscar-svc-alice/both.yaml", "oscar-svc-paul/his.yaml"):
        (folder / "services" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "services" / path).write_text(DEFINITIONS[path])
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T, "/run/both"), request(T, "/job/both"),
                  request(T, "/run/his"), request(T, "/run/both", "u", "both", "oscar-svc"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_METRICS_SERVICES_DIR": folder / "services"})

    def said(path, owner):
        answer = app.get(path, f"{DAY}&owner={owner}&group_by=service&metric=requests-sync-per-service")
        return answer.source("request-logs").get("notes", "")

    for path in ("", "/breakdown", "/both"):
        for owner in ("alice@egi.eu", "cluster_admin"):
            assert said("/system/metrics" + path, owner).endswith("requests: 2")
        assert said("/system/metrics" + path, "paul@egi.eu") == ""
    assert said("/system/metrics/his", "alice@egi.eu") == ""
    assert app.summary(DAY).source("request-logs")["status"] == "ok"


def test_a_service_of_one_owner(app):
    def sync(service, owner):
        query = f"{DAY}&metric=requests-sync-per-service&owner={owner}"
        return app.service(service, query).json()["value"]

    assert (sync("mine", "alice@egi.eu"), sync("mine", "Zoe@egi.eu")) == (2, 1)
    assert sync("gone", "alice@egi.eu") == 1, "deleted services too"
    assert sync("unknown", "alice@egi.eu") == 0


def test_a_service_of_one_owner_says_what_the_inventory_could_not(start, folder):
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T, "/run/shared"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    answer = app.service("shared", f"{DAY}&owner=cluster_admin&metric=requests-sync-per-service")
    assert answer.json()["value"] == 0
    assert [(source["name"], source["status"]) for source in answer.json()["sources"]] == \
        [("service-inventory", "missing"), ("request-logs", "ok")]
    hours, *counts = app.service("shared", f"{DAY}&owner=cluster_admin").json()["metrics"][1:]
    assert [source["name"] for source in hours["sources"]] == ["prometheus"]
    assert all(metric["sources"][0]["name"] == "service-inventory" for metric in counts)


def test_hours_of_one_owner_are_those_of_its_namespace(app, shared_fake):
    shared_fake.forget()
    app.summary(f"{DAY}&owner=alice@egi.eu")
    assert len(shared_fake.asked) == 2
    for asked in shared_fake.asked:
        assert 'namespace=~"oscar-svc-alice",' in asked.query.replace(r"\\-", "-")


def test_the_shared_owners_namespace_is_exact(app, shared_fake):
    shared_fake.forget()
    app.summary(f"{DAY}&owner=cluster_admin")
    for asked in shared_fake.asked:
        assert 'namespace=~"oscar-svc",' in asked.query.replace(r"\\-", "-")


def test_a_template_without_the_namespace_cannot_be_limited(start, folder, fake):
    fake.answers(vector("5"))
    (folder / "services").mkdir()
    app = start({"PROMETHEUS_URL": fake.url, "PROMETHEUS_CPU_QUERY": 'x{s=~"{{service}}"}',
                 "PROMETHEUS_GPU_QUERY": 'y{n="{{services_namespace}}"}',
                 "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    answer = app.summary(f"{DAY}&owner=cluster_admin")
    source = answer.source("prometheus")
    assert source["status"] == "missing" and "{{namespace}}" in source["notes"]
    assert answer.json()["totals"]["cpu_hours_total"] == 0
    assert app.summary(DAY).json()["totals"]["cpu_hours_total"] == 5


def test_the_name_of_a_namespace_is_escaped(start, folder, fake):
    (folder / "services" / "oscar-svc-a.b").mkdir(parents=True)
    (folder / "services" / "oscar-svc-a.b" / "x.yaml").write_text("name: x\nowner: ab\n")
    app = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    app.summary(f"{DAY}&owner=ab")
    for asked in fake.asked:
        assert r'namespace=~"oscar-svc-a\\.b",' in asked.query.replace(r"\\-", "-")
