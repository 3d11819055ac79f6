"""A server that stands in front of another one, behind TLS, and passes on what it is asked, until it is told to fail:
`fail(fault)` switches a fault on, `work()` off again, and the address stays the same. Faults of connecting (REFUSES,
NEVER_CONNECTS, NEVER_ANSWERS, shows(certificate)) meet everybody; all others may be limited to some paths.

A fault of answering is a function of an Answering, which has the request and the right answer to it."""
import collections
import functools
import http.client
import re
import select
import socket
import ssl
import struct
import threading
import urllib.parse

from .preload import preload
from .waiting import PATIENCE, SLOWDOWN

GIGABYTE = 1 << 30
PIECE, LARGE_PIECE = 64 * 1024, 1 << 20
LOOK_SECONDS = 0.05
DRIP_SECONDS = 0.5 * SLOWDOWN

Right = collections.namedtuple("Right", "status type body")

REFUSES, NEVER_CONNECTS, NEVER_ANSWERS = "refuses", "never connects", "never answers"


def shows(context):
    """The server shows this certificate instead of its own."""
    return context


class Gone(Exception):
    """The client closed the connection, or the fault is over."""


class Answering:
    """One request that is to be answered badly. `right`: what would be the answer; it is asked for when it is looked
    at."""

    def __init__(self, connection, path, ask, over):
        self.connection, self.path, self._ask, self._over = connection, path, ask, over
        self.sent = 0  # bytes of the body

    @functools.cached_property
    def right(self):
        return self._ask()

    def head(self, status, kind, length, *headers):
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *headers]
        lines += [f"Content-Length: {length}"] if length is not None else ["Connection: close"]
        self.connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def body(self, data):
        try:
            self.connection.sendall(data)
        except (OSError, ValueError):
            raise Gone from None
        self.sent += len(data)

    def wait(self, seconds=None):
        """So long, or for ever: until nobody waits for it any more."""
        while seconds is None or seconds > 0:
            stretch = LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS)
            if self._over.wait(stretch) or _is_closed(self.connection):
                raise Gone
            seconds = None if seconds is None else seconds - stretch

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise Gone


def _is_closed(connection):
    try:
        if not select.select([connection], [], [], 0)[0]:
            return False
        return not connection.recv(1)
    except (OSError, ValueError):
        return True


# Faults of answering.

def slow_first_byte(answering):
    answering.wait()


def slow_drip(answering):
    """The right answer, a byte now and then."""
    answering.head(answering.right.status, answering.right.type, len(answering.right.body))
    for at in range(len(answering.right.body)):
        answering.body(answering.right.body[at:at + 1])
        answering.wait(DRIP_SECONDS)


def reset_half_way(answering):
    answering.head(answering.right.status, answering.right.type, len(answering.right.body))
    answering.body(answering.right.body[:len(answering.right.body) // 2])
    answering.reset()


def cut_short(answering):
    """Half of the right answer, and its length says that this is all."""
    half = answering.right.body[:len(answering.right.body) // 2]
    answering.head(answering.right.status, answering.right.type, len(half))
    answering.body(half)


def says(body, status=200, kind="application/json", *headers):
    """A fault that answers with this."""
    data = body if isinstance(body, bytes) else body.encode()

    def fault(answering):
        answering.head(status, kind, len(data), *headers)
        answering.body(data)

    return fault


def gigabyte(prefix, stated):
    """JSON without an end to speak of; `stated`: its length is told before."""
    piece = b"x" * LARGE_PIECE

    def fault(answering):
        answering.head(200, "application/json", GIGABYTE if stated else None)
        answering.body(prefix.encode())
        while answering.sent < GIGABYTE:
            answering.body(piece)

    return fault


class FaultServer:
    """`upstream`: the URL of what stands behind it, by plain HTTP; `certificate`: an ssl.SSLContext."""

    def __init__(self, upstream, certificate, host="127.0.0.1"):
        self._upstream = urllib.parse.urlsplit(upstream)
        self._certificate = certificate
        self._lock = threading.Lock()
        self._connections, self._threads, self._acceptor = set(), [], None
        self._fault, self._paths, self._over = None, None, threading.Event()
        self._sent, self._hits = 0, 0
        # Keeps the port while nobody listens there.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self.url = f"https://{host}:{self.port}"
        self._listener, self._waiting = None, []
        self._listen()

    @property
    def most_sent(self):
        """How many bytes of a body it got rid of at most in one bad answer."""
        with self._lock:
            return self._sent

    @property
    def hits(self):
        """How many met the fault of answering that is on, or was the last."""
        with self._lock:
            return self._hits

    def fail(self, fault, paths=""):
        """From now on; `paths`: a regular expression for the beginning of those that fail."""
        self._switch(fault, paths)

    def work(self):
        self._switch(None, "")

    def close(self):
        self._stop_listening()
        self._cut()
        self._place.close()

    # Switching.

    def _switch(self, fault, paths):
        self._stop_listening()
        with self._lock:
            over, self._over = self._over, threading.Event()
            self._fault, self._paths = fault, re.compile(paths)
            if fault:
                self._sent = self._hits = 0
        over.set()
        self._cut()
        if fault is not REFUSES:
            self._listen()

    def _cut(self):
        """Nobody accepts any more."""
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # closed by then
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _listen(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        if self._fault is NEVER_CONNECTS:
            self._fill()
            return
        self._listener.listen(256)
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,))
        self._acceptor.start()

    def _fill(self):
        """Nobody accepts, and the queue is full: the kernel leaves out what comes to a full queue."""
        self._listener.listen(0)
        while True:
            connection = socket.socket()
            self._waiting.append(connection)
            connection.settimeout(0.2)
            try:
                connection.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return

    def _stop_listening(self):
        if self._listener:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            except OSError:
                pass
            self._listener.close()
        if self._acceptor:
            self._acceptor.join()
        for connection in self._waiting:
            connection.close()
        self._listener, self._acceptor, self._waiting = None, None, []

    # Serving.

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection, self._fault, self._over)))
            self._threads[-1].start()

    def _serve(self, raw, fault, over):
        connection = raw
        try:
            if fault is NEVER_ANSWERS:
                _read_until(raw, over)
                return
            raw.settimeout(PATIENCE)
            context = fault if isinstance(fault, ssl.SSLContext) else self._certificate
            connection = context.wrap_socket(raw, server_side=True)
            with self._lock:
                self._connections.discard(raw)
                self._connections.add(connection)
            while self._answer(connection, None if isinstance(fault, ssl.SSLContext) else fault, over):
                pass
        except (OSError, ValueError, Gone):
            pass  # the client's business, or the test's
        finally:
            with self._lock:
                self._connections -= {raw, connection}
            connection.close()

    def _answer(self, connection, fault, over):
        request = _read_request(connection)
        if request is None or over.is_set():
            return False
        method, target, headers, body = request
        answering = Answering(connection, target, lambda: self._ask(method, target, headers, body), over)
        if fault is None or not self._paths.match(target):
            answering.head(answering.right.status, answering.right.type, len(answering.right.body))
            answering.body(answering.right.body)
            return True
        with self._lock:
            self._hits += 1
        try:
            fault(answering)
        finally:
            with self._lock:
                self._sent = max(self._sent, answering.sent)
        return False  # nothing more can come behind it

    def _ask(self, method, target, headers, body):
        behind = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=PATIENCE)
        try:
            behind.request(method, target, body, headers)
            answer = behind.getresponse()
            return Right(answer.status, answer.getheader("Content-Type", "text/plain"), answer.read())
        finally:
            behind.close()


def _read_until(connection, over):
    """What comes is read and not looked at."""
    while not over.is_set():
        if select.select([connection], [], [], LOOK_SECONDS)[0] and not connection.recv(PIECE):
            return


def _read_request(connection):
    """(method, target, headers, body); None: there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(PIECE)
        if not piece:
            return None
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("Content-Length", 0)):
        piece = connection.recv(PIECE)
        if not piece:
            return None
        body += piece
    return method, target, headers, body


class Resolver:
    """Who asks for addresses with these settings finds `host`, which is one of *.backends.invalid, only while it is
    known, as it is at first (resolver.c)."""

    def __init__(self, folder, host):
        assert host.endswith(".backends.invalid")
        self.host = host
        self._knows = folder / "knows"
        self.settings = {**preload(folder, "resolver"), "RESOLVER_KNOWS": self._knows}
        self.know()

    def know(self):
        self._knows.touch()

    def forget(self):
        self._knows.unlink()
