"""Two users side by side, and the admin, over many mixed requests on all workers: no answer ever has anything of
somebody else's scope. Every answer is held against the model's own. Also run under the ThreadSanitizer."""
import json
import random
import re

import pytest

from harness import model
from harness.client import ADMIN
from harness.cluster import ALICE, BOB, DAY, MONTH, Cluster
from harness.fake_prometheus import FakePrometheus
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.together import together

THREADS, REQUESTS = 16, 1000
SPANS = {MONTH: ("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"),
         DAY: ("2026-01-10T00:00:00Z", "2026-01-10T23:59:59.999Z")}
ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}
NAMES = ("public", "of-alice", "of-bob", "alice-and-bob", "public-and-bobs", "broken", "deleted")


def events_of(cluster, user, span):
    between = model.between(cluster.events, *span)
    return between if user is None else model.in_scope(between, cluster.definitions, user)


def requests_of(cluster, user):
    """{(path, query): (status, what of the answer must be that)} for a user, None being the admin."""
    expected = {}
    for query, span in SPANS.items():
        events = events_of(cluster, user, span)
        if user is not None:
            expected["", query] = (200, cluster.totals(user, *span))
        for group_by, items in ITEMS.items():
            expected["/breakdown", f"{query}&group_by={group_by}"] = (200, items(events))
            expected["/breakdown", f"{query}&group_by={group_by}&format=csv"] = (
                200, model.to_csv(group_by, items(events)))
        expected["/breakdown", f"{query}&group_by=service&include_users=true"] = (
            200, model.by_service(events, include_users=True))
        for name in NAMES:
            status = 200 if user is None else cluster.access(user, name)
            values = [value for value in model.values_of(events, name) if not value[0].endswith("-hours")]
            expected["/" + name, query] = (status, values)
    expected["/owners", ""] = (200 if user is None else 403, None)
    return expected


def what_it_says(path, query, answer):
    """The part of an answer that the model knows."""
    if "format=csv" in query:
        return answer.text
    body = json.loads(answer.text)
    if path == "/breakdown":
        return body["items"]
    if path == "/owners":
        return None
    return body["totals"] if path == "" else [(metric["metric"], metric["value"]) for metric in body["metrics"]
                                              if not metric["metric"].endswith("-hours")]


def words(text):
    """Ids and names as they stand in answers."""
    return set(re.findall(r"[A-Za-z0-9@.-]+", text))


def callers(cluster):
    """Of each service, a user that called no other."""
    return {event.user: event.service for event in cluster.events if event.user.endswith("-caller@example.org")}


class Asker:
    """Somebody, with the answers that are theirs."""

    def __init__(self, cluster, user, authorizations):
        self.user = user
        self.authorizations = authorizations
        self.expected = requests_of(cluster, user)
        seen = {event.user for event in (cluster.events if user is None else cluster.seen_events(user))}
        # Ids that stand in no answer of theirs.
        self.hidden = {caller for caller in callers(cluster) if caller not in seen}

    def ask(self, app, random_):
        path, query = random_.choice(list(self.expected))
        status, said = self.expected[path, query]
        while True:
            answer = app.get("/system/metrics" + path, query, auth=random_.choice(self.authorizations))
            if answer.status != 503 or answer.text != "too busy":
                break
        assert answer.status == status, (self.user, path, query, answer)
        assert not words(answer.text) & self.hidden, (self.user, path, query)
        if status == 200:
            assert what_it_says(path, query, answer) == said, (self.user, path, query)


@pytest.fixture
def prometheus():
    server = FakePrometheus()
    yield server
    server.close()


@pytest.fixture
def server():
    made = HostileOidc()
    yield made
    made.close()


def many(app, askers, requests=REQUESTS):
    """All of them at once, in an order that differs from thread to thread."""
    def work(number):
        random_ = random.Random(number)
        for _ in range(requests // THREADS + 1):
            random_.choice(askers).ask(app, random_)

    together(THREADS, work)


def program(start, cluster, issuer):
    return start({**cluster.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP,
                  "OSCAR_METRICS_WORKERS": THREADS})


def tokens(issuer, user, count):
    return ["Bearer " + issuer.token(user, jti=str(number)) for number in range(count)]


def test_two_users_side_by_side(start, folder, server, prometheus):
    cluster = Cluster(folder, requests=800, fake=prometheus)
    issuer = server.issuer("/x", EcKey())
    app = program(start, cluster, issuer)
    askers = [Asker(cluster, user, tokens(issuer, user, 3)) for user in (ALICE, BOB)]
    assert askers[0].hidden - askers[1].hidden and askers[1].hidden - askers[0].hidden
    many(app, [*askers, Asker(cluster, None, [ADMIN])])


def test_two_users_of_two_providers(start, folder, server, prometheus):
    """Of the same id, too: a user is who a configured provider says, whichever it is."""
    cluster = Cluster(folder, requests=200, fake=prometheus)
    issuers = [server.issuer(path, EcKey(kid="same")) for path in ("/x", "/y")]
    app = start({**cluster.settings, "OIDC_ENABLE": "true", "OIDC_GROUPS": GROUP,
                 "OIDC_ISSUERS": ",".join(issuer.url for issuer in issuers)})
    many(app, [Asker(cluster, user, tokens(issuer, user, 1)) for user in (ALICE, BOB) for issuer in issuers], 300)


def test_new_tokens_all_the_time(start, folder, server, prometheus):
    """Every request with a token that nobody has seen, some of them wrong: who is who does not mix up."""
    cluster = Cluster(folder, requests=200, fake=prometheus)
    issuer, wrong = server.issuer("/x", EcKey()), EcKey()
    app = program(start, cluster, issuer)

    class NewTokens(Asker):
        def ask(self, app, random_):
            more = {"jti": str(random_.getrandbits(64))}
            if random_.random() < 0.2:
                token = issuer.token(self.user, wrong, {"kid": issuer.keys[0].kid}, **more)
                assert app.get("/system/metrics", auth="Bearer " + token).status == 401
                return
            self.authorizations = ["Bearer " + issuer.token(self.user, **more)]
            super().ask(app, random_)

    def work(number):
        # One for each thread: it changes its token.
        asker, random_ = NewTokens(cluster, (ALICE, BOB)[number % 2], []), random.Random(number)
        for _ in range(20):
            asker.ask(app, random_)

    together(THREADS, work)
