"""What is remembered for minutes, hours and days, and what years do: the program's clock is moved by the test, and stands
still meanwhile, so that each time is met to the second."""
import contextlib
import datetime
import re
import signal
import time

import pytest

from harness import expect, fcgi, logdata
from harness.clock import Clock
from harness.fake_prometheus import Hold, Reply, vector
from harness.hostile_oidc import GROUP
from harness.jose import EcKey
from harness.kube import Kube
from harness.lokidata import nanoseconds
from harness.process import watches
from harness.waiting import SLOWDOWN, wait_until

MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR
YEAR = 365 * DAY
A_MOMENT = 0.1
FIRST_DAY = "start=2026-01-01T00:00:00Z&end=2026-01-01T23:59:59Z"


@pytest.fixture
def clock(folder):
    made = Clock(folder)
    yield made
    made.close()


# Tokens, and what providers say.

@pytest.fixture
def app(start, clock, issuer):
    return start({**clock.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})


def token_of(issuer, name):
    return issuer.token(f"{name}@example.org", lifetime=100 * YEAR)


def ask(app, token):
    return app.get("/system/metrics", "end=x", auth="Bearer " + token)


def gets_in(app, token):
    answer = ask(app, token)
    assert answer.status == 400, answer


def unavailable(app, token):
    answer = ask(app, token)
    expect.plain(answer, 503, "identity provider unavailable")
    return int(answer.header("Retry-After"))


def counts(issuer):
    return tuple(issuer.asked(what) for what in ("discovery", "jwks", "me"))


def test_a_user_is_remembered_for_five_minutes(app, clock, issuer):
    token = token_of(issuer, "alice")
    gets_in(app, token)
    clock.ahead(5 * MINUTE - A_MOMENT)
    gets_in(app, token)
    assert counts(issuer) == (1, 1, 1)
    clock.ahead(5 * MINUTE + A_MOMENT)
    gets_in(app, token)
    assert counts(issuer) == (1, 1, 2), "the user, and nothing else"
    issuer.users["alice@example.org"] = {"group_membership": ["another"]}
    clock.ahead(10 * MINUTE)
    gets_in(app, token)
    clock.ahead(10 * MINUTE + 2 * A_MOMENT)
    expect.plain(ask(app, token), 403, "access denied")


def test_what_a_provider_said_of_itself_is_good_for_an_hour(app, clock, issuer):
    gets_in(app, token_of(issuer, "first"))
    clock.ahead(HOUR - A_MOMENT)
    gets_in(app, token_of(issuer, "second"))
    assert counts(issuer) == (1, 1, 2)
    clock.ahead(HOUR + A_MOMENT)
    gets_in(app, token_of(issuer, "third"))
    assert counts(issuer) == (2, 2, 3)


@pytest.mark.parametrize("what", ["discovery", "jwks"])
def test_what_cannot_be_renewed_is_good_for_a_day(app, clock, issuer, what):
    gets_in(app, token_of(issuer, "first"))
    right = getattr(issuer, what)
    setattr(issuer, what, Reply("", 500))
    for hours in range(1, 24):
        clock.ahead(hours * HOUR)
        gets_in(app, token_of(issuer, f"user{hours}"))
        assert issuer.asked(what) == 1 + hours, "it is tried again"
    clock.ahead(DAY - A_MOMENT)
    gets_in(app, token_of(issuer, "last"))
    clock.ahead(DAY + A_MOMENT)
    unavailable(app, token_of(issuer, "another"))
    setattr(issuer, what, right)
    clock.ahead(DAY + MINUTE)
    gets_in(app, token_of(issuer, "another"))


def test_what_another_asks_of_a_provider_is_waited_for_two_seconds(app, clock, issuer):
    gets_in(app, token_of(issuer, "first"))
    issuer.userinfo = hold = Hold(Reply("", 500))
    with contextlib.ExitStack() as stack:
        for name, when in (("a", 0), ("b", 2 - A_MOMENT)):
            clock.ahead(when)
            stack.enter_context(app.begin("/system/metrics", "end=x", auth="Bearer " + token_of(issuer, name)))
            hold.wait_held()
        clock.ahead(2 + A_MOMENT)
        unavailable(app, token_of(issuer, "c"))
        assert issuer.asked("me") == 3
        hold.release()


def busy(app):
    """Workers, but for the one that answers this."""
    return int(re.search(r"^oscar_metrics_workers_busy (\d+)$", app.get("/-/metrics").text, re.M)[1]) - 1


def test_who_waits_for_another_s_question_sees_soon_that_it_is_late(app, clock, issuer):
    issuer.discovery = hold = Hold(Reply("", 500))
    with contextlib.ExitStack() as stack:
        for count, name in enumerate(("a", "b"), 1):
            connection = stack.enter_context(
                app.begin("/system/metrics", "end=x", auth="Bearer " + token_of(issuer, name)))
            wait_until(lambda count=count: busy(app) == count, "the request to be looked at")
            if count == 1:
                hold.wait_held()
        began = time.monotonic()
        clock.ahead(2 + A_MOMENT)
        assert connection.answer().status == 503
        assert time.monotonic() - began < 3 * SLOWDOWN, "a second, and what else the machine does"
        assert counts(issuer) == (1, 0, 0)
        hold.release()


def test_an_answer_that_is_none_is_remembered_for_five_seconds(app, clock, issuer):
    token, right = token_of(issuer, "alice"), issuer.userinfo
    issuer.userinfo = Reply("", 502)
    assert unavailable(app, token) == 5
    issuer.userinfo = right
    assert unavailable(app, token) == 5
    clock.ahead(5 - A_MOMENT)
    assert unavailable(app, token) == 1
    assert issuer.asked("me") == 1
    clock.ahead(5 + A_MOMENT)
    gets_in(app, token)


# Hours, and lists of services.

def test_hours_are_remembered_for_a_day(start_loki, loki, data, clock):
    first = nanoseconds("2025-03-10T12:00:00Z")
    last = first + 10 * HOUR * 10**9 - 1
    data.begin(first)
    data.spread(first, last, 100)
    app = start_loki(clock.settings)

    def read():
        loki.forget()
        data.check(app, first, last)
        return len(loki.reads)

    assert read() > 0
    for ahead in (HOUR, DAY - A_MOMENT):
        clock.ahead(ahead)
        assert read() == 0
    clock.ahead(DAY + A_MOMENT)
    assert read() > 0
    assert read() == 0


@pytest.fixture
def kube(folder):
    with contextlib.closing(Kube(folder / "kube", tls=False)) as made:
        yield made


def services(app):
    answer = app.summary()
    return answer.json()["totals"]["services_count_active"], answer.source("service-inventory")["status"]


def test_a_list_of_services_is_shared_for_five_seconds(start, kube, clock):
    kube.put_service("a")
    app = start({**clock.settings, **kube.settings})
    assert services(app) == (1, "ok")
    kube.put_service("b")
    clock.ahead(5 - A_MOMENT)
    assert services(app) == (1, "ok")
    assert len(kube.lists("configmaps")) == 1
    clock.ahead(5 + A_MOMENT)
    assert services(app) == (2, "ok")


def test_a_list_that_failed_is_not_tried_again_for_a_second(start, kube, clock):
    kube.put_service("a")
    kube.fault = lambda asked, right: Reply("", 403)
    app = start({**clock.settings, **kube.settings})
    assert services(app) == (0, "missing")
    kube.works()
    clock.ahead(1 - A_MOMENT)
    assert services(app) == (0, "missing")
    assert len(kube.lists("configmaps")) == 1
    clock.ahead(1 + A_MOMENT)
    assert services(app) == (1, "ok")


# The end.

def test_who_was_let_in_has_a_second_for_a_request_at_the_end(start, clock):
    app = start({**clock.settings, "OSCAR_METRICS_WORKERS": 2})
    request = fcgi.request(app.params("/-/healthy"))
    with contextlib.ExitStack() as stack:
        early, last, late = (stack.enter_context(app.connect()) for _ in range(3))
        assert app.get("/-/healthy").status == 200, "all are let in"
        assert watches(app.process.pid, 0)
        app.signal(signal.SIGTERM)
        wait_until(lambda: not watches(app.process.pid, 0), "nobody to be let in any more")
        clock.ahead(1 - A_MOMENT)
        for peer in (early, last):
            peer.send(request)
            assert peer.answer().status == 200
        clock.ahead(1 + A_MOMENT)
        assert app.wait() == 0
        with pytest.raises((fcgi.Closed, ConnectionError)):
            late.send(request)
            late.answer()


# Years.

def test_years_later_reports_are_right(start, clock, issuer, fake, folder):
    """Past the ends of 31 and of 32 bits of seconds. Each time a line more, and a key more."""
    log = folder / "manager.log"
    logdata.write(log, logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    fake.answers(vector("3"))
    (folder / "services").mkdir()
    app = start({**clock.settings, "OSCAR_METRICS_LOG_FILES": log, "OSCAR_METRICS_SERVICES_DIR": folder / "services",
                 "PROMETHEUS_URL": fake.url, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
    for years in (0, 1, 13, 30, 81):
        clock.ahead(years * YEAR)
        today = clock.now() - datetime.timedelta(hours=1)
        with open(log, "a", encoding="utf-8") as file:
            file.write(logdata.request(today.strftime("%Y-%m-%dT%H:%M:%SZ")))
        issuer.keys.insert(0, EcKey())
        for _ in range(2):
            gets_in(app, token_of(issuer, "alice"))
            day = (today - datetime.timedelta(hours=12)).strftime("start=%Y-%m-%dT%H:%M:%SZ")
            for query in (FIRST_DAY, day):
                answer = app.summary(query)
                totals = answer.json()["totals"]
                assert (totals["requests_count_total"], totals["cpu_hours_total"]) == (1, 3), (years, answer)
                assert answer.source("request-logs")["status"] == "ok"
    assert issuer.asked("jwks") == 5
