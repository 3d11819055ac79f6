"""Every backend meets every fault: what is answered meanwhile, in what time, at what cost, and whether the next report
is whole once the fault is over. Each row of the table is a program of its own with a backend behind a server that fails
as it is told (harness/faults.py); all others are well. Rows run side by side: they mostly wait."""
import concurrent.futures
import json
import re
import threading
import time
import typing

import pytest

from harness import expect, model
from harness.app import Apps
from harness.fake_prometheus import FakePrometheus, success, vector
from harness.faults import (GIGABYTE, NEVER_ANSWERS, NEVER_CONNECTS, REFUSES, FaultServer, Resolver, cut_short,
                            gigabyte, reset_half_way, says, shows, slow_drip, slow_first_byte)
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Container, Kube
from harness.loki import DAY, Loki
from harness.lokidata import INGRESS, OSCAR, Data, nanoseconds, query, rfc3339
from harness.model import Definition
from harness.tls import Authority
from harness.together import together
from harness.waiting import PATIENCE, SLOWDOWN, wait_until

ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"
DEFINITIONS = (Definition("yolo", owner=CAROL, visibility="public"), Definition("cowsay", owner=ALICE),
               Definition("nb", owner=CAROL, visibility="public"), Definition("grayify", owner=BOB))
CPU, GPU = 2.5, 0.25
T = nanoseconds("2025-03-10T12:00:00Z")
FIRST, LAST = T, T + DAY - 1
SPAN = query(FIRST, LAST)

# Where the deadline ends it, it is to come soon; else an answer is to be there long before.
BRIEF = round(5 * SLOWDOWN)  # as long as the index is waited for at most
SOON, LONG = round(8 * SLOWDOWN), round(20 * SLOWDOWN)
MARGIN = 1 + 4 * SLOWDOWN  # what an answer may take beyond the deadline under load
AT_ONCE = 10               # rows side by side

# For how long a fault is remembered, so that nobody waits for what just failed.
CONNECTING, INVENTORY, PROVIDER = 3, 1, 10

# What one bad answer may cost: of it no more is read than its cap and what lies in buffers on the way.
MOST_READ = {"prometheus": 12 << 20, "loki": 28 << 20, "index": 28 << 20, "kubernetes": 48 << 20, "pods": 48 << 20,
             "oidc": 12 << 20, "keys": 12 << 20}
MOST_MEMORY_KB = 250 * 1024


# Bodies, each by the question: a part of the path.

def by_question(answers):
    """A fault that answers each question with something of its own."""
    def fault(answering):
        for part, body in answers.items():
            if part in answering.path:
                says(body(answering) if callable(body) else body)(answering)
                return
        raise AssertionError(answering.path)

    return fault


def changed(**members):
    """The right answer with other members."""
    return lambda answering: json.dumps({**json.loads(answering.right.body), **members})


def streams(when):
    return success("streams", [{"stream": {"app": "oscar"}, "values": [[when, "x"]]}])


WRONG_TYPES = by_question({
    "/api/v1/query": success("vector", {"metric": "none"}),
    "/query_range": streams(1741608000), "/stats": '{"streams":"1","bytes":[],"entries":"many"}',
    "/volume_range": success("matrix", [{"metric": [], "values": [["x", 1], 2]}]),
    "/configmaps": changed(items={"0": "x"}), "/pods": changed(items="none"),
    "/openid-configuration": changed(jwks_uri=7), "/jwks": '{"keys":[1,"x",{"kty":5},{"kty":"EC","crv":[]}]}',
    "/me": changed(sub=7)})

HUGE = 10 ** 400
HUGE_NUMBERS = by_question({
    "/api/v1/query": vector("1" + "0" * 400), "/query_range": streams(str(HUGE)),
    "/stats": f'{{"streams":1,"chunks":1,"bytes":{10 ** 18},"entries":{10 ** 18}}}',
    "/volume_range": lambda answering: re.sub(rb'"\d+"\]', b'"%d"]' % 10 ** 18, answering.right.body),
    "/configmaps": changed(metadata={"remainingItemCount": HUGE, "continue": "x" * 100_000}),
    "/pods": changed(metadata={"remainingItemCount": HUGE, "continue": "x" * 100_000}),
    "/openid-configuration": changed(issuer=HUGE),
    "/jwks": changed(keys=[{"kty": "RSA", "n": "_" * 500_000, "e": "AQAB"}]),
    "/me": changed(sub=HUGE)})

GIGA = '{"status":"success","kind":"ConfigMapList","items":[],"keys":[],"issuer":"'

FAULTS = {
    "refused": REFUSES, "black hole": NEVER_ANSWERS, "connection never made": NEVER_CONNECTS,
    "slow first byte": slow_first_byte, "slow drip": slow_drip, "reset half-way": reset_half_way,
    "500": says("it broke\n", 500, "text/plain"),
    "503 with Retry-After": says("busy\n", 503, "text/plain", "Retry-After: 1"),
    "HTML with 200": says("<html><body>Sign in</body></html>", 200, "text/html"), "truncated JSON": cut_short,
    "1 GB of JSON": gigabyte(GIGA, stated=True), "1 GB of JSON, its length not told": gigabyte(GIGA, stated=False),
    "wrong types": WRONG_TYPES, "huge numbers": HUGE_NUMBERS, "empty body": says(""),
    "certificate expired": "expired", "certificate for another name": "another name", "DNS failure": "DNS"}


class Row(typing.NamedTuple):
    """`status`: of the source, or, of a provider, of the answer to somebody whose token is not remembered (known to it,
    and of a provider that nobody asked before); `words`, a regular expression, of the note or of the log; `pause`: for
    how long the fault may be remembered, 0: the very next report is whole; `deadline`: the program's."""
    backend: str
    fault: str
    status: object
    words: str
    pause: int = 0
    deadline: int = LONG

    def __str__(self):
        return f"{self.backend}: {self.fault}"


LATE = {"words": "deadline", "deadline": SOON}
# Connecting, and the handshake of TLS with it, has a limit of its own.
UNCONNECTED = {"words": "deadline|connecting took too long", "deadline": SOON, "pause": CONNECTING}
TABLE = [
    # CPU and GPU hours.
    Row("prometheus", "refused", "missing", "connection refused", CONNECTING),
    Row("prometheus", "black hole", "missing", **UNCONNECTED),
    Row("prometheus", "connection never made", "missing", **UNCONNECTED),
    Row("prometheus", "slow first byte", "missing", **LATE),
    Row("prometheus", "slow drip", "missing", **LATE),
    Row("prometheus", "reset half-way", "missing", "the connection broke"),
    Row("prometheus", "500", "missing", "HTTP 500"),
    Row("prometheus", "503 with Retry-After", "missing", "HTTP 503"),
    Row("prometheus", "HTML with 200", "missing", "not Prometheus' JSON"),
    Row("prometheus", "truncated JSON", "missing", "not Prometheus' JSON"),
    Row("prometheus", "1 GB of JSON", "missing", "larger than"),
    Row("prometheus", "1 GB of JSON, its length not told", "missing", "larger than"),
    Row("prometheus", "wrong types", "missing", "the result is no number"),
    Row("prometheus", "huge numbers", "partial", "NaN or infinite"),
    Row("prometheus", "empty body", "missing", "not Prometheus' JSON"),
    Row("prometheus", "certificate expired", "missing", "certificate has expired"),
    Row("prometheus", "certificate for another name", "missing", "certificate subject name"),
    Row("prometheus", "DNS failure", "missing", "no such host", CONNECTING),
    # Requests.
    Row("loki", "refused", "missing", "connection refused", CONNECTING),
    Row("loki", "black hole", "missing", **UNCONNECTED),
    Row("loki", "connection never made", "missing", **UNCONNECTED),
    Row("loki", "slow first byte", "missing", **LATE),
    Row("loki", "slow drip", "missing", **LATE),
    Row("loki", "reset half-way", "missing", "the connection broke"),
    Row("loki", "500", "missing", "HTTP 500: it broke", deadline=SOON),
    Row("loki", "503 with Retry-After", "missing", "HTTP 503: busy", deadline=SOON),
    Row("loki", "HTML with 200", "missing", "JSON"),
    Row("loki", "truncated JSON", "missing", "JSON"),
    Row("loki", "1 GB of JSON", "missing", "larger than"),
    Row("loki", "1 GB of JSON, its length not told", "missing", "larger than|no answer within"),
    Row("loki", "wrong types", "missing", "no list of streams"),
    Row("loki", "huge numbers", "missing", "no list of streams"),
    Row("loki", "empty body", "missing", "JSON"),
    Row("loki", "certificate expired", "missing", "certificate has expired"),
    Row("loki", "certificate for another name", "missing", "certificate subject name"),
    Row("loki", "DNS failure", "missing", "no such host", CONNECTING),
    # The hints of Loki's index: whatever they are, they cost no request.
    *(Row("index", fault, "ok", "", deadline=BRIEF if fault.startswith("slow") else LONG)
      for fault in FAULTS if callable(FAULTS[fault])),
    # The inventory; under Bearer there is no report without it.
    Row("kubernetes", "refused", "missing", "connection refused", CONNECTING),
    Row("kubernetes", "black hole", "missing", **UNCONNECTED),
    Row("kubernetes", "connection never made", "missing", **UNCONNECTED),
    Row("kubernetes", "slow first byte", "missing", **LATE, pause=INVENTORY),
    Row("kubernetes", "slow drip", "missing", **LATE, pause=INVENTORY),
    Row("kubernetes", "reset half-way", "missing", "the connection broke", INVENTORY),
    Row("kubernetes", "500", "missing", "answered 500", INVENTORY),
    Row("kubernetes", "503 with Retry-After", "missing", "answered 503", INVENTORY),
    Row("kubernetes", "HTML with 200", "missing", "no such list", INVENTORY),
    Row("kubernetes", "truncated JSON", "missing", "no such list", INVENTORY),
    Row("kubernetes", "1 GB of JSON", "missing", "larger than", INVENTORY),
    Row("kubernetes", "1 GB of JSON, its length not told", "missing", "larger than", INVENTORY),
    Row("kubernetes", "wrong types", "missing", "no such list", INVENTORY),
    Row("kubernetes", "huge numbers", "missing", "too long a token", INVENTORY),
    Row("kubernetes", "empty body", "missing", "no such list", INVENTORY),
    Row("kubernetes", "certificate expired", "missing", "certificate has expired", INVENTORY),
    Row("kubernetes", "certificate for another name", "missing", "certificate subject name", INVENTORY),
    Row("kubernetes", "DNS failure", "missing", "no such host", CONNECTING),
    # The logs of pods, in place of Loki: they are no JSON, and as long as they are.
    Row("pods", "slow first byte", "missing", **LATE),
    Row("pods", "slow drip", "missing", **LATE),
    Row("pods", "reset half-way", "missing", "the connection broke"),
    Row("pods", "500", "missing", "answered 500"),
    Row("pods", "503 with Retry-After", "missing", "answered 503"),
    Row("pods", "HTML with 200", "partial", "lines without a time"),
    # Users' providers.
    Row("oidc", "refused", (503, 503), "connection refused", PROVIDER),
    Row("oidc", "black hole", (503, 503), **{**UNCONNECTED, "pause": PROVIDER}),
    Row("oidc", "connection never made", (503, 503), **{**UNCONNECTED, "pause": PROVIDER}),
    Row("oidc", "slow first byte", (503, 503), **LATE, pause=PROVIDER),
    Row("oidc", "slow drip", (503, 503), **LATE, pause=PROVIDER),
    Row("oidc", "reset half-way", (503, 503), "the connection broke", PROVIDER),
    Row("oidc", "500", (503, 503), "HTTP status 500", PROVIDER),
    Row("oidc", "503 with Retry-After", (503, 503), "HTTP status 503", PROVIDER),
    Row("oidc", "HTML with 200", (503, 503), "no JSON object", PROVIDER),
    Row("oidc", "truncated JSON", (503, 503), "no JSON object", PROVIDER),
    Row("oidc", "1 GB of JSON", (503, 503), "larger than", PROVIDER),
    Row("oidc", "1 GB of JSON, its length not told", (503, 503), "larger than", PROVIDER),
    Row("oidc", "wrong types", (401, 503), "jwks_uri is missing", PROVIDER),
    Row("oidc", "huge numbers", (401, 503), "another issuer's", PROVIDER),
    Row("oidc", "empty body", (503, 503), "no JSON object", PROVIDER),
    Row("oidc", "certificate expired", (503, 503), "certificate has expired", PROVIDER),
    Row("oidc", "certificate for another name", (503, 503), "certificate subject name", PROVIDER),
    Row("oidc", "DNS failure", (None, 503), "no such host", PROVIDER),
    # Its keys alone: who is known to it gets in by those that were read.
    *(Row("keys", fault, (200, 503), "keys: ", PROVIDER) for fault in FAULTS if callable(FAULTS[fault])
      if fault not in ("wrong types", "huge numbers")),
    Row("keys", "wrong types", (200, 401), "no key with the token's kid", PROVIDER),
    Row("keys", "huge numbers", (200, 401), "keys of an identity provider are left out", PROVIDER),
]

# Which questions meet the fault, where it is not all of them.
PATHS = {"index": "/loki/api/v1/index/", "pods": ".*/log", "keys": ".*/jwks"}


class World:
    """All backends, and they are well."""

    def __init__(self, folder):
        self.folder = folder
        self.prometheus = FakePrometheus()
        self.prometheus.answers(lambda asked: vector(repr(GPU if "gpu" in asked.query else CPU)))
        self.loki = Loki()
        self.data = Data(self.loki)
        self.data.begin(FIRST)
        self.data.spread(FIRST, LAST, 400, exposed=40)
        self.kube = Kube(folder / "kube", tls=False)
        for each in DEFINITIONS:
            self.kube.put_service(each.name, f"name: {each.name}\nowner: {each.owner}\n"
                                             f"visibility: {each.visibility or 'private'}\n")
        self._put_pods()
        self.oidc = HostileOidc()
        self.key = EcKey()
        self.issuer = self.oidc.issuer("/well", self.key)
        self.authority = Authority(folder / "ca")
        self.certificates = {"right": self.authority.server("IP:127.0.0.1,DNS:*.backends.invalid"),
                             "expired": self.authority.server(days=-1),
                             "another name": self.authority.server("DNS:elsewhere.example.org")}
        self.apps = Apps(folder)
        self.lock = threading.Lock()

    def _put_pods(self):
        """The same entries in the logs of pods, one for each place."""
        for name, labels, more in (("oscar", OSCAR, {}), ("ingress", INGRESS, {
                "namespace": "ingress-nginx", "labels": {"app.kubernetes.io/name": "ingress-nginx"}})):
            lines = [(stamp(when), text) for each, when, text in sorted(self.data.entries, key=lambda entry: entry[1])
                     if each["app"] == labels["app"]]
            self.kube.put_pod(name, {"x": Container(lines, started="2025-03-01T00:00:00Z")}, **more,
                              created="2025-03-01T00:00:00Z")

    def start(self, settings):
        with self.lock:
            return self.apps.start(settings)

    def settings(self):
        return {"PROMETHEUS_URL": self.prometheus.url, **self.loki.settings, "LOKI_PARALLEL": 2, **self.kube.settings,
                "OIDC_ENABLE": "true", "OIDC_ISSUERS": self.issuer.url, "OIDC_GROUPS": GROUP}

    def totals(self, user=None):
        events, definitions = self.data.within(FIRST, LAST), DEFINITIONS
        if user:
            events, definitions = model.in_scope(events, DEFINITIONS, user), model.visible(DEFINITIONS, user)
        return model.totals(events, len(definitions), CPU, GPU)

    def close(self):
        self.apps.stop()
        for each in (self.prometheus, self.loki, self.kube, self.oidc):
            each.close()


def stamp(when):
    """As a runtime writes it: nine digits."""
    text = rfc3339(when)
    return text if "." in text else text[:-1] + ".000000000Z"


class Fixture:
    """What one row is tried on: the program, and the server that fails before one of its backends."""

    upstream, requests = "", "loki"

    def __init__(self, world, row):
        self.world, self.row, self.fault = world, row, FAULTS[row.fault]
        host, folder = "127.0.0.1", world.folder / f"row-{TABLE.index(row)}"
        folder.mkdir()
        self.resolver = None
        if self.fault == "DNS":
            self.resolver = Resolver(folder, f"{row.backend}.backends.invalid")
            host = self.resolver.host
        self.server = FaultServer(getattr(world, self.upstream).url, world.certificates["right"], host)
        try:
            settings = {**world.settings(), **self.settings(), **(self.resolver.settings if self.resolver else {}),
                        "OSCAR_METRICS_DEADLINE": f"{row.deadline}s"}
            self.app = world.start(settings)
        except BaseException:
            self.server.close()
            raise

    def settings(self):
        url, ca = self.variables
        return {url: self.server.url, ca: self.world.authority.ca}

    def prime(self):
        """Before the fault."""
        self.token = self.world.issuer.token(ALICE)
        assert self.app.get("/system/metrics", "end=x", auth="Bearer " + self.token).status == 400

    def begin(self):
        if isinstance(self.fault, str) and self.fault in self.world.certificates:
            self.server.fail(shows(self.world.certificates[self.fault]))
        elif self.resolver is None:
            self.server.fail(self.fault, PATHS.get(self.row.backend, ""))

    def end(self):
        if self.resolver:
            self.resolver.know()
        else:
            self.server.work()

    def close(self):
        self.server.close()
        self.app.stop()

    # Asking.

    def get(self, token=None):
        """The summary, for the admin or somebody else, in the time that there is."""
        began = time.monotonic()
        answer = self.app.get("/system/metrics", SPAN, **({"auth": "Bearer " + token} if token else {}))
        took = time.monotonic() - began
        assert took < self.row.deadline + MARGIN, f"{took:.1f} s: {answer}"
        return answer

    def check(self, answer, user=None, totals=None, **statuses):
        """A report with these totals, and sources that are not ok; without any it is to be whole."""
        assert answer.status == 200, answer
        assert answer.json()["totals"] == {**self.totals(user), **(totals or {})}, answer
        names = ("service-inventory", "prometheus", self.requests, "country-attribution", "exposed-request-logs")
        expected = {name: statuses.get(name, "ok") for name in names}
        if not answer.json()["totals"]["requests_count_total"]:
            del expected["country-attribution"]
        expect.sources(answer, expected)

    def totals(self, user):
        return self.world.totals(user)

    def check_notes(self, answer, *names):
        """Of those that fail by the same fault one at least says it; the others may have met the deadline before."""
        notes = [answer.source(name)["notes"] for name in names]
        assert any(re.search(self.row.words, note) for note in notes), notes

    def check_whole(self):
        self.check(self.get())
        self.check(self.get(self.token), ALICE)

    def wait_whole(self, patience):
        """Until the reports are whole. A short deadline may pass again where many share a processor: what was read
        until then is kept."""
        faults = []

        def is_whole():
            try:
                self.check_whole()
            except AssertionError as fault:
                faults.append(fault)
                return False
            return True

        try:
            wait_until(is_whole, f"whole reports ({self.row})", patience, 0.2)
        except AssertionError as fault:
            raise fault from faults[-1]


class ForPrometheus(Fixture):
    upstream, variables = "prometheus", ("PROMETHEUS_URL", "PROMETHEUS_CA_FILE")
    LOST = {"cpu_hours_total": 0, "gpu_hours_total": 0}

    def check_faulty(self):
        for user, token in ((None, None), (ALICE, self.token)):
            answer = self.get(token)
            self.check(answer, user, self.LOST, prometheus=self.row.status)
            if user is None:
                self.check_notes(answer, "prometheus")


class ForLoki(Fixture):
    upstream, variables = "loki", ("LOKI_URL", "LOKI_CA_FILE")

    def check_faulty(self):
        answer = self.get()
        self.check(answer, None, model.totals([], len(DEFINITIONS), CPU, GPU),
                   **{"loki": self.row.status, "exposed-request-logs": self.row.status})
        self.check_notes(answer, "loki", "exposed-request-logs")


class ForIndex(ForLoki):
    def check_faulty(self):
        self.wait_whole(2 * PATIENCE)


class ForKubernetes(Fixture):
    upstream, variables = "kube", ("OSCAR_METRICS_KUBE_URL", "OSCAR_METRICS_KUBE_CA_FILE")

    def check_faulty(self):
        answer = self.get()
        self.check(answer, None, {"services_count_active": 0}, **{"service-inventory": self.row.status})
        self.check_notes(answer, "service-inventory")
        expect.plain(self.get(self.token), 503, "service inventory unavailable")


class ForPods(ForKubernetes):
    requests = "request-logs"

    def settings(self):
        return {**super().settings(), "LOKI_URL": None}

    def totals(self, user):
        """Without a database of addresses nobody has a country."""
        return {**super().totals(user), "countries": [], "countries_count": 0}

    def check_faulty(self):
        answer = self.get()
        found, right = answer.json()["totals"], self.totals(None)
        parts = {name: found[name] for name in found if "requests" in name or "user" in name or name.endswith("_total")}
        assert all(found[name] <= right[name] for name in parts if name != "users"), answer
        assert set(found["users"]) <= set(right["users"])
        self.check(answer, None, {**parts, "cpu_hours_total": CPU, "gpu_hours_total": GPU},
                   **{"request-logs": self.row.status, "exposed-request-logs": self.row.status})
        self.check_notes(answer, "request-logs", "exposed-request-logs")


class ForOidc(Fixture):
    """Three people: one whose token is remembered; one whose provider is known, and must be asked for them; and one
    whose provider nobody has asked."""
    upstream = "oidc"

    def settings(self):
        self.known, self.fresh = (self.world.oidc.issuer(f"/{TABLE.index(self.row)}-{name}", self.world.key)
                                  for name in ("known", "fresh"))
        for issuer in (self.known, self.fresh):
            issuer.url = self.server.url + issuer.path
        self.tokens = {ALICE: self.known.token(ALICE), BOB: self.known.token(BOB), CAROL: self.fresh.token(CAROL)}
        return {"OIDC_ISSUERS": f"{self.known.url},{self.fresh.url}", "OIDC_CA_FILE": self.world.authority.ca}

    def prime(self):
        if self.row.status[0]:
            self.check(self.get(self.tokens[ALICE]), ALICE)

    def check_faulty(self):
        answers = {}

        def ask(number):
            user = (None, ALICE, BOB, CAROL)[number]
            answers[user] = self.get(self.tokens.get(user))

        together(4, ask)
        self.check(answers[None])
        known, fresh = self.row.status
        if known:
            self.check(answers[ALICE], ALICE)
            self.check_status(answers[BOB], BOB, known)
        self.check_status(answers[CAROL], CAROL, fresh)
        assert re.search(self.row.words, self.app.stderr())

    def check_status(self, answer, user, status):
        if status == 200:
            self.check(answer, user)
        elif status == 401:
            expect.plain(answer, 401, "invalid credentials")
        else:
            expect.plain(answer, status, "identity provider unavailable")
            assert 0 < int(answer.header("Retry-After")) <= PROVIDER, answer

    def check_whole(self):
        for user, token in self.tokens.items():
            self.check(self.get(token), user)


FIXTURES = {"prometheus": ForPrometheus, "loki": ForLoki, "index": ForIndex, "kubernetes": ForKubernetes,
            "pods": ForPods, "oidc": ForOidc, "keys": ForOidc}


def peak_kb(app):
    """The most memory that the program ever had."""
    with open(f"/proc/{app.process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


def run(world, row):
    """One row of the table, from its beginning to its end."""
    fixture = FIXTURES[row.backend](world, row)
    try:
        fixture.prime()
        before = peak_kb(fixture.app)
        fixture.begin()
        fixture.check_faulty()
        check_cost(fixture, before)
        fixture.end()
        if row.pause == 0 and row.deadline == LONG:
            fixture.check_whole()
        else:
            fixture.wait_whole(2 * PATIENCE if row.deadline < LONG else row.pause + MARGIN)
        expect.logfmt(fixture.app.stderr())
    finally:
        fixture.close()


def check_cost(fixture, before):
    if callable(fixture.fault):
        assert fixture.server.hits > 0, "nobody met the fault"
    assert fixture.server.most_sent < MOST_READ[fixture.row.backend] < GIGABYTE
    assert peak_kb(fixture.app) - before < MOST_MEMORY_KB * SLOWDOWN


@pytest.fixture(scope="module")
def runs(request, shared_folder):
    """{row: what comes of it}, of the rows that are wanted."""
    world = World(shared_folder)
    wanted = [item.callspec.params["row"] for item in request.session.items if item.module is request.module]
    # Those that wait the longest first, and those that work the most at the end, when few are kept from it.
    wanted.sort(key=lambda row: (row.fault.startswith("1 GB"), -row.pause))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {row: pool.submit(run, world, row) for row in wanted}
    world.close()


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_fault(runs, row):
    runs[row].result()
