"""A scripted stand-in for Prometheus: records what it is asked, and answers what a test wants.

The answer is chosen by `answer(query, time)`, which a test replaces; by default an empty vector."""
import http.server
import json
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse

from .waiting import PATIENCE


def vector(*values, warnings=None):
    """The body of an instant query with these samples."""
    result = [{"metric": {"n": str(n)}, "value": [1767225600, value]} for n, value in enumerate(values)]
    return success("vector", result, warnings)


def success(kind, result, warnings=None):
    body = {"status": "success", "data": {"resultType": kind, "result": result}}
    if warnings is not None:
        body["warnings"] = warnings
    return json.dumps(body)


def failure(kind="execution", text="something broke"):
    return json.dumps({"status": "error", "errorType": kind, "error": text})


class Reply:
    def __init__(self, body, status=200, content_type="application/json", headers=()):
        self.body = body if isinstance(body, bytes) else body.encode()
        self.status = status
        self.content_type = content_type
        self.headers = headers


class Cut(Reply):
    """Promises the whole body, sends the first half, and closes; with `reset`, by a TCP reset."""

    def __init__(self, body, reset=False):
        super().__init__(body)
        self.reset = reset


class Endless:
    """A body that never ends; `sent`: how many bytes of it somebody took."""
    sent = 0


class Hold:
    """Answers with `reply` once the test calls release(); notices when the client goes away before."""
    seconds = float("inf")

    def __init__(self, reply=None):
        self.reply = reply or Reply(vector("1"))
        self.held = threading.Semaphore(0)
        self._released = threading.Event()
        self._gone = threading.Event()

    def release(self):
        self._released.set()

    def wait_held(self, count=1):
        """Waits until that many requests are being held."""
        for _ in range(count):
            assert self.held.acquire(timeout=PATIENCE), "no request came to be held"

    def wait_gone(self):
        assert self._gone.wait(PATIENCE), "the client did not go away"

    def hold(self, connection):
        """True when released, or so late, False when the client closed its end."""
        end = time.monotonic() + self.seconds
        self.held.release()
        while (left := end - time.monotonic()) > 0 and not self._released.is_set():
            readable, _, _ = select.select([connection], [], [], min(left, 0.02))
            if readable and _has_ended(connection):
                self._gone.set()
                return False
        return True


class Late(Hold):
    """Answers with `reply` so many seconds after each request came."""

    def __init__(self, reply, seconds):
        super().__init__(reply)
        self.seconds = seconds


def _has_ended(connection):
    if not isinstance(connection, ssl.SSLSocket):
        return not connection.recv(1, socket.MSG_PEEK)
    # What can be read may be TLS' own. Nobody sends a second request before the answer to the first.
    connection.setblocking(False)
    try:
        assert connection.recv(1) == b""
        return True
    except ssl.SSLWantReadError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.setblocking(True)


class Asked:
    """One request that came."""

    def __init__(self, handler, form):
        self.method = handler.command
        self.path = handler.path
        self.headers = handler.headers
        self.form = {name: values[0] for name, values in form.items()}
        self.query = self.form.get("query", "")
        self.time = self.form.get("time")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart

    def read_form(self):
        length = int(self.headers.get("Content-Length", "0"))
        return urllib.parse.parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)

    def do_POST(self):
        asked = Asked(self, self.read_form())
        with self.server.lock:
            self.server.asked.append(asked)
        self.reply(self.server.answer(asked))

    do_GET = do_POST

    def reply(self, reply):
        if isinstance(reply, Hold):
            with self.server.lock:
                self.server.holds.add(reply)
            if not reply.hold(self.connection):
                self.close_connection = True
                return
            reply = reply.reply
        if isinstance(reply, Endless):
            self._send_endless(reply)
            return
        if isinstance(reply, str):
            reply = Reply(reply)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if isinstance(reply, Cut):
            self.wfile.write(reply.body[:len(reply.body) // 2])
            self.close_connection = True
            if reply.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            return
        self.wfile.write(reply.body)

    def _send_endless(self, reply):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"status":"success","warnings":["')
        while True:
            self.wfile.write(b"x" * 65536)  # until the client closes
            reply.sent += 65536

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that goes away is nothing to report: tests look for it themselves."""


class FakePrometheus:
    def __init__(self):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.lock = threading.Lock()
        self.server.asked = []
        self.server.holds = set()
        self.server.answer = lambda asked: vector()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answers(self, answer):
        """From now on: `answer` is a body, a Reply, a Hold, ..., or a function of what was asked."""
        self.server.answer = answer if callable(answer) else lambda asked: answer

    def answers_by_kind(self, cpu, gpu):
        """One answer for the query over container_cpu_..., another for the one over container_gpu_..."""
        self.answers(lambda asked: gpu if "gpu" in asked.query else cpu)

    @property
    def asked(self):
        with self.server.lock:
            return list(self.server.asked)

    def forget(self):
        with self.server.lock:
            self.server.asked.clear()

    def close(self):
        # A test that failed leaves nobody waiting.
        with self.server.lock:
            for hold in self.server.holds:
                hold.release()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
