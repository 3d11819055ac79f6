"""What the soak is about: a cluster of many users' services behind stand-ins for all four backends, and requests of
every kind, each with the answer that the model says is right."""
import collections
import dataclasses
import json
import pathlib
import random
import re
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import logdata, model  # noqa: E402
from harness.client import ADMIN, basic  # noqa: E402
from harness.fake_prometheus import FakePrometheus, vector  # noqa: E402
from harness.hostile_oidc import GROUP, HostileOidc  # noqa: E402
from harness.jose import EcKey, RsaKey  # noqa: E402
from harness.kube import Kube  # noqa: E402
from harness.loki import HOUR, SECOND, Loki  # noqa: E402
from harness.lokidata import INGRESS, OSCAR, Data, exposed_line, nanoseconds, rfc3339  # noqa: E402

SHARED, TEAM, STRANGER = "oscar-svc", "team@example.org", "stranger@example.org"
PUBLIC, DELETED = [f"public-{n}" for n in range(6)], ["gone-0", "gone-1"]
BEGIN, HOURS = nanoseconds("2026-01-05T00:00:00Z"), 72
COUNTRIES = ({"geoip_country_code": "ES"}, {"geoip_country_code": "FR"}, {"country": "PT"}, {})


@dataclasses.dataclass
class Wanted:
    """A request, and its one right answer. `body`: the times at which sources were read are left out of it."""
    kind: str
    path: str
    query: str
    auth: str
    status: int
    body: str
    method: str = "GET"

    @property
    def target(self):
        return self.path + ("?" + self.query if self.query else "")


def without_times(text):
    """The body without the times at which its sources were read: all else is known beforehand."""
    return re.sub('"last_updated":"[^"]*"', '"last_updated":""', text)


def as_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def source(name):
    return {"name": name, "status": "ok", "last_updated": ""}


def number(value):
    """As the answers spell it: no fraction where there is none."""
    return int(value) if value == int(value) else value


class World:
    """`settings`: what the program is started with. `users`: how many have services of their own."""

    def __init__(self, folder, users=40, requests=3000):
        self.random = random.Random(20260105)
        self.users = [f"user-{n:03}@example.org" for n in range(users)]
        self.prometheus, self.loki = FakePrometheus(), Loki()
        self.oidc, self.kube = HostileOidc(), Kube(folder / "kube")
        for stand_in in (self.prometheus, self.oidc):
            stand_in.server.asked = collections.deque(maxlen=1)  # nobody looks, and there will be many
        self.definitions = self._deploy()
        places = sorted({(definition.namespace, definition.name) for definition in self.definitions} |
                        {(SHARED, name) for name in DELETED})
        # Sums of such fractions are exact, in any order.
        self.hours = {place: (0.25 * (n + 1), float(n % 7)) for n, place in enumerate(places)}
        self.prometheus.answers(lambda asked: vector(repr(self._hours(asked.query))))
        self.data = Data(self.loki)
        self._call(requests)
        self.issuer = self.oidc.issuer("/x", EcKey(), RsaKey())
        self.issuer.users[STRANGER] = {"group_membership": ["vo.elsewhere.example.org"]}
        self.settings = {**self.loki.settings, **self.kube.settings, "PROMETHEUS_URL": self.prometheus.url,
                         "OIDC_ENABLE": "true", "OIDC_ISSUERS": self.issuer.url, "OIDC_GROUPS": GROUP}

    def close(self):
        for stand_in in (self.prometheus, self.loki, self.oidc, self.kube):
            stand_in.close()

    # What there is.

    def _deploy(self):
        definitions = [model.Definition(name, SHARED, TEAM, "public") for name in PUBLIC]
        for n, user in enumerate(self.users):
            definitions.append(model.Definition(f"own-{n:03}", f"{SHARED}-u{n:03}", user, "private"))
            neighbour = self.users[(n + 1) % len(self.users)]
            definitions.append(model.Definition(f"lent-{n:03}", SHARED, user, "restricted", (neighbour,)))
            self.kube.put_namespace(f"{SHARED}-u{n:03}", user)
        for definition in definitions:
            stated = {"name": definition.name, "image": "images.example.org/x/y", "owner": definition.owner,
                      "visibility": definition.visibility, "allowed_users": list(definition.allowed_users)}
            text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in stated.items() if value)
            self.kube.put_service(definition.name, text, definition.namespace)
        return definitions

    def _call(self, count):
        """Puts requests to the services into Loki, spread over the hours."""
        random_, data = self.random, self.data
        namespaces = {definition.name: definition.namespace for definition in self.definitions}
        names = [*namespaces, *DELETED]
        data.begin(BEGIN)
        streams = collections.defaultdict(list)
        for n in range(count):
            name, when = random_.choice(names), BEGIN + n * HOURS * HOUR // count
            more = {"service": name, "namespace": namespaces.get(name, SHARED)} if random_.random() < 0.5 else {}
            user = random_.choice([*self.users, "oscar", "nil", "minio", ""])
            line = logdata.request(rfc3339(when), f"/{random_.choice(['run', 'job'])}/{name}", user, **more)
            streams[n % len(COUNTRIES)].append((when, line.rstrip("\n")))
        for n, entries in streams.items():
            data.put({**OSCAR, **COUNTRIES[n]}, entries)
        times = [BEGIN + n * HOURS * HOUR // (count // 4) for n in range(count // 4)]
        data.put(INGRESS, [(when, exposed_line(when, random_.choice(names))) for when in times])

    def _hours(self, query):
        """What Prometheus would say to the templates that are the default."""
        def pattern(label):
            return re.compile(json.loads(re.search(label + r'=~("(?:[^"\\]|\\.)*")', query)[1]))

        namespaces, services, which = pattern("namespace"), pattern("service"), "gpu" in query
        return sum(hours[which] for (namespace, name), hours in self.hours.items()
                   if namespaces.fullmatch(namespace) and services.fullmatch(name))

    # What is right. `user` None is the admin.

    def seen(self, user):
        return self.definitions if user is None else model.visible(self.definitions, user)

    def events(self, user, first, last):
        events = self.data.within(first, last)
        return events if user is None else model.in_scope(events, self.definitions, user)

    def hours_of(self, user, name=None):
        seen = {(definition.namespace, definition.name) for definition in self.seen(user)}
        chosen = [hours for place, hours in self.hours.items()
                  if (user is None or place in seen) and name in (None, place[1])]
        return tuple(number(sum(hours[which] for hours in chosen)) for which in (0, 1))

    def summary(self, user, first, last):
        events = self.events(user, first, last)
        totals = model.totals(events, len(self.seen(user)), *self.hours_of(user))
        countries = ["country-attribution"] if totals["requests_count_total"] else []
        names = ["service-inventory", "prometheus", "loki", *countries, "exposed-request-logs"]
        return as_json({"start": rfc3339(first), "end": rfc3339(last), "totals": totals,
                        "sources": [source(name) for name in names]})

    def breakdown(self, user, first, last, group_by, form, include_users):
        events = self.events(user, first, last)
        items = model.by_service(events, include_users) if group_by == "service" else \
            {"user": model.by_user, "country": model.by_country}[group_by](events)
        if form == "csv":
            return model.to_csv(group_by, items)
        names = [*(["service-inventory"] if user else []), "loki"]
        names += ["country-attribution"] if any(event.kind != "exposed" for event in events) else []
        names += ["exposed-request-logs"] if group_by == "service" else []
        return as_json({"start": rfc3339(first), "end": rfc3339(last), "group_by": group_by, "items": items,
                        "sources": [source(name) for name in names]})

    def service(self, user, first, last, name):
        values = model.values_of(self.events(user, first, last), name, *self.hours_of(user, name))
        fed_by = {"cpu-hours": "prometheus", "gpu-hours": "prometheus",
                  "requests-exposed-per-service": "exposed-request-logs"}
        metrics = []
        for metric, value in values:
            unit = {"unit": "hours"} if metric.endswith("-hours") else {}
            metrics.append({"metric": metric, "value": value, **unit, "sources": [source(fed_by.get(metric, "loki"))]})
        return as_json({"service_name": name, "start": rfc3339(first), "end": rfc3339(last), "metrics": metrics})

    def owners(self):
        owners = [{"id": user, "name": user, "namespace": f"{SHARED}-u{n:03}"} for n, user in enumerate(self.users)]
        shared = {"id": "cluster_admin", "name": "oscar", "namespace": SHARED}
        return as_json({"owners": sorted([*owners, shared], key=lambda owner: owner["name"].lower())})

    # What is asked.

    def mix(self):
        """[Wanted], in groups of one kind."""
        bearer = {user: "Bearer " + self.issuer.token(user, self.issuer.keys[n % 2])
                  for n, user in enumerate(self.users)}
        return [*self._of_the_admin(), *self._of_users(bearer), *self._refused(bearer)]

    @staticmethod
    def _ranges():
        """All, days, and some that are cut within hours."""
        yield BEGIN, BEGIN + HOURS * HOUR - 1
        for day in range(HOURS // 24):
            yield BEGIN + day * 24 * HOUR, BEGIN + (day + 1) * 24 * HOUR - 1
        for n in range(4):
            yield BEGIN + n * 7 * HOUR + 17 * 60 * SECOND, BEGIN + (n * 9 + 13) * HOUR + 500_000_003

    def _breakdowns(self, kind, user, auth, first, last):
        query = f"start={rfc3339(first)}&end={rfc3339(last)}"
        for group_by, form, include in (("service", "json", False), ("service", "json", True), ("user", "json", False),
                                        ("country", "json", False), ("service", "csv", False), ("user", "csv", False),
                                        ("country", "csv", False)):
            more = f"&group_by={group_by}&format={form}" + ("&include_users=true" if include else "")
            yield Wanted(f"{kind}, breakdown, {form}", "/system/metrics/breakdown", query + more, auth, 200,
                         self.breakdown(user, first, last, group_by, form, include))

    def _services(self, kind, user, auth, first, last, names):
        query = f"start={rfc3339(first)}&end={rfc3339(last)}"
        for name in names:
            yield Wanted(f"{kind}, a service", f"/system/metrics/{name}", query, auth, 200,
                         self.service(user, first, last, name))

    def _summary(self, kind, user, auth, first, last):
        return Wanted(f"{kind}, summary", "/system/metrics", f"start={rfc3339(first)}&end={rfc3339(last)}", auth, 200,
                      self.summary(user, first, last))

    def _of_the_admin(self):
        names = [*PUBLIC, "own-000", "lent-001", *DELETED, "never-heard-of"]
        for first, last in self._ranges():
            yield self._summary("admin", None, ADMIN, first, last)
            yield from self._breakdowns("admin", None, ADMIN, first, last)
            yield from self._services("admin", None, ADMIN, first, last, names)
        yield Wanted("admin, owners", "/system/metrics/owners", "", ADMIN, 200, self.owners())

    def _of_users(self, bearer):
        ranges = list(self._ranges())
        for n, user in enumerate(self.users):
            span = ranges[n % len(ranges)]
            yield self._summary("users", user, bearer[user], *ranges[0])
            yield self._summary("users", user, bearer[user], *span)
            yield from self._breakdowns("users", user, bearer[user], *span)
            yield from self._services("users", user, bearer[user], *span, [f"own-{n:03}", f"lent-{n:03}", PUBLIC[0]])

    def _refused(self, bearer):
        good = f"start={rfc3339(BEGIN)}&end={rfc3339(BEGIN + HOUR)}"
        alice = bearer[self.users[0]]
        wrong = [("end=x", "invalid end timestamp"), ("start=x", "invalid start timestamp"),
                 ("start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "end must be after start"),
                 ("start=2000-01-01T00:00:00Z&end=2026-01-01T00:00:00Z", "time range too long"),
                 (good, "group_by is required"), (good + "&group_by=x", "unsupported group_by"),
                 (good + "&group_by=user&format=x", "invalid format"),
                 (good + "&group_by=service&format=csv&include_users=true", "include_users is not supported for csv")]
        for query, text in wrong:
            for auth in (ADMIN, alice):
                yield Wanted("400", "/system/metrics/breakdown", query, auth, 400, as_json({"error": text}))
        head, body, _ = alice.removeprefix("Bearer ").split(".")
        signature = bearer[self.users[2]].rsplit(".", 1)[1]
        for auth in (None, basic(password="guess"), basic(user="guess"), "Bearer x", f"Bearer {head}.{body}.{signature}",
                     "Bearer " + self.issuer.token(self.users[0], lifetime=-60)):
            text = "authentication required" if auth is None else "invalid credentials"
            yield Wanted("401", "/system/metrics", good, auth, 401, text)
        yield Wanted("403", "/system/metrics", good, "Bearer " + self.issuer.token(STRANGER), 403, "access denied")
        yield Wanted("403", "/system/metrics/owners", "", alice, 403, "access denied")
        for n in range(1, 6):
            yield Wanted("403", f"/system/metrics/own-{n:03}", good, alice, 403, "access denied")
        yield Wanted("404", "/system/metrics/never-heard-of", good, alice, 404, "service not found")
        yield Wanted("404", "/system/metrics/a/b", good, alice, 404, "not found")
        yield Wanted("404", "/system/metrics", good + "&owner=" + urllib.parse.quote(STRANGER), ADMIN, 404,
                     "metrics owner not found")
        yield Wanted("405", "/system/metrics", good, ADMIN, 405, "method not allowed", method="DELETE")
