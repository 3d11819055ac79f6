"""Users with a token over Loki: they see their services of what is remembered for all, and nobody but the admin has it
read anew."""
import pytest

from harness import logql, model
from harness.fake_prometheus import vector
from harness.hostile_oidc import GROUP
from harness.loki import DAY, HOUR
from harness.lokidata import OSCAR, hours, line, nanoseconds

T = nanoseconds("2025-03-10T12:00:00Z")
ALICE, BOB = "alice@example.org", "bob@example.org"
DEFINITIONS = {"yolo": "visibility: public", "cowsay": f"owner: {ALICE}", "a.b": f"owner: {BOB}",
               "grayify": f"owner: {BOB}\nvisibility: restricted\nallowed_users: ['{ALICE}']"}
VISIBLE = {ALICE: {"yolo", "cowsay", "grayify"}, BOB: {"yolo", "a.b", "grayify"}}


@pytest.fixture
def app(start, folder, loki, data, fake, issuer):
    loki.max_entries = 500
    data.begin(T)
    data.spread(T, T + DAY, 3000, exposed=100)
    (folder / "services").mkdir()
    for name, text in DEFINITIONS.items():
        (folder / "services" / f"{name}.yaml").write_text(f"name: {name}\n{text}\n")
    fake.answers(vector("1"))
    return start({**loki.settings, "OSCAR_METRICS_SERVICES_DIR": folder / "services", "OIDC_ENABLE": "true",
                  "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, "PROMETHEUS_URL": fake.url})


def seen(data, user):
    return [event for event in data.within(T, T + DAY - 1) if event.service in VISIBLE[user]]


@pytest.mark.parametrize("user", [ALICE, BOB])
def test_users_see_their_services(app, data, issuer, user):
    auth, events = "Bearer " + issuer.token(user), seen(data, user)
    totals = app.get("/system/metrics", hours(T, 24), auth=auth).json()["totals"]
    assert totals == model.totals(events, active=3, cpu=totals["cpu_hours_total"], gpu=totals["gpu_hours_total"])
    for group_by, items in (("service", model.by_service), ("user", model.by_user), ("country", model.by_country)):
        answer = app.get("/system/metrics/breakdown", hours(T, 24, f"&group_by={group_by}"), auth=auth)
        assert answer.json()["items"] == items(events)


def test_all_are_shown_the_same_hours(app, loki, data, issuer):
    """What one has read, nobody reads again; the scope is laid over it."""
    app.get("/system/metrics", hours(T, 24), auth="Bearer " + issuer.token(ALICE)).json()
    loki.forget()
    totals = app.get("/system/metrics", hours(T, 24), auth="Bearer " + issuer.token(BOB)).json()["totals"]
    assert totals["requests_count_total"] == model.totals(seen(data, BOB))["requests_count_total"]
    everything = app.summary(hours(T, 24)).json()["totals"]
    assert everything["requests_count_total"] == data.totals(T, T + DAY - 1)["requests_count_total"]
    assert loki.asked == []


@pytest.mark.parametrize("value", ["no-cache", "max-age=0, no-cache"])
def test_users_do_not_have_it_read_anew(app, loki, issuer, value):
    auth = "Bearer " + issuer.token(ALICE)
    app.get("/system/metrics", hours(T, 24), auth=auth).json()
    loki.forget()
    app.get("/system/metrics", hours(T, 24), auth=auth, HTTP_CACHE_CONTROL=value).json()
    assert loki.asked == []


def test_a_service_of_somebody_else_is_not_asked_for(app, loki, fake, issuer):
    auth = "Bearer " + issuer.token(ALICE)
    assert app.get("/system/metrics/a.b", hours(T, 24), auth=auth).status == 403
    assert app.get("/system/metrics/not-there", hours(T, 24), auth=auth).status == 404
    assert (loki.asked, fake.asked) == ([], [])


@pytest.mark.parametrize("user", [ALICE, BOB])
def test_hours_are_those_of_their_services_alone(app, fake, issuer, user):
    """Several names in one regular expression: it fits each of them, and nothing else."""
    app.get("/system/metrics", hours(T, 24), auth="Bearer " + issuer.token(user)).json()
    assert fake.asked
    names = set()
    for asked in fake.asked:
        selector = asked.query[asked.query.index("{"):asked.query.rindex("}") + 1]
        (matcher,) = [each for each in logql.parse(selector).matchers if each.name == "service"]
        assert matcher.op == "=~"
        names |= {name for name in [*DEFINITIONS, "axb", "yol", "yoloo", "", "cowsay|yolo"]
                  if matcher.regex.fullmatch(name)}
    assert names == VISIBLE[user]


def test_lines_of_a_namespace_that_is_not_theirs(app, data, issuer):
    """A line that carries its namespace is judged by it, remembered or not."""
    data.put({**OSCAR, "pod": "x"}, [(T + HOUR + 1, line(T, "/job/by-path", service="yolo", namespace="oscar-svc-bob"))])
    auth = "Bearer " + issuer.token(ALICE)
    wanted = model.totals(seen(data, ALICE))["requests_count_total"] - 1
    for _ in range(2):
        totals = app.get("/system/metrics", hours(T, 24), auth=auth).json()["totals"]
        assert totals["requests_count_total"] == wanted
