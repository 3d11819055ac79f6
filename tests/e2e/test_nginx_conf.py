"""The project's nginx files, with stand-ins for the program and for OSCAR's manager: what nginx answers itself, and
what it passes on."""
import base64
import http.client
import http.server
import pathlib
import shutil
import socket
import socketserver
import struct
import subprocess
import threading

import pytest
from harness.waiting import PATIENCE, wait_until

FILES = pathlib.Path(__file__).resolve().parents[2] / "nginx"
BASIC = "Basic " + base64.b64encode(b"oscar:secret").decode()

MAIN = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include oscar-metrics-upstream.conf;
    include example.conf;
}}
"""

CORS = [("oscar-metrics.fastcgi_params", "#include oscar-metrics-cors.conf;", "include oscar-metrics-cors.conf;"),
        ("oscar-metrics.conf", "#include oscar-metrics-cors.conf;", "include oscar-metrics-cors.conf;")]
LIMIT = [("oscar-metrics-upstream.conf", "#map ", "map "), ("oscar-metrics-upstream.conf", "#limit_req_zone", "limit_req_zone"),
         ("oscar-metrics-upstream.conf", "#    default", "    default"), ("oscar-metrics-upstream.conf", '#    "', '    "'),
         ("oscar-metrics-upstream.conf", "#}", "}"), ("oscar-metrics.fastcgi_params", "#limit_req ", "limit_req ")]
IMPATIENT = [("oscar-metrics.fastcgi_params", "fastcgi_read_timeout 60s;", "fastcgi_read_timeout 300ms;")]


class Ingress:
    """nginx with example.conf, its addresses turned into sockets in `folder`."""

    def __init__(self, folder, changes=()):
        self.folder = folder
        self.sockets = {name: folder / name for name in ("public", "operator", "app", "manager")}
        for file in FILES.iterdir():
            shutil.copy(file, folder)
        self.change([
            ("oscar-metrics-upstream.conf", "unix:/run/oscar-metrics/oscar-metrics.sock", f"unix:{folder}/app"),
            ("example.conf", "listen 80;", f"listen unix:{folder}/public;"),
            ("example.conf", "    listen [::]:80;\n", ""),
            ("example.conf", "listen 127.0.0.1:8081;", f"listen unix:{folder}/operator;"),
            ("example.conf", "oscar.oscar.svc.cluster.local:8080", f"unix:{folder}/manager"),
            *changes])
        user = "user root;" if pathlib.Path("/proc/self").stat().st_uid == 0 else ""
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
        self.process = subprocess.Popen(["nginx", "-p", str(folder), "-e", "error.log", "-c", "nginx.conf"],
                                        stdin=subprocess.DEVNULL)
        try:
            wait_until(self._is_ready, "nginx to listen")
        except BaseException:
            self.stop()
            raise

    def change(self, changes):
        for name, old, new in changes:
            file = self.folder / name
            text = file.read_text()
            assert old in text, f"{old!r} is not in {name}"
            file.write_text(text.replace(old, new))

    def _is_ready(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        try:
            return self.ask("/", server="operator").status == 404
        except (FileNotFoundError, ConnectionError):
            return False

    def ask(self, target, server="public", method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("oscar.example.org", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        try:
            connection.sock.connect(str(self.sockets[server]))
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            response.text = response.read().decode()
            return response
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def ingress(folder):
    """ingress(changes) -> Ingress, ended after the test."""
    started = []

    def start(*changes):
        started.append(Ingress(folder, [row for rows in changes for row in rows]))
        return started[0]

    yield start
    for one in started:
        one.stop()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)  # what http.server takes for an address


def serve(path, handler):
    """Serves on a Unix socket until the returned server is shut down."""
    server = _Server(str(path), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def program(folder):
    """A stand-in for the program: answers with the parameters that it got, and the length of the body."""
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            params, body = b"", 0
            while True:
                kind, length, padding = struct.unpack(">xBxxHBx", self.rfile.read(8))
                content = self.rfile.read(length)
                self.rfile.read(padding)
                params += content if kind == 4 else b""
                body += length if kind == 5 else 0
                if kind == 5 and not length:
                    break
            text = f"Content-Type: text/plain\r\n\r\nbody {body}\n".encode() + b"".join(
                name + b"=" + value + b"\n" for name, value in pairs(params))
            self.wfile.write(struct.pack(">BBHHBx", 1, 6, 1, len(text), 0) + text +
                             struct.pack(">BBHHBx8x", 1, 3, 1, 8, 0))

    with serve(folder / "app", Handler) as server:
        yield server
        server.shutdown()


def pairs(data):
    def length(at):
        if data[at] < 128:
            return data[at], at + 1
        return struct.unpack_from(">I", data, at)[0] & 0x7fffffff, at + 4

    at = 0
    while at < len(data):
        name, at = length(at)
        value, at = length(at)
        yield data[at:at + name], data[at + name:at + name + value]
        at += name + value


@pytest.fixture
def manager(folder):
    """A stand-in for OSCAR's manager: answers with what it was asked."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            text = f"{self.command} {self.path}\nAuthorization: {self.headers['Authorization']}\n" \
                   f"Host: {self.headers['Host']}\nbody {len(body)}\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with serve(folder / "manager", Handler) as server:
        yield server
        server.shutdown()


def assert_line(answer, status, text):
    """One line of plain text, as the program itself words its errors."""
    assert (answer.status, answer.text) == (status, text)
    assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Vary") == "Authorization"


@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/", "/system/metrics/yolo?metric=cpu-hours"])
@pytest.mark.parametrize("method, text", [("GET", "metrics are not available\n"), ("HEAD", ""),
                                          ("POST", "metrics are not available\n")])
def test_no_program_is_one_line_of_502(ingress, path, method, text):
    assert_line(ingress().ask(path, method=method), 502, text)


def test_slow_program_is_one_line_of_504(ingress, folder):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "app"))
        silent.listen()
        assert_line(ingress(IMPATIENT).ask("/system/metrics"), 504, "metrics took too long\n")
        # It was asked once: another time would take as long again.
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_errors_of_nginx_are_not_pages_that_can_be_asked_for(ingress):
    assert ingress().ask("/-/oscar-metrics/502").status == 404


@pytest.mark.parametrize("target, script, query", [
    ("/system/metrics", "/system/metrics", ""),
    ("/system/metrics/", "/system/metrics/", ""),
    ("/system/metrics?start=a%20b&x=%2525", "/system/metrics", "start=a%20b&x=%2525"),
    ("/system//metrics/./a%252Fb", "/system/metrics/a%2Fb", ""),
    ("/other/../system/metrics/breakdown?", "/system/metrics/breakdown", ""),
])
def test_path_is_decoded_once_and_query_is_raw(ingress, program, target, script, query):
    text = ingress().ask(target).text
    assert f"\nSCRIPT_NAME={script}\n" in text
    assert f"\nQUERY_STRING={query}\n" in text
    assert "\nREQUEST_METHOD=GET\n" in text


def test_credentials_pass_but_no_unverified_user(ingress, program):
    text = ingress().ask("/system/metrics", Authorization=BASIC).text
    assert f"\nHTTP_AUTHORIZATION={BASIC}\n" in text
    assert "REMOTE_USER" not in text


def test_long_token_passes(ingress, program):
    token = "Bearer " + "x" * 12_000
    assert f"\nHTTP_AUTHORIZATION={token}\n" in ingress().ask("/system/metrics", Authorization=token).text


def test_body_is_not_passed(ingress, program):
    text = ingress().ask("/system/metrics", method="POST", body=b"x" * 5000).text
    assert text.startswith("body 0\n") and "\nCONTENT_LENGTH=\n" in text


def test_preflight_is_answered_before_the_program(ingress):
    answer = ingress(CORS).ask("/system/metrics/breakdown", method="OPTIONS", Origin="https://dashboard.example.org",
                               Access_Control_Request_Method="GET", Access_Control_Request_Headers="authorization")
    assert (answer.status, answer.text) == (204, "")
    assert answer.msg.get_all("Access-Control-Allow-Origin") == ["*"]
    assert "GET" in answer.getheader("Access-Control-Allow-Methods")
    # "*" does not cover Authorization: it must stand there by name.
    assert "Authorization" in answer.getheader("Access-Control-Allow-Headers").split(", ")


def test_other_origins_may_read_answers_and_errors(ingress, program):
    server = ingress(CORS)
    assert server.ask("/system/metrics").msg.get_all("Access-Control-Allow-Origin") == ["*"]
    program.shutdown()
    program.server_close()
    answer = server.ask("/system/metrics")
    assert answer.msg.get_all("Access-Control-Allow-Origin") == ["*"]
    assert_line(answer, 502, "metrics are not available\n")


def test_without_the_option_the_program_sees_options(ingress, program):
    answer = ingress().ask("/system/metrics", method="OPTIONS")
    assert "\nREQUEST_METHOD=OPTIONS\n" in answer.text
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_guessing_is_slowed_down_and_tokens_are_not(ingress, program):
    server = ingress(LIMIT)
    answers = [server.ask("/system/metrics", Authorization=BASIC) for _ in range(60)]
    assert [answer.status for answer in answers[:20]] == [200] * 20
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    for answer in refused:
        assert_line(answer, 503, "too busy\n")
        assert answer.getheader("Retry-After")
    assert [server.ask("/system/metrics", Authorization="Bearer x").status for _ in range(40)] == [200] * 40
    assert [server.ask("/system/metrics").status for _ in range(40)] == [200] * 40


@pytest.mark.parametrize("before", ["\t", "\v", "\f"])
def test_white_space_before_the_scheme_does_not_hide_a_guess(ingress, program, before):
    # nginx cuts blanks alone; the program takes such a header for Basic.
    server = ingress(LIMIT)
    statuses = [server.ask("/system/metrics", Authorization=before + BASIC).status for _ in range(60)]
    assert 503 in statuses


@pytest.mark.parametrize("path", ["/", "/system/config", "/system/metricsx", "/run/yolo?x=%20", "/-/healthy",
                                  "/system/services/nb/exposed/lab"])
def test_every_other_path_goes_to_the_manager(ingress, program, manager, path):
    answer = ingress().ask(path, Authorization="Bearer token")
    assert answer.text.startswith(f"GET {path}\nAuthorization: Bearer token\nHost: oscar.example.org\n")


def test_files_of_any_size_go_to_the_manager(ingress, manager):
    answer = ingress().ask("/run/yolo", method="POST", body=b"x" * 3_000_000, Authorization=BASIC)
    assert f"Authorization: {BASIC}\n" in answer.text and "body 3000000\n" in answer.text


def test_metrics_do_not_go_to_the_manager(ingress, program, manager):
    server = ingress()
    for path in ("/system/metrics", "/system/metrics/", "/system/metrics/yolo"):
        assert server.ask(path).text.startswith("body 0\n")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/-/metrics"])
def test_operator_has_a_server_of_his_own(ingress, program, path):
    assert f"\nSCRIPT_NAME={path}\n" in ingress().ask(path, server="operator").text
