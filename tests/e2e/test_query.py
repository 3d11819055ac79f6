"""Section 2: parameters, their defaults, their errors, and the order of the errors."""
import datetime
import time

import pytest

from harness import expect, logdata, model

START, END = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
RANGE = f"start={START}&end={END}"
DAY = 86400 * model.SECOND


@pytest.fixture(scope="module")
def app(start_shared, shared_folder, shared_fake):
    logdata.write(shared_folder / "manager.log", logdata.REQUESTS_BEGIN,
                  logdata.request("2026-01-01T10:00:00.000000001Z"),
                  logdata.request("2026-01-01T10:00:00.000000002Z", "/job/yolo"),
                  logdata.request("2026-01-01T10:00:00.000000003Z", "/job/yolo"))
    return start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "manager.log",
                         "PROMETHEUS_URL": shared_fake.url})


def between(start, end):
    """A range's query, with the signs that a query takes for its own escaped."""
    return "start=" + start.replace("+", "%2B") + "&end=" + end.replace("+", "%2B")


# Times.

ECHOED = [
    # as sent, as echoed
    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.1Z"),
    ("2026-01-01T00:00:00.100Z", "2026-01-01T00:00:00.1Z"),
    ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01T23:59:59.999Z", "2026-01-01T23:59:59.999Z"),
    ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456789Z"),
    ("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000000001Z"),
    ("2026-01-01T00:00:00.010203040Z", "2026-01-01T00:00:00.01020304Z"),
    ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
    ("2026-01-01T00:00:00.50+00:00", "2026-01-01T00:00:00.5Z"),
    ("2026-01-01T01:30:00+01:30", "2026-01-01T01:30:00+01:30"),
    ("2026-01-01T01:30:00.250-05:00", "2026-01-01T01:30:00.25-05:00"),
    ("2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00+14:00"),
    ("2026-01-01T00:00:00-12:00", "2026-01-01T00:00:00-12:00"),
    ("2026-01-01T00:00:00-00:30", "2026-01-01T00:00:00-00:30"),
    ("2026-01-01T00:00:00+23:59", "2026-01-01T00:00:00+23:59"),
    ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
    ("2000-02-29T12:00:00Z", "2000-02-29T12:00:00Z"),
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
    ("1900-03-01T00:00:00.000000001Z", "1900-03-01T00:00:00.000000001Z"),
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
]


@pytest.mark.parametrize("sent,echoed", ECHOED)
def test_times_are_echoed_in_the_offset_of_the_client(app, sent, echoed):
    answer = app.summary(between(sent, sent)).json()
    assert (answer["start"], answer["end"]) == (echoed, echoed)


def test_start_and_end_keep_an_offset_each(app):
    answer = app.summary(between("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00-05:00")).json()
    assert (answer["start"], answer["end"]) == ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00-05:00")


@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/breakdown", "/system/metrics/yolo"])
def test_every_report_echoes_the_range(app, path):
    answer = app.get(path, "group_by=user&" + between("2026-01-01T00:00:00.120+02:00", END)).json()
    assert (answer["start"], answer["end"]) == ("2026-01-01T00:00:00.12+02:00", END)


BAD_TIMES = [
    "x", "now", "0", "1767225600", "2026", "2026-01", "2026-01-01", "2026-01-01T", "2026-01-01T00:00Z",
    "2026-01-01T00Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00z",
    "2026-01-01T00:00:60Z", "2026-06-30T23:59:60Z", "2026-01-01T00:60:00Z", "2026-01-01T24:00:00Z",
    "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z", "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z",
    "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00.5",
    "2026-01-01T00:00:00.-5Z", "2026-01-01T00:00:00%2B0100", "2026-01-01T00:00:00%2B01", "2026-01-01T00:00:00%2B1:00",
    "2026-01-01T00:00:00%2B24:00", "2026-01-01T00:00:00%2B01:60", "2026-01-01T00:00:00+01:00",
    "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00Zx", "x2026-01-01T00:00:00Z", "2026-1-1T0:0:0Z",
    "26-01-01T00:00:00Z", "02026-01-01T00:00:00Z", "-2026-01-01T00:00:00Z", "%2B2026-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z", "2026/01/01T00:00:00Z", "2026-01-01T00-00-00Z", "2026-01-01T00:00:00UTC",
    "2026-W01-1T00:00:00Z", "2026-001T00:00:00Z", "%D9%A2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z%00",
    "%00", "%zz", "%0", "%", "2026-01-01T00:00:00Z%", "2026-01-01T00:00:00%5A%2", "2026-01-01T 0:00:00Z",
    "2026-01-01T-1:00:00Z", "2026-01-01T00:00:%2B1Z", "1e9", "%FF",
]


@pytest.mark.parametrize("value", BAD_TIMES)
def test_a_time_in_any_other_form_is_refused(app, value):
    expect.bad_request(app.summary(f"end={value}"), "invalid end timestamp")
    expect.bad_request(app.summary(f"start={value}&end={END}"), "invalid start timestamp")


def seconds_now():
    return int(time.time())


def test_without_a_range_the_last_24_hours_are_reported(app):
    before = seconds_now()
    answer = app.summary().json()
    after = seconds_now()
    assert expect.UTC_SECONDS.match(answer["end"]), "now, UTC, in whole seconds"
    assert before <= model.rfc3339(answer["end"]) // model.SECOND <= after
    assert model.rfc3339(answer["end"]) - model.rfc3339(answer["start"]) == DAY


def test_the_start_is_24_hours_before_a_given_end(app):
    answer = app.summary("end=2026-01-02T00:00:00.5%2B01:00").json()
    assert model.rfc3339(answer["start"]) == model.rfc3339(answer["end"]) - DAY
    assert answer["end"] == "2026-01-02T00:00:00.5+01:00"


def test_the_end_is_now_after_a_given_start(app):
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)
    before = seconds_now()
    answer = app.summary(f"start={start:%Y-%m-%dT%H:%M:%SZ}").json()
    assert before <= model.rfc3339(answer["end"]) // model.SECOND <= seconds_now()
    assert answer["start"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"


def test_the_end_may_lie_in_the_future(app):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
    assert app.summary(f"end={end:%Y-%m-%dT%H:%M:%SZ}").json()["end"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"


INCLUSIVE = [
    # the last digit of start and end, what lies between
    (1, 3, 3), (1, 1, 1), (2, 2, 1), (3, 3, 1), (0, 1, 1), (0, 2, 2), (2, 3, 2), (3, 4, 1), (4, 5, 0), (0, 0, 0),
]


@pytest.mark.parametrize("first,last,count", INCLUSIVE)
def test_start_and_end_are_inclusive_to_the_nanosecond(app, first, last, count):
    query = between(f"2026-01-01T10:00:00.00000000{first}Z", f"2026-01-01T10:00:00.00000000{last}Z")
    assert app.summary(query).json()["totals"]["requests_count_total"] == count


def test_an_offset_is_the_same_instant(app):
    query = between("2026-01-01T12:00:00.000000002+02:00", "2026-01-01T05:00:00.000000002-05:00")
    assert app.summary(query).json()["totals"]["requests_count_total"] == 1


# Ranges.

def test_an_end_equal_to_the_start_is_allowed(app):
    assert app.summary(between(START, START)).status == 200


@pytest.mark.parametrize("start,end", [
    (END, START),
    ("2026-01-01T00:00:00.000000001Z", START),
    ("2026-01-01T00:00:00-01:00", START),
    ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
])
def test_an_end_before_the_start_is_refused(app, start, end):
    expect.bad_request(app.summary(between(start, end)), "end must be after start")


def test_a_start_in_the_future_is_after_the_end(app):
    expect.bad_request(app.summary("start=2999-01-01T00:00:00Z"), "end must be after start")


@pytest.mark.parametrize("start,end", [
    ("2025-01-01T00:00:00Z", "2026-02-05T00:00:00.000000001Z"),
    ("2000-01-01T00:00:00Z", START),
    ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    ("0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59"),
])
def test_a_range_over_400_days_is_too_long(app, start, end):
    expect.bad_request(app.summary(between(start, end)), "time range too long")


def test_400_days_are_not_too_long(app):
    assert app.summary(between("2025-01-01T00:00:00Z", "2026-02-05T00:00:00Z")).status == 200


def test_the_longest_range_is_a_setting(start):
    app = start({"OSCAR_METRICS_MAX_RANGE": "1h"})
    assert app.summary(between(START, "2026-01-01T01:00:00Z")).status == 200
    expect.bad_request(app.summary(between(START, "2026-01-01T01:00:00.000000001Z")), "time range too long")
    expect.bad_request(app.summary(""), "time range too long")


# How parameters are written.

SAME_AS_RANGE = [
    "start=2026-01-01T00%3A00%3A00Z&end=2026-01-02T00%3a00%3a00Z",
    "start=%32026-01-01T00:00:00%5A&end=2026-01-02T00:00:00Z",
    "&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z",
    "start=2026-01-01T00:00:00Z&&end=2026-01-02T00:00:00Z",
    "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z&",
    "&&&start=2026-01-01T00:00:00Z&&&end=2026-01-02T00:00:00Z&&&",
    "start=+2026-01-01T00:00:00Z++&end=%202026-01-02T00:00:00Z%09",
    "end=2026-01-02T00:00:00Z&start=2026-01-01T00:00:00Z",
    "start=2026-01-01T00:00:00Z&start=x&end=2026-01-02T00:00:00Z&end=y",
    "foo=%zz&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z&bar&=&=x&%00=1",
    "START=x&Start=x&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z",
    "xstart=x&startx=x&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z",
]


@pytest.mark.parametrize("query", SAME_AS_RANGE)
def test_ways_to_write_the_same_query(app, query):
    answer = app.summary(query).json()
    assert (answer["start"], answer["end"]) == (START, END)


@pytest.mark.parametrize("query", ["start=", "start", "start=&start=x", "start=+", "start=%20%09&start=x", "&", "",
                                   "&&", "start=&end="])
def test_an_empty_value_is_an_omitted_one(app, query):
    answer = app.summary(query).json()
    assert model.rfc3339(answer["end"]) - model.rfc3339(answer["start"]) == DAY


def test_content_type_and_accept_are_ignored(app):
    answer = app.get("/system/metrics", RANGE, CONTENT_TYPE="text/json", HTTP_ACCEPT="image/png")
    assert answer.json()["start"] == START


@pytest.mark.parametrize("value", ["service", "SERVICE", "Service", "%20service%09", "s%65rvice", "user", "USER",
                                   "country", "cOUNTRY"])
def test_group_by_in_any_case(app, value):
    answer = app.breakdown(f"{RANGE}&group_by={value}").json()
    assert answer["group_by"] in ("service", "user", "country"), "answered in lower case"


@pytest.mark.parametrize("query", ["", "group_by=", "group_by", "group_by=+", "group_by=&group_by=service",
                                   "GROUP_BY=service"])
def test_group_by_is_required(app, query):
    expect.bad_request(app.breakdown(f"{RANGE}&{query}"), "group_by is required")


@pytest.mark.parametrize("value", ["services", "x", "service,user", "day", "%zz", "service%00", "%00", "servic%",
                                   "%C3%9Fervice"])
def test_any_other_group_by_is_unsupported(app, value):
    expect.bad_request(app.breakdown(f"{RANGE}&group_by={value}"), "unsupported group_by")


@pytest.mark.parametrize("value", ["json", "JSON", "Json", "", "+", "%6Ason"])
def test_the_format_is_json_in_any_case_and_by_default(app, value):
    assert app.breakdown(f"{RANGE}&group_by=user&format={value}").json()["items"]


@pytest.mark.parametrize("value", ["csv", "CSV", "cSv", "+csv+"])
def test_the_format_is_csv_in_any_case(app, value):
    assert app.breakdown(f"{RANGE}&group_by=user&format={value}").csv()


@pytest.mark.parametrize("value", ["xml", "text/csv", "csv,json", "%zz", "csv%00", "csv%0"])
def test_any_other_format_is_invalid(app, value):
    expect.bad_request(app.breakdown(f"{RANGE}&group_by=user&format={value}"), "invalid format")


@pytest.mark.parametrize("value", ["true", "TRUE", "True", "tRuE", "+true+", "tru%65"])
def test_include_users_is_turned_on_by_true(app, value):
    item = app.breakdown(f"{RANGE}&group_by=service&include_users={value}").json()["items"][0]
    assert item["users"] == ["a1@egi.eu"]


@pytest.mark.parametrize("value", ["", "1", "yes", "on", "t", "false", "truetrue", "x", "true%00",
                                   "&include_users=true"])
def test_include_users_is_off_for_everything_else(app, value):
    item = app.breakdown(f"{RANGE}&group_by=service&include_users={value}").json()["items"][0]
    assert "users" not in item


METRICS = ["cpu-hours", "gpu-hours", "requests-sync-per-service", "requests-async-per-service",
           "requests-exposed-per-service", "users-per-service"]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_of_a_service_can_be_asked_for(app, metric):
    assert app.service("yolo", f"{RANGE}&metric={metric}").json()["metric"] == metric


@pytest.mark.parametrize("value", ["", "+", "&metric=x"])
def test_without_a_metric_all_six_are_answered(app, value):
    answer = app.service("yolo", f"{RANGE}&metric={value}").json()
    assert [metric["metric"] for metric in answer["metrics"]] == METRICS


@pytest.mark.parametrize("value", ["x", "cpu", "cpu_hours", "CPU-HOURS", "Cpu-Hours", "cpu-hours%00",
                                   "%zz", "cpu-hours,gpu-hours", "requests-total"])
def test_a_metric_that_is_not_in_the_catalogue_is_invalid(app, value):
    expect.bad_request(app.service("yolo", f"{RANGE}&metric={value}"), "invalid metric key")


@pytest.mark.parametrize("value", ["services-count", "requests-per-user", "countries-count", "countries-list"])
def test_a_metric_of_the_catalogue_that_is_not_per_service_is_unsupported(app, value):
    expect.bad_request(app.service("yolo", f"{RANGE}&metric={value}"), "unsupported metric for value query")


def test_users_cannot_be_included_in_csv_by_service(app):
    expect.bad_request(app.breakdown(f"{RANGE}&group_by=SERVICE&format=CSV&include_users=TRUE"),
                       "include_users is not supported for csv")


@pytest.mark.parametrize("group_by", ["user", "country"])
def test_include_users_does_not_matter_for_other_groups_in_csv(app, group_by):
    assert app.breakdown(f"{RANGE}&group_by={group_by}&format=csv&include_users=true").csv()


# Parameters of other reports are unknown ones.

ELSEWHERE = {
    "group_by in a summary": ("/system/metrics", "group_by=x"),
    "format in a summary": ("/system/metrics", "format=x"),
    "metric in a summary": ("/system/metrics", "metric=x"),
    "metric in a breakdown": ("/system/metrics/breakdown", "group_by=user&metric=x"),
    "group_by of a service": ("/system/metrics/yolo", "group_by=x"),
    "format of a service": ("/system/metrics/yolo", "format=csv"),
    "csv and users of a service": ("/system/metrics/yolo", "format=csv&group_by=service&include_users=true"),
}


@pytest.mark.parametrize("row", ELSEWHERE)
def test_parameters_of_other_reports_are_ignored(app, row):
    path, query = ELSEWHERE[row]
    assert app.get(path, f"{RANGE}&{query}").json()["start"] == START


# The order of the errors: each row has its own fault and the ones that come later, as far as they can meet.

BREAKDOWN, SERVICE = "/system/metrics/breakdown", "/system/metrics/yolo"
TOO_LONG = "start=2000-01-01T00:00:00Z&end=2026-01-01T00:00:00Z"
ORDER = [
    ("invalid end timestamp", BREAKDOWN, "end=x&start=x&format=x&owner=nobody"),
    ("invalid end timestamp", SERVICE, "start=2999-01-01T00:00:00Z&end=x&metric=x"),
    ("invalid start timestamp", BREAKDOWN, "start=x&format=x&owner=nobody"),
    ("invalid start timestamp", SERVICE, "start=x&metric=x"),
    ("end must be after start", BREAKDOWN, f"start={END}&end={START}&format=x&owner=nobody"),
    ("end must be after start", SERVICE, f"start={END}&end={START}&metric=x&owner=nobody"),
    ("time range too long", BREAKDOWN, TOO_LONG + "&format=x&owner=nobody"),
    ("time range too long", SERVICE, TOO_LONG + "&metric=x&owner=nobody"),
    ("group_by is required", BREAKDOWN, RANGE + "&format=x&include_users=true&owner=nobody"),
    ("unsupported group_by", BREAKDOWN, RANGE + "&group_by=x&format=x&include_users=true&owner=nobody"),
    ("invalid format", BREAKDOWN, RANGE + "&group_by=service&format=x&include_users=true&owner=nobody"),
    ("invalid metric key", SERVICE, RANGE + "&metric=x&owner=nobody"),
    ("unsupported metric for value query", SERVICE, RANGE + "&metric=services-count&owner=nobody"),
    ("include_users is not supported for csv", BREAKDOWN,
     RANGE + "&group_by=service&format=csv&include_users=true&owner=nobody"),
]


@pytest.mark.parametrize("message,path,query", ORDER, ids=[f"{n} {row[0]}" for n, row in enumerate(ORDER)])
def test_order_of_the_errors(app, message, path, query):
    expect.bad_request(app.get(path, query), message)


def test_errors_are_found_before_any_backend_is_asked(app, shared_fake):
    shared_fake.forget()
    for message, path, query in ORDER:
        expect.bad_request(app.get(path, query), message)
    assert shared_fake.asked == []
    app.get(SERVICE, RANGE)
    assert shared_fake.asked, "the same program does ask for a report"
