"""Section 5: the summary, held against the model."""
import pytest

from harness import expect, logdata, model

TOTALS = ["services_count_active", "services_count_total", "cpu_hours_total", "gpu_hours_total",
          "requests_count_total", "requests_count_sync", "requests_count_async", "requests_count_exposed",
          "countries_count", "countries", "users_count", "users"]
DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
WITHOUT_HOURS = {"service-inventory": "ok", "prometheus": "missing", "request-logs": "ok",
                 "country-attribution": "ok", "exposed-request-logs": "ok"}


def test_the_totals_are_those_of_the_lines(month, span, span_query):
    totals = month.app.summary(span_query).json()["totals"]
    assert totals == model.totals(month.between(*span), active=month.active)


def test_the_fields_stand_in_their_order(month, span_query):
    answer = month.app.summary(span_query).json()
    assert list(answer) == ["start", "end", "totals", "sources"]
    assert list(answer["totals"]) == TOTALS


def test_the_range_is_echoed(month, span, span_query):
    answer = month.app.summary(span_query).json()
    assert (answer["start"], answer["end"]) == span


def test_the_sources_stand_in_their_order(month):
    expect.sources(month.app.summary("start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z"), WITHOUT_HOURS)


def test_the_country_source_is_there_only_with_requests(month):
    answer = month.app.summary("start=2025-06-01T00:00:00Z&end=2025-06-02T00:00:00Z")
    expected = {name: status for name, status in WITHOUT_HOURS.items() if name != "country-attribution"}
    expect.sources(answer, expected)


def test_counts_are_integers_and_nothing_is_zero_point_zero(month):
    body = month.app.summary("start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z")
    for name, value in body.json()["totals"].items():
        if not isinstance(value, list):
            assert type(value) is int, f"{name} is {value!r}"


@pytest.mark.parametrize("query", ["start=2025-06-01T00:00:00Z&end=2025-06-02T00:00:00Z"])
def test_without_requests_lists_are_empty_and_never_null(month, query):
    answer = month.app.summary(query)
    assert answer.json()["totals"] == model.totals([], active=month.active)
    assert b"null" not in answer.body


def test_services_active_are_those_deployed_now_whatever_the_range(month, span_query):
    assert month.app.summary(span_query).json()["totals"]["services_count_active"] == month.active


def small(start, folder, requests=(), exposed=()):
    """The program over a few lines."""
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *requests)
    logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN, *exposed)
    return start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log",
                  "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log"})


def test_exposed_requests_count_apart_and_make_their_service_count(start, folder):
    app = small(start, folder, [logdata.request("2026-01-01T10:00:00Z", "/run/yolo"),
                                logdata.request("2026-01-01T10:00:00Z", "/job/yolo")],
                [logdata.nginx_line("01/Jan/2026:10:00:00 +0000", "/system/services/nb/exposed")] * 3)
    totals = app.summary(DAY).json()["totals"]
    assert totals["requests_count_total"] == 2, "sync and async"
    assert totals["requests_count_exposed"] == 3
    assert totals["services_count_total"] == 2
    assert totals["users"] == ["a1@egi.eu"]


def test_exposed_requests_alone_have_neither_users_nor_a_country_source(start, folder):
    app = small(start, folder, exposed=[logdata.nginx_line("01/Jan/2026:10:00:00 +0000",
                                                           "/system/services/nb/exposed")])
    answer = app.summary(DAY).json()
    assert answer["totals"]["users"] == [] and answer["totals"]["services_count_total"] == 1
    assert "country-attribution" not in [source["name"] for source in answer["sources"]]


def test_the_empty_id_is_no_user_but_its_requests_count(start, folder):
    app = small(start, folder, [logdata.request("2026-01-01T10:00:00Z", user="")] * 2)
    totals = app.summary(DAY).json()["totals"]
    assert (totals["users"], totals["users_count"], totals["requests_count_total"]) == ([], 0, 2)


def test_users_are_sorted_by_their_bytes(start, folder):
    users = ["b", "a", "B", "é", "z", "\U0001f600", "\uff5e", "ab", "a b", "10", "9", "_"]
    app = small(start, folder, [logdata.request("2026-01-01T10:00:00Z", user=user) for user in users * 2])
    # UTF-16 would put the emoji before U+FF5E, a locale would mix the cases.
    expected = ["10", "9", "B", "_", "a", "a b", "ab", "b", "z", "é", "\uff5e", "\U0001f600"]
    assert app.summary(DAY).json()["totals"]["users"] == expected


def test_a_service_of_the_lines_namespace_is_one_service(start, folder):
    app = small(start, folder, [logdata.request("2026-01-01T10:00:00Z", "/job/x", "u", "yolo", namespace)
                                for namespace in ("oscar-svc", "oscar-svc-a", "oscar-svc-b")])
    assert app.summary(DAY).json()["totals"]["services_count_total"] == 1
