"""Hours that were read from Loki are remembered: once they have settled, whole, for everybody."""
import collections
import json
import threading
import time

import pytest

from harness import model
from harness.fake_prometheus import Hold
from harness.loki import DAY, HOUR, SECOND
from harness.lokidata import INGRESS, OSCAR, exposed_line, hours, nanoseconds, query
from harness.waiting import wait_until

T = nanoseconds("2025-03-10T12:00:00Z")
LONG = 31 * DAY
DASHBOARD = [("/system/metrics", ""), ("/system/metrics/breakdown", "&group_by=service&include_users=true"),
             ("/system/metrics/breakdown", "&group_by=country"), ("/system/metrics/breakdown", "&group_by=user")]


@pytest.fixture
def month(loki, data):
    loki.max_entries = 500
    data.begin(T)
    data.spread(T, T + LONG, 5000, exposed=500)
    return data


def asked_of(loki, what):
    """What was asked meanwhile by what()."""
    loki.forget()
    what()
    return loki.asked


def windows(asked):
    """How often each window was read."""
    return collections.Counter((each.query, each.window) for each in asked if each.what == "query_range")


def test_the_second_report_asks_nothing(start_loki, loki, month):
    app = start_loki()
    month.check(app, T, T + LONG - 1)
    assert loki.reads
    assert asked_of(loki, lambda: month.check(app, T, T + LONG - 1)) == []


def test_all_reports_are_made_of_the_same_hours(start_loki, loki, month):
    app = start_loki()
    month.check(app, T, T + LONG - 1)
    events = month.within(T, T + LONG - 1)

    def ask():
        for group_by, items in (("user", model.by_user), ("country", model.by_country), ("service", model.by_service)):
            assert app.breakdown(hours(T, 31 * 24, f"&group_by={group_by}")).json()["items"] == items(events)
        found = app.service("yolo", hours(T, 31 * 24)).json()["metrics"]
        assert [(each["metric"], each["value"]) for each in found] == model.values_of(events, "yolo")

    assert asked_of(loki, ask) == []


def test_a_longer_report_reads_only_what_is_new(start_loki, loki, month):
    app = start_loki()
    month.check(app, T + 10 * DAY, T + 20 * DAY - 1)
    asked = asked_of(loki, lambda: month.check(app, T, T + LONG - 1))
    inside = [each for each in asked if each.what == "query_range" and each.entries
              and T + 10 * DAY < each.window[1] and each.window[0] < T + 20 * DAY]
    assert inside == []


def test_cut_hours_at_the_ends_are_all_that_is_read_again(start_loki, loki, month):
    app = start_loki()
    month.check(app, T, T + LONG - 1)
    first, last = T + DAY + 17 * SECOND, T + 5 * DAY + 60 * SECOND
    asked = asked_of(loki, lambda: month.check(app, first, last))
    for each in asked:
        if each.what == "query_range":
            start, end = each.window
            assert (start == first and end <= T + DAY + HOUR) or (start >= T + 5 * DAY and end == last + 1), each


def test_the_dashboard_s_end_just_before_the_hour(start_loki, loki, month):
    """A range up to :59.999 leaves out what came in the last millisecond, remembered or not."""
    last = T + DAY - SECOND // 1000
    month.requests([last - 1, last, last + 1, T + DAY - 1])
    app = start_loki()
    month.check(app, T, T + DAY - 1)
    month.check(app, T, last)


def test_four_requests_at_once_read_the_logs_once(start_loki, loki, month):
    """As the dashboard sends them for a page, with milliseconds at both ends."""
    loki.latency = 0.02
    first, last = T + HOUR // 2, T + LONG - HOUR // 3 - SECOND // 1000
    app = start_loki()
    answers = [None] * 4

    def ask(number):
        path, more = DASHBOARD[number]
        answers[number] = app.get(path, query(first, last, more))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = month.within(first, last)
    assert answers[0].json()["totals"] == model.totals(events)
    assert answers[1].json()["items"] == model.by_service(events, include_users=True)
    assert answers[2].json()["items"] == model.by_country(events)
    assert answers[3].json()["items"] == model.by_user(events)
    read = [each for each in loki.reads if not each.met]
    assert sum(each.entries for each in read) <= len(month.entries)
    assert max(windows(each for each in read if each.entries).values()) == 1


def test_one_that_waits_goes_on_when_the_other_goes_away(start_loki, loki, month):
    """The reader of an hour leaves; who waited for it reads it."""
    hold = Hold()
    loki.answers(lambda asked, reply: hold if asked.what == "query_range" else reply)
    app = start_loki()
    leaving = app.begin("/system/metrics", query(T, T + DAY - 1))
    hold.wait_held()
    staying = app.begin("/system/metrics", query(T, T + DAY - 1))
    loki.answers()
    leaving.close()
    hold.wait_gone()
    assert staying.answer().json()["totals"] == month.totals(T, T + DAY - 1)
    staying.close()


# Entries that arrive late.

def test_what_arrives_late_in_a_settled_hour_is_not_seen(start_loki, loki, data):
    """Nor would it be by anybody who remembers; the admin can have it read anew, for everybody."""
    data.begin(T)
    data.requests([T, T + 1])
    app = start_loki()
    data.check(app, T, T + HOUR - 1)
    before = data.totals(T, T + HOUR - 1)
    data.requests([T + 2], {**OSCAR, "pod": "late"})
    assert app.summary(hours(T, 1)).json()["totals"] == before
    data.check(app, T, T + HOUR - 1, HTTP_CACHE_CONTROL="no-cache")
    data.check(app, T, T + HOUR - 1)


def test_what_arrives_before_an_hour_has_settled_is_seen(start_loki, data):
    """Hours that may still get lines are read again, after the few seconds for which anything is kept."""
    now = time.time_ns() // HOUR * HOUR
    first, last = now - 5 * HOUR, now - HOUR - 1
    data.begin(first)
    data.requests([first, first + HOUR])
    app = start_loki({"OSCAR_METRICS_SETTLE": "30d"})
    data.check(app, first, last)
    data.requests([first + 2], {**OSCAR, "pod": "late"})
    data.put({**INGRESS, "pod": "late"}, [(first + 3, exposed_line(first))])
    wanted = data.totals(first, last)
    wait_until(lambda: app.summary(query(first, last)).json()["totals"] == wanted, "the late entry to be seen")


def test_an_hour_settles(start_loki, loki, data):
    """Without a settle time everything that has ended is remembered; what has not is read again."""
    now = time.time_ns()
    hour = now // HOUR * HOUR
    data.begin(hour - DAY)
    data.requests([hour - DAY, hour - HOUR - 1])
    app = start_loki({"OSCAR_METRICS_SETTLE": "0s"})
    data.check(app, hour - DAY, hour - HOUR - 1)
    assert asked_of(loki, lambda: data.check(app, hour - DAY, hour - HOUR - 1)) == []


def test_a_partial_hour_is_not_remembered(start_loki, loki, data):
    """An answer with a warning may lack something, here all: the next report asks again."""
    data.begin(T)
    data.requests([T + 5] * 3)

    def warn(_, reply):
        body = json.loads(reply.body)
        if "result" in body.get("data", ()):
            body = {**body, "warnings": ["a shard is gone"], "data": {**body["data"], "result": []}}
        reply.body = json.dumps(body).encode()
        return reply

    loki.answers(warn)
    app = start_loki()
    assert app.summary(hours(T, 1)).source("loki")["status"] == "partial"
    loki.answers()
    wait_until(lambda: app.summary(hours(T, 1)).source("loki")["status"] == "ok", "the hour to be read again")
    data.check(app, T, T + HOUR - 1)


# Reading anew.

@pytest.mark.parametrize("value", ["no-cache", "max-age=0, no-cache", "No-Cache"])
def test_the_admin_may_have_it_read_anew(start_loki, loki, month, value):
    app = start_loki()
    month.check(app, T, T + DAY - 1)
    loki.forget()
    month.check(app, T, T + DAY - 1, HTTP_CACHE_CONTROL=value)
    assert sum(asked.entries for asked in loki.reads) >= len(month.within(T, T + DAY - 1))


@pytest.mark.parametrize("value", ["max-age=0", "no-store", "no-cached", "", "x-no-cache=1"])
def test_nothing_else_reads_anew(start_loki, loki, month, value):
    app = start_loki()
    month.check(app, T, T + DAY - 1)
    asked = asked_of(loki, lambda: month.check(app, T, T + DAY - 1, HTTP_CACHE_CONTROL=value))
    assert asked == []


def test_nobody_without_credentials_reads_anew(start_loki, loki, month):
    app = start_loki()
    month.check(app, T, T + DAY - 1)
    assert asked_of(loki, lambda: app.get("/system/metrics", hours(T, 24), auth=None,
                                          HTTP_CACHE_CONTROL="no-cache")) == []


# Little memory.

@pytest.mark.parametrize("limit", [400, 5000])
def test_with_little_memory_it_is_still_right(start_loki, loki, data, limit):
    """Hours are forgotten while others are read; nothing is lost, and what is forgotten is read again."""
    loki.max_entries = limit
    data.begin(T)
    data.many_rows(T, 60, 400)
    app = start_loki({"OSCAR_METRICS_MEMORY": "1MiB"})
    for first, count in ((0, 60), (10, 20), (0, 60), (59, 1), (0, 1)):
        data.check(app, T + first * HOUR, T + (first + count) * HOUR - 1)
    asked = asked_of(loki, lambda: data.check(app, T, T + 60 * HOUR - 1))
    assert [each for each in asked if each.what == "query_range" and each.entries]


def test_a_new_program_knows_nothing(start_loki, loki, month):
    start_loki().summary(query(T, T + DAY - 1))
    app = start_loki()
    assert asked_of(loki, lambda: month.check(app, T, T + DAY - 1))




def test_reports_of_single_services_do_not_mix(start_loki, loki, data):
    """A template with the service remembers by service."""
    data.begin(T)
    for name in ("yolo", "cowsay"):
        data.put({**OSCAR, "service": name}, [(T - HOUR, "hello")])
    data.requests([T], {**OSCAR, "service": "yolo"}, path="/run/yolo")
    data.requests([T, T + 1], {**OSCAR, "service": "cowsay"}, path="/run/cowsay")
    app = start_loki({"LOKI_QUERY": '{namespace="{{namespace}}", app="{{app}}", service=~"{{service}}"}'})

    def value(name):
        return app.service(name, hours(T, 1, "&metric=requests-sync-per-service")).json()["value"]

    for _ in range(2):
        assert (value("yolo"), value("cowsay"), value("nothing")) == (1, 2, 0)
        assert app.summary(hours(T, 1)).json()["totals"]["requests_count_sync"] == 3
