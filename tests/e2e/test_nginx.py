"""The program behind a real nginx, with the project's own configuration."""
import http.client
import os
import socket
import threading

import pytest

from harness import expect, fcgi, logdata
from harness.client import basic
from harness.fake_prometheus import Hold
from harness.nginx import Nginx

RANGE = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"


@pytest.fixture(scope="module")
def app(start_shared, shared_folder, shared_fake):
    logdata.write(shared_folder / "manager.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    (shared_folder / "services").mkdir()
    return start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "manager.log", "PROMETHEUS_URL": shared_fake.url,
                         "OSCAR_METRICS_SERVICES_DIR": shared_folder / "services"})


@pytest.fixture(scope="module")
def nginx(app, shared_folder):
    server = Nginx(shared_folder / "nginx", app.address)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nginx_with_cors(app, shared_folder):
    server = Nginx(shared_folder / "cors", app.address, cors=True)
    yield server
    server.stop()


@pytest.mark.parametrize("target", [
    f"/system/metrics?{RANGE}", f"/system/metrics/?{RANGE}", f"/system/metrics/breakdown?{RANGE}&group_by=service",
    f"/system/metrics/breakdown?{RANGE}&group_by=service&format=csv", "/system/metrics/owners",
    f"/system/metrics/yolo?{RANGE}"])
def test_every_report_is_answered(nginx, target):
    answer = nginx.admin(target)
    assert answer.status == 200
    expect.common_headers(answer)
    assert b"yolo" in answer.body or b"totals" in answer.body or b"owners" in answer.body


def test_the_answer_is_the_programs(nginx, app):
    answer = nginx.admin(f"/system/metrics?{RANGE}")
    assert answer.json()["totals"] == app.summary(RANGE).json()["totals"]
    assert answer.header("OSCAR-Metrics-Complete") == "false"


def test_the_admin_may_have_everything_read_anew(nginx, shared_folder):
    """Cache-Control reaches the program."""
    log = shared_folder / "manager.log"
    target = f"/system/metrics/breakdown?{RANGE}&group_by=user"
    keys = lambda **more: [item["key"] for item in nginx.admin(target, **more).json()["items"]]  # noqa: E731
    before, data = log.stat(), log.read_bytes()
    known, other = keys(), b"x" * len(keys()[0])
    log.write_bytes(data.replace(known[0].encode(), other))
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert keys() == known
    assert keys(headers={"Cache-Control": "no-cache"}) == [other.decode()]
    log.write_bytes(data)


def test_the_path_without_a_slash_is_not_redirected(nginx):
    assert nginx.admin(f"/system/metrics?{RANGE}").status == 200


@pytest.mark.parametrize("target", ["/", "/system", "/system/metricsx", "/system/services", "/-/healthy", "/-/ready",
                                    "/-/metrics", "/-/oscar-metrics/502"])
def test_other_paths_are_not_ours(nginx, target):
    answer = nginx.admin(target)
    assert answer.status == 404
    assert answer.header("OSCAR-Metrics-Complete") is None


@pytest.mark.parametrize("target", ["/-/healthy", "/-/ready", "/-/metrics"])
def test_the_operators_paths_are_on_a_location_of_their_own(nginx, target):
    assert nginx.get(target, server="operator").status == 200


PATHS = [
    ("/system/metrics/%20", 400, "serviceName is required"),
    ("/system/metrics/%09%20", 400, "serviceName is required"),
    ("/system/metrics/Yolo", 400, "invalid service name"),
    ("/system/metrics/a%2520b", 400, "invalid service name"),
    ("/system/metrics/a%252Fb", 400, "invalid service name"),
    ("/system/metrics/a%7Cb", 400, "invalid service name"),
    ("/system/metrics/a|b", 400, "invalid service name"),
    ("/system/metrics/%C3%A9", 400, "invalid service name"),
    ("/system/metrics/%FF", 400, "invalid service name"),
    ("/system/metrics/a%0Ab", 400, "invalid service name"),
    ("/system/metrics/%2e%2e%2e", 400, "invalid service name"),
    ("/system/metrics/a/b", 404, "not found"),
    ("/system/metrics/a%2Fb", 404, "not found"),
    ("/system/metrics/yolo/", 404, "not found"),
    ("/system/metrics/breakdown", 400, "group_by is required"),
    ("/system/metrics/br%65akdown", 400, "group_by is required"),
    ("/system//metrics///breakdown", 400, "group_by is required"),
    ("/system/x/../metrics/./breakdown", 400, "group_by is required"),
]


@pytest.mark.parametrize("target,status,message", PATHS)
def test_the_path_is_decoded_and_resolved_once(nginx, target, status, message):
    answer = nginx.admin(target)
    if status == 400:
        expect.bad_request(answer, message)
    else:
        expect.plain(answer, status, message)


@pytest.mark.parametrize("target", ["/system/metrics/yolo", "/system/metrics/y%6Flo", "/system/metrics/%20yolo%20",
                                    "/system//metrics/yolo", "/system/metrics/x/../yolo"])
def test_spellings_of_a_service(nginx, target):
    assert nginx.admin(f"{target}?{RANGE}").json()["service_name"] == "yolo"


@pytest.mark.parametrize("target", ["/system/metrics/%zz", "/system/metrics/%0", "/system/metrics/a%00b"])
def test_broken_escapes_in_the_path_are_refused(nginx, target):
    assert nginx.admin(target).status == 400


@pytest.mark.parametrize("query,message", [
    ("end=%zz", "invalid end timestamp"), ("start=%0", "invalid start timestamp"), ("end=%00", "invalid end timestamp"),
    ("end=%", "invalid end timestamp")])
def test_broken_escapes_in_the_query_are_that_parameters_error(nginx, query, message):
    expect.bad_request(nginx.admin("/system/metrics?" + query), message)


def test_credentials_come_through(nginx):
    expect.plain(nginx.get("/system/metrics"), 401, "authentication required")
    answer = nginx.get("/system/metrics", auth=basic(password="x"))
    expect.plain(answer, 401, "invalid credentials")
    assert answer.header("WWW-Authenticate") == 'Basic realm="Authorization Required"'
    assert nginx.get("/system/metrics", auth="Bearer x").header("WWW-Authenticate") == 'Bearer error="invalid_token"'


def test_an_empty_authorization_header_is_none(nginx):
    expect.plain(nginx.get("/system/metrics", auth=""), 401, "authentication required")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_not_allowed(nginx, method):
    answer = nginx.admin("/system/metrics", method=method)
    expect.plain(answer, 405, "method not allowed")
    assert answer.header("Allow") == "GET, HEAD"


def test_head(nginx):
    answer = nginx.admin(f"/system/metrics?{RANGE}", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    expect.common_headers(answer)


def test_a_body_of_a_get_does_not_matter(nginx):
    answer = nginx.admin(f"/system/metrics?{RANGE}", body=b"x" * 200_000, headers={"Content-Type": "text/json"})
    assert answer.status == 200


def test_a_service_that_starts_a_query_is_a_name(nginx):
    expect.bad_request(nginx.admin("/system/metrics/yolo%3Fmetric=x"), "invalid service name")


def test_an_answer_larger_than_all_buffers_is_whole(start, folder):
    lines = (logdata.request("2026-01-01T10:00:00Z", user="u" * 90 + str(n)) for n in range(20000))
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, *lines)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    server = Nginx(folder / "nginx", app.address)
    try:
        answer = server.admin(f"/system/metrics/breakdown?{RANGE}&group_by=user")
        assert len(answer.json()["items"]) == 20000
    finally:
        server.stop()


def test_a_browser_that_goes_away_ends_the_report(nginx, shared_fake):
    hold = Hold()
    before = shared_fake.server.answer
    shared_fake.answers(hold)
    try:
        connection = http.client.HTTPConnection("x")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(nginx.directory / "http.sock"))
        connection.request("GET", f"/system/metrics?{RANGE}", headers={"Authorization": basic()})
        hold.wait_held(2)
        connection.close()
        hold.wait_gone()
    finally:
        shared_fake.server.answer = before


# CORS: an option of the configuration, for routes that the ingress does not add it to.

def test_without_the_option_no_header_of_cors_is_there(nginx):
    answer = nginx.admin(f"/system/metrics?{RANGE}", headers={"Origin": "https://dashboard.example.org"})
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("target", ["/system/metrics", "/system/metrics/", "/system/metrics/breakdown?group_by=user",
                                    "/system/metrics/yolo", "/system/metrics/owners"])
def test_a_preflight_is_answered_before_authentication(nginx_with_cors, target):
    answer = nginx_with_cors.get(target, method="OPTIONS", headers={
        "Origin": "https://dashboard.example.org", "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization"})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Access-Control-Allow-Origin") == "*"
    assert "GET" in answer.header("Access-Control-Allow-Methods").split(", ")
    # By name: "*" does not cover it.
    assert "authorization" in answer.header("Access-Control-Allow-Headers").lower().split(", ")


CORS = [("/system/metrics", None, 401), ("/system/metrics?end=x", basic(), 400),
        (f"/system/metrics?{RANGE}", basic(), 200), ("/system/metrics/a/b", basic(), 404)]


@pytest.mark.parametrize("target,auth,status", CORS)
def test_every_answer_may_be_read_across_origins(nginx_with_cors, target, auth, status):
    answer = nginx_with_cors.get(target, auth=auth, headers={"Origin": "https://dashboard.example.org"})
    assert answer.status == status
    assert answer.header("Access-Control-Allow-Origin") == "*"
    expect.common_headers(answer)


# nginx's own errors: one line of text, since dashboards put it into their page.

def test_a_program_that_is_away_is_one_line_of_text(folder):
    server = Nginx(folder / "nginx", folder / "nobody.sock")
    try:
        answer = server.admin("/system/metrics")
        assert answer.status == 502
        assert answer.header("Content-Type").startswith("text/plain")
        assert answer.body.count(b"\n") <= 1 and b"<" not in answer.body
    finally:
        server.stop()


def test_a_program_that_comes_back_is_asked_at_once(start, folder):
    """However often it was away: nginx does not leave it out for a while."""
    server = Nginx(folder / "nginx", folder / "app.sock")
    try:
        assert [server.get("/system/metrics").status for _ in range(5)] == [502] * 5
        start(how="listen", address=str(folder / "app.sock"))
        assert server.get("/system/metrics").status == 401
    finally:
        server.stop()


def test_an_answer_whose_program_dies_is_known_by_its_length(folder):
    """What has gone out cannot be asked for again, and nginx takes the end of the connection for the end of the answer. So
    nothing may take the length away, compression neither."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "app.sock"))
        listening.listen()
        server = Nginx(folder / "nginx", folder / "app.sock", http="gzip on; gzip_types *; gzip_min_length 1;")
        begun = fcgi.record(fcgi.STDOUT, 1, b"Content-Type: text/csv\r\nContent-Length: 100\r\n\r\n0123456789")

        def die():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(begun)

        dying = threading.Thread(target=die)
        dying.start()
        try:
            with pytest.raises(http.client.IncompleteRead) as cut:
                server.get("/system/metrics", headers={"Accept-Encoding": "gzip", "Connection": "close"})
            assert cut.value.partial == b"0123456789"
        finally:
            dying.join()
            server.stop()
