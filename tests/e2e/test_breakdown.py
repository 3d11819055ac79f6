"""Section 5: breakdowns, held against the model and against the summary."""
import pytest

from harness import expect, logdata, model

MONTH = "start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z"
DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
SERVICE_FIELDS = ["key", "requests_count_total", "requests_count_sync", "requests_count_async",
                  "requests_count_exposed", "unique_users_count", "countries"]
ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}
FIELDS = {
    "service": SERVICE_FIELDS,
    "user": ["key", "membership", "executions_count", "countries"],
    "country": ["key", "executions_count", "unique_users_count", "countries"],
}


@pytest.mark.parametrize("group_by", ITEMS)
def test_the_items_are_those_of_the_lines(month, span, span_query, group_by):
    answer = month.app.breakdown(f"{span_query}&group_by={group_by}").json()
    assert answer["items"] == ITEMS[group_by](month.between(*span))
    assert (answer["start"], answer["end"], answer["group_by"]) == (*span, group_by)


def test_the_users_of_services_are_those_of_the_lines(month, span, span_query):
    items = month.app.breakdown(f"{span_query}&group_by=service&include_users=true").json()["items"]
    assert items == model.by_service(month.between(*span), include_users=True)


@pytest.mark.parametrize("group_by", FIELDS)
def test_the_fields_stand_in_their_order(month, group_by):
    answer = month.app.breakdown(f"{MONTH}&group_by={group_by}").json()
    assert list(answer) == ["start", "end", "group_by", "items", "sources"]
    for item in answer["items"]:
        assert list(item) == FIELDS[group_by]


def test_users_stand_before_the_countries_and_always_when_they_were_asked_for(month):
    items = month.app.breakdown(f"{MONTH}&group_by=service&include_users=true").json()["items"]
    expected = SERVICE_FIELDS[:-1] + ["users", "countries"]
    assert all(list(item) == expected for item in items)
    assert [item["users"] for item in items if item["key"] == "exposed-only"] == [[]]


@pytest.mark.parametrize("group_by", ["user", "country"])
def test_users_are_not_included_elsewhere(month, group_by):
    answer = month.app.breakdown(f"{MONTH}&group_by={group_by}&include_users=true")
    assert all(list(item) == FIELDS[group_by] for item in answer.json()["items"])


@pytest.mark.parametrize("group_by", FIELDS)
def test_counts_are_integers(month, group_by):
    for item in month.app.breakdown(f"{MONTH}&group_by={group_by}").json()["items"]:
        for name, value in item.items():
            assert type(value) in (int, list) if name not in ("key", "membership") else type(value) is str


def test_the_sums_equal_the_summary(month, span_query):
    totals = month.app.summary(span_query).json()["totals"]

    def total(group_by, field):
        items = month.app.breakdown(f"{span_query}&group_by={group_by}").json()["items"]
        return sum(item[field] for item in items)

    for field in ("requests_count_total", "requests_count_sync", "requests_count_async", "requests_count_exposed"):
        assert total("service", field) == totals[field]
    assert total("user", "executions_count") == totals["requests_count_total"]
    assert total("country", "executions_count") == totals["requests_count_total"]
    services = month.app.breakdown(f"{span_query}&group_by=service").json()["items"]
    assert len(services) == totals["services_count_total"]
    users = month.app.breakdown(f"{span_query}&group_by=user").json()["items"]
    assert [item["key"] for item in users if item["key"]] == totals["users"]


SOURCES = {
    "service": {"request-logs": "ok", "country-attribution": "ok", "exposed-request-logs": "ok"},
    "user": {"request-logs": "ok", "country-attribution": "ok"},
    "country": {"request-logs": "ok", "country-attribution": "ok"},
}


@pytest.mark.parametrize("group_by", SOURCES)
def test_the_sources_are_those_that_fed_it(month, group_by):
    expect.sources(month.app.breakdown(f"{MONTH}&group_by={group_by}"), SOURCES[group_by])


@pytest.mark.parametrize("group_by", SOURCES)
def test_without_requests_there_are_no_items(month, group_by):
    answer = month.app.breakdown(f"start=2025-06-01T00:00:00Z&end=2025-06-02T00:00:00Z&group_by={group_by}")
    assert answer.json()["items"] == []
    assert b"null" not in answer.body
    expected = {name: status for name, status in SOURCES[group_by].items() if name != "country-attribution"}
    expect.sources(answer, expected)


def lines(start, folder, *requests, exposed=()):
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *requests)
    logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN, *exposed)
    return start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log",
                  "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log"})


MEMBERSHIP = {
    # Services' own tokens, not persons.
    "oscar": "external", "nil": "external",
    "minio": "unknown", "": "unknown",
    "a1@egi.eu": "member", "Oscar": "member", "oscar@egi.eu": "member", "minio2": "member", "admin": "member",
    "62bb11b40398f73778b66f344d282242debb8ee3ebb106717a123ca213162926@egi.eu": "member",
}


def test_membership(start, folder):
    app = lines(start, folder, *(logdata.request("2026-01-01T10:00:00Z", user=user) for user in MEMBERSHIP))
    items = app.breakdown(f"{DAY}&group_by=user").json()["items"]
    assert {item["key"]: item["membership"] for item in items} == MEMBERSHIP


def test_the_empty_id_has_its_row(start, folder):
    app = lines(start, folder, logdata.request("2026-01-01T10:00:00Z", user=""),
                logdata.request("2026-01-01T11:00:00Z", user=""), logdata.request("2026-01-01T11:00:00Z", user="x"))
    assert app.breakdown(f"{DAY}&group_by=user").json()["items"] == [
        {"key": "", "membership": "unknown", "executions_count": 2, "countries": []},
        {"key": "x", "membership": "member", "executions_count": 1, "countries": []}]
    item = app.breakdown(f"{DAY}&group_by=service&include_users=true").json()["items"][0]
    assert (item["unique_users_count"], item["users"], item["requests_count_total"]) == (1, ["x"], 3)
    item = app.breakdown(f"{DAY}&group_by=country").json()["items"][0]
    assert (item["unique_users_count"], item["executions_count"]) == (1, 3)


def test_an_unknown_country_is_a_key_but_no_country_of_services_and_users(start, folder):
    app = lines(start, folder, logdata.request("2026-01-01T10:00:00Z"))
    assert app.breakdown(f"{DAY}&group_by=country").json()["items"] == [
        {"key": "unknown", "executions_count": 1, "unique_users_count": 1,
         "countries": [{"country": "unknown", "request_count": 1}]}]
    for group_by in ("service", "user"):
        assert app.breakdown(f"{DAY}&group_by={group_by}").json()["items"][0]["countries"] == []
    totals = app.summary(DAY).json()["totals"]
    assert (totals["countries"], totals["countries_count"]) == ([], 0)


def test_exposed_requests_count_only_by_service(start, folder):
    app = lines(start, folder, exposed=[logdata.nginx_line("01/Jan/2026:10:00:00 +0000",
                                                           "/system/services/nb/exposed/")] * 2)
    assert app.breakdown(f"{DAY}&group_by=service").json()["items"] == [
        {"key": "nb", "requests_count_total": 0, "requests_count_sync": 0, "requests_count_async": 0,
         "requests_count_exposed": 2, "unique_users_count": 0, "countries": []}]
    assert app.breakdown(f"{DAY}&group_by=user").json()["items"] == []
    assert app.breakdown(f"{DAY}&group_by=country").json()["items"] == []


def test_one_user_of_two_services_is_one_each(start, folder):
    app = lines(start, folder, *(logdata.request("2026-01-01T10:00:00Z", path, "u")
                                 for path in ("/run/a", "/run/b", "/job/b")))
    items = app.breakdown(f"{DAY}&group_by=service").json()["items"]
    assert [(item["key"], item["unique_users_count"]) for item in items] == [("a", 1), ("b", 1)]
    assert app.summary(DAY).json()["totals"]["users_count"] == 1


def test_items_are_sorted_by_the_bytes_of_their_key(start, folder):
    services = ["b", "a.b", "a-b", "ab", "a", "10", "9", "a0"]
    users = ["b", "B", "é", "\U0001f600", "\uff5e", "a b", "ab"]
    app = lines(start, folder, *(logdata.request("2026-01-01T10:00:00Z", f"/run/{name}") for name in services),
                *(logdata.request("2026-01-01T10:00:00Z", "/run/b", user) for user in users))
    items = app.breakdown(f"{DAY}&group_by=service").json()["items"]
    assert [item["key"] for item in items] == ["10", "9", "a", "a-b", "a.b", "a0", "ab", "b"]
    items = app.breakdown(f"{DAY}&group_by=user").json()["items"]
    assert [item["key"] for item in items] == ["B", "a b", "a1@egi.eu", "ab", "b", "é", "\uff5e", "\U0001f600"]
