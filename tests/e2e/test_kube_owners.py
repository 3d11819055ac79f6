"""Section 11 over the Kubernetes API: the owners of namespaces, reports limited to one of them, and to users' own."""
import pytest

from harness import expect, logdata
from harness.client import ADMIN
from harness.fake_prometheus import Reply, vector
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Kube
from harness.logdata import request

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"
FRESH = {"HTTP_CACHE_CONTROL": "no-cache"}
ALICE, BOB, CAROL = "alice@egi.eu", "bob@egi.eu", "carol@egi.eu"
SHARED_OWNER = {"id": "cluster_admin", "name": "oscar", "namespace": "oscar-svc"}


def service(kube, name, owner, namespace="oscar-svc", owner_name=None, **more):
    labels = f"labels:\n  x: y\n  owner_name: {owner_name}\n" if owner_name else ""
    kube.put_service(name, f"name: {name}\nowner: {owner}\n{labels}", namespace, **more)


def fill(kube):
    kube.put_namespace("oscar-svc")
    kube.put_namespace("oscar-svc-alice", ALICE)
    kube.put_namespace("oscar-svc-bob", BOB)
    kube.put_namespace("oscar-svc-carol", CAROL)
    kube.put_namespace("not-oscars", "mallory@egi.eu", managed_by="helm")
    service(kube, "shared", "cluster_admin", owner_name="oscar")
    service(kube, "mine", ALICE, "oscar-svc-alice", "Alice_of_the_Wood")
    service(kube, "both", ALICE, "oscar-svc-alice", "Alice_of_the_Wood")
    service(kube, "both", BOB, "oscar-svc-bob")
    service(kube, "elsewhere", "mallory@egi.eu", "not-oscars")


LINES = [
    request(T, "/run/x", "u1", "mine", "oscar-svc-alice"), request(T, "/job/x", "u1", "mine", "oscar-svc-alice"),
    request(T, "/run/x", "u2", "deleted", "oscar-svc-alice"), request(T, "/run/x", "u2", "both", "oscar-svc-alice"),
    request(T, "/run/x", "u3", "both", "oscar-svc-bob"), request(T, "/run/x", "u3", "deleted", "oscar-svc-bob"),
    # Carol has no service any more.
    request(T, "/run/x", "u4", "deleted", "oscar-svc-carol"),
    request(T, "/run/x", "u5", "shared", "oscar-svc"), request(T, "/run/x", "u5", "deleted", "oscar-svc"),
    # Without a namespace: that of the only service of the name.
    request(T, "/run/mine", "u6"), request(T, "/run/shared", "u6"),
]
REQUESTS = {ALICE: 5, BOB: 2, CAROL: 1, "cluster_admin": 3}
OWNERS = [{"id": ALICE, "name": "Alice of the Wood", "namespace": "oscar-svc-alice"},
          {"id": BOB, "name": BOB, "namespace": "oscar-svc-bob"},
          {"id": CAROL, "name": CAROL, "namespace": "oscar-svc-carol"}, SHARED_OWNER]


@pytest.fixture(scope="module")
def shared_kube(shared_folder):
    kube = Kube(shared_folder / "kube")
    fill(kube)
    yield kube
    kube.close()


@pytest.fixture
def kube(folder):
    kube = Kube(folder / "kube")
    yield kube
    kube.close()


@pytest.fixture(scope="module")
def issuer():
    server = HostileOidc()
    yield server.issuer("/x", EcKey())
    server.close()


@pytest.fixture(scope="module")
def settings(shared_folder, shared_kube, shared_fake, issuer):
    logdata.write(shared_folder / "x.log", logdata.REQUESTS_BEGIN, *LINES)
    return {**shared_kube.settings, "OSCAR_METRICS_LOG_FILES": shared_folder / "x.log",
            "PROMETHEUS_URL": shared_fake.url, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url,
            "OIDC_GROUPS": GROUP, "OSCAR_METRICS_SCOPE": "owned"}


@pytest.fixture(scope="module")
def app(settings, start_shared):
    return start_shared(settings)


def owners(app):
    """(owners, header)"""
    answer = app.get("/system/metrics/owners", **FRESH)
    return answer.json()["owners"], answer.header("OSCAR-Metrics-Complete")


def test_owners_are_those_of_the_namespaces(app, shared_kube):
    shared_kube.forget()
    assert owners(app) == (OWNERS, "true")
    (asked,) = shared_kube.lists("namespaces")
    assert asked.form["labelSelector"] == "app.kubernetes.io/managed-by=oscar"


def test_owner_reports_add_up_to_the_clusters(app):
    totals = {owner: app.summary(f"{DAY}&owner={owner}").json()["totals"] for owner in REQUESTS}
    assert {owner: total["requests_count_total"] for owner, total in totals.items()} == REQUESTS
    whole = app.summary(DAY).json()["totals"]
    assert whole["requests_count_total"] == sum(REQUESTS.values()) == len(LINES)
    # One service is in a namespace that is not OSCAR's.
    assert whole["services_count_active"] == 5 == sum(total["services_count_active"] for total in totals.values()) + 1


def test_deleted_services_belong_to_their_namespace(app):
    rows = app.breakdown(f"{DAY}&owner={ALICE}&group_by=service").json()["items"]
    assert [(row["key"], row["requests_count_total"]) for row in rows] == [("both", 1), ("deleted", 1), ("mine", 3)]
    rows = app.breakdown(f"{DAY}&owner={CAROL}&group_by=service").json()["items"]
    assert [(row["key"], row["requests_count_total"]) for row in rows] == [("deleted", 1)]
    value = app.service("deleted", f"{DAY}&owner={CAROL}&metric=requests-sync-per-service").json()["value"]
    assert value == 1


def test_hours_of_an_owner_are_those_of_the_namespace(app, shared_fake):
    shared_fake.answers(vector("1"))
    shared_fake.forget()
    app.summary(f"{DAY}&owner={CAROL}")
    assert len(shared_fake.asked) == 2
    for asked in shared_fake.asked:
        assert 'namespace=~"oscar-svc-carol",' in asked.query.replace(r"\\-", "-")


@pytest.mark.parametrize("owner", ["nobody", "mallory@egi.eu", "oscar-svc-alice", "Alice of the Wood"])
def test_an_unknown_owner_is_not_found(app, owner):
    owner = owner.replace(" ", "+")
    expect.plain(app.summary(f"{DAY}&owner={owner}"), 404, "metrics owner not found")


def test_names_come_from_any_service_of_the_owner(start, kube):
    kube.put_namespace("oscar-svc-a", "a@x")
    kube.put_namespace("oscar-svc-b", "b@x")
    kube.put_namespace("oscar-svc-c", "c@x")
    service(kube, "one", "a@x", "oscar-svc-a")
    service(kube, "two", "a@x", "oscar-svc-a", "Anna__A")
    # From before there were namespaces of users.
    service(kube, "old", "b@x", "oscar-svc", "Berta")
    # On the ConfigMap itself.
    service(kube, "three", "c@x", "oscar-svc-c", labels={"owner_name": "Carl_C"})
    # Somebody else's in that namespace names nobody.
    service(kube, "strange", "d@x", "oscar-svc-c", "AAA")
    names = [(owner["id"], owner["name"]) for owner in owners(start(kube.settings))[0]]
    assert names == [("a@x", "Anna  A"), ("b@x", "Berta"), ("c@x", "Carl C"), ("cluster_admin", "oscar")]


def test_many_namespaces_are_read_in_pages(start, kube):
    for number in range(1001):
        kube.put_namespace(f"oscar-svc-{number:04}", f"user-{number:04}@x")
    found, complete = owners(start(kube.settings))
    assert (len(found), complete) == (1002, "true")
    assert len(kube.lists("namespaces")) == 3


def test_without_the_permission_definitions_tell(start, kube):
    fill(kube)
    kube.denied.add("namespaces")
    app = start(kube.settings)
    found, complete = owners(app)
    assert complete == "false"
    assert {owner["id"] for owner in found} == {ALICE, BOB, "cluster_admin", "mallory@egi.eu"}
    answer = app.summary(f"{DAY}&owner={ALICE}")
    assert answer.source("service-inventory")["notes"] == (
        "may not list namespaces: the Kubernetes API refuses it to system:serviceaccount:oscar:oscar-metrics (403)")
    # Nobody knows whether there is such an owner.
    expect.plain(app.summary(f"{DAY}&owner={CAROL}"), 503, "service inventory unavailable")
    # A report that needs no owners needs no namespaces.
    assert app.summary(DAY).source("service-inventory")["status"] == "ok"


@pytest.mark.parametrize("annotation", ["", "x\0y", "x" * 2000])
def test_an_owner_that_cannot_be_read(start, kube, annotation):
    kube.put_namespace("oscar-svc-a", annotation)
    kube.put_namespace("oscar-svc-b", "b@x")
    app = start(kube.settings)
    found, complete = owners(app)
    assert ([owner["id"] for owner in found], complete) == (["b@x", "cluster_admin"], "false")


def test_the_shared_owner_is_always_there(start, kube):
    kube.denied.update({"configmaps", "namespaces"})
    assert owners(start(kube.settings)) == ([SHARED_OWNER], "false")


def test_a_half_list_of_namespaces_is_none(start, kube):
    for number in range(501):
        kube.put_namespace(f"oscar-svc-{number:04}", f"user-{number:04}@x")
    kube.fault = lambda asked, reply: Reply("{") if "continue" in asked.form else reply
    assert owners(start(kube.settings)) == ([SHARED_OWNER], "false")


# OSCAR_METRICS_SCOPE=owned: what is in a user's namespace is the user's, with all that ever ran there.

OWNED = {ALICE: (5, 2), BOB: (2, 1), CAROL: (1, 0), "mallory@egi.eu": (0, 1), "dave@egi.eu": (0, 0)}


@pytest.mark.parametrize("user", OWNED)
def test_users_see_their_own_namespaces(app, issuer, user):
    totals = app.get("/system/metrics", DAY, auth="Bearer " + issuer.token(user)).json()["totals"]
    assert (totals["requests_count_total"], totals["services_count_active"]) == OWNED[user]


def test_a_deleted_service_of_theirs_is_answered(app, issuer):
    for user, value in ((ALICE, 1), (CAROL, 1), ("dave@egi.eu", 0)):
        answer = app.get("/system/metrics/deleted", DAY + "&metric=requests-sync-per-service",
                         auth="Bearer " + issuer.token(user))
        assert (answer.status, answer.json()["value"]) == (200, value)


def test_somebody_elses_in_their_namespace_is_not_theirs(start, kube, issuer, folder):
    """Whose a namespace is is not certain when what runs there says otherwise."""
    kube.put_namespace("oscar-svc-alice", ALICE)
    service(kube, "mine", ALICE, "oscar-svc-alice")
    service(kube, "strange", BOB, "oscar-svc-alice")
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T, "/run/x", "u", "mine", "oscar-svc-alice"),
                  request(T, "/run/x", "u", "strange", "oscar-svc-alice"),
                  request(T, "/run/x", "u", "deleted", "oscar-svc-alice"))
    app = start({**kube.settings, "OSCAR_METRICS_LOG_FILES": folder / "x.log", "OIDC_ENABLE": "true",
                 "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, "OSCAR_METRICS_SCOPE": "owned"})
    items = app.get("/system/metrics/breakdown", DAY + "&group_by=service",
                    auth="Bearer " + issuer.token(ALICE)).json()["items"]
    assert [item["key"] for item in items] == ["mine"]
    assert app.get("/system/metrics", DAY, auth=ADMIN).json()["totals"]["requests_count_total"] == 3
