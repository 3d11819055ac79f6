"""A Loki that fails, slows down, dies and comes back, or wants to know who asks: nothing is lost silently."""
import time

import pytest

from harness import expect
from harness.client import basic
from harness.fake_prometheus import Cut, Endless, Hold, Reply, vector
from harness.loki import DAY, HOUR, SECOND, CutChunked, Dies, Loki, refusal
from harness.lokidata import Data, check_sources, hours, nanoseconds, query
from harness.tls import Authority
from harness.waiting import SLOWDOWN, wait_until

T = nanoseconds("2025-03-10T12:00:00Z")
END = T + 2 * DAY - 1
COUNT = 1000


@pytest.fixture
def month(loki, data):
    """Two days that need some windows."""
    loki.max_entries = 100
    data.begin(T)
    data.spread(T, END, COUNT, exposed=50)
    return data


def is_about_requests(asked):
    return asked.what == "query_range" and "ingress" not in asked.query


def until_whole(data, app, first=T, last=END):
    """Until what was lost is there again: a backend that just failed is left alone for some seconds."""
    def is_whole():
        answer = app.summary(query(first, last))
        return {answer.source(name)["status"] for name in ("loki", "exposed-request-logs")} == {"ok"}

    wait_until(is_whole, "a whole report")
    data.check(app, first, last)


# Faults that pass.

PASSING = {
    "429": lambda: refusal("too many outstanding requests", 429),
    "429 with a time": lambda: refusal("too many outstanding requests", 429, [("Retry-After", "1")]),
    "500": lambda: refusal("context canceled", 500),
    "502": lambda: Reply("<html>bad gateway</html>", 502, "text/html"),
    "503": lambda: refusal("no healthy ingesters", 503, [("Retry-After", "1")]),
    "504": lambda: refusal("context deadline exceeded", 504),
    "an answer cut short": lambda: lambda reply: Cut(reply.body),
    "a reset": lambda: lambda reply: Cut(reply.body, reset=True),
    "a cut chunk": lambda: lambda reply: CutChunked(reply.body),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("count", [1, 4])
def test_what_passes_is_tried_again(start_loki, loki, month, fault, count):
    loki.fails(*[fault() for _ in range(count)])
    month.check(start_loki(), T, END)


def test_a_pause_that_the_server_asks_for(start_loki, loki, month):
    """None of what was refused comes again before its time."""
    refused = []

    def choose(asked, reply):
        if is_about_requests(asked) and not refused:
            refused.append((time.monotonic(), asked.window))
            return refusal("wait", 429, [("Retry-After", "2")])
        if refused and is_about_requests(asked) and asked.window[0] == refused[0][1][0]:
            refused.append((time.monotonic(), asked.window))
        return reply

    loki.answers(choose)
    month.check(start_loki(), T, END)
    assert len(refused) > 1 and refused[1][0] - refused[0][0] >= 1.9


def test_a_pause_that_nobody_can_wait_for(start_loki, loki, month):
    """As long as a number can be: that is the end of this report, and of no other."""
    loki.fails(*[refusal("wait", 503, [("Retry-After", str((1 << 63) - 1))]) for _ in range(20)])
    app = start_loki()
    answer = app.get("/system/metrics", query(T, END))
    assert answer.source("loki")["status"] == "missing"
    assert "wants to be left alone" in answer.source("loki")["notes"]
    loki.answers()
    month.check(app, T, END)


@pytest.mark.parametrize("status, body", [(504, "context deadline exceeded"), (500, "query timed out"),
                                          (503, "too much work")])
@pytest.mark.parametrize("longest", [20 * HOUR, 4 * HOUR])
def test_windows_that_are_too_much_are_made_smaller(start_loki, loki, month, status, body, longest):
    def choose(asked, reply):
        if asked.what == "query_range" and asked.window[1] - asked.window[0] > longest:
            return refusal(body, status)
        return reply

    loki.answers(choose)
    month.check(start_loki(), T, END)


def test_windows_that_take_too_long_are_made_smaller(start_loki, loki, month):
    """A third of the time is for one answer at most."""
    hold = Hold()

    def choose(asked, reply):
        return hold if asked.what == "query_range" and asked.window[1] - asked.window[0] > 25 * HOUR else reply

    loki.answers(choose)
    month.check(start_loki({"OSCAR_METRICS_DEADLINE": "9s"}), T, END)
    hold.wait_gone()


def test_a_limit_that_changes_while_it_reads(start_loki, loki, month):
    """From the fourth answer on the server gives less, and for shorter times."""
    def choose(asked, reply):
        if len(loki.reads) == 4:
            loki.max_entries, loki.max_length = 40, 3 * HOUR
        return reply

    loki.answers(choose)
    app = start_loki()
    month.check(app, T, END)
    month.check(app, T, END)


def test_a_limit_that_grows_again_and_many_places_that_need_it(start_loki, loki, data):
    """Several windows of a nanosecond each, asked for side by side with a limit that is not the server's any more."""
    data.begin(T)
    for place in range(16):
        data.requests([T + HOUR // 2 + 2 * place] * 10)
    app = start_loki({"LOKI_PARALLEL": 16})
    loki.max_entries = 2
    data.check(app, T + HOUR, T + 2 * HOUR - 1)
    answer = app.summary(query(T + HOUR // 2, T + HOUR // 2))
    assert answer.source("loki")["status"] == "partial"
    loki.max_entries = 5000
    data.check(app, T, T + HOUR - 1)


def test_a_limit_that_changes_between_reports(start_loki, loki, month):
    app = start_loki()
    month.check(app, T, T + DAY - 1)
    loki.max_entries = 30
    month.check(app, T, END)
    loki.max_entries = 300
    month.check(app, T - 1, END, loki="ok")


# Faults that stay.

STAYING = {
    "400": lambda reply: refusal("strange", 400),
    "401": lambda reply: refusal("no org id\n", 401),
    "403": lambda reply: refusal("forbidden", 403),
    "404": lambda reply: refusal("404 page not found\n", 404),
    "garbage": lambda reply: Reply(b"\x00\xff garbage"),
    "nothing": lambda reply: Reply(b""),
    "HTML with 200": lambda reply: Reply("<html><body>Log in</body></html>", 200, "text/html"),
    "another result": lambda reply: Reply('{"status":"success","data":{"resultType":"matrix","result":[]}}'),
    "an error with 200": lambda reply: Reply('{"status":"error","errorType":"x","error":"y"}'),
    "a body cut short, whole by its length": lambda reply: Reply(reply.body[:len(reply.body) // 2]),
    "a redirect": lambda reply: Reply("", 302, headers=[("Location", "http://127.0.0.1:1/")]),
    "500": lambda reply: refusal("broken", 500),
}


@pytest.mark.parametrize("fault", STAYING.values(), ids=STAYING)
def test_what_stays_is_said(start_loki, loki, month, fault):
    """Nothing could be read: nothing is counted, and the other log is."""
    loki.answers(lambda asked, reply: fault(reply) if is_about_requests(asked) else reply)
    app = start_loki({"OSCAR_METRICS_DEADLINE": "3s"})
    answer = app.summary(query(T, END))
    totals = answer.json()["totals"]
    assert (totals["requests_count_total"], totals["requests_count_exposed"]) == (0, 50), answer
    check_sources(answer, answer.source("loki")["status"])
    assert answer.source("loki")["status"] in ("missing", "partial")
    loki.answers()
    until_whole(month, app)


def test_too_much_at_any_length(start_loki, loki, month):
    """A server that refuses a second as it refuses a day is not asked for all the shorter times there are."""
    loki.answers(lambda asked, reply: refusal("the query would read too many bytes (query: 2GB, limit: 1MB)")
                 if is_about_requests(asked) else reply)
    answer = start_loki().summary(query(T, END))
    assert answer.source("loki")["status"] != "ok" and answer.json()["totals"]["requests_count_total"] == 0
    assert "would read too many bytes" in answer.source("loki")["notes"]
    assert len([asked for asked in loki.reads if is_about_requests(asked)]) < 200


def test_too_much_in_one_place(start_loki, loki, month):
    """The rest is counted."""
    bad = T + DAY + 17
    inside = len(month.within(bad - SECOND, bad + SECOND))

    def choose(asked, reply):
        too_much = is_about_requests(asked) and asked.window[0] <= bad < asked.window[1]
        return refusal("the query would read too many bytes (query: 2GB, limit: 1MB)") if too_much else reply

    loki.answers(choose)
    answer = start_loki().summary(query(T, END))
    assert answer.source("loki")["status"] == "partial"
    assert COUNT - inside <= answer.json()["totals"]["requests_count_total"] <= COUNT


def test_times_outside_of_the_window_are_not_counted(start_loki, loki, data):
    """A server that answers something else than what was asked is not believed."""
    data.begin(T)
    data.requests([T + 1])
    loki.answers(lambda asked, reply: Reply(reply.body.replace(str(T + 1).encode(), str(T - DAY).encode())))
    answer = start_loki({"OSCAR_METRICS_DEADLINE": "3s"}).summary(hours(T, 1))
    assert answer.json()["totals"]["requests_count_total"] == 0
    assert answer.source("loki")["status"] != "ok"


LARGEST = 16 * 1024 * 1024


@pytest.mark.parametrize("more", [0, 1])
def test_an_answer_has_a_size(start_loki, loki, data, more):
    """What is a byte larger is asked again in parts."""
    data.begin(T)
    data.requests([T])

    def choose(asked, reply):
        is_first = is_about_requests(asked) and asked.window[1] - asked.window[0] > HOUR / 2
        return Reply(reply.body.ljust(LARGEST + more)) if is_first else reply

    loki.answers(choose)
    data.check(start_loki({"LOKI_PARALLEL": 1}), T, T + HOUR - 1)
    assert (sum(map(is_about_requests, loki.reads)) == 1) == (more == 0)


def test_an_answer_without_an_end(start_loki, loki, month):
    """Its size has a limit: the program does not wait for the deadline, does not take it all, and asks again."""
    endless = Endless()
    loki.fails(endless)
    app = start_loki({"OSCAR_METRICS_DEADLINE": f"{int(60 * SLOWDOWN)}s"})
    began = time.monotonic()
    month.check(app, T, END)
    assert time.monotonic() - began < 20 * SLOWDOWN
    assert LARGEST <= endless.sent + 65536 < 2 * LARGEST, "with what lies in the sockets"


def test_a_loki_that_is_not_there(start_loki, loki, month):
    loki.die()
    app = start_loki()
    begin = time.monotonic()
    answer = app.summary(query(T, END))
    assert answer.json()["totals"]["requests_count_total"] == 0
    check_sources(answer, "missing", "missing")
    assert time.monotonic() - begin < 20
    loki.revive()
    until_whole(month, app)


def test_a_loki_that_accepts_and_is_silent(start_loki, loki, month):
    hold = Hold()
    loki.answers(lambda asked, reply: hold)
    answer = start_loki({"OSCAR_METRICS_DEADLINE": "2s"}).summary(query(T, END))
    assert answer.json()["totals"]["requests_count_total"] == 0
    assert {answer.source(name)["status"] for name in ("loki", "exposed-request-logs")} <= {"missing", "partial"}


@pytest.mark.parametrize("reads", [4, 8])
def test_a_loki_that_dies_in_the_middle(start_loki, loki, month, reads):
    """What was read counts, the rest is said to be missing, and is there when the server is."""
    def choose(asked, reply):
        return Dies() if len(loki.reads) > reads else reply

    loki.answers(choose)
    app = start_loki({"OSCAR_METRICS_DEADLINE": "3s", "LOKI_PARALLEL": 1})
    answer = app.summary(query(T, END))
    totals = answer.json()["totals"]
    assert totals["requests_count_total"] < COUNT
    assert "partial" in [answer.source("loki")["status"], answer.source("exposed-request-logs")["status"]]
    assert answer.header("OSCAR-Metrics-Complete") == "false"
    loki.answers()
    loki.revive()
    until_whole(month, app)


# The deadline.

def test_the_deadline_and_going_on(start_loki, loki, month):
    """A report that could not read everything says how far it came; the next goes on from there."""
    loki.latency = 0.3
    app = start_loki({"OSCAR_METRICS_DEADLINE": "3s", "LOKI_PARALLEL": 1})
    counted = []
    while True:
        answer = app.summary(query(T, END))
        counted.append(answer.json()["totals"]["requests_count_total"])
        if answer.source("loki")["status"] == "ok":
            break
        assert answer.source("loki")["status"] == "partial" and len(counted) < 40, (answer, counted)
        assert "2025-03-1" in answer.source("loki")["notes"], answer
    assert len(counted) > 1 and counted == sorted(counted), counted
    month.check(app, T, END)
    # Whole hours are read once; what the deadline cut off within a window may come again.
    reads = [asked for asked in loki.reads if is_about_requests(asked) and not asked.met and asked.entries]
    assert sum(asked.entries for asked in reads) <= COUNT + 100 * len(counted)


# Who asks.

def test_a_tenant(start_loki, loki, month):
    loki.required = {"X-Scope-OrgID": "team-a"}
    month.check(start_loki({"LOKI_TENANT": "team-a"}), T, END)
    answer = start_loki({"LOKI_TENANT": "team-b"}).summary(query(T, END))
    check_sources(answer, "missing", "missing")


def test_a_token_from_a_file(start_loki, loki, month, folder):
    loki.required = {"Authorization": "Bearer one.token"}
    file = folder / "token"
    file.write_text("one.token\n")
    app = start_loki({"LOKI_TOKEN_FILE": file})
    month.check(app, T, T + DAY - 1)
    loki.required = {"Authorization": "Bearer another"}
    (folder / "new").write_text("another")
    (folder / "new").rename(file)
    until_whole(month, app)


def test_basic_credentials(start_loki, loki, month, folder):
    loki.required = {"Authorization": basic("reader", "a:secret")}
    (folder / "password").write_text("a:secret")
    month.check(start_loki({"LOKI_USERNAME": "reader", "LOKI_PASSWORD_FILE": folder / "password"}), T, END)


def test_another_user_is_another_tenant(start_loki, loki, month, folder):
    """Behind a gateway that tells tenants by their names: nothing that was read for one is given for the other."""
    file = folder / "user"
    file.write_text("one")
    app = start_loki({"LOKI_USERNAME_FILE": file, "LOKI_PASSWORD": "secret"})
    month.check(app, T, T + DAY - 1)
    (folder / "new").write_text("another")
    (folder / "new").rename(file)

    def is_read_anew():
        loki.forget()
        month.check(app, T, T + DAY - 1)
        return [asked for asked in loki.reads if asked.headers.get("Authorization") == basic("another", "secret")]

    wait_until(is_read_anew, "another user's report")


def test_credentials_that_are_wrong(start_loki, loki, month):
    loki.required = {"Authorization": "Bearer right"}
    app = start_loki({"LOKI_TOKEN": "quite-wrong"})
    answer = app.summary(query(T, END))
    check_sources(answer, "missing", "missing")
    assert "401" in answer.source("loki")["notes"]
    assert "quite-wrong" not in answer.text + app.stderr()
    assert len(loki.asked) <= 12


def test_no_credentials_where_none_are_set(start_loki, loki, month):
    month.check(start_loki(), T, END)
    assert loki.asked
    for asked in loki.asked:
        assert asked.headers.get("Authorization") is None and asked.headers.get("X-Scope-OrgID") is None


# TLS.

@pytest.fixture
def secure(folder):
    """(a stand-in behind TLS, its authority)"""
    authority = Authority(folder / "ca")
    server = Loki(context=authority.server())
    yield server, authority
    server.close()


@pytest.mark.standin
def test_tls_with_an_authority_of_its_own(start_loki, secure):
    loki, authority = secure
    data = Data(loki)
    data.begin(T)
    data.requests([T, T + 1])
    data.check(start_loki({"LOKI_URL": loki.url, "LOKI_CA_FILE": authority.ca}), T, T + HOUR - 1)


@pytest.mark.standin
@pytest.mark.parametrize("ca", [None, "another", "missing", "garbage", "name"])
def test_tls_that_cannot_be_verified(start_loki, secure, folder, ca):
    """Nobody is told anything, least of all the token."""
    loki, authority = secure
    file = authority.ca
    if ca == "another":
        file = Authority(folder / "other").ca
    elif ca == "missing":
        file = folder / "not-there.pem"
    elif ca == "garbage":
        file = folder / "garbage.pem"
        file.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    url = loki.url.replace("127.0.0.1", "localhost") if ca == "name" else loki.url
    app = start_loki({"LOKI_URL": url, "LOKI_CA_FILE": file if ca else None, "LOKI_TOKEN": "a-secret"})
    answer = app.summary(hours(T, 1))
    check_sources(answer, "missing", "missing")
    assert loki.asked == []
    assert "a-secret" not in answer.text + app.stderr()


@pytest.mark.standin
def test_the_authority_is_for_loki_alone(start_loki, secure, fake):
    """A plain Prometheus beside it needs none."""
    loki, authority = secure
    data = Data(loki)
    data.begin(T)
    data.requests([T])
    fake.answers(vector("1.5"))
    app = start_loki({"LOKI_URL": loki.url, "LOKI_CA_FILE": authority.ca, "PROMETHEUS_URL": fake.url})
    totals = app.summary(hours(T, 1)).json()["totals"]
    assert (totals["cpu_hours_total"], totals["requests_count_total"]) == (1.5, 1)


# Others are not held up.

def test_reports_beside_a_loki_that_hangs(start_loki, loki, month, fake):
    fake.answers(vector("1.5"))
    hold = Hold()
    loki.answers(lambda asked, reply: hold)
    app = start_loki({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "3s"})
    waiting = app.begin("/system/metrics", query(T, END))
    hold.wait_held()
    expect.bad_request(app.summary("end=x"), "invalid end timestamp")
    answer = waiting.answer()
    assert answer.json()["totals"]["cpu_hours_total"] == 1.5
    waiting.close()


def test_a_client_that_goes_away_ends_its_windows(start_loki, loki, month):
    hold = Hold()
    loki.answers(lambda asked, reply: hold if asked.what == "query_range" else reply)
    app = start_loki()
    waiting = app.begin("/system/metrics", query(T, END))
    hold.wait_held()
    waiting.close()
    hold.wait_gone()
    loki.answers()
    until_whole(month, app)
