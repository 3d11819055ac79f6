"""Requests from Loki: every count is that of the entries, whatever the limits of the server."""
import json
import random
import time

import pytest

from harness import expect, logdata, model
from harness.app import ROOT
from harness.cgi import CgiApp
from harness.fake_prometheus import Reply
from harness.loki import DAY, HOUR, SECOND, load
from harness.lokidata import (INGRESS, OSCAR, Data, check_sources, exposed_line, hours, line, nanoseconds, query,
                              rfc3339)

T = nanoseconds("2025-03-10T12:00:00Z")


# The recorded data.

SHARED = ROOT / "tests" / "data" / "loki" / "streams.jsonl"
FIRST, LAST = nanoseconds("2026-05-01T00:00:00Z"), nanoseconds("2026-05-07T23:59:59.999999999Z")
RANGES = {
    "all": (FIRST, LAST),
    "the older format": (nanoseconds("2026-05-02T00:00:00Z"), nanoseconds("2026-05-02T23:59:59.999999999Z")),
    "the newer format": (nanoseconds("2026-05-03T00:00:00Z"), nanoseconds("2026-05-03T23:59:59.999999999Z")),
    "noise": (nanoseconds("2026-05-04T00:00:00Z"), nanoseconds("2026-05-04T23:59:59.999999999Z")),
    "one nanosecond with 60": (nanoseconds("2026-05-05T12:00:00.123456789Z"),) * 2,
    "duplicates": (nanoseconds("2026-05-07T08:00:00.250000007Z"),) * 2,
    "cut in hours": (nanoseconds("2026-05-01T10:17:03.5Z"), nanoseconds("2026-05-05T12:00:00.123456788Z")),
}


@pytest.fixture
def shared(loki):
    data = Data(loki)
    data.begin(FIRST)
    data.entries += [(row["stream"], int(row["ts"]), row["line"]) for row in load(loki, SHARED)]
    return data


@pytest.mark.parametrize("span", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("limit", [1000, 200])
def test_the_recorded_data(start_loki, loki, shared, span, limit):
    loki.max_entries = limit
    shared.check(start_loki(), *span)


def test_all_reports_over_the_recorded_data(start_loki, shared):
    app, events = start_loki(), shared.within(FIRST, LAST)
    answer = app.breakdown(query(FIRST, LAST, "&group_by=service&include_users=true"))
    assert answer.json()["items"] == model.by_service(events, include_users=True)
    assert app.breakdown(query(FIRST, LAST, "&group_by=user")).json()["items"] == model.by_user(events)
    assert app.breakdown(query(FIRST, LAST, "&group_by=country")).json()["items"] == model.by_country(events)
    csv = app.breakdown(query(FIRST, LAST, "&group_by=country&format=csv"))
    assert csv.text == model.to_csv("country", model.by_country(events))
    for service in ("yolo", "cowsay", "nb", "deleted-svc", "flood-007", "not-there"):
        found = app.service(service, query(FIRST, LAST)).json()["metrics"]
        assert [(each["metric"], each["value"]) for each in found] == model.values_of(events, service)


def test_the_sources_of_the_reports(start_loki, shared):
    app = start_loki()
    expect.check_sources(app.breakdown(query(FIRST, LAST, "&group_by=service")).json()["sources"],
                         {"loki": "ok", "country-attribution": "ok", "exposed-request-logs": "ok"})
    expect.check_sources(app.service("yolo", query(FIRST, LAST, "&metric=users-per-service")).json()["sources"],
                         {"loki": "ok"})
    exposed = app.service("yolo", query(FIRST, LAST, "&metric=requests-exposed-per-service"))
    expect.check_sources(exposed.json()["sources"], {"exposed-request-logs": "ok"})


def test_150_entries_in_a_nanosecond_where_100_can_be_had(start_loki, loki, shared):
    """What came is counted, and the status says that some did not."""
    loki.max_entries = 100
    answer = start_loki().summary(query(FIRST, LAST))
    assert answer.json()["totals"]["requests_count_total"] == \
        shared.totals(FIRST, LAST)["requests_count_total"] - 50
    check_sources(answer, "partial")


# Limits.

@pytest.mark.parametrize("limit", [100, 5000])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("times", [1, 2])
def test_an_hour_about_at_the_limit(start_loki, loki, data, limit, more, times):
    loki.max_entries = limit
    data.begin(T)
    data.spread(T, T + HOUR, limit * times + more)
    data.check(start_loki(), T, T + HOUR - 1)
    assert sum(asked.entries for asked in loki.reads if not asked.met) >= limit * times + more


@pytest.mark.parametrize("limit, count, counted", [
    (100, 60, 60), (100, 99, 99), (100, 100, 100), (100, 150, 100), (5000, 4999, 4999), (5000, 6000, 5000)])
def test_many_entries_in_a_nanosecond(start_loki, loki, data, limit, count, counted):
    """An answer as long as the limit may have been cut: then it cannot be complete."""
    loki.max_entries = limit
    data.begin(T)
    data.requests([T + 77] * count, path="/job/cowsay")
    data.requests([T + 76, T + 78, T + HOUR - 1])
    answer = start_loki().summary(hours(T, 1))
    totals = answer.json()["totals"]
    assert (totals["requests_count_async"], totals["requests_count_sync"]) == (counted, 3)
    check_sources(answer, "ok" if count < limit else "partial")


def test_bursts_one_nanosecond_from_each_other(start_loki, loki, data):
    loki.max_entries = 100
    data.begin(T)
    data.requests([T + n // 99 for n in range(99 * 7)])
    data.check(start_loki(), T, T + HOUR - 1)


def test_limits_smaller_than_ours_are_learned(start_loki, loki, data):
    """A query that is too long, or asks for too much, is asked again as the server wants it."""
    loki.max_entries, loki.max_length = 37, 2 * HOUR
    data.begin(T)
    data.spread(T, T + DAY, 700, exposed=200)
    app = start_loki()
    data.check(app, T, T + DAY - 1)
    refused = [asked for asked in loki.reads if asked.status == 400]
    loki.forget()
    data.check(app, T, T + 2 * DAY - 1)
    assert refused and not [asked for asked in loki.reads if asked.status == 400]


@pytest.mark.parametrize("limit, length", [(10, 30 * DAY + HOUR), (1000, 1800 * SECOND), (3, 61 * SECOND)])
def test_very_small_limits(start_loki, loki, data, limit, length):
    loki.max_entries, loki.max_length = limit, length
    for labels in (OSCAR, INGRESS):
        data.put(labels, [(T - SECOND, "hello")])
    data.spread(T, T + HOUR, 150)
    data.put(INGRESS, [(T, exposed_line(T))])
    data.check(start_loki(), T, T + HOUR - 1)


# Ends.

def test_start_and_end_are_inclusive_to_the_nanosecond(start_loki, data):
    data.begin(T)
    first, last = T + 5 * 60 * SECOND, T + 9 * HOUR + 17
    data.requests([first - 1, first, first + 1, last - 1, last, last + 1])
    app = start_loki()
    data.check(app, first, last)
    for start, end, count in ((first, last, 4), (first, first, 1), (first - 1, first - 1, 1), (last, last, 1),
                              (first + 2, last - 2, 0), (first - 1, last + 1, 6), (last, last + 1, 2)):
        assert data.check(app, start, end).json()["totals"]["requests_count_total"] == count


@pytest.mark.parametrize("span", [0, HOUR - 1, 31 * DAY, 181 * DAY], ids=["1 ns", "an hour", "31 days", "6 months"])
def test_ranges(start_loki, data, span):
    data.begin(T - DAY)
    data.requests([T, T + span])
    data.spread(T - DAY, T + 182 * DAY, 4000, exposed=500)
    data.check(start_loki(), T, T + span)


def test_ranges_that_begin_and_end_inside_an_hour(start_loki, data):
    """One after another over one program: pieces of hours must not be taken for one another."""
    data.begin(T)
    data.spread(T, T + 6 * HOUR, 3000, exposed=300)
    app, random_ = start_loki(), random.Random(5)
    for _ in range(30):
        first = T + random_.choice([0, HOUR, random_.randrange(3 * HOUR)])
        last = first + random_.choice([random_.randrange(60 * SECOND), HOUR - 1, 2 * HOUR - 1,
                                       random_.randrange(3 * HOUR)])
        data.check(app, first, last)


def test_a_range_without_anything(start_loki, data):
    data.begin(T)
    data.check(start_loki(), T, T + 40 * DAY)


def test_an_end_in_the_future(start_loki, data):
    now = time.time_ns()
    data.begin(now - DAY)
    data.requests([now - 3 * HOUR, now - 60 * SECOND])
    data.check(start_loki(), now - 5 * HOUR, now + 300 * SECOND)


# Duplicates.

def test_duplicates_within_a_stream_and_across(start_loki, data):
    data.begin(T)
    text = line(T + 5)
    data.put(OSCAR, [(T + 5, text), (T + 5, text), (T + 6, text)])
    data.put({**OSCAR, "pod": "oscar-2"}, [(T + 5, text)])
    answer = data.check(start_loki(), T, T + HOUR - 1)
    assert answer.json()["totals"]["requests_count_total"] == 3


@pytest.mark.parametrize("limit", [50, 5000])
def test_duplicates_are_not_counted_twice_where_windows_meet(start_loki, loki, data, limit):
    loki.max_entries = limit
    data.begin(T)
    times = [T + at * HOUR // 100 for at in range(400)]
    for pod in "123":
        data.requests(times, {**OSCAR, "pod": pod})
    data.check(start_loki(), T, T + 4 * HOUR - 1)


# What lines say.

def test_the_time_of_the_entry_decides(start_loki, data):
    data.begin(T)
    data.put(OSCAR, [(T + 1, line(T - 30 * DAY)), (T - 2, line(T + 2)), (T + 3, line(T).replace(rfc3339(T), "never")),
                     (T + 4, line(T).replace(rfc3339(T), "2019/01/01 - 00:00:00")),
                     (T + 5, "2019-01-01T00:00:00Z stderr F " + line(T)),
                     (T + 6, line(T, "/job/by-path", service="nu", namespace="oscar-svc-a1"))])
    answer = data.check(start_loki(), T, T + HOUR - 1)
    assert answer.json()["totals"]["requests_count_total"] == 5


@pytest.mark.parametrize("labels, country", [
    ({"geoip_country_code": "ES"}, "ES"), ({"geoip_country_name": "Germany"}, "Germany"), ({"country": "PT"}, "PT"),
    ({"country_code": "IT"}, "IT"), ({"geoip_country_code": "ES", "country": "PT"}, "ES"),
    ({"country": "PT", "country_code": "IT"}, "PT"), ({"geoip_country_code": "", "country_code": "IT"}, "IT"),
    ({"geoip_country_code": "unknown"}, None), ({"pod": "ES"}, None), ({}, None)])
def test_countries_are_those_of_the_labels(start_loki, data, labels, country):
    data.begin(T)
    data.requests([T + 1], {**OSCAR, **labels})
    found = data.check(start_loki(), T, T + HOUR - 1).json()["totals"]
    assert found["countries"] == ([{"country": country, "request_count": 1}] if country else [])


def test_exposed_requests_of_both_controllers(start_loki, data):
    data.begin(T)
    traefik = '{"ClientHost":"10.0.0.7","RequestMethod":"GET","RequestPath":"/system/services/%s/exposed/x"%s}'
    data.put(INGRESS, [(T + 1, exposed_line(T + 1)), (T + 2, traefik % ("nb", "")), (T + 3, "[1,2]"),
                       (T + 4, traefik % ("nb-2", ',"StartUTC":"15/Aug/2026:12:30:00 +0000"')), (T + 5, "{}"),
                       (T + 6, traefik.replace("exposed", "other") % ("nb", ""))])
    totals = data.check(start_loki(), T, T + HOUR - 1).json()["totals"]
    assert (totals["requests_count_exposed"], totals["services_count_total"]) == (3, 2)


def test_traefik_under_its_own_name(start_loki, loki, data):
    data.begin(T)
    labels = {"namespace": "traefik", "app": "traefik"}
    path = '{"RequestPath":"/system/services/nb/exposed"}'
    data.put(labels, [(T - HOUR, "hello"), (T + 1, path), (T + 2, path)])
    app = start_loki({"LOKI_EXPOSED_NAMESPACE": loki.prefix + "traefik", "LOKI_EXPOSED_APP": "traefik",
                      "EXPOSED_SERVICES_ROUTE_KIND": "httproute"})
    assert app.summary(hours(T, 1)).json()["totals"]["requests_count_exposed"] == 2


# Where the data begin.

def test_a_range_that_begins_before_all_data(start_loki, data):
    data.requests([T, T + HOUR])
    data.put(INGRESS, [(T + 2 * HOUR, exposed_line(T))])
    answer = data.check(start_loki(), T - 5 * DAY, T + 3 * HOUR, loki="partial", exposed="partial")
    for name, since in (("loki", T), ("exposed-request-logs", T + 2 * HOUR)):
        assert rfc3339(since)[:13] in answer.source(name)["notes"], answer


def statement(answer):
    """All that an answer says, but for the time when it was read."""
    said = answer.json()
    return said["totals"], [{**source, "last_updated": None} for source in said["sources"]]


def begins(data, labels, first, last):
    """What has to be said of a log in a range, from its entries alone: nothing, or from when there are data."""
    since = min((when for each, when, _ in data.entries if each == labels), default=last + 1)
    if since < first:
        return None
    if since > last:
        selector = '{namespace="%s", app="%s"}' % (data.loki.prefix + labels["namespace"], labels["app"])
        return f"Loki has no data of {selector} up to {rfc3339(last + 1)}"
    return f"Loki has no data before {rfc3339(since)[:19]}Z"


@pytest.mark.parametrize("span, begin, match", [
    (30 * DAY, -10 * DAY, None), (30 * DAY, -10 * DAY, -DAY), (3 * HOUR, -2 * HOUR, None), (3 * HOUR, -2 * HOUR, -HOUR),
    (15 * DAY, DAY, None)], ids=["a month", "a month, one matches", "three hours", "three hours, one matches", "later"])
def test_where_the_data_begin_is_said_again_as_before(start_loki, data, span, begin, match):
    """Lines that are no requests are data, too; and a report from memory says what the first one said."""
    first, last = T - span, T - 1
    data.put(OSCAR, [(first - DAY, "hello")])
    data.put(INGRESS, [(when, "GET / HTTP/1.1") for when in range(T + begin + 420 * SECOND, T + 2 * DAY, HOUR)])
    if match:
        data.put(INGRESS, [(T + match, exposed_line(T + match))])
    app = start_loki()
    answers = [data.check(app, first, last, exposed="partial", **how)
               for how in ({}, {}, {}, {"HTTP_CACHE_CONTROL": "no-cache"})]
    assert answers[0].source("exposed-request-logs")["notes"] == begins(data, INGRESS, first, last)
    assert all(statement(answer) == statement(answers[0]) for answer in answers)


@pytest.mark.standin
def test_where_the_data_begin_without_hints(start_loki, loki, data):
    """The index gives no volumes; then it does not answer at all, and nothing is said."""
    first, last = T - 30 * DAY, T - 1
    data.put(OSCAR, [(first - DAY, "hello")])
    data.put(INGRESS, [(when, "nothing") for when in range(T - 10 * DAY + 5, T, HOUR)])
    no_volumes = Reply("not found", 404)
    loki.answers(lambda asked, reply: no_volumes if asked.what == "index/volume_range" else reply)
    app = start_loki()
    for _ in range(2):
        answer = data.check(app, first, last, exposed="partial")
        assert answer.source("exposed-request-logs")["notes"] == begins(data, INGRESS, first, last)
    loki.skew = None
    data.check(start_loki(), first, last)


def test_a_range_with_data_before_it_alone(start_loki, data):
    data.requests([T - DAY])
    data.put(INGRESS, [(T - DAY, exposed_line(T))])
    data.check(start_loki(), T, T + DAY)


def test_data_that_begin_long_before(start_loki, data):
    """A quiet time before the range is not the beginning."""
    data.begin(T - 60 * DAY)
    data.requests([T])
    data.check(start_loki(), T - 3 * DAY, T + DAY)


def test_a_loki_without_any_data(start_loki, data):
    answer = data.check(start_loki(), T, T + DAY, loki="partial", exposed="partial")
    assert answer.json()["totals"]["requests_count_total"] == 0


@pytest.mark.parametrize("warning, noted", [("some shards could not be reached",) * 2, ({"shards": 1}, "no words")])
def test_warnings_are_passed_on(start_loki, loki, data, warning, noted):
    data.begin(T)
    data.requests([T])

    def warn(asked, reply):
        if asked.what == "query_range" and "ingress" not in asked.query:
            body = json.loads(reply.body)
            reply.body = json.dumps({**body, "warnings": [warning]}).encode()
        return reply

    loki.answers(warn)
    answer = data.check(start_loki(), T, T + HOUR - 1, loki="partial")
    assert noted in answer.source("loki")["notes"]


# Hints of the index are never counts.

@pytest.mark.standin
@pytest.mark.parametrize("skew", [None, 0, 0.01, 0.5, 3, 1000])
def test_hints_that_are_wrong(start_loki, loki, data, skew):
    loki.skew, loki.max_entries = skew, 200
    data.begin(T)
    data.spread(T, T + 5 * DAY, 2500, exposed=300)
    data.spread(T + DAY, T + DAY + 60 * SECOND, 1500, seed=2)
    data.check(start_loki(), T, T + 5 * DAY - 1)


@pytest.mark.standin
@pytest.mark.parametrize("body", ["", "{}", "[]", "null", '{"entries":-1}', '{"entries":1e300}', '{"entries":"x"}',
                                  "<html>", '{"status":"success","data":{"resultType":"matrix","result":[{}]}}'])
def test_hints_that_are_garbage(start_loki, loki, data, body):
    loki.answers(lambda asked, reply: Reply(body) if asked.what and asked.what.startswith("index/") else reply)
    loki.max_entries = 200
    data.begin(T)
    data.spread(T, T + DAY, 1000)
    answer = start_loki().summary(query(T, T + DAY - 1))
    assert answer.json()["totals"] == data.totals(T, T + DAY - 1)


# Templates.

LABELLED = {**OSCAR, "service": "a.b"}
FILTER = ' |~ "/(job|run)/"'


@pytest.mark.parametrize("matcher, asked", [
    ('service=~"{{service}}"', ("=~", "a\\.b")), ('service="{{service}}"', ("=", "a.b")),
    ("service=~`{{service}}`", ("=~", "a\\.b")), ("service=`{{service}}`", ("=", "a.b"))])
def test_a_template_with_the_service(start_loki, loki, data, matcher, asked):
    data.begin(T)
    data.put(LABELLED, [(T - HOUR, "hello"), (T, line(T, "/run/a.b"))])
    data.put({**OSCAR, "service": "axb"}, [(T - HOUR, "hello"), (T, line(T, "/run/axb"))])
    app = start_loki({"LOKI_QUERY": '{namespace="{{namespace}}", app="{{app}}", ' + matcher + "}" + FILTER})
    found = app.service("a.b", hours(T, 1, "&metric=requests-sync-per-service")).json()
    assert (found["value"], found["sources"][0]["status"]) == (1, "ok"), found
    assert {each.matcher("service") for each in loki.reads} == {asked}
    loki.forget()
    answer = app.summary(hours(T, 1))
    if "=~" in matcher:
        assert answer.json()["totals"]["requests_count_sync"] == 2
        assert {each.matcher("service") for each in loki.reads if each.matcher("app")[1] == "oscar"} == {("=~", ".*")}
    else:
        assert answer.json()["totals"]["requests_count_sync"] == 0
        check_sources(answer, "missing")
        assert not [each for each in loki.reads if each.matcher("app")[1] == "oscar"]


def test_nothing_is_appended_to_a_template(start_loki, loki, data):
    """A filter on the path would lose lines whose service stands in its own field."""
    data.begin(T)
    data.put(OSCAR, [(T, line(T, "/job/by-path", service="yolo", namespace="oscar-svc"))])
    app = start_loki()
    found = app.service("yolo", hours(T, 1, "&metric=requests-async-per-service")).json()
    assert found["value"] == 1
    wanted = '{namespace="%soscar", app="oscar"} |~ "/(job|run)/"' % loki.prefix
    assert {asked.query for asked in loki.reads} == {wanted}


@pytest.mark.parametrize("template", ['{app="oscar"', '{namespace="{{namespace}}"} | nonsense', "x"])
def test_a_template_that_loki_refuses(start_loki, loki, data, template):
    data.begin(T)
    data.requests([T])
    answer = start_loki({"LOKI_QUERY": template}).summary(hours(T, 1))
    check_sources(answer, "missing")
    assert "parse error" in answer.source("loki")["notes"]
    assert len([asked for asked in loki.reads if asked.status == 400]) <= 4


def test_routes_by_host_name_are_asked_for_without_a_path(start_loki, loki, data):
    """Where services have names of their own, their paths can be any."""
    data.begin(T)
    start_loki({"EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE": "true"}).summary(hours(T, 1))
    wanted = '{namespace="%singress-nginx", app="ingress-nginx"}' % loki.prefix
    assert {asked.query for asked in loki.reads if "ingress" in asked.query} == {wanted}


# Where it is asked.

@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_end_of_the_url(start_loki, loki, data, end):
    data.begin(T)
    data.requests([T])
    data.check(start_loki({"LOKI_URL": loki.url + end}), T, T + HOUR - 1)


def test_a_url_with_a_path(start_loki, loki):
    start_loki({"LOKI_URL": loki.url + "/behind/a/gateway/"}).summary(hours(T, 1))
    assert {asked.path for asked in loki.asked if "query_range" in asked.path} == \
        {"/behind/a/gateway/loki/api/v1/query_range"}


def test_files_come_before_loki(start_loki, loki, data, folder):
    data.begin(T)
    data.requests([T])
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, logdata.request(rfc3339(T)), logdata.request(rfc3339(T + 1)))
    answer = start_loki({"OSCAR_METRICS_LOG_FILES": folder / "x.log"}).summary(hours(T, 1))
    assert answer.json()["totals"]["requests_count_total"] == 2
    assert answer.source("request-logs")["status"] == "ok" and not loki.asked


def test_plain_cgi_reads_as_well(loki, data, folder):
    """A process for each request: nothing is remembered between them."""
    loki.max_entries = 100
    data.begin(T)
    data.spread(T, T + DAY, 700, exposed=50)
    (folder / "cgi").mkdir()
    (folder / "services").mkdir()
    app = CgiApp(folder / "cgi", {**loki.settings, "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    for _ in range(2):
        loki.forget()
        data.check(app, T + 17, T + DAY - 1)
        assert loki.reads
    app.stop()


# How it is asked.

def test_windows_side_by_side(start_loki, loki, data):
    loki.max_entries = 100
    data.begin(T)
    data.spread(T, T + 3 * DAY, 5000)
    loki.latency = 0.01
    data.check(start_loki({"LOKI_PARALLEL": 3}), T, T + 3 * DAY - 1)
    # The requests and the exposed requests, each.
    assert 2 <= loki.most_parallel <= 6


def test_windows_neither_overlap_nor_leave_gaps(start_loki, loki, data):
    loki.max_entries = 100
    data.begin(T)
    data.spread(T, T + 3 * DAY, 3000)
    first, last = T + 17, T + 3 * DAY - 5
    data.check(start_loki(), first, last)
    counted = sorted(asked.window for asked in loki.reads
                     if asked.status == 200 and not asked.met and "ingress" not in asked.query)
    assert counted[0][0] == first and counted[-1][1] == last + 1
    assert all(one[1] == another[0] for one, another in zip(counted, counted[1:])), counted


def test_few_requests_and_few_thrown_away(start_loki, loki, data):
    """Days and nights at 10:1, and one hour at 20 times the mean."""
    loki.max_entries, count = 500, 20_000
    data.begin(T)
    random_ = random.Random(1)
    hourly = [10 if 8 <= hour % 24 < 20 else 1 for hour in range(240)]
    hourly[100] = 20 * sum(hourly) / len(hourly)
    times = sorted(T + (hour * HOUR) + random_.randrange(HOUR) for hour in random_.choices(range(240), hourly, k=count))
    data.requests(times)
    data.check(start_loki(), T, T + 10 * DAY - 1)
    reads = [asked for asked in loki.reads if "ingress" not in asked.query]
    thrown = sum(asked.entries for asked in reads if asked.met)
    assert len(reads) <= 2.2 * count / 500 and thrown <= count / 10, (len(reads), thrown)
