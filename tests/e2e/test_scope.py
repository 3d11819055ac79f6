"""Sections 3 and 11: what of the cluster an OIDC user sees. The figures are the model's; here are the borders."""
import json

import pytest

from harness import expect, logdata, model
from harness.client import ADMIN
from harness.cluster import ALICE, BOB, CAROL, MONTH, USERS, Cluster, write_definition
from harness.fake_prometheus import FakePrometheus, vector
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.logdata import request
from harness.model import Definition

T = "2026-01-10T10:00:00Z"


@pytest.fixture(scope="module")
def issuer():
    server = HostileOidc()
    yield server.issuer("/x", EcKey())
    server.close()


@pytest.fixture(scope="module")
def prometheus():
    server = FakePrometheus()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bearer(issuer):
    """user -> Authorization header."""
    return {user: "Bearer " + issuer.token(user) for user in (*USERS, "dave@example.org")}


@pytest.fixture(scope="module")
def cluster(shared_folder, prometheus):
    return Cluster(shared_folder, requests=600, fake=prometheus)


def users(issuer, **more):
    return {"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, **more}


@pytest.fixture(scope="module")
def app(cluster, issuer, start_shared):
    return start_shared({**cluster.settings, **users(issuer)})


# /{serviceName}: 404, 403, and the order of the checks.

def test_one_service_is_there_hidden_or_not_there(app, cluster, bearer):
    words = {403: "access denied", 404: "service not found"}
    for user in USERS:
        for name in (*cluster.names(), "deleted", "of", "never-heard-of", "x" * 253):
            answer = app.get(f"/system/metrics/{name}", MONTH, auth=bearer[user])
            status = cluster.access(user, name)
            if status != 200:
                expect.plain(answer, status, words[status])
                assert answer.header("WWW-Authenticate") is None
            assert answer.status == status, (user, name)


# In the contract's order: authentication, the service's name, access to it, the query.
ORDER = [
    ("POST", "/nowhere", "end=x", None, 405), ("GET", "/nowhere", "end=x", None, 404),
    ("GET", "/system/metrics/a/b", "end=x", ALICE, 404),
    ("GET", "/system/metrics/Invalid", "end=x", None, 401),
    ("GET", "/system/metrics/Invalid", "end=x", ALICE, "invalid service name"),
    ("GET", "/system/metrics/%20", "end=x", ALICE, "invalid service name"),
    ("GET", "/system/metrics/ ", "end=x", ALICE, "serviceName is required"),
    ("GET", "/system/metrics/never-heard-of", "end=x", ALICE, 404),
    ("GET", "/system/metrics/never-heard-of", "owner=nobody", ALICE, 404),
    ("GET", "/system/metrics/of-bob", "end=x", ALICE, 403),
    ("GET", "/system/metrics/of-bob", "metric=x&owner=nobody", ALICE, 403),
    ("GET", "/system/metrics/broken", "end=x", ALICE, 403),
    ("GET", "/system/metrics/of-alice", "end=x", ALICE, "invalid end timestamp"),
    ("GET", "/system/metrics/of-alice", "metric=x", ALICE, "invalid metric key"),
    ("GET", "/system/metrics/of-alice", "metric=services-count", ALICE, "unsupported metric for value query"),
    ("GET", "/system/metrics/of-alice", "metric=services-count&owner=x", ALICE, "unsupported metric for value query"),
    ("GET", "/system/metrics", "end=x&owner=x", ALICE, "invalid end timestamp"),
    ("GET", "/system/metrics/breakdown", "owner=x", ALICE, "group_by is required"),
    ("GET", "/system/metrics/owners", "end=x", ALICE, 403),
]


@pytest.mark.parametrize("method,path,query,user,expected", ORDER)
def test_the_order_of_the_checks(app, bearer, method, path, query, user, expected):
    answer = app.get(path, query, auth=bearer[user] if user else None, method=method)
    if isinstance(expected, str):
        expect.bad_request(answer, expected)
    else:
        assert answer.status == expected, answer


@pytest.mark.parametrize("path,query", [("", ""), ("/breakdown", "group_by=service"), ("/breakdown",
                                        "group_by=user&format=csv"), ("/of-alice", ""), ("/public", "metric=cpu-hours")])
@pytest.mark.parametrize("owner", [ALICE, BOB, "cluster_admin", "nobody"])
def test_owners_are_the_admins_filter(app, bearer, path, query, owner):
    answer = app.get("/system/metrics" + path, f"{MONTH}&{query}&owner={owner}", auth=bearer[ALICE])
    expect.bad_request(answer, "owner filter is only available with admin authentication")


def test_an_empty_owner_is_no_filter(app, bearer, cluster):
    totals = app.get("/system/metrics", MONTH + "&owner=", auth=bearer[ALICE]).json()["totals"]
    assert totals == cluster.totals(ALICE)


def test_the_owners_are_the_admins(app, bearer):
    expect.plain(app.get("/system/metrics/owners", auth=bearer[ALICE]), 403, "access denied")


def test_somebody_without_services_sees_what_is_public(app, bearer, cluster):
    dave = "dave@example.org"
    assert app.get("/system/metrics", MONTH, auth=bearer[dave]).json()["totals"] == cluster.totals(dave)
    assert cluster.totals(dave)["services_count_active"] == 2


def test_nothing_is_told_of_what_is_hidden(app, bearer, cluster):
    """Not in notes, and not by what an answer leaves out."""
    hidden = {user: set(cluster.names()) - {definition.name for definition in model.visible(cluster.definitions, user)}
              for user in USERS}
    targets = [("", MONTH), ("/breakdown", MONTH + "&group_by=service&include_users=true"),
               ("/breakdown", MONTH + "&group_by=user"), ("/breakdown", MONTH + "&group_by=country&format=csv"),
               ("/public", MONTH)]
    for user in USERS:
        for path, query in targets:
            body = app.get("/system/metrics" + path, query, auth=bearer[user]).text
            for name in hidden[user]:
                for spelled in (f'"{name}"', f"{name}-caller", f"{name}.yaml", f"{name},", f"{name}:"):
                    assert spelled not in body, (user, path, spelled)


# Lines with and without a namespace.

class Small:
    """A few definitions and a few lines."""

    def __init__(self, folder, start, issuer, definitions, lines, **more):
        for definition in definitions:
            write_definition(folder / "services", definition)
        (folder / "services").mkdir(exist_ok=True)
        logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *lines)
        self.issuer = issuer
        self.app = start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log",
                          "OSCAR_METRICS_SERVICES_DIR": folder / "services", **users(issuer), **more})

    def get(self, user, path="", query=""):
        return self.app.get("/system/metrics" + path, f"{MONTH}&{query}", auth="Bearer " + self.issuer.token(user))

    def services(self, user):
        """{service: requests} of a user's breakdown."""
        items = self.get(user, "/breakdown", "group_by=service").json()["items"]
        return {item["key"]: item["requests_count_total"] for item in items}

    def sync(self, user, name):
        answer = self.get(user, "/" + name, "metric=requests-sync-per-service")
        return answer.json()["value"] if answer.status == 200 else answer.status


A, B = "oscar-svc-alice", "oscar-svc-bob"
BOTH = [request(T, "/run/both"), request(T, "/run/x", "u", "both", A), request(T, "/run/x", "u", "both", A),
        *[request(T, "/run/x", "u", "both", B)] * 4, *[request(T, "/run/x", "u", "both", "oscar-svc")] * 8,
        *[request(T, "/run/x", "u", "both", "oscar-svc-gone")] * 16]
TWO = {
    # definitions: {user: requests of "both" that they see, or the status of /both}
    "one each": ((Definition("both", A, ALICE), Definition("both", B, BOB)), {ALICE: 2, BOB: 4, CAROL: 403}),
    "both public": ((Definition("both", A, ALICE, "public"), Definition("both", B, BOB, "public")),
                    {ALICE: 7, BOB: 7, CAROL: 7}),
    "one public": ((Definition("both", A, ALICE, "public"), Definition("both", B, BOB)), {ALICE: 2, BOB: 7, CAROL: 2}),
    "one restricted": ((Definition("both", A, ALICE, "restricted", (CAROL,)), Definition("both", B, BOB, "public")),
                       {ALICE: 7, BOB: 4, CAROL: 7}),
    "both of one": ((Definition("both", A, ALICE), Definition("both", B, ALICE)), {ALICE: 7, BOB: 403, CAROL: 403}),
    "only one there": ((Definition("both", A, ALICE),), {ALICE: 3, BOB: 403, CAROL: 403}),
    "one broken": ((Definition("both", A, ALICE, "public"), Definition("both", B, BOB, "public", (), True)),
                   {ALICE: 403, BOB: 403, CAROL: 403}),
    "none": ((), {ALICE: 404, BOB: 404, CAROL: 404}),
}


@pytest.mark.parametrize("row", TWO)
def test_a_name_in_two_namespaces(start, folder, issuer, row):
    definitions, expected = TWO[row]
    small = Small(folder, start, issuer, definitions, BOTH)
    for user, count in expected.items():
        assert small.sync(user, "both") == count, user
        assert small.services(user) == ({"both": count} if count < 400 else {}), user


VISIBILITY = {
    # definition's members: who sees it
    "nothing stated": ({}, []), "private": ({"visibility": "private"}, []), "public": ({"visibility": "public"}, USERS),
    "an owner": ({"owner": ALICE}, [ALICE]), "an owner of another case": ({"owner": ALICE.upper()}, []),
    "a private one's owner": ({"owner": ALICE, "visibility": "private"}, [ALICE]),
    "restricted": ({"visibility": "restricted", "allowed_users": (BOB, CAROL)}, [BOB, CAROL]),
    "restricted to nobody": ({"visibility": "restricted"}, []),
    "restricted, and the owner": ({"owner": ALICE, "visibility": "restricted", "allowed_users": (BOB,)}, [ALICE, BOB]),
    "restricted to other cases": ({"visibility": "restricted", "allowed_users": (BOB.upper(), " " + BOB, BOB + "x")},
                                  []),
    "allowed but private": ({"visibility": "private", "allowed_users": USERS}, []),
    "allowed and nothing stated": ({"allowed_users": USERS}, []),
    "public with a list": ({"visibility": "public", "allowed_users": (BOB,)}, USERS),
}


@pytest.mark.parametrize("row", VISIBILITY)
def test_visibility(start, folder, issuer, row):
    members, seen_by = VISIBILITY[row]
    small = Small(folder, start, issuer, [Definition("it", **members)], [request(T, "/run/it")])
    assert [user for user in USERS if small.sync(user, "it") == 1] == list(seen_by)
    assert [user for user in USERS if small.services(user)] == list(seen_by)
    assert [user for user in USERS
            if small.get(user).json()["totals"]["services_count_active"]] == list(seen_by)


UNREADABLE = {
    "an unknown visibility": "name: it\nowner: {user}\nvisibility: everybody\n",
    "visibility twice": "name: it\nowner: {user}\nvisibility: public\nvisibility: public\n",
    "cut short": "name: it\nowner: {user}\nvisibility: public\nallowed_users: [\n",
    "an owner that is a list": "name: it\nowner: [{user}]\nvisibility: public\n",
    "allowed users that are a text": "name: it\nowner: {user}\nvisibility: restricted\nallowed_users: {user}\n",
}


@pytest.mark.parametrize("row", UNREADABLE)
def test_a_definition_that_cannot_be_read_is_private(start, folder, issuer, row):
    small = Small(folder, start, issuer, [], [request(T, "/run/it")])
    (folder / "services" / "it.yaml").write_text(UNREADABLE[row].replace("{user}", ALICE))
    assert small.services(ALICE) == {}
    assert small.sync(ALICE, "it") == 403
    assert small.app.service("it", f"{MONTH}&metric=requests-sync-per-service").json()["value"] == 1


def test_what_is_gone_is_the_admins_alone(start, folder, issuer):
    small = Small(folder, start, issuer, [Definition("here", owner=ALICE)],
                  [request(T, "/run/here"), request(T, "/run/gone"), request(T, "/run/x", ALICE, "gone", A)])
    assert small.services(ALICE) == {"here": 1}
    assert small.sync(ALICE, "gone") == 404
    assert small.app.summary(MONTH).json()["totals"]["requests_count_total"] == 3


def test_a_service_that_turns_private_is_hidden_at_once(start, folder, issuer):
    """While the token is remembered: what is remembered is who, never what they may see."""
    small = Small(folder, start, issuer, [Definition("it", owner=BOB, visibility="public")], [request(T, "/run/it")])
    token = "Bearer " + issuer.token(ALICE)

    def seen():
        answer = small.app.get("/system/metrics", MONTH, auth=token)
        return answer.json()["totals"]["requests_count_total"]

    def status():
        return small.app.get("/system/metrics/it", MONTH, auth=token).status

    assert (seen(), status()) == (1, 200)
    asked = issuer.asked("me")
    for visibility, expected in (("private", (0, 403)), ("public", (1, 200)), ("restricted", (0, 403))):
        write_definition(folder / "services", Definition("it", owner=BOB, visibility=visibility))
        assert (seen(), status()) == expected
    (folder / "services" / "it.yaml").unlink()
    assert (seen(), status()) == (0, 404)
    assert issuer.asked("me") == asked, "the token was remembered all the time"


# The inventory.

def test_without_an_inventory_users_get_nothing(start, folder, issuer):
    small = Small(folder, start, issuer, [Definition("it", visibility="public")], [request(T, "/run/it")],
                  OSCAR_METRICS_SERVICES_DIR=folder / "nowhere")
    for path, query in (("", ""), ("/breakdown", "group_by=service"), ("/breakdown", "group_by=user&format=csv"),
                        ("/it", ""), ("/it", "metric=cpu-hours"), ("/gone", "")):
        expect.plain(small.get(ALICE, path, query), 503, "service inventory unavailable")
        assert small.app.get("/system/metrics" + path, f"{MONTH}&{query}", auth=ADMIN).status == 200
    assert small.app.summary(MONTH).json()["totals"]["requests_count_total"] == 1


def test_without_a_configured_inventory_users_get_nothing(start, folder, issuer):
    small = Small(folder, start, issuer, [], [request(T, "/run/it")], OSCAR_METRICS_SERVICES_DIR=None)
    for path, query in (("", ""), ("/breakdown", "group_by=service"), ("/it", "")):
        expect.plain(small.get(ALICE, path, query), 503, "service inventory unavailable")
        assert small.app.get("/system/metrics" + path, f"{MONTH}&{query}", auth=ADMIN).status == 200


def test_an_inventory_that_comes_back(start, folder, issuer):
    small = Small(folder, start, issuer, [Definition("it", visibility="public")], [request(T, "/run/it")])
    assert small.services(ALICE) == {"it": 1}
    (folder / "services").rename(folder / "away")
    expect.plain(small.get(ALICE), 503, "service inventory unavailable")
    (folder / "away").rename(folder / "services")
    assert small.services(ALICE) == {"it": 1}


# Hours.

def test_hours_are_asked_for_visible_services_alone(app, cluster, bearer, prometheus):
    for user in USERS:
        prometheus.forget()
        totals = app.get("/system/metrics", MONTH, auth=bearer[user]).json()["totals"]
        assert (totals["cpu_hours_total"], totals["gpu_hours_total"]) == cluster.hours_of(user)
        hidden = set(cluster.names()) - {seen.name for seen in model.visible(cluster.definitions, user)}
        queries = [asked.query.replace("\\\\", "") for asked in prometheus.asked]
        assert queries
        for query in queries:
            assert ".*" not in query.split("service=~")[1].split('"')[1], query
            names = query.split("service=~")[1].split('"')[1].strip("()?:").split("|")
            assert not hidden & set(names), query


def test_without_visible_services_no_hours_are_asked_for(start, folder, issuer, fake):
    fake.answers(vector("5"))
    small = Small(folder, start, issuer, [Definition("it", owner=BOB)], [request(T, "/run/it")], PROMETHEUS_URL=fake.url)
    totals = small.get(ALICE).json()["totals"]
    assert totals == model.totals([])
    assert fake.asked == []


def test_hours_of_a_hidden_service_are_not_asked_for(start, folder, issuer, fake):
    small = Small(folder, start, issuer, [Definition("it", owner=BOB)], [], PROMETHEUS_URL=fake.url)
    assert (small.sync(ALICE, "it"), small.sync(ALICE, "gone")) == (403, 404)
    assert fake.asked == []


def test_many_visible_services(start, folder, issuer, fake):
    """Each of them once, however many queries it takes."""
    definitions = [Definition(f"svc-{n}", owner=ALICE) for n in range(300)] + \
        [Definition(f"other-{n}", owner=BOB) for n in range(300)]
    (folder / "logs").mkdir()
    cluster = Cluster(folder / "logs", requests=50, definitions=definitions, fake=fake)
    # So many powers of two are no doubles.
    cluster.hours = {place: (1, 1) for place in cluster.hours}
    app = start({**cluster.settings, **users(issuer)})
    totals = app.get("/system/metrics", MONTH, auth="Bearer " + issuer.token(ALICE)).json()["totals"]
    assert totals == cluster.totals(ALICE)
    assert totals["cpu_hours_total"] == 300


# OSCAR_METRICS_SCOPE=owned.

OWNED = [
    Definition("mine", A, ALICE), Definition("mine-too", "oscar-svc", ALICE), Definition("his", B, BOB, "public"),
    Definition("shared", "oscar-svc", CAROL, "restricted", (ALICE,)), Definition("both", A, ALICE),
    Definition("both", B, BOB), Definition("guest", "oscar-svc-carol", CAROL), Definition(
        "guests", "oscar-svc-carol", ALICE),
]
OWNED_LINES = [
    request(T, "/run/mine"), *[request(T, "/run/x", "u", "mine", A)] * 2, *[request(T, "/run/x", "u", "gone", A)] * 4,
    request(T, "/run/gone"), request(T, "/run/mine-too"), request(T, "/run/x", "u", "gone", "oscar-svc"),
    request(T, "/run/x", "u", "mine-too", "oscar-svc"), request(T, "/run/his"), request(T, "/run/shared"),
    request(T, "/run/x", "u", "his", B), request(T, "/run/both"), *[request(T, "/run/x", "u", "both", A)] * 8,
    *[request(T, "/run/x", "u", "both", B)] * 16, request(T, "/run/x", "u", "gone", B),
    request(T, "/run/x", "u", "guest", "oscar-svc-carol"), request(T, "/run/x", "u", "guests", "oscar-svc-carol"),
    request(T, "/run/x", "u", "gone", "oscar-svc-carol"), request(T, "/run/x", "u", "mine", B),
]


@pytest.fixture
def owned(start, folder, issuer):
    return Small(folder, start, issuer, OWNED, OWNED_LINES, OSCAR_METRICS_SCOPE="owned")


def test_owned_is_what_they_own_and_what_was_theirs(owned):
    assert owned.services(ALICE) == {"mine": 3, "mine-too": 2, "gone": 4, "both": 8, "guests": 1}
    assert owned.services(BOB) == {"his": 2, "both": 16, "gone": 1, "mine": 1}
    # Somebody else's service runs in Carol's namespace, so not all that ran there was hers.
    assert owned.services(CAROL) == {"shared": 1, "guest": 1}
    events = model.read_requests("".join(OWNED_LINES).encode())
    for user in USERS:
        expected = model.by_service(model.in_scope(events, OWNED, user, owned=True))
        assert owned.services(user) == {item["key"]: item["requests_count_total"] for item in expected}


def test_the_shared_namespace_is_nobodys_own(start, folder, issuer):
    """Though all that runs there now is theirs."""
    lines = [request(T, "/run/x", "u", name, "oscar-svc") for name in ("mine", "gone")]
    small = Small(folder, start, issuer, [Definition("mine", owner=ALICE)], lines, OSCAR_METRICS_SCOPE="owned")
    assert small.services(ALICE) == {"mine": 1}


def test_owned_services_one_by_one(owned):
    for user, name, expected in (
            (ALICE, "mine", 3), (ALICE, "both", 8), (ALICE, "gone", 4), (ALICE, "never-heard-of", 0),
            (ALICE, "his", 403), (ALICE, "shared", 403), (ALICE, "guest", 403), (BOB, "both", 16), (BOB, "gone", 1),
            (CAROL, "gone", 0), (CAROL, "shared", 1)):
        assert owned.sync(user, name) == expected, (user, name)


def test_owned_counts_definitions_that_they_own(owned):
    active = {user: owned.get(user).json()["totals"]["services_count_active"] for user in USERS}
    assert active == {ALICE: 4, BOB: 2, CAROL: 2}


def test_hours_of_owned_services(start, folder, issuer, fake):
    (folder / "logs").mkdir()
    cluster = Cluster(folder / "logs", requests=50, definitions=OWNED, fake=fake)
    cluster.hours[(A, "gone")] = (64, 64)
    app = start({**cluster.settings, **users(issuer), "OSCAR_METRICS_SCOPE": "owned"})
    for user in USERS:
        own = {(place.namespace, place.name) for place in model.visible(OWNED, user, owned=True)}
        if user == ALICE:
            own.add((A, "gone"))
        totals = app.get("/system/metrics", MONTH, auth="Bearer " + issuer.token(user)).json()["totals"]
        assert totals["cpu_hours_total"] == sum(cluster.hours[place][0] for place in own), user


def test_the_admin_sees_everything_in_either_scope(owned):
    totals = owned.app.summary(MONTH).json()["totals"]
    assert totals["requests_count_total"] == len(OWNED_LINES)
    assert json.loads(owned.app.get("/system/metrics/owners").text)["owners"]
