"""Plain CGI: the program alone, and under the real fcgiwrap behind a real nginx."""
import re
import socket
import subprocess

import pytest

from harness import expect, fcgi, logdata
from harness.app import BINARY, Apps, environment
from harness.cgi import CgiApp, Fcgiwrap
from harness.client import ADMIN, PASSWORD, USER
from harness.fake_prometheus import FakePrometheus, Hold, vector
from harness.nginx import Nginx
from harness.waiting import PATIENCE, SLOWDOWN, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"


@pytest.fixture
def app(folder):
    """app(NAME=VALUE, ...) -> CgiApp"""
    (folder / "cgi").mkdir()
    apps = Apps(folder / "cgi", CgiApp)
    yield lambda **settings: apps.start(settings)
    apps.stop()


# Whether it is asked as CGI at all.

@pytest.mark.parametrize("arguments", [["--check-config"], ["--help"], ["--version"], ["--nonsense"], ["x"],
                                       ["report"], ["report", "--format=json"], ["--print-settings-page"]])
def test_pieces_of_a_query_are_no_options(app, arguments):
    cgi = app()
    answer = fcgi.parse_cgi(cgi.run(cgi.params("/system/metrics", arguments[0], auth=None), *arguments).stdout)
    expect.plain(answer, 401, "authentication required")


def test_a_listening_socket_is_fastcgi_whatever_the_environment_says(start):
    running = start({"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST"})
    assert running.get("/-/ready").json()["status"] == "ready"


@pytest.mark.parametrize("interface", [None, "", "CGI", "FastCGI/1.0", "cgi/1.1"])
def test_without_the_interface_it_is_no_cgi(interface):
    done = subprocess.run([BINARY], env=environment({"GATEWAY_INTERFACE": interface}), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no listening socket" in done.stderr


# The path: what was matched, and the rest behind it.

PATHS = [
    ({"SCRIPT_NAME": "/system/metrics"}, "totals"),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": ""}, "totals"),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "/"}, "totals"),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "/owners"}, "owners"),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "/yolo"}, "service_name"),
    ({"SCRIPT_NAME": "/system", "PATH_INFO": "/metrics/yolo"}, "service_name"),
    ({"SCRIPT_NAME": "", "PATH_INFO": "/system/metrics/yolo"}, "service_name"),
    ({"SCRIPT_NAME": None, "PATH_INFO": "/system/metrics/owners"}, "owners"),
    ({"SCRIPT_NAME": "/system/metrics/owners"}, "owners"),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "/a/b"}, None),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "/system/metrics"}, None),
    ({"SCRIPT_NAME": "/system/metrics", "PATH_INFO": "x"}, None),
    ({"SCRIPT_NAME": None, "PATH_INFO": None}, None),
    ({"SCRIPT_NAME": "/cgi-bin/oscar-metrics", "PATH_INFO": "/system/metrics"}, None),
]


def asked(cgi, row):
    values = {**cgi.params("/", DAY), **row}
    return {name: value for name, value in values.items() if value is not None}


def check_path(answer, field):
    if field is None:
        expect.plain(answer, 404, "not found")
    else:
        assert field in answer.json()


@pytest.mark.parametrize("row,field", PATHS)
def test_the_path_is_the_scripts_name_and_the_rest(app, row, field):
    cgi = app()
    check_path(fcgi.parse_cgi(cgi.run(asked(cgi, row)).stdout), field)


def test_the_path_is_the_same_for_fastcgi(start):
    running = start()
    for row, field in PATHS:
        check_path(fcgi.ask(running.address, asked(running, row)), field)


# Settings and the end of the process.

def test_faults_of_the_settings_are_answered_and_logged(app):
    cgi = app(OSCAR_METRICS_DEADLINE="soon", OSCAR_PASSWORD="")
    done = cgi.run(cgi.params("/system/metrics"))
    assert done.returncode == 1
    expect.plain(fcgi.parse_cgi(done.stdout), 500, "settings are wrong: see the log")
    assert "OSCAR_METRICS_DEADLINE: is not a duration" in cgi.stderr()
    assert "OSCAR_PASSWORD: is required" in cgi.stderr()


def test_faults_of_the_settings_have_no_body_for_head(app):
    cgi = app(OSCAR_METRICS_DEADLINE="soon")
    answer = fcgi.parse_cgi(cgi.run(cgi.params("/system/metrics", method="HEAD")).stdout)
    assert (answer.status, answer.body) == (500, b"")


def test_headers_of_the_client_are_no_settings(app):
    cgi = app(OSCAR_PASSWORD=None)
    done = cgi.run(cgi.params("/system/metrics", HTTP_OSCAR_PASSWORD="x"))
    expect.plain(fcgi.parse_cgi(done.stdout), 500, "settings are wrong: see the log")


def test_every_request_leaves_a_line_in_the_log(app):
    cgi = app()
    cgi.get("/system/metrics/yolo", DAY)
    assert "path=/system/metrics/yolo route=/system/metrics/{serviceName} status=200" in cgi.stderr()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_process_for_one_request_has_no_figures(app, method):
    answer = app().get("/-/metrics", auth=None, method=method)
    assert answer.status == 404


def test_a_process_for_one_request_knows_nothing_of_backends(app):
    ready = app().get("/-/ready", auth=None).json()
    assert ready["status"] == "ready"
    assert {each["status"] for each in ready["backends"]} == {"unknown"}


def test_a_proxy_header_moves_no_request(app, fake):
    fake.answers(vector("2.5"))
    proxy = FakePrometheus()
    try:
        answer = app(PROMETHEUS_URL=fake.url).get("/system/metrics", DAY, HTTP_PROXY=proxy.url)
        assert proxy.asked == []
    finally:
        proxy.close()
    assert answer.json()["totals"]["cpu_hours_total"] == 2.5


def test_it_ends_when_nobody_reads_the_answer(app, fake):
    held = Hold()
    fake.answers(held)
    cgi = app(PROMETHEUS_URL=fake.url)
    env = {**environment(cgi.settings), "GATEWAY_INTERFACE": "CGI/1.1", **cgi.params("/system/metrics", DAY)}
    with subprocess.Popen([BINARY], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=cgi.errors) as process:
        held.wait_held()
        process.stdout.close()
        held.wait_gone()
        assert process.wait(timeout=PATIENCE) == 0


def test_it_ends_when_the_answer_is_never_read(app, folder):
    """Whoever started it keeps the pipe, and reads nothing: it ends at the time when every answer does."""
    logdata.write_many_users(folder / "x.log", 5000)
    cgi = app(OSCAR_METRICS_LOG_FILES=folder / "x.log", OSCAR_METRICS_DEADLINE=f"{round(2 * SLOWDOWN)}s")
    values = cgi.params("/system/metrics/breakdown", DAY + "&group_by=user&format=csv")
    whole = fcgi.parse_cgi(cgi.run(values).stdout)
    assert whole.status == 200 and whole.body.count(b"\n") == 5001
    env = {**environment(cgi.settings), "GATEWAY_INTERFACE": "CGI/1.1", **values}
    with subprocess.Popen([BINARY], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=cgi.errors) as process:
        try:
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            process.kill()
        taken = process.stdout.read()
    assert 0 < len(taken) < len(whole.body)
    [bytes_taken] = re.findall(r" bytes=(\d+) cut=true ", cgi.stderr())
    assert taken.endswith(whole.body[:int(bytes_taken)])


# Under fcgiwrap.

class Wrapped:
    """nginx with the project's files for CGI, and fcgiwrap behind it. The settings of the program stand in nginx's."""

    def __init__(self, folder, settings, processes=1):
        for name in ("wrap", "nginx"):
            assert not (folder / name).exists()
        (folder / "wrap").mkdir()
        self.wrap = Fcgiwrap(folder / "wrap", {"OSCAR_USERNAME": None, "OSCAR_PASSWORD": None, "PROMETHEUS_URL": None},
                             processes)
        self.nginx = Nginx(folder / "nginx", self.wrap.address, cgi={
            "OSCAR_USERNAME": USER, "OSCAR_PASSWORD": PASSWORD, "PROMETHEUS_URL": "none", **settings})

    def stop(self):
        try:
            self.nginx.stop()
        finally:
            self.wrap.stop()


@pytest.fixture(scope="module")
def wrapped(shared_folder):
    logdata.write(shared_folder / "manager.log", logdata.REQUESTS_BEGIN,
                  *[logdata.request("2026-01-01T10:00:00Z", "/run/yolo")] * 3)
    running = Wrapped(shared_folder, {"OSCAR_METRICS_LOG_FILES": f"{shared_folder}/manager.log*"}, processes=4)
    yield running
    running.stop()


REPORTS = {"": "totals", "/": "totals", "/breakdown?group_by=service&format=json": "items", "/owners": "owners",
           "/yolo": "metrics", "/yolo?metric=users-per-service": "value"}


@pytest.mark.parametrize("target", REPORTS)
def test_every_path_is_answered_behind_nginx(wrapped, target):
    assert REPORTS[target] in wrapped.nginx.admin("/system/metrics" + target).json()


def test_the_requests_are_counted_behind_nginx(wrapped):
    answer = wrapped.nginx.admin(f"/system/metrics/breakdown?{DAY}&group_by=user")
    assert [(item["key"], item["executions_count"]) for item in answer.json()["items"]] == [("a1@egi.eu", 3)]
    assert answer.header("OSCAR-Metrics-Complete") == "true"


def test_refusals_pass_nginx_as_they_are(wrapped):
    answer = wrapped.nginx.get("/system/metrics")
    assert answer.header("WWW-Authenticate") == 'Basic realm="Authorization Required"'
    expect.plain(answer, 401, "authentication required")
    expect.bad_request(wrapped.nginx.admin("/system/metrics?end=x"), "invalid end timestamp")
    expect.plain(wrapped.nginx.admin("/system/metrics/a/b"), 404, "not found")
    expect.plain(wrapped.nginx.admin("/system/metrics", method="DELETE"), 405, "method not allowed")


def test_the_operator_is_answered_behind_nginx(wrapped):
    assert wrapped.nginx.get("/-/ready", server="operator").json()["status"] == "ready"


def test_head_has_no_body_behind_nginx(wrapped):
    answer = wrapped.nginx.admin("/system/metrics", method="HEAD")
    assert (answer.status, answer.body) == (200, b"") and int(answer.header("Content-Length")) > 0


def test_faults_of_the_settings_are_answered_behind_nginx(folder):
    running = Wrapped(folder, {"OSCAR_METRICS_MAX_RANGE": "long"})
    try:
        expect.plain(running.nginx.admin("/system/metrics"), 500, "settings are wrong: see the log")
        assert "OSCAR_METRICS_MAX_RANGE: is not a duration" in running.wrap.stderr()
    finally:
        running.stop()


# fcgiwrap does not look after its client while the program is silent: what runs runs to its end.
def test_a_client_that_went_away_leaves_nothing_behind(folder, fake):
    held = Hold()
    fake.answers(held)
    running = Wrapped(folder, {"PROMETHEUS_URL": fake.url})
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(folder / "nginx" / "http.sock"))
            client.sendall(f"GET /system/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\r\n".encode())
            held.wait_held()
            assert running.wrap.running() == 1
        held.release()
        wait_until(lambda: running.wrap.running() == 0, "the process to end")
        fake.answers(vector("1"))
        assert running.nginx.admin("/system/metrics").status == 200
    finally:
        held.release()
        running.stop()
