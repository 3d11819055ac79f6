"""Every backend meets every fault: what is answered meanwhile, in what time, at what cost, and whether the next report
is whole once the fault is over. Each row of the table is a program of its own with a backend behind a server that fails
as it is told (harness/faults.py); all others are well. Rows run side by side: they mostly wait.

"The next report" is one report, asked for once, when the time has passed for which the program is said to remember a
fault (`pause`)."""
import concurrent.futures
import contextlib
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
from harness.loki import DAY, HOUR, Loki
from harness.lokidata import INGRESS, OSCAR, Data, nanoseconds, query, rfc3339
from harness.model import Definition
from harness.tls import Authority
from harness.together import together
from harness.waiting import PATIENCE, SLOWDOWN, wait_until

ALICE, BOB, CAROL, DORA, ERIN = (f"{name}@example.org" for name in ("alice", "bob", "carol", "dora", "erin"))
DEFINITIONS = (Definition("yolo", owner=CAROL, visibility="public"), Definition("cowsay", owner=ALICE),
               Definition("nb", owner=CAROL, visibility="public"), Definition("grayify", owner=BOB),
               Definition("mine", "oscar-svc-erin", owner=ERIN))
CPU, GPU = 2.5, 0.25
T = nanoseconds("2025-03-10T12:00:00Z")
FIRST, LAST = T, T + DAY - 1
SPAN = query(FIRST, LAST)

# Where the deadline ends it, it is to come soon, but a report whose sources are well is to have time enough in it even
# where many share a processor; else an answer is to be there long before.
SOON, LONG = round(12 * SLOWDOWN), round(20 * SLOWDOWN)
MARGIN = SLOWDOWN      # what an answer may take beyond the deadline
PROMPT = 8 * SLOWDOWN  # where nothing has to be waited for but a few pauses of a second
AT_ONCE, ROWS = 10, 30  # rows side by side, and with those in which a pause passes
HARD_ROWS = 2           # and those with a gigabyte: with more all others would starve

# For how long a fault is remembered, so that nobody waits for what just failed.
CONNECTING, INVENTORY, PROVIDER = 3, 1, 10
REACHED_WITHIN = 5 + 2 * SLOWDOWN  # an answer, where connecting takes longer than it may

# What one bad answer may cost: of it no more is read than its cap and what lies in buffers on the way.
MOST_READ = {"prometheus": 12 << 20, "loki": 28 << 20, "index": 28 << 20, "kubernetes": 48 << 20,
             "namespaces": 48 << 20, "pods": 48 << 20, "pod lists": 48 << 20, "oidc": 12 << 20, "keys": 12 << 20}
MOST_MEMORY_KB = 250 * 1024


# Bodies, each by the question: how its path begins.

def by_question(answers):
    """A fault that answers each question with something of its own."""
    def fault(answering):
        for path, body in answers.items():
            if re.match(path, answering.path):
                says(body(answering) if callable(body) else body)(answering)
                return
        raise AssertionError(answering.path)

    return fault


def changed(**members):
    """The right answer with other members."""
    return lambda answering: json.dumps({**json.loads(answering.right.body), **members})


def streams(when):
    return success("streams", [{"stream": {"app": "oscar"}, "values": [[when, "x"]]}])


PROMETHEUS, ENTRIES, INDEX = "/api/v1/query$", "/loki/api/v1/query_range", "/loki/api/v1/index/"
NAMESPACES, PODS = r"/api/v1/namespaces\?", r"/api/v1/namespaces/[^/]+/pods\?"
LOGS = "/api/v1/namespaces/[^/]+/pods/[^/]+/log"
LISTS = r"/api/v1/(configmaps|namespaces(/[^/]+/pods)?)\?"

WRONG_TYPES = by_question({
    PROMETHEUS: success("vector", {"metric": "none"}),
    ENTRIES: streams(1741608000), INDEX + "stats": '{"streams":"1","bytes":[],"entries":"many"}',
    INDEX + "volume_range": success("matrix", [{"metric": [], "values": [["x", 1], 2]}]),
    LISTS: changed(items={"0": "x"}),
    ".*/openid-configuration": changed(jwks_uri=7), ".*/jwks": '{"keys":[1,"x",{"kty":5},{"kty":"EC","crv":[]}]}',
    ".*/me": changed(sub=7)})

HUGE = 10 ** 400
HUGE_NUMBERS = by_question({
    PROMETHEUS: vector("1" + "0" * 400), ENTRIES: streams(str(HUGE)),
    INDEX + "stats": f'{{"streams":1,"chunks":1,"bytes":{10 ** 18},"entries":{10 ** 18}}}',
    INDEX + "volume_range": lambda answering: re.sub(rb'"\d+"\]', b'"%d"]' % 10 ** 18, answering.right.body),
    LISTS: changed(metadata={"remainingItemCount": HUGE, "continue": "x" * 100_000}),
    ".*/openid-configuration": changed(issuer=HUGE),
    ".*/jwks": changed(keys=[{"kty": "RSA", "n": "_" * 500_000, "e": "AQAB"}]),
    ".*/me": changed(sub=HUGE)})

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
    how long the fault may be remembered, 0: the very next report is whole; `deadline`: the program's; `within`: the
    time in which the answer is there while the fault lasts."""
    backend: str
    fault: str
    status: object
    words: str
    pause: int = 0
    deadline: int = LONG
    within: float = PROMPT

    def __str__(self):
        return f"{self.backend}: {self.fault}"


LATE = {"words": "deadline", "deadline": SOON, "within": SOON + MARGIN}
# Connecting, and the handshake of TLS with it, has a limit of its own; what is cut or asked again may come to the
# deadline before.
UNCONNECTED = {**LATE, "words": "deadline|connecting took too long", "pause": CONNECTING}
UNREACHED = {"words": "connecting took too long", "within": REACHED_WITHIN, "pause": CONNECTING}
# A server that says so is asked again until the deadline.
ASKED_AGAIN = {"deadline": SOON, "within": SOON + MARGIN}
# Of any list of the Kubernetes API.
LIST_FAULTS = {
    "slow first byte": LATE, "slow drip": LATE,
    **{fault: {"words": words} for fault, words in (
        ("reset half-way", "the connection broke"), ("500", "answered 500"), ("503 with Retry-After", "answered 503"),
        ("HTML with 200", "no such list"), ("truncated JSON", "no such list"), ("1 GB of JSON", "larger than"),
        ("wrong types", "no such list"), ("huge numbers", "too long a token"), ("empty body", "no such list"))},
    "1 GB of JSON, its length not told": {"words": "larger than", "within": LONG + MARGIN}}

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
    Row("loki", "500", "missing", "HTTP 500: it broke", **ASKED_AGAIN),
    Row("loki", "503 with Retry-After", "missing", "HTTP 503: busy", **ASKED_AGAIN),
    Row("loki", "HTML with 200", "missing", "JSON"),
    Row("loki", "truncated JSON", "missing", "JSON"),
    Row("loki", "1 GB of JSON", "missing", "larger than"),
    Row("loki", "1 GB of JSON, its length not told", "missing", "larger than|no answer within", within=LONG + MARGIN),
    Row("loki", "wrong types", "missing", "no number of nanoseconds"),
    Row("loki", "huge numbers", "missing", "no number of nanoseconds"),
    Row("loki", "empty body", "missing", "JSON"),
    Row("loki", "certificate expired", "missing", "certificate has expired"),
    Row("loki", "certificate for another name", "missing", "certificate subject name"),
    Row("loki", "DNS failure", "missing", "no such host", CONNECTING),
    # The hints of Loki's index: whatever they are, they cost no request. They are waited for twice; where they promise
    # far too much, many questions are asked.
    *(Row("index", fault, "ok", "",
          within=LONG + MARGIN if fault.startswith("slow") or fault == "huge numbers" else PROMPT)
      for fault in FAULTS if callable(FAULTS[fault])),
    # The inventory; under Bearer there is no report without it.
    Row("kubernetes", "refused", "missing", "connection refused", CONNECTING),
    Row("kubernetes", "black hole", "missing", **UNREACHED),
    Row("kubernetes", "connection never made", "missing", **UNREACHED),
    *(Row("kubernetes", fault, "missing", pause=INVENTORY, **how) for fault, how in LIST_FAULTS.items()),
    Row("kubernetes", "certificate expired", "missing", "certificate has expired", INVENTORY),
    Row("kubernetes", "certificate for another name", "missing", "certificate subject name", INVENTORY),
    Row("kubernetes", "DNS failure", "missing", "no such host", CONNECTING),
    # Whose namespaces are; asked for a report over an owner's.
    *(Row("namespaces", fault, "partial", pause=INVENTORY, **how) for fault, how in LIST_FAULTS.items()),
    # Pods, in place of Loki: those that there are, ...
    *(Row("pod lists", fault, "missing", **how) for fault, how in LIST_FAULTS.items()),
    # ... and their logs: they are no JSON, and as long as they are. Without a connection there are no services either.
    Row("pods", "refused", "missing", "connection refused", CONNECTING),
    Row("pods", "black hole", "missing", **UNREACHED),
    Row("pods", "connection never made", "missing", **UNREACHED),
    Row("pods", "slow first byte", "missing", **LATE),
    Row("pods", "slow drip", "missing", **LATE),
    Row("pods", "reset half-way", "missing", "the connection broke"),
    Row("pods", "500", "missing", "answered 500"),
    Row("pods", "503 with Retry-After", "missing", "answered 503"),
    Row("pods", "HTML with 200", "partial", "lines without a time"),
    Row("pods", "truncated JSON", "partial", "ends in an unfinished line|lines without a time"),
    Row("pods", "empty body", "partial", "is empty"),
    Row("pods", "certificate expired", "missing", "certificate has expired", INVENTORY),
    Row("pods", "certificate for another name", "missing", "certificate subject name", INVENTORY),
    Row("pods", "DNS failure", "missing", "no such host", CONNECTING),
    # Users' providers.
    Row("oidc", "refused", (503, 503), "connection refused", PROVIDER),
    Row("oidc", "black hole", (503, 503), **{**UNREACHED, "pause": PROVIDER}),
    Row("oidc", "connection never made", (503, 503), **{**UNREACHED, "pause": PROVIDER}),
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
    Row("oidc", "DNS failure", (503, 503), "no such host", PROVIDER),
    # Its keys alone: who is known to it gets in by those that were read.
    *(Row("keys", fault, (200, 503), "keys: ", PROVIDER,
          within=PROVIDER + MARGIN if fault.startswith("slow") else PROMPT)
      for fault in FAULTS if callable(FAULTS[fault]) if fault not in ("wrong types", "huge numbers")),
    Row("keys", "wrong types", (200, 401), "no key with the token's kid", PROVIDER),
    Row("keys", "huge numbers", (200, 401), "keys of an identity provider are left out", PROVIDER),
]

# Which questions meet the fault, where it is not all of them.
PATHS = {"index": INDEX, "namespaces": NAMESPACES, "pods": LOGS, "pod lists": PODS, "keys": ".*/jwks"}


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
        self.data.requests([FIRST + number * HOUR for number in range(5)], path="/run/mine")
        self.kube = Kube(folder / "kube", tls=False)
        for each in DEFINITIONS:
            self.kube.put_service(each.name, f"name: {each.name}\nowner: {each.owner}\n"
                                             f"visibility: {each.visibility or 'private'}\n", each.namespace)
        self.kube.put_namespace("oscar-svc")
        self.kube.put_namespace("oscar-svc-dora", DORA)
        self.kube.put_namespace("oscar-svc-erin", ERIN)
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
        self.work = threading.Semaphore(AT_ONCE)

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

    def events(self, user=None):
        events = self.data.within(FIRST, LAST)
        return model.in_scope(events, DEFINITIONS, user) if user else events

    def totals(self, user=None, events=None):
        definitions = model.visible(DEFINITIONS, user) if user else DEFINITIONS
        return model.totals(self.events(user) if events is None else events, len(definitions), CPU, GPU)

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
        self.tokens = {None: None}  # of the admin, who has none, and of users
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
        self.tokens[ALICE] = self.world.issuer.token(ALICE)
        assert self.app.get("/system/metrics", "end=x", auth="Bearer " + self.tokens[ALICE]).status == 400

    def begin(self):
        if self.resolver:
            self.resolver.forget()
            self.server.work()  # what is connected needs no address
        elif self.fault in self.world.certificates:
            self.server.fail(shows(self.world.certificates[self.fault]))
        else:
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

    def get(self, within, token=None, more="", path="/system/metrics"):
        """The summary, or something else, for the admin or somebody else; it is to be there in that time."""
        began = time.monotonic()
        answer = self.app.get(path, SPAN + more, **({"auth": "Bearer " + token} if token else {}))
        took = time.monotonic() - began
        assert took < within, f"{took:.1f} s: {answer}"
        return answer

    def get_all(self, within):
        """{user: their summary}, all asked for at once; None is the admin."""
        users, answers = list(self.tokens), {}

        def ask(number):
            answers[users[number]] = self.get(within, self.tokens[users[number]])

        together(len(users), ask)
        return answers

    def check(self, answer, user=None, totals=None, **statuses):
        """A report with these totals, and sources that are not ok; without any it is to be whole."""
        assert answer.status == 200, answer
        assert answer.json()["totals"] == {**self.totals(user), **(totals or {})}, answer
        names = ("service-inventory", "prometheus", self.requests, "country-attribution", "exposed-request-logs")
        expected = {name: statuses.get(name, "ok") for name in names}
        if not answer.json()["totals"]["requests_count_total"]:
            del expected["country-attribution"]
        expect.sources(answer, expected)

    def totals(self, user, events=None):
        return self.world.totals(user, events)

    def check_notes(self, answer, *names):
        """Each of those that fail by the same fault says so. What is asked again until the deadline may have the last
        answer too late for that, but not all of it."""
        notes = [answer.source(name)["notes"] for name in names]
        said = [re.search(self.row.words, note) is not None for note in notes]
        if self.row.deadline == SOON and any(said):
            said = [is_said or "no answer within" in note for is_said, note in zip(said, notes)]
        assert all(said), notes

    def check_whole(self, within):
        """One report each."""
        for user, answer in self.get_all(within).items():
            self.check(answer, user)


class ForPrometheus(Fixture):
    upstream, variables = "prometheus", ("PROMETHEUS_URL", "PROMETHEUS_CA_FILE")
    LOST = {"cpu_hours_total": 0, "gpu_hours_total": 0}

    def check_faulty(self, answers):
        for user, answer in answers.items():
            self.check(answer, user, self.LOST, prometheus=self.row.status)
        self.check_notes(answers[None], "prometheus")


class ForLoki(Fixture):
    upstream, variables = "loki", ("LOKI_URL", "LOKI_CA_FILE")

    def settings(self):
        # So often a gigabyte is asked for that one at a time is enough.
        return {**super().settings(), "LOKI_PARALLEL": 1 if self.row.fault.startswith("1 GB") else 2}

    def check_faulty(self, answers):
        for user, answer in answers.items():
            self.check(answer, user, self.totals(user, []),
                       **{"loki": self.row.status, "exposed-request-logs": self.row.status})
        self.check_notes(answers[None], "loki", "exposed-request-logs")


class ForIndex(ForLoki):
    def check_faulty(self, answers):
        for user, answer in answers.items():
            self.check(answer, user)


class ForKubernetes(Fixture):
    upstream, variables = "kube", ("OSCAR_METRICS_KUBE_URL", "OSCAR_METRICS_KUBE_CA_FILE")

    def check_faulty(self, answers):
        self.check(answers[None], None, {"services_count_active": 0}, **{"service-inventory": self.row.status})
        self.check_notes(answers[None], "service-inventory")
        expect.plain(answers[ALICE], 503, "service inventory unavailable")


class ForNamespaces(ForKubernetes):
    """The admin asks who owns what, and for reports: over the shared owner's services, which need no list of
    namespaces; over those of somebody whose service says whose it is, too; and of somebody whom only a namespace
    names."""
    OWNERS = [{"id": DORA, "name": DORA, "namespace": "oscar-svc-dora"},
              {"id": ERIN, "name": ERIN, "namespace": "oscar-svc-erin"},
              {"id": "cluster_admin", "name": "oscar", "namespace": "oscar-svc"}]
    ASKED = ("cluster_admin", ERIN, DORA, None)

    def prime(self):
        pass

    def get_all(self, within):
        answers = {}

        def ask(number):
            owner = self.ASKED[number]
            answers[owner] = (self.get(within, more=f"&owner={owner}") if owner
                              else self.get(within, path="/system/metrics/owners"))

        together(len(self.ASKED), ask)
        return answers

    def totals(self, user, events=None):
        """Lines that name no namespace are those of the service that has the name now."""
        namespace, = (owner["namespace"] for owner in self.OWNERS if owner["id"] == user)
        homes = {each.name: each.namespace for each in DEFINITIONS}
        events = [event for event in self.world.events()
                  if (event.namespace or homes.get(event.service)) == namespace]
        return model.totals(events, list(homes.values()).count(namespace), CPU, GPU)

    def check_owners(self, answer, owners, complete="true"):
        assert (answer.status, answer.json()) == (200, {"owners": owners}), answer
        assert answer.header("OSCAR-Metrics-Complete") == complete, repr(answer)

    def check_faulty(self, answers):
        self.check(answers["cluster_admin"], "cluster_admin")
        self.check(answers[ERIN], ERIN, **{"service-inventory": self.row.status})
        self.check_notes(answers[ERIN], "service-inventory")
        expect.plain(answers[DORA], 503, "service inventory unavailable")
        self.check_owners(answers[None], self.OWNERS[1:], "false")

    def check_whole(self, within):
        answers = self.get_all(within)
        self.check_owners(answers.pop(None), self.OWNERS)
        for owner, answer in answers.items():
            self.check(answer, owner)


class ForPodLists(ForKubernetes):
    requests = "request-logs"
    SOURCES = ("request-logs", "exposed-request-logs")

    def settings(self):
        return {**super().settings(), "LOKI_URL": None}

    def totals(self, user, events=None):
        """Without a database of addresses nobody has a country."""
        return {**super().totals(user, events), "countries": [], "countries_count": 0}

    def check_faulty(self, answers):
        for user, answer in answers.items():
            self.check(answer, user, self.found(answer, user), **dict.fromkeys(self.SOURCES, self.row.status))
        self.check_notes(answers[None], *self.SOURCES)

    def found(self, answer, user):
        """What is in the report of what was lost."""
        return self.totals(user, [])


class ForPods(ForPodLists):
    def check_faulty(self, answers):
        if callable(self.fault):
            super().check_faulty(answers)
            return
        self.check(answers[None], None, {**self.totals(None, []), "services_count_active": 0},
                   **dict.fromkeys(("service-inventory", *self.SOURCES), self.row.status))
        self.check_notes(answers[None], "service-inventory", *self.SOURCES)
        expect.plain(answers[ALICE], 503, "service inventory unavailable")

    def found(self, answer, user):
        """The lines that came count."""
        if self.fault not in (slow_drip, reset_half_way, cut_short):
            return super().found(answer, user)
        found, right = answer.json()["totals"], self.totals(user)
        parts = {name: found[name] for name in right if "requests" in name or "user" in name}
        parts["services_count_total"] = found["services_count_total"]
        assert all(found[name] <= right[name] for name in parts if name != "users"), answer
        assert set(found["users"]) <= set(right["users"])
        assert found["requests_count_total"] < right["requests_count_total"]
        return parts


class ForOidc(Fixture):
    """Three people: one whose token is remembered; one whose provider is known, and must be asked for them; and one
    whose provider nobody has asked."""
    upstream = "oidc"

    def settings(self):
        self.known, self.fresh = (self.world.oidc.issuer(f"/{TABLE.index(self.row)}-{name}", self.world.key)
                                  for name in ("known", "fresh"))
        for issuer in (self.known, self.fresh):
            issuer.url = self.server.url + issuer.path
        self.tokens |= {ALICE: self.known.token(ALICE), BOB: self.known.token(BOB), CAROL: self.fresh.token(CAROL)}
        return {"OIDC_ISSUERS": f"{self.known.url},{self.fresh.url}", "OIDC_CA_FILE": self.world.authority.ca}

    def prime(self):
        self.check(self.get(PROMPT, self.tokens[ALICE]), ALICE)

    def check_faulty(self, answers):
        known, fresh = self.row.status
        self.check(answers[None])
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


FIXTURES = {"prometheus": ForPrometheus, "loki": ForLoki, "index": ForIndex, "kubernetes": ForKubernetes,
            "namespaces": ForNamespaces, "pods": ForPods, "pod lists": ForPodLists, "oidc": ForOidc, "keys": ForOidc}


def peak_kb(app):
    """The most memory that the program ever had."""
    with open(f"/proc/{app.process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


def let_pass(seconds):
    """A pause that the program makes: nothing else tells that it is over."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "the time", seconds + PATIENCE, 0.05)


def run(world, row):
    """One row of the table, from its beginning to its end."""
    with contextlib.ExitStack() as stack:
        with world.work:
            fixture = FIXTURES[row.backend](world, row)
            stack.callback(fixture.close)
            fixture.prime()
            before = peak_kb(fixture.app)
            fixture.begin()
            fixture.check_faulty(fixture.get_all(row.within))
            check_cost(fixture, before)
            fixture.end()
        let_pass(row.pause)
        fixture.check_whole(row.deadline + MARGIN)  # not when others have done their work: now
        expect.logfmt(fixture.app.stderr())


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
    wanted.sort(key=lambda row: -row.pause)  # those that wait the longest first
    with concurrent.futures.ThreadPoolExecutor(ROWS) as pool, concurrent.futures.ThreadPoolExecutor(HARD_ROWS) as hard:
        yield {row: (hard if row.fault.startswith("1 GB") else pool).submit(run, world, row) for row in wanted}
    world.close()


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_fault(runs, row):
    runs[row].result()
