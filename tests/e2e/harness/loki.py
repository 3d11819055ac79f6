"""A stand-in for Loki: entries that are given to it, answered as Loki 3.7.6 answers (tests/data/loki), and every
fault that a test wants. In front of a real Loki (LOKI_TEST_URL) it passes on what is asked, so that faults, limits and
counting are the same there.

Times are whole nanoseconds since 1970."""
import bisect
import collections
import heapq
import http.client
import json
import os
import re
import socket
import ssl
import threading
import urllib.parse
import uuid

from . import logql
from .fake_prometheus import Asked, Handler, Hold, Reply, Server
from .waiting import PATIENCE

SECOND = 1_000_000_000
HOUR, DAY = 3600 * SECOND, 86400 * SECOND
PATHS = ("query_range", "index/stats", "index/volume_range", "push")
JSON, TEXT = "application/json; charset=UTF-8", "text/plain; charset=utf-8"

REAL_URL = os.environ.get("LOKI_TEST_URL", "")
PUSH_AT_ONCE = 5000


class CutChunked(Reply):
    """The first half of the body in a chunk, and then the end of the connection where the next should come."""


class Dies:
    """Closes everything in the middle of this request, and refuses connections until revive()."""


class Refused(Exception):
    def __init__(self, text, status=400):
        super().__init__(text)
        self.reply = refusal(text, status)


def refusal(text, status=400, headers=()):
    return Reply(text, status, TEXT, headers)


def success(data, warnings=()):
    body = {"status": "success", **({"warnings": list(warnings)} if warnings else {}), "data": data}
    return Reply(json.dumps(body, ensure_ascii=False), content_type=JSON)


def go_duration(nanoseconds):
    """As Go prints a time.Duration of whole seconds: 1488h0m0s."""
    seconds = nanoseconds // SECOND
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}h{minutes}m{seconds % 60}s" if hours else f"{minutes}m{seconds % 60}s"


def limit_duration(nanoseconds):
    """As Loki prints the settings of its limits: 30d1h."""
    parts, rest = [], nanoseconds
    for unit, length in (("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND)):
        if rest >= length:
            parts.append(f"{rest // length}{unit}")
            rest %= length
    return "".join(parts) or "0s"


def _stream_key(labels):
    return tuple(sorted(labels.items()))


class Stream:
    """Entries of one set of labels, in the order of time; the same line at the same time stands once."""

    def __init__(self, labels):
        self.labels = dict(labels)
        self.times, self.lines = [], []

    def add(self, when, line):
        left, right = bisect.bisect_left(self.times, when), bisect.bisect_right(self.times, when)
        if line not in self.lines[left:right]:
            self.times.insert(right, when)
            self.lines.insert(right, line)

    def between(self, start, end):
        """The range of places with start <= time < end."""
        return range(bisect.bisect_left(self.times, start), bisect.bisect_left(self.times, end))

    def found(self, query, start, end, limit, backward):
        """The first `limit` entries that the query keeps: [(time, line), ...]"""
        out, places = [], self.between(start, end)
        for place in reversed(places) if backward else places:
            if query.keeps(self.lines[place]):
                out.append((self.times[place], self.lines[place]))
                if len(out) == limit:
                    break
        return out


class LokiAsked(Asked):
    """One request that came. `entries`: how many it was given; `met`: as many as it said at most."""

    def __init__(self, handler, form):
        super().__init__(handler, form)
        target = urllib.parse.urlsplit(handler.path)
        self.path = target.path
        query = urllib.parse.parse_qs(target.query, keep_blank_values=True)
        self.form = {**{name: values[0] for name, values in query.items()}, **self.form}
        self.query = self.form.get("query", "")
        self.what = next((name for name in PATHS if self.path == "/loki/api/v1/" + name), None)
        self.entries, self.met, self.status = 0, False, None

    def _time(self, name):
        text = self.form.get(name, "")
        if not re.fullmatch(r"\d+", text):
            raise Refused(f'could not parse \'{name}\' parameter: parsing time "{text}"')
        return int(text) * (SECOND if len(text) <= 10 else 1)

    @property
    def window(self):
        return self._time("start"), self._time("end")

    def matcher(self, name):
        """The one matcher of a label, as (operator, value): what the query really says about it."""
        (found,) = [each for each in logql.parse(self.query).matchers if each.name == name]
        return found.op, found.value

    def __repr__(self):
        window = f"{self.form.get('start')}..{self.form.get('end')}"
        return f"<{self.what} {self.query} {window} -> {self.status}, {self.entries} entries>"


class _Handler(Handler):
    def do_POST(self):
        asked = LokiAsked(self, {} if self._is_push() else self.read_form())
        pushed = self.rfile.read(int(self.headers.get("Content-Length", "0"))) if self._is_push() else b""
        loki = self.server.loki
        loki.begin(asked)
        try:
            # What a client reads is counted as long as it is sent.
            self.reply(loki.reply_to(asked, pushed))
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True
        finally:
            loki.finish()

    do_GET = do_POST

    def _is_push(self):
        return self.path.endswith("/push")

    def reply(self, reply):
        if isinstance(reply, Dies):
            self.close_connection = True
            self.server.loki.die()
        elif isinstance(reply, CutChunked):
            self.close_connection = True
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = reply.body[:len(reply.body) // 2]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
        else:
            super().reply(reply)


class _Listener(Server):
    def __init__(self, loki, context):
        self.loki, self.context, self.connections, self.lock = loki, context, set(), threading.Lock()
        self.holds = set()
        super().__init__(("127.0.0.1", loki.port), _Handler)

    def process_request(self, request, client_address):
        with self.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request, client_address):
        if self.context:
            request.settimeout(PATIENCE)
            request = self.context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        super().finish_request(request, client_address)
        if self.context:
            request.close()  # the socket within has been handed over to it

    def shutdown_request(self, request):
        with self.lock:
            self.connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self):
        with self.lock:
            for hold in self.holds:
                hold.release()
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # closed by then


class Loki:
    """`max_entries`, `max_length`, `latency` (seconds), `warnings`, `required` (headers), `skew` (what the index says
    about entries, for each that there is; None: the index refuses) may be changed at any time. `answers()` puts other
    answers in place of what would be right."""

    def __init__(self, max_entries=5000, context=None, real=""):
        self.max_entries, self.max_length = max_entries, 30 * DAY + HOUR
        self.latency, self.warnings, self.required, self.skew = 0, (), {}, 1
        self.lock = threading.Lock()
        self.streams = {}
        self._asked, self._running, self.most_parallel = [], 0, 0
        self._choose = lambda asked, reply: reply
        self._context, self._listener, self._thread = context, None, None
        self.real = urllib.parse.urlsplit(real) if real else None
        # What a test gives to a real server is its own: the namespaces get a name that nobody else has.
        self.prefix = f"t{uuid.uuid4().hex[:12]}-" if real else ""
        # Keeps the port while nobody listens there.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        self.revive()

    # What there is.

    def add(self, labels, entries):
        """Entries, [(time, line), ...], of one stream."""
        labels = {**labels, "namespace": self.prefix + labels["namespace"]} if "namespace" in labels else labels
        if self.real:
            for at in range(0, len(entries), PUSH_AT_ONCE):
                self._push_to_real(labels, entries[at:at + PUSH_AT_ONCE])
            return
        with self.lock:
            stream = self.streams.setdefault(_stream_key(labels), Stream(labels))
            for when, line in entries:
                stream.add(when, line)

    def _push_to_real(self, labels, entries):
        body = {"streams": [{"stream": labels, "values": [[str(when), line] for when, line in entries]}]}
        reply = self._ask_real("POST", "/loki/api/v1/push", json.dumps(body), {"Content-Type": "application/json"})
        assert reply.status == 204, (reply.status, reply.body)

    @property
    def settings(self):
        """The program's own, to read from here."""
        return {"LOKI_URL": self.url, "OSCAR_NAMESPACE": self.prefix + "oscar",
                "LOKI_EXPOSED_NAMESPACE": self.prefix + "ingress-nginx"}

    # What has been asked.

    def begin(self, asked):
        with self.lock:
            self._asked.append(asked)
            self._running += 1
            self.most_parallel = max(self.most_parallel, self._running)

    def finish(self):
        with self.lock:
            self._running -= 1

    @property
    def asked(self):
        with self.lock:
            return list(self._asked)

    @property
    def reads(self):
        """The requests for entries alone."""
        return [asked for asked in self.asked if asked.what == "query_range"]

    def forget(self):
        with self.lock:
            self._asked.clear()
            self.most_parallel = self._running

    # What is answered.

    def answers(self, choose=None):
        """From now on: `choose(asked, reply)` is given what would be right, and gives what is sent: a Reply, Hold,
        Cut, CutChunked, Endless, Dies, ... Without it: what is right."""
        self._choose = choose or (lambda asked, reply: reply)

    def fails(self, *faults, what="query_range"):
        """The next requests are answered by these, one each; a function makes one of the right reply."""
        left, lock = collections.deque(faults), threading.Lock()

        def choose(asked, reply):
            with lock:
                fault = left.popleft() if left and asked.what == what else reply
            return fault(reply) if callable(fault) else fault

        self.answers(choose)

    def reply_to(self, asked, pushed):
        if self.latency:
            threading.Event().wait(self.latency)
        try:
            self._check_headers(asked)
            right = self._right(asked, pushed)
        except Refused as refused:
            right = refused.reply
        except logql.ParseError as fault:
            right = refusal(str(fault))
        reply = self._choose(asked, right)
        asked.status = getattr(reply.reply if isinstance(reply, Hold) else reply, "status", None)
        if isinstance(reply, Hold):
            with self._listener.lock:
                self._listener.holds.add(reply)
        return reply

    def _check_headers(self, asked):
        for name, value in self.required.items():
            if asked.headers.get(name) != value:
                raise Refused("no org id\n" if name == "X-Scope-OrgID" else "unauthorized\n", 401)

    def _right(self, asked, pushed):
        if asked.what == "push":
            return self._take(pushed)
        if asked.what is None:
            raise Refused("404 page not found\n", 404)
        if "query" not in asked.form:
            raise Refused("parse error : syntax error: unexpected $end")
        limit = self._limit(asked) if asked.what == "query_range" else 0
        start, end = asked.window
        if end < start:
            raise Refused("end timestamp must not be before or equal to start time")
        query = logql.parse(asked.query)
        if end - start > self.max_length:
            raise Refused("the query time range exceeds the limit (query length: "
                          f"{go_duration(end - start)}, limit: {limit_duration(self.max_length)})")
        if asked.what == "query_range":
            return self._query_range(asked, query, start, end, limit)
        if query.filters:
            raise Refused("only label matchers are supported")
        if self.skew is None:
            raise Refused("404 page not found\n", 404)
        if self.real and self.skew == 1:
            return self._pass_on(asked)
        return (self._stats if asked.what == "index/stats" else self._volume_range)(asked, query, start, end)

    def _limit(self, asked):
        text = asked.form.get("limit", "100")
        if not re.fullmatch(r"[+-]?\d+", text):
            raise Refused(f'strconv.Atoi: parsing "{text}": invalid syntax')
        if int(text) <= 0:
            raise Refused("limit must be a positive value")
        if int(text) > self.max_entries:
            raise Refused("max entries limit per query exceeded, limit > max_entries_limit_per_query "
                          f"({int(text)} > {self.max_entries})")
        return int(text)

    def _query_range(self, asked, query, start, end, limit):
        if self.real:
            reply = self._pass_on(asked)
            if reply.status == 200:
                asked.entries = sum(len(stream["values"]) for stream in json.loads(reply.body)["data"]["result"])
        else:
            direction = asked.form.get("direction", "backward")
            if direction not in ("forward", "backward"):
                raise Refused(f"invalid direction '{direction}'")
            result, asked.entries = self._entries(query, start, end, limit, direction == "backward")
            stats = {"summary": {"totalEntriesReturned": asked.entries}}
            reply = success({"resultType": "streams", "result": result, "stats": stats}, self.warnings)
        asked.met = asked.entries >= limit
        return reply

    def _selected(self, query):
        return [stream for stream in self.streams.values() if query.selects(stream.labels)]

    def _entries(self, query, start, end, limit, backward):
        """(streams as they are answered, how many entries): the first `limit` over all streams."""
        with self.lock:
            found = [(stream, stream.found(query, start, end, limit, backward)) for stream in self._selected(query)]
        single = [[(-when if backward else when, number, when, line) for when, line in entries]
                  for number, (_, entries) in enumerate(found)]
        taken = collections.defaultdict(list)
        for count, (_, number, when, line) in enumerate(heapq.merge(*single, key=lambda entry: entry[:2])):
            if count == limit:
                break
            taken[number].append([str(when), line])
        result = [{"stream": {**found[number][0].labels, "detected_level": "unknown",
                              "service_name": found[number][0].labels.get("app", "unknown_service")},
                   "values": values} for number, values in taken.items()]
        return result, sum(map(len, taken.values()))

    def _stats(self, _asked, query, start, end):
        with self.lock:
            places = [(stream, stream.between(start, end)) for stream in self._selected(query)]
            inside = [(stream, place) for stream, place in places if place]
            size = sum(len(stream.lines[at]) for stream, place in inside for at in place)
            entries = sum(len(place) for _, place in inside)
        body = {"streams": len(inside), "chunks": len(inside), "bytes": int(size * self.skew),
                "entries": int(entries * self.skew)}
        return Reply(json.dumps(body), content_type=JSON)

    def _volume_range(self, asked, query, start, end):
        """Bytes in each step of time, as a matrix; a sample stands at the beginning of its step."""
        step = re.fullmatch(r"(\d+)([smhd]?)", asked.form.get("step", "1h"))
        if not step:
            raise Refused("cannot parse step to a valid duration")
        step = int(step[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[step[2]] * SECOND
        values = []
        with self.lock:
            for begin in range(start, end, step):
                size = sum(len(stream.lines[at]) for stream in self._selected(query)
                           for at in stream.between(begin, min(begin + step, end)))
                if size:
                    values.append([begin // SECOND, str(int(size * self.skew))])
        result = [{"metric": {"namespace": "oscar"}, "values": values}] if values else []
        return success({"resultType": "matrix", "result": result})

    def _take(self, pushed):
        for stream in json.loads(pushed)["streams"]:
            self.add(stream["stream"], [(int(when), line) for when, line, *_ in stream["values"]])
        return Reply("", 204)

    # A real one behind.

    def _pass_on(self, asked):
        reply = self._ask_real("POST", asked.path, urllib.parse.urlencode(asked.form),
                               {"Content-Type": "application/x-www-form-urlencoded"})
        return Reply(reply.body, reply.status, reply.content_type)

    def _ask_real(self, method, path, body, headers):
        connection = http.client.HTTPConnection(self.real.hostname, self.real.port or 80, timeout=6 * PATIENCE)
        try:
            connection.request(method, self.real.path.rstrip("/") + path, body.encode(), headers)
            response = connection.getresponse()
            return Reply(response.read(), response.status, response.getheader("Content-Type", TEXT))
        finally:
            connection.close()

    # Life and death.

    def revive(self):
        """Listens, on the same port as before."""
        self._listener = _Listener(self, self._context)
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def die(self):
        """Cuts all connections; from now on they are refused."""
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.cut_connections()

    def close(self):
        self.die()
        self._thread.join()
        self._place.close()


def load(loki, path):
    """Gives it what a file holds, an entry a line, as {"stream", "ts", "line"}; they come back."""
    rows = [json.loads(row) for row in path.read_text("utf-8").splitlines()]
    streams = collections.defaultdict(list)
    for row in rows:
        streams[_stream_key(row["stream"])].append((int(row["ts"]), row["line"]))
    for key, entries in streams.items():
        loki.add(dict(key), entries)
    return rows
