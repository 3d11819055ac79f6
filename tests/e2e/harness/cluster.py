"""A cluster of several people's services: definitions, a month of requests with their countries, and the hours that a
Prometheus of ours would count. What an OIDC user must be answered comes from the model."""
import json
import random
import re

from . import logdata, model
from .app import ROOT
from .fake_prometheus import vector
from .logdata import request
from .model import Definition

ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"
USERS = (ALICE, BOB, CAROL)

DEFINITIONS = (
    Definition("public", owner=CAROL, visibility="public"),
    Definition("of-alice", owner=ALICE),
    Definition("of-bob", owner=BOB, visibility="private"),
    Definition("of-carol", "oscar-svc-carol", owner=CAROL),
    Definition("for-alice", owner=CAROL, visibility="restricted", allowed_users=("x", ALICE)),
    Definition("for-both", owner=CAROL, visibility="restricted", allowed_users=(BOB, ALICE)),
    Definition("for-nobody", owner=CAROL, visibility="restricted"),
    Definition("not-restricted", owner=CAROL, visibility="private", allowed_users=(ALICE, BOB)),
    Definition("alice-and-bob", "oscar-svc-alice", owner=ALICE),
    Definition("alice-and-bob", "oscar-svc-bob", owner=BOB),
    Definition("public-and-bobs", "oscar-svc-carol", owner=CAROL, visibility="public"),
    Definition("public-and-bobs", "oscar-svc-bob", owner=BOB),
    Definition("broken", owner=ALICE, visibility="public", broken=True),
    Definition("half-broken", owner=ALICE, visibility="public"),
    Definition("half-broken", "oscar-svc-bob", owner=BOB, visibility="public", broken=True),
    Definition("never-called", owner=ALICE),
    Definition("never-called-either", owner=ALICE),
)
DELETED = ("deleted", "of-alice2", "of")

NETWORKS = {"192.0.2.0/24": "ES", "192.0.2.128/25": "FR", "192.0.2.200/32": "PT", "198.51.100.0/24": "DE"}
ADDRESSES = ("192.0.2.1", "192.0.2.129", "192.0.2.200", "198.51.100.9", "8.8.8.8", "10.0.0.1")
DATABASE = ROOT / "tests" / "data" / "countries.mmdb"

START, END = "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"
MONTH = f"start={START}&end={END}"
DAY = "start=2026-01-10T00:00:00Z&end=2026-01-10T23:59:59.999Z"


def write_definition(folder, definition):
    """Below the folder of services, in place of what is there."""
    below = folder if definition.namespace == "oscar-svc" else folder / definition.namespace
    below.mkdir(parents=True, exist_ok=True)
    stated = {"name": definition.name, "image": "images.example.org/x/y", "owner": definition.owner,
              "visibility": definition.visibility, "allowed_users": list(definition.allowed_users)}
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in stated.items() if value]
    if definition.broken:
        lines.append("visibility: public\nvisibility: public\n")
    file = below / f"{definition.name}.yaml"
    file.with_suffix(".new").write_text("".join(lines))
    file.with_suffix(".new").rename(file)


def _lines(random_, count, definitions):
    names = sorted({definition.name for definition in definitions} - {"never-called", "never-called-either"}) + list(DELETED)
    namespaces = sorted({definition.namespace for definition in definitions}) + ["oscar-svc-gone"]
    for number in range(count):
        time = f"2026-01-{1 + number * 31 // count:02}T{random_.randrange(24):02}:{random_.randrange(60):02}:07.5Z"
        name, kind = random_.choice(names), random_.choice(["run", "job"])
        # A user of the services need not be one who looks at the reports.
        user = random_.choice(USERS + (f"{name}-caller@example.org", "oscar", "nil", ""))
        more = (name, random_.choice(namespaces)) if random_.random() < 0.6 else ()
        yield request(time, f"/{kind}/{'by-path' if more else name}", user, *more, client=random_.choice(ADDRESSES))


def _exposed(random_, count, definitions):
    names = [definition.name for definition in definitions] + list(DELETED)
    for number in range(count):
        clf = f"{1 + number * 31 // count:02}/Jan/2026:10:{random_.randrange(60):02}:00 +0000"
        yield logdata.nginx_line(clf, f"/system/services/{random_.choice(names)}/exposed/x")


class Cluster:
    """`settings`: what the program is started with, but for the users' providers."""

    def __init__(self, folder, requests=2000, definitions=DEFINITIONS, fake=None):
        random_ = random.Random(4711)
        self.folder = folder / "services"
        self.definitions = list(definitions)
        for definition in definitions:
            write_definition(self.folder, definition)
        lines = logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *_lines(random_, requests, definitions))
        exposed = logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN,
                                *_exposed(random_, requests // 4, definitions))
        self.events = model.locate(model.read_requests(lines), NETWORKS) + model.read_exposed(exposed)
        self.settings = {"OSCAR_METRICS_LOG_FILES": folder / "manager.log",
                         "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log", "GEOIP_DATABASE": DATABASE,
                         "OSCAR_METRICS_SERVICES_DIR": self.folder}
        # Every service has hours of its own, deleted ones too: a sum tells which were asked for.
        places = sorted({(definition.namespace, definition.name) for definition in definitions} |
                        {("oscar-svc", name) for name in DELETED} | {("oscar-svc-gone", "deleted")})
        self.hours = {place: (2.0 ** -(number + 1), 2.0 ** number) for number, place in enumerate(places)}
        if fake:
            fake.answers(lambda asked: vector(repr(self._answer(asked.query))))
            self.settings["PROMETHEUS_URL"] = fake.url

    def _answer(self, query):
        """What Prometheus would say to the templates that are the default."""
        def matches(label, text):
            pattern = re.search(label + r'=~("(?:[^"\\]|\\.)*")', query)[1]
            return re.fullmatch(json.loads(pattern), text)

        which = "gpu" in query
        return sum(hours[which] for (namespace, name), hours in self.hours.items()
                   if matches("namespace", namespace) and matches("service", name))

    def change(self, definition):
        """Another definition in place of the one of that name and namespace."""
        write_definition(self.folder, definition)
        self.definitions = [definition if (old.namespace, old.name) == (definition.namespace, definition.name) else old
                            for old in self.definitions]

    def seen_events(self, user, start=START, end=END, owned=False):
        return model.in_scope(model.between(self.events, start, end), self.definitions, user, owned)

    def hours_of(self, user, name=None):
        """(CPU, GPU) of the services that somebody may see, or of those of one name."""
        places = {(definition.namespace, definition.name) for definition in model.visible(self.definitions, user)
                  if name in (None, definition.name)}
        return tuple(sum(self.hours[place][kind] for place in places) for kind in (0, 1))

    def totals(self, user, start=START, end=END):
        """The summary's totals for an OIDC user."""
        cpu, gpu = self.hours_of(user) if "PROMETHEUS_URL" in self.settings else (0, 0)
        return model.totals(self.seen_events(user, start, end), len(model.visible(self.definitions, user)), cpu, gpu)

    def names(self):
        return sorted({definition.name for definition in self.definitions})

    def access(self, user, name):
        """The status of /{name} for an OIDC user."""
        if any(definition.name == name for definition in model.visible(self.definitions, user)):
            return 200
        return 403 if name in self.names() else 404
