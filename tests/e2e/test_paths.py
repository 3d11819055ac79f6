"""Section 1: paths, methods, names of services, and the order of the checks around them."""
import pytest

from harness import expect, logdata

RANGE = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"


@pytest.fixture(scope="module")
def app(start_shared, shared_folder):
    logdata.write(shared_folder / "manager.log", logdata.REQUESTS_BEGIN,
                  logdata.request("2026-01-01T10:00:00Z", "/run/breakdown"),
                  logdata.request("2026-01-01T10:00:00Z", "/run/owners"),
                  logdata.request("2026-01-01T10:00:00Z", "/run/yolo"))
    (shared_folder / "services").mkdir()
    return start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "manager.log",
                         "OSCAR_METRICS_SERVICES_DIR": shared_folder / "services"})


REPORTS = {
    "summary": ("/system/metrics", RANGE),
    "summary with a slash": ("/system/metrics/", RANGE),
    "breakdown": ("/system/metrics/breakdown", RANGE + "&group_by=service"),
    "breakdown as CSV": ("/system/metrics/breakdown", RANGE + "&group_by=service&format=csv"),
    "owners": ("/system/metrics/owners", ""),
    "one service": ("/system/metrics/yolo", RANGE),
    "one metric": ("/system/metrics/yolo", RANGE + "&metric=users-per-service"),
}


@pytest.mark.parametrize("row", REPORTS)
def test_every_report_has_its_path(app, row):
    assert app.get(*REPORTS[row]).status == 200


def test_a_trailing_slash_is_the_same_summary(app):
    assert app.get("/system/metrics/", RANGE).json()["totals"] == app.get("/system/metrics", RANGE).json()["totals"]


def test_the_paths_answer_different_things(app):
    assert "totals" in app.get(*REPORTS["summary"]).json()
    assert "items" in app.get(*REPORTS["breakdown"]).json()
    assert "owners" in app.get(*REPORTS["owners"]).json()
    assert "metrics" in app.get(*REPORTS["one service"]).json()


OTHER_PATHS = ["", "/", "/system", "/system/", "/system/metric", "/system/metricsx", "/System/metrics",
               "/system/metrics/x/", "/system/metrics/a/b", "/system/metrics/a/b/c", "/system/metrics/breakdown/",
               "/system/metrics/breakdown/x", "/system/metrics/owners/", "/system/metrics/owners/x",
               "/system/metrics/yolo/breakdown", "/system/metrics%2Fbreakdown", "system/metrics", "/-", "/-/",
               "/-/healthy/", "/-/nothing", "/-/Ready"]


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_any_other_path_is_not_found(app, path):
    expect.plain(app.get(path, RANGE), 404, "not found")


@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/breakdown", "/system/metrics/owners",
                                  "/system/metrics/yolo", "/-/healthy", "/-/ready", "/nowhere"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "GETS",
                                    "HEADER", ""])
def test_any_other_method_is_not_allowed(app, path, method):
    answer = app.get(path, method=method)
    expect.plain(answer, 405, "method not allowed")
    assert answer.header("Allow") == "GET, HEAD"


HEADS = {
    **REPORTS,
    "health": ("/-/healthy", ""),
    "a path not found": ("/nowhere", ""),
    "a bad query": ("/system/metrics", "end=x"),
    "a bad name": ("/system/metrics/Yolo", ""),
}


@pytest.mark.parametrize("row", HEADS)
def test_head_answers_as_get_without_the_body(app, row):
    get, head = app.get(*HEADS[row]), app.get(*HEADS[row], method="HEAD")
    assert head.body == b""
    assert get.body != b""
    assert (head.status, sorted(head.headers)) == (get.status, sorted(get.headers))


def test_head_without_credentials_is_refused_too(app):
    answer = app.get("/system/metrics", auth=None, method="HEAD")
    assert (answer.status, answer.body) == (401, b"")
    assert answer.header("WWW-Authenticate")


@pytest.mark.parametrize("path, content_type", [("/-/healthy", "text/plain; charset=utf-8"),
                                                ("/-/ready", "application/json; charset=utf-8")])
@pytest.mark.parametrize("auth", [None, "Basic wrong", "Bearer x"])
def test_the_operator_is_answered_without_credentials(app, path, content_type, auth):
    answer = app.get(path, auth=auth)
    assert answer.status == 200
    assert answer.header("Content-Type") == content_type
    expect.common_headers(answer)


# Names as nginx hands them over: decoded once.

GOOD_NAMES = ["yolo", "a", "0", "9a", "a.b", "a-b", "a--b", "a..b", "no-such-service", "z" * 253]


@pytest.mark.parametrize("name", GOOD_NAMES, ids=lambda name: name[:20])
def test_a_valid_name_is_answered_even_when_nobody_knows_it(app, name):
    assert app.service(name, RANGE).json()["service_name"] == name


@pytest.mark.parametrize("name", [" yolo", "yolo ", " yolo\t", "\tyolo"])
def test_a_name_is_trimmed(app, name):
    assert app.service(name, RANGE).json()["service_name"] == "yolo"


@pytest.mark.parametrize("name", [" ", "  ", "\t", " \t "])
def test_an_empty_name_is_asked_for(app, name):
    expect.bad_request(app.service(name, RANGE), "serviceName is required")


BAD_NAMES = ["Yolo", "YOLO", "-a", "a-", ".a", "a.", "-", ".", "..", "a_b", "a b", "a%2fb", "%20", "%79olo", "a|b",
             "a:b", "a~b", "é", "a\nb", "a\\b", 'a"b', "a*", ".*", "a+b", "a'b", "z" * 254, "z" * 1000]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:24])
def test_any_other_name_is_invalid(app, name):
    expect.bad_request(app.service(name, RANGE), "invalid service name")


def test_a_name_that_is_no_utf8_is_invalid(app):
    expect.bad_request(app.get(b"/system/metrics/a\xff", RANGE), "invalid service name")


def test_the_literal_paths_win_over_services_of_that_name(app):
    expect.bad_request(app.service("breakdown"), "group_by is required")
    assert "owners" in app.service("owners").json()
    # They count nevertheless, and have their rows.
    keys = [item["key"] for item in app.breakdown(RANGE + "&group_by=service").json()["items"]]
    assert keys == ["breakdown", "owners", "yolo"]


# Every answer has these headers.

ANSWERS = {
    "200 JSON": (REPORTS["summary"], {}, 200),
    "200 CSV": (REPORTS["breakdown as CSV"], {}, 200),
    "200 owners": (REPORTS["owners"], {}, 200),
    "200 service": (REPORTS["one service"], {}, 200),
    "200 health": (("/-/healthy", ""), {}, 200),
    "400": (("/system/metrics", "end=x"), {}, 400),
    "401": (("/system/metrics", ""), {"auth": None}, 401),
    "401 wrong": (("/system/metrics", ""), {"auth": "Basic x"}, 401),
    "401 bearer": (("/system/metrics", ""), {"auth": "Bearer x"}, 401),
    "404": (("/nowhere", ""), {}, 404),
    "404 owner": (("/system/metrics", "owner=nobody"), {}, 404),
    "405": (("/system/metrics", ""), {"method": "PUT"}, 405),
}


@pytest.mark.parametrize("row", ANSWERS)
def test_every_answer_has_the_common_headers(app, row):
    request, more, status = ANSWERS[row]
    answer = app.get(*request, **more)
    assert answer.status == status
    expect.common_headers(answer)


# The order of the checks: each row has every fault from its own on.

ORDER = [
    ("method", "POST", "/nowhere/x", None, "end=x", 405),
    ("path", "GET", "/system/metrics/BAD/x", None, "end=x", 404),
    ("authentication", "GET", "/system/metrics/BAD", None, "end=x", 401),
    ("service name", "GET", "/system/metrics/BAD", "admin", "end=x&metric=x&owner=nobody", "invalid service name"),
    ("query", "GET", "/system/metrics/yolo", "admin", "end=x&metric=x&owner=nobody", "invalid end timestamp"),
    ("owner", "GET", "/system/metrics/yolo", "admin", "owner=nobody", 404),
]


@pytest.mark.parametrize("row,method,path,auth,query,expected", ORDER, ids=[row[0] for row in ORDER])
def test_order_of_the_checks(app, row, method, path, auth, query, expected):
    more = {} if auth else {"auth": None}
    answer = app.get(path, query, method=method, **more)
    if isinstance(expected, int):
        assert answer.status == expected
    else:
        expect.bad_request(answer, expected)
