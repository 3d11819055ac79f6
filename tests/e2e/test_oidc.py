"""Section 3 with a real OpenID provider: people sign in there, and ask through nginx for what they may see. What they
must get is computed by the model over exactly their services."""
import re

import pytest

from harness import expect, model
from harness.cgi import CgiApp
from harness.client import ADMIN, basic
from harness.cluster import ALICE, BOB, CAROL, DAY, MONTH, USERS, Cluster
from harness.fake_prometheus import FakePrometheus
from harness.nginx import Nginx
from harness.oidc import AI4EOSC, EGI, PLAIN, Provider, groups_claim
from harness.waiting import wait_until

GROUP = "vo.example.org"
STRANGER, NOBODY = "stranger@example.org", "nobody@example.org"
PATHS = (PLAIN, EGI, AI4EOSC)
SPANS = {"the month": (MONTH, "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"),
         "a day": (DAY, "2026-01-10T00:00:00Z", "2026-01-10T23:59:59.999Z")}
ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}


def in_every_claim(groups):
    """One claim for each kind of provider: a provider that reads another one's claim lets the wrong people in."""
    return {name: value for path in PATHS for name, value in groups_claim(path, groups).items()}


def passed(answer):
    """A request with a wrong time that got past the gate."""
    return answer.status == 400


def people():
    users = {user: in_every_claim(["another", GROUP]) for user in USERS}
    users[STRANGER] = in_every_claim(["another"])
    users[NOBODY] = {}
    # In the right group by the claim of each other kind of provider alone.
    for path in PATHS:
        users[f"only{path}@example.org"] = groups_claim(path, [GROUP])
    return users


@pytest.fixture(scope="module")
def provider(shared_folder):
    server = Provider(shared_folder, people())
    yield server
    server.stop()


@pytest.fixture
def own_provider(folder):
    """One whose keys a test may change."""
    server = Provider(folder, people())
    yield server
    server.stop()


def oidc(provider, **more):
    return {"OIDC_ENABLE": "true", "OIDC_GROUPS": f"x, {GROUP}",
            "OIDC_ISSUERS": ", ".join(provider.issuer(path) for path in PATHS), **more}


@pytest.fixture(scope="module")
def prometheus():
    server = FakePrometheus()
    yield server
    server.close()


@pytest.fixture(scope="module")
def cluster(shared_folder, prometheus):
    return Cluster(shared_folder, fake=prometheus)


@pytest.fixture(scope="module")
def app(cluster, provider, start_shared):
    return start_shared({**cluster.settings, **oidc(provider)})


@pytest.fixture(scope="module")
def nginx(app, shared_folder):
    server = Nginx(shared_folder / "nginx", app.address)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def signed_in(provider):
    """user -> Authorization header, as of one sign-in each."""
    return {user: "Bearer " + provider.sign_in(user) for user in USERS}


@pytest.fixture(params=SPANS)
def span(request):
    return SPANS[request.param]


def test_the_cluster_tells_its_people_apart(cluster):
    """What the other tests rest on."""
    seen = {user: cluster.totals(user) for user in USERS}
    for field in ("requests_count_total", "requests_count_exposed", "services_count_active", "cpu_hours_total", "users"):
        values = [str(totals[field]) for totals in seen.values()]
        assert len(set(values)) == len(USERS) and "0" not in values, (field, values)
    everything = model.totals(cluster.events)
    assert all(totals["requests_count_total"] < everything["requests_count_total"] for totals in seen.values())


@pytest.mark.parametrize("user", USERS)
def test_a_summary_is_of_exactly_their_services(nginx, cluster, signed_in, user, span):
    query, start, end = span
    answer = nginx.get(f"/system/metrics?{query}", auth=signed_in[user])
    assert answer.json()["totals"] == cluster.totals(user, start, end)
    expect.sources(answer, {"service-inventory": "partial", "prometheus": "ok", "request-logs": "ok",
                            "country-attribution": "ok", "exposed-request-logs": "ok"})
    expect.common_headers(answer)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("group_by", ITEMS)
def test_breakdowns_are_of_exactly_their_services(nginx, cluster, signed_in, user, group_by, span):
    query, start, end = span
    answer = nginx.get(f"/system/metrics/breakdown?{query}&group_by={group_by}", auth=signed_in[user])
    assert answer.json()["items"] == ITEMS[group_by](cluster.seen_events(user, start, end))


@pytest.mark.parametrize("user", USERS)
def test_the_users_of_services_are_those_of_their_services(nginx, cluster, signed_in, user):
    answer = nginx.get(f"/system/metrics/breakdown?{MONTH}&group_by=service&include_users=true", auth=signed_in[user])
    assert answer.json()["items"] == model.by_service(cluster.seen_events(user), include_users=True)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("group_by", ITEMS)
def test_csv_is_of_exactly_their_services(nginx, cluster, signed_in, user, group_by):
    answer = nginx.get(f"/system/metrics/breakdown?{MONTH}&group_by={group_by}&format=csv", auth=signed_in[user])
    assert answer.csv() and answer.text == model.to_csv(group_by, ITEMS[group_by](cluster.seen_events(user)))


@pytest.mark.parametrize("user", USERS)
def test_values_are_those_of_services_that_may_be_seen(nginx, cluster, signed_in, user):
    for name in cluster.names() + ["deleted", "of", "never-heard-of"]:
        answer = nginx.get(f"/system/metrics/{name}?{MONTH}", auth=signed_in[user])
        status = cluster.access(user, name)
        if status != 200:
            expect.plain(answer, status, "access denied" if status == 403 else "service not found")
            continue
        values = [(metric["metric"], metric["value"]) for metric in answer.json()["metrics"]]
        assert values == model.values_of(cluster.seen_events(user), name, *cluster.hours_of(user, name)), name


@pytest.mark.parametrize("user", USERS)
def test_one_metric_is_the_same_as_among_all(nginx, cluster, signed_in, user):
    for name in ("public", "public-and-bobs", "alice-and-bob"):
        if cluster.access(user, name) == 200:
            for metric, value in model.values_of(cluster.seen_events(user), name, *cluster.hours_of(user, name)):
                answer = nginx.get(f"/system/metrics/{name}?{MONTH}&metric={metric}", auth=signed_in[user])
                assert answer.json()["value"] == value


def test_users_of_a_program_run_as_plain_cgi(cluster, provider, signed_in, folder):
    """It has nothing to remember: the provider is asked each time."""
    app = CgiApp(folder, {**cluster.settings, **oidc(provider)})
    for user in USERS:
        assert app.get("/system/metrics", MONTH, auth=signed_in[user]).json()["totals"] == cluster.totals(user)
    app.stop()


ADMINS = [f"?{MONTH}", f"/breakdown?{MONTH}&group_by=service&include_users=true",
          f"/breakdown?{DAY}&group_by=user&format=csv", f"/of-bob?{MONTH}", f"/deleted?{MONTH}", "/owners",
          f"?{DAY}&owner={CAROL}"]


@pytest.mark.parametrize("target", ADMINS)
def test_the_admin_sees_everything_as_without_oidc(nginx, cluster, start, signed_in, target):
    path, _, query = target.partition("?")
    bare = start(cluster.settings).get("/system/metrics" + path, query)
    nginx.get("/system/metrics" + target, auth=signed_in[ALICE])
    answer = nginx.admin("/system/metrics" + target)
    assert answer.status == bare.status == 200
    times = re.compile(r'"last_updated":"[^"]*"')
    assert times.sub("", answer.text) == times.sub("", bare.text)


def test_the_admins_totals_are_those_of_all_lines(nginx, cluster):
    totals = nginx.admin(f"/system/metrics?{MONTH}").json()["totals"]
    expected = model.totals(cluster.events)
    for field in ("requests_count_total", "requests_count_exposed", "services_count_total", "users", "countries"):
        assert totals[field] == expected[field]


def test_other_credentials_are_refused_as_before(nginx):
    for auth, text in ((basic(password="x"), "invalid credentials"), (None, "authentication required")):
        answer = nginx.get("/system/metrics", auth=auth)
        expect.plain(answer, 401, text)
        assert answer.all("WWW-Authenticate") == ['Basic realm="Authorization Required"']


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "ES512"])
def test_every_kind_of_provider_and_algorithm(nginx, provider, path, algorithm):
    token = provider.sign_in(BOB, path, algorithm)
    assert passed(nginx.get("/system/metrics?end=x", auth="Bearer " + token))


def test_an_algorithm_that_is_not_verified_is_refused_with_its_name(app, provider):
    answer = app.get("/system/metrics", auth="Bearer " + provider.sign_in(BOB, PLAIN, "EdDSA"))
    expect.plain(answer, 401, "invalid credentials")
    wait_until(lambda: "EdDSA" in app.stderr(), "the log to name the algorithm")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_has_no_case(app, signed_in, scheme):
    assert passed(app.get("/system/metrics", "end=x", auth=signed_in[ALICE].replace("Bearer", scheme)))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("user", [STRANGER, NOBODY])
def test_without_a_right_group_nobody_gets_in(nginx, provider, user, path):
    answer = nginx.get("/system/metrics", auth="Bearer " + provider.sign_in(user, path))
    expect.plain(answer, 403, "access denied")
    assert answer.header("WWW-Authenticate") is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("other", PATHS)
def test_the_groups_are_read_from_the_claim_of_that_kind_of_provider(app, provider, path, other):
    answer = app.get("/system/metrics", "end=x", auth="Bearer " + provider.sign_in(f"only{other}@example.org", path))
    assert passed(answer) if path == other else answer.status == 403


@pytest.mark.parametrize("path", ["", "/breakdown", "/owners", "/public", "/of-bob", "/never-heard-of", "/Invalid"])
def test_a_stranger_learns_nothing(nginx, provider, path):
    answer = nginx.get("/system/metrics" + path, auth="Bearer " + provider.sign_in(STRANGER))
    expect.plain(answer, 403, "access denied")


REFUSED = {"OIDC is off": {"OIDC_ENABLE": "false"}, "OIDC is off by default": {"OIDC_ENABLE": None},
           "no issuer": {"OIDC_ISSUERS": ""}}


@pytest.mark.parametrize("row", REFUSED)
def test_a_right_token_is_refused_where(start, provider, signed_in, row):
    app = start(oidc(provider, **REFUSED[row]))
    answer = app.get("/system/metrics", auth=signed_in[ALICE])
    expect.plain(answer, 401, "invalid credentials")
    assert answer.all("WWW-Authenticate") == ['Bearer error="invalid_token"']
    assert app.get("/system/metrics", auth=ADMIN).status == 200


@pytest.mark.parametrize("groups", ["", " ", ",", " , "])
def test_without_groups_nobody_gets_in(start, provider, signed_in, groups):
    app = start(oidc(provider, OIDC_GROUPS=groups))
    expect.plain(app.get("/system/metrics", auth=signed_in[ALICE]), 403, "access denied")
    assert app.get("/system/metrics", auth=ADMIN).status == 200


def test_one_of_several_groups_is_enough(start, provider, signed_in):
    for groups, status in (("another", 400), (GROUP, 400), (f" {GROUP} ,x", 400), (GROUP[:-1], 403),
                           (GROUP + "x", 403), (GROUP.upper(), 403)):
        app = start(oidc(provider, OIDC_GROUPS=groups))
        assert app.get("/system/metrics", "end=x", auth=signed_in[ALICE]).status == status, groups


def asks(app, token):
    return app.get("/system/metrics", "end=x", auth="Bearer " + token)


def test_keys_that_rotate(start, own_provider):
    """Tokens of a new key get in; those of a key that is gone do not, unless they are remembered."""
    app = start(oidc(own_provider))
    old, unused = ({path: own_provider.sign_in(user, path) for path in (EGI, AI4EOSC)} for user in (ALICE, BOB))
    assert all(passed(asks(app, token)) for token in old.values())
    own_provider.rotate(EGI)
    own_provider.rotate(AI4EOSC, keep=True)
    new = {path: own_provider.sign_in(ALICE, path) for path in (EGI, AI4EOSC)}
    # The key set is read again for a key that is not known, but not at once after the last time.
    for token in new.values():
        wait_until(lambda token=token: passed(asks(app, token)), "the new keys to be read")
    expect.plain(asks(app, unused[EGI]), 401, "invalid credentials")
    assert passed(asks(app, unused[AI4EOSC])), "its key is still in the set"


def test_no_token_reaches_the_log(app, provider, signed_in):
    for user in (STRANGER, ALICE):
        app.get("/system/metrics", auth="Bearer " + provider.sign_in(user))
    text = app.stderr()
    expect.logfmt(text)
    for authorization in signed_in.values():
        for part in authorization.removeprefix("Bearer ").split("."):
            assert part[:24] not in text and part[-24:] not in text
