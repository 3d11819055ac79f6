"""Section 10: what real clients send, and what they rely on, through a real nginx as they come."""
import base64
import concurrent.futures
import datetime
import re

import pytest

from harness import expect, logdata, model
from harness.client import ADMIN, PASSWORD, USER
from harness.fake_prometheus import vector
from harness.nginx import Nginx

BASE = "/system/metrics"
CUSTOM = "start=2026-01-01T00:00:00.000Z&end=2026-01-01T23:59:59.999Z"


@pytest.fixture(scope="module")
def nginx(start_shared, shared_folder, shared_fake):
    shared_fake.answers(vector("2.5"))
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    logdata.write(shared_folder / "manager.log", logdata.REQUESTS_BEGIN,
                  logdata.request("2026-01-01T10:00:00Z", "/run/yolo"),
                  logdata.request("2026-01-01T23:59:59.999Z", "/job/yolo", "b2@egi.eu"),
                  logdata.request("2026-01-01T23:59:59.9990001Z", "/job/yolo", "late"),
                  logdata.request(now.strftime("%Y-%m-%dT%H:%M:%SZ"), "/run/recent", "recent@egi.eu"))
    logdata.write(shared_folder / "ingress.log", logdata.EXPOSED_BEGIN,
                  logdata.nginx_line("01/Jan/2026:10:00:00 +0000", "/system/services/nb/exposed/"))
    (shared_folder / "services").mkdir()
    (shared_folder / "services" / "yolo.yaml").write_text("name: yolo\n")
    app = start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "manager.log", "PROMETHEUS_URL": shared_fake.url,
                        "OSCAR_METRICS_EXPOSED_LOG_FILES": shared_folder / "ingress.log",
                        "OSCAR_METRICS_SERVICES_DIR": shared_folder / "services"})
    server = Nginx(shared_folder / "nginx", app.address)
    yield server
    server.stop()


# The web dashboard.

def test_the_dashboards_page(nginx):
    targets = [f"{BASE}?{CUSTOM}", f"{BASE}/breakdown?{CUSTOM}&group_by=service&include_users=true",
               f"{BASE}/breakdown?{CUSTOM}&group_by=country", f"{BASE}/breakdown?{CUSTOM}&group_by=user"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        summary, services, countries, users = (answer.json() for answer in pool.map(nginx.admin, targets))
    for answer in (summary, services, countries, users):
        assert (answer["start"], answer["end"]) == ("2026-01-01T00:00:00Z", "2026-01-01T23:59:59.999Z")
        for source in answer["sources"]:
            assert source["status"] == "ok" and "notes" not in source
    totals = summary["totals"]
    assert all(type(value) in (int, float, list) for value in totals.values())
    assert totals["requests_count_total"] == 2, "the custom range ends at .999"
    assert totals["users"] == ["a1@egi.eu", "b2@egi.eu"]
    assert [item["key"] for item in services["items"]] == ["nb", "yolo"]
    assert services["items"][1]["users"] == ["a1@egi.eu", "b2@egi.eu"]
    assert countries["items"][0]["key"] == "unknown"
    assert [item["membership"] for item in users["items"]] == ["member", "member"]


def test_the_dashboards_page_of_one_service(nginx):
    answer = nginx.admin(f"{BASE}/yolo?{CUSTOM}").json()
    assert [entry["value"] for entry in answer["metrics"]] == [2.5, 2.5, 1, 1, 0, 2]


def test_the_dashboard_asks_for_the_owners_when_it_loads(nginx):
    owners = nginx.admin(f"{BASE}/owners").json()["owners"]
    assert {"id": "cluster_admin", "name": "oscar", "namespace": "oscar-svc"} in owners


def test_the_dashboards_range_is_todays(nginx):
    now = datetime.datetime.now(datetime.timezone.utc)

    def iso(when):
        return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"

    query = f"start={iso(now - datetime.timedelta(days=7))}&end={iso(now)}"
    assert nginx.admin(f"{BASE}?{query}").json()["totals"]["users"] == ["recent@egi.eu"]


# The Python client.

def test_the_python_client_asks_without_a_range(nginx):
    for target in (BASE, f"{BASE}/breakdown?group_by=service", f"{BASE}/recent"):
        answer = nginx.admin(target, headers={"Accept": "*/*", "Accept-Encoding": "gzip, deflate",
                                              "User-Agent": "python-requests/2.32.3"}).json()
        assert model.rfc3339(answer["end"]) - model.rfc3339(answer["start"]) == 86400 * model.SECOND


def test_the_python_client_passes_group_by_unescaped(nginx):
    # oscar-python puts its argument into the URL as it is.
    answer = nginx.admin(f"{BASE}/breakdown?group_by=" + "service&format=csv")
    assert answer.csv()[0][0] == "key"


# The command line client.

def test_the_command_line_client_escapes_colons(nginx):
    query = "start=2026-01-01T00%3A00%3A00Z&end=2026-01-01T23%3A59%3A59Z"
    text = nginx.admin(f"{BASE}?{query}").text
    for name in re.findall(r'"(\w*count\w*)":(?!\[)([^,}\]]+)', text):
        assert re.fullmatch(r"\d+", name[1]), f"{name[0]} must decode as an integer"


def test_the_command_line_client_sends_no_group_by_and_expects_400(nginx):
    expect.bad_request(nginx.admin(f"{BASE}/breakdown"), "group_by is required")
    expect.bad_request(nginx.admin(f"{BASE}/breakdown?{CUSTOM}"), "group_by is required")


def test_the_command_line_client_reads_times_as_rfc_3339(nginx):
    answer = nginx.admin(f"{BASE}?{CUSTOM}").json()
    times = [answer["start"], answer["end"], *(source.get("last_updated") for source in answer["sources"])]
    assert all(model.rfc3339(time) is not None for time in times if time is not None)


# The public end-to-end tests of OSCAR.

@pytest.mark.parametrize("query", ["&group_by=service", "&group_by=service&", "group_by=service&",
                                   "&&group_by=service&&"])
def test_stray_ampersands(nginx, query):
    assert nginx.admin(f"{BASE}/breakdown?{query}").json()["group_by"] == "service"


def test_a_get_with_a_content_type(nginx):
    assert nginx.admin(BASE, headers={"Content-Type": "text/json"}).status == 200


@pytest.mark.parametrize("path", ["", "/breakdown?group_by=user", "/recent"])
def test_an_end_five_minutes_ahead_is_echoed(nginx, path):
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (f"{now + datetime.timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}" for minutes in (-60, 5))
    sign = "&" if "?" in path else "?"
    answer = nginx.admin(f"{BASE}{path}{sign}start={start}&end={end}").json()
    assert (answer["start"], answer["end"]) == (start, end)


def test_times_have_fractions_that_simple_parsers_know(nginx):
    # datetime.fromisoformat of older Pythons: 0, 3 or 6 digits.
    for target in (BASE, f"{BASE}/breakdown?group_by=user", f"{BASE}/yolo"):
        text = nginx.admin(target).text
        for time in re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', text):
            assert re.fullmatch(r"[-\d]+T[:\d]+(\.\d{3}|\.\d{6})?Z", time)


ERRORS = [
    (f"{BASE}?start=bad", "invalid start timestamp"),
    (f"{BASE}?end=bad", "invalid end timestamp"),
    (f"{BASE}?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "end must be after start"),
    (f"{BASE}/breakdown", "group_by is required"),
    (f"{BASE}/breakdown?group_by=bad", "unsupported group_by"),
    (f"{BASE}/breakdown?group_by=user&format=xml", "invalid format"),
    (f"{BASE}/breakdown?group_by=service&format=csv&include_users=true", "include_users is not supported for csv"),
    (f"{BASE}/yolo?metric=bad", "invalid metric key"),
    (f"{BASE}/yolo?metric=services-count", "unsupported metric for value query"),
    (f"{BASE}/%20", "serviceName is required"),
]


@pytest.mark.parametrize("target,message", ERRORS, ids=[row[1] for row in ERRORS])
def test_error_texts(nginx, target, message):
    expect.bad_request(nginx.admin(target), message)


# A browser, and curl.

def test_curl_with_user_and_password(nginx):
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert nginx.get(BASE, auth=f"Basic {token}").status == 200


def test_an_error_page_is_one_line_of_text(nginx):
    for answer in (nginx.get(BASE), nginx.get(BASE, auth="Bearer x"), nginx.admin(f"{BASE}/a/b")):
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"
        assert "\n" not in answer.text.rstrip("\n") and "<" not in answer.text and "{" not in answer.text


def test_accept_encoding_does_not_break_anything(nginx):
    answer = nginx.get(f"{BASE}?{CUSTOM}", auth=ADMIN, headers={"Accept-Encoding": "gzip, br"})
    assert answer.json()["totals"]["requests_count_total"] == 2


def test_conditional_and_range_requests_get_the_whole(nginx):
    for headers in ({"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}, {"If-None-Match": "*"},
                    {"Range": "bytes=0-3"}):
        assert nginx.get(f"{BASE}?{CUSTOM}", auth=ADMIN, headers=headers).json()["totals"]


def test_reload_past_caches(nginx):
    for value in ("no-cache", "max-age=0", "no-store"):
        assert nginx.get(f"{BASE}?{CUSTOM}", auth=ADMIN, headers={"Cache-Control": value}).status == 200
