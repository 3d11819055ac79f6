"""A small FastCGI client of its own records, for bytes that no web server lets through.

Only what the FastCGI 1.0 specification says is used; nothing is shared with the program under test."""
import os
import socket
import struct

from .answer import Answer
from .waiting import PATIENCE

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11

RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1

REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = 0, 1, 2, 3


class Closed(Exception):
    """The program closed the connection before the answer was complete; `begun`: after some of it."""

    def __init__(self, begun):
        super().__init__("closed " + ("within the answer" if begun else "without an answer"))
        self.begun = begun


def record(kind, request_id, content=b"", padding=0):
    return struct.pack(">BBHHBx", 1, kind, request_id, len(content), padding) + content + b"\0" * padding


def begin(request_id=1, role=RESPONDER, keep=False):
    return record(BEGIN_REQUEST, request_id, struct.pack(">HB5x", role, KEEP_CONN if keep else 0))


def _length(n):
    return struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 0x80000000)


def pairs(params):
    """Names and values in FastCGI's own encoding; both may be any bytes."""
    out = []
    for name, value in params.items():
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode()
        out.append(_length(len(name)) + _length(len(value)) + name + value)
    return b"".join(out)


def params(request_id, values):
    """The records of a whole parameter stream, cut at the size of a record."""
    data = pairs(values)
    records = [record(PARAMS, request_id, data[at:at + 65535]) for at in range(0, len(data), 65535)]
    return b"".join(records) + record(PARAMS, request_id)


def request(values, request_id=1, role=RESPONDER, keep=False, body=b""):
    """All records of one request."""
    content = b"".join(record(STDIN, request_id, body[at:at + 65535]) for at in range(0, len(body), 65535))
    return begin(request_id, role, keep) + params(request_id, values) + content + record(STDIN, request_id)


def parse_cgi(output):
    """A CGI response (RFC 3875, 6.2) to an Answer."""
    head, separator, body = output.partition(b"\r\n\r\n")
    assert separator, f"no end of the headers in {output[:300]!r}"
    status, headers = 200, []
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        assert colon and name and b" " not in name, f"not a header: {line!r}"
        assert b"\n" not in line and b"\r" not in line, f"a bare line end in {line!r}"
        name, value = name.decode("ascii"), value.strip().decode("utf-8")
        if name.lower() == "status":
            status = int(value.split(" ")[0])
        else:
            headers.append((name, value))
    return Answer(status, headers, body)


class Connection:
    """One connection to the program. `address`: the path of a Unix socket, or (host, port)."""

    def __init__(self, address, patience=PATIENCE):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(address if isinstance(address, tuple) else os.fspath(address))
        except BaseException:
            self.socket.close()
            raise
        self.pending = b""
        self.begun = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _receive(self, count):
        while len(self.pending) < count:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                piece = b""
            if not piece:
                raise Closed(self.begun)
            self.begun = True
            self.pending += piece
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def receive_record(self):
        """(kind, request id, content) of the next record."""
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", self._receive(8))
        assert version == 1, f"a record of version {version}"
        content = self._receive(length)
        self._receive(padding)
        return kind, request_id, content

    def receive(self, request_id=1):
        """(standard output, standard error, protocol status) of one request, up to its END_REQUEST."""
        output, errors = [], []
        while True:
            kind, got, content = self.receive_record()
            assert got == request_id, f"a record for request {got}, not {request_id}"
            if kind == STDOUT:
                output.append(content)
            elif kind == STDERR:
                errors.append(content)
            elif kind == END_REQUEST:
                _, protocol_status = struct.unpack(">IB3x", content)
                return b"".join(output), b"".join(errors), protocol_status
            else:
                raise AssertionError(f"a record of kind {kind} in an answer")

    def answer(self, request_id=1):
        """The answer of a request that must have been completed by the protocol's own rules."""
        output, errors, protocol_status = self.receive(request_id)
        assert protocol_status == REQUEST_COMPLETE and not errors, (protocol_status, errors)
        return parse_cgi(output)

    def is_closed(self):
        """Waits for the program to close this connection; True when it did without another byte."""
        try:
            return not self.pending and not self.socket.recv(1)
        except ConnectionError:
            return not self.pending


def ask(address, values, body=b"", patience=PATIENCE):
    """One request on a connection of its own."""
    with Connection(address, patience) as connection:
        connection.send(request(values, body=body))
        answer = connection.answer()
        assert connection.is_closed(), "the connection stays open after an unkept request"
        return answer
