"""docs/openapi.yaml against the running program: a contract tester asks at random, directed requests meet every answer
that the file promises, and the file's own examples follow their schemas."""
import contextlib
import copy
import json
import os
import socket
import subprocess

import jsonschema
import pytest

from harness import logdata
from harness.app import ROOT, App, run
from harness.cgi import CgiApp
from harness.client import ADMIN, basic
from harness.cluster import ALICE, BOB, DAY, DEFINITIONS, MONTH, Cluster
from harness.fake_prometheus import FakePrometheus, Hold, Reply, vector
from harness.hostile_oidc import HostileOidc
from harness.jose import EcKey
from harness.nginx import Nginx
from harness.model import Definition
from harness.oidc import PLAIN, Provider, groups_claim
from harness.openapi import FILE, Description, without
from harness.validators import VALIDATORS
from harness.waiting import PATIENCE

TESTER = ROOT / "tests" / "e2e" / "harness" / "schemathesis"
GROUP, STRANGER = "vo.example.org", "stranger@example.org"
SUMMARY, BREAKDOWN, OWNERS, SERVICE = PUBLIC = ("/system/metrics", "/system/metrics/breakdown", "/system/metrics/owners",
                                                "/system/metrics/{serviceName}")
FOUND = Description()
OPERATOR = tuple(path for path in FOUND.document["paths"] if path not in PUBLIC)
QUEUE = 64


# The file.

def test_it_is_openapi():
    done = subprocess.run([VALIDATORS / "openapi-spec-validator", "--schema", "3.1", FILE], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0 and "OK" in done.stdout, done.stdout


def test_it_is_of_this_version():
    assert run("--version").stdout.split()[-1] == FOUND.document["info"]["version"]


EXAMPLES = list(FOUND.examples())


def test_every_report_has_an_example():
    for path, status, response in FOUND.responses():
        if path in PUBLIC and status == 200:
            assert all(content.get("examples") for content in response["content"].values()), path


@pytest.mark.parametrize("where,schema,value", EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_examples_follow_their_schemas(where, schema, value):
    FOUND.validate(schema, value)


def every_member(value, path=()):
    """(path, object) of every object in a JSON value."""
    if isinstance(value, dict):
        yield path, value
    for key, inner in (value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()):
        yield from every_member(inner, (*path, key))


OBJECTS = [(f"{where} {'/'.join(map(str, path))}", schema, value, path) for where, schema, value in EXAMPLES
           for path, _ in every_member(value)]


@pytest.mark.parametrize("where,schema,value,path", OBJECTS, ids=[row[0] for row in OBJECTS])
def test_a_field_more_or_less_is_none_of_an_answer(where, schema, value, path):
    """Of every object in an example; of a source's two optional fields each is missing in some."""
    def changed(change):
        new = copy.deepcopy(value)
        place = new
        for key in path:
            place = place[key]
        change(place)
        return new

    with pytest.raises(jsonschema.ValidationError):
        FOUND.validate(schema, changed(lambda place: place.update(new_field=1)))
    for name in dict(every_member(value))[path]:
        if name not in ("last_updated", "users"):
            with pytest.raises(jsonschema.ValidationError):
                FOUND.validate(schema, changed(lambda place, name=name: place.pop(name)))


# The program.

@pytest.fixture(scope="module")
def provider(shared_folder):
    users = {user: groups_claim(PLAIN, [GROUP]) for user in (ALICE, BOB)}
    server = Provider(shared_folder, {**users, STRANGER: groups_claim(PLAIN, ["another"])}, [PLAIN])
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster(shared_folder, shared_fake):
    """`yolo` is what the file's examples ask for. A definition that cannot be read would hide owners."""
    definitions = [definition for definition in DEFINITIONS if not definition.broken]
    return Cluster(shared_folder, requests=400, fake=shared_fake,
                   definitions=[*definitions, Definition("yolo", owner=ALICE, visibility="public")])


def oidc(issuer):
    return {"OIDC_ENABLE": "true", "OIDC_GROUPS": GROUP, "OIDC_ISSUERS": issuer}


@pytest.fixture(scope="module")
def app(cluster, provider, start_shared):
    return start_shared({**cluster.settings, **oidc(provider.issuer())})


@pytest.fixture(scope="module")
def alice(provider):
    return "Bearer " + provider.sign_in(ALICE)


@pytest.fixture(scope="module")
def bob(provider):
    return "Bearer " + provider.sign_in(BOB)


@pytest.fixture(scope="module")
def nginx(app, shared_folder):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        server = Nginx(shared_folder / "nginx", app.address, operator=listening)
        server.url = "http://%s:%d" % listening.getsockname()
    yield server
    server.stop()


# The contract tester.

def contract_test(folder, nginx, authorization, file=FILE, phases="examples,coverage,fuzzing"):
    """(exit status, what it printed, its report). The same requests at every run."""
    report = folder / "report.json"
    done = subprocess.run(
        [VALIDATORS / "schemathesis", "--config-file", TESTER / "schemathesis.toml", "run", file, "--url", nginx.url,
         "--header", f"Authorization: {authorization}", "--phases", phases, "--max-examples", "25",
         "--generation-deterministic", "--no-color",
         "--continue-on-failure", "--report-json-path", report],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(TESTER), "SCHEMATHESIS_HOOKS": "hooks",
             "PYTHONDONTWRITEBYTECODE": "1", "no_proxy": "127.0.0.1"},
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE * 10, check=False)
    return done.returncode, done.stdout, json.loads(report.read_text()) if report.exists() else None


def held_to_the_file(folder, nginx, authorization):
    """No answer of any operation is other than the file says; of those to wrong parameters none is a report."""
    status, said, report = contract_test(folder, nginx, authorization)
    assert status == 0, said
    assert report["operations"]["tested"] == len(PUBLIC + OPERATOR) and report["test_cases"]["generated"] > 300, said
    assert not report["failures"] and not report["errors"], said
    # Nothing was left unchecked.
    assert not any(report["warnings"][kind] for kind in ("missing_deserializer", "unsupported_regex",
                                                         "unresolvable_reference")), said
    return report


def test_the_admin_gets_what_the_file_says(folder, nginx):
    report = held_to_the_file(folder, nginx, ADMIN)
    for path in PUBLIC:
        assert sum(phase["accepted"] for phase in report["valid_rates"]["GET " + path].values()) > 15, path


def test_a_user_gets_what_the_file_says(folder, nginx, alice):
    held_to_the_file(folder, nginx, alice)


def test_the_tester_notices_what_the_file_does_not_have(folder, nginx):
    """What the program answers, taken out of the file: as if it were new in the program."""
    changed = folder / "openapi.yaml"
    changed.write_text(without(without(FILE.read_text(), r" +users_count: \{\$ref.*"), r" +- users_count"))
    status, said, report = contract_test(folder, nginx, ADMIN, changed, phases="examples")
    assert status == 1 and report["test_cases"]["with_failures"] > 0, said
    assert "users_count" in said


# Every answer that it promises.

TIMES = {"end=x": "invalid end timestamp", "start=x": "invalid start timestamp",
         "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z": "end must be after start",
         "start=2020-01-01T00:00:00Z&end=2026-01-01T00:00:00Z": "time range too long"}
WRONG = {
    SUMMARY: TIMES,
    BREAKDOWN: {**TIMES, "": "group_by is required", "group_by=x": "unsupported group_by",
                "group_by=user&format=x": "invalid format",
                "group_by=service&format=csv&include_users=true": "include_users is not supported for csv"},
    OWNERS: TIMES,
    SERVICE: {**TIMES, "metric=x": "invalid metric key",
              "metric=countries-list": "unsupported metric for value query"},
}
METRICS = ("cpu-hours", "gpu-hours", "requests-sync-per-service", "requests-async-per-service",
           "requests-exposed-per-service", "users-per-service")
GOOD = [(SUMMARY, MONTH), (SUMMARY, DAY), (SUMMARY, "start=2026-01-10T00:00:00%2B05:30&end=2026-01-11T00:00:00.25-03:00"),
        (SUMMARY, ""), (OWNERS, ""), (SERVICE, MONTH), *[(SERVICE, f"{MONTH}&metric={metric}") for metric in METRICS],
        *[(BREAKDOWN, f"{MONTH}&group_by={group}{more}") for group in ("service", "user", "country")
          for more in ("", "&format=csv", "&include_users=true")
          if (group, more) != ("service", "&format=csv&include_users=true")]]


class Asker:
    """Asks a web server, and holds what comes to the file."""

    def __init__(self, description, server):
        self.description = description
        self.server = server

    def ask(self, path, query="", auth=ADMIN, name="public", status=None, text=None, method="GET"):
        """`path` as it stands in the file. `text`: the error's."""
        target = path.replace("{serviceName}", name) + (f"?{query}" if query else "")
        server = "operator" if path in OPERATOR else "http"
        answer = self.server.get(target, auth=auth, method=method, server=server)
        assert status is None or answer.status == status, (target, answer)
        if text is not None:
            said = json.loads(answer.body)["error"] if status == 400 else answer.text
            assert said == text, (target, answer)
        self.description.check(path, answer)
        return answer


@contextlib.contextmanager
def behind_nginx(folder, address, description, **options):
    server = Nginx(folder, address, **options)
    try:
        yield Asker(description, server)
    finally:
        server.stop()


def meet_reports(asker, alice, bob):
    for path, query in GOOD:
        asker.ask(path, query, status=200)
        asker.ask(path, query, auth=alice, status=403 if path == OWNERS else 200)
    for owner in ("cluster_admin", BOB):
        for path, query in ((SUMMARY, MONTH), (BREAKDOWN, MONTH + "&group_by=user"), (SERVICE, MONTH)):
            asker.ask(path, f"{query}&owner={owner}", status=200)
    asker.ask(SERVICE, MONTH, name="never-there", status=200)
    asker.ask(SERVICE, MONTH, auth=bob, name="of-bob", status=200)


def meet_refusals(asker, alice, stranger):
    for path in PUBLIC:
        for query, text in WRONG[path].items():
            asker.ask(path, query, status=400, text=text)
        asker.ask(path, auth=None, status=401, text="authentication required")
        asker.ask(path, auth=basic(password="x"), status=401, text="invalid credentials")
        asker.ask(path, auth="Bearer x", status=401, text="invalid credentials")
        asker.ask(path, auth=stranger, status=403, text="access denied")
        asker.ask(path, method="POST", status=405, text="method not allowed")
        if path != OWNERS:
            query = "owner=x&group_by=user" if path == BREAKDOWN else "owner=x"
            asker.ask(path, query, status=404, text="metrics owner not found")
            asker.ask(path, query, auth=alice, status=400,
                      text="owner filter is only available with admin authentication")
    asker.ask(SERVICE, name="%20", status=400, text="serviceName is required")
    asker.ask(SERVICE, name="Yolo", status=400, text="invalid service name")
    asker.ask(SERVICE, auth=alice, name="of-bob", status=403, text="access denied")
    asker.ask(SERVICE, auth=alice, name="never-there", status=404, text="service not found")
    asker.ask(SERVICE, name="a/b", status=404, text="not found")


def meet_operator(asker):
    for path in OPERATOR:
        asker.ask(path, auth=None, status=200)
        asker.ask(path, auth=None, method="PUT", status=405, text="method not allowed")


def query_of(path):
    return "group_by=service" if path == BREAKDOWN else ""


def meet_overload(folder, start, fake, description):
    """Two workers, one of which makes reports; the queue is full."""
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({"OSCAR_METRICS_WORKERS": 2, "PROMETHEUS_URL": fake.url})
    with contextlib.ExitStack() as stack:
        stack.enter_context(behind_nginx(folder / "busy", app.address, description))
        for _ in range(1 + QUEUE):
            stack.enter_context(contextlib.closing(app.begin("/system/metrics/x", DAY + "&metric=cpu-hours")))
        hold.wait_held()
        asker = stack.enter_context(behind_nginx(folder / "busy2", app.address, description))
        for path in PUBLIC:
            asker.ask(path, query_of(path), status=503, text="too busy")
        hold.release()


def meet_faults(folder, start, provider, alice, description):
    """What a user needs cannot be had: the inventory; the provider."""
    app = start(oidc(provider.issuer()))
    with behind_nginx(folder / "blind", app.address, description) as asker:
        for path in (SUMMARY, BREAKDOWN, SERVICE):
            asker.ask(path, query_of(path), auth=alice, status=503, text="service inventory unavailable")
    away = HostileOidc()
    try:
        issuer = away.issuer("/x", EcKey())
        issuer.discovery = Reply("", status=500)
        app = start(oidc(issuer.url))
        with behind_nginx(folder / "strangers", app.address, description) as asker:
            for path in PUBLIC:
                asker.ask(path, query_of(path), auth="Bearer " + issuer.token(), status=503,
                          text="identity provider unavailable")
    finally:
        away.close()


def meet_nginx(folder, description):
    """Nobody listens; somebody listens and says nothing."""
    with behind_nginx(folder / "away", folder / "nobody.sock", description) as asker:
        for path in PUBLIC + OPERATOR:
            asker.ask(path, status=502)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "silent.sock"))
        silent.listen(16)
        with behind_nginx(folder / "slow", folder / "silent.sock", description, patience="100ms") as asker:
            for path in PUBLIC + OPERATOR:
                asker.ask(path, status=504)


def meet_cgi(folder, description):
    (folder / "cgi").mkdir()
    app = CgiApp(folder / "cgi", {})
    for path in OPERATOR:
        if "404" in FOUND.document["paths"][path]["get"]["responses"]:
            description.check(path, app.get(path, auth=None))
    app.stop()
    app = CgiApp(folder / "cgi", {"OSCAR_METRICS_WORKERS": "x"})
    app.expected_exit = 1
    for path in PUBLIC + OPERATOR:
        answer = app.get(path.replace("{serviceName}", "public"))
        assert answer.status == 500
        description.check(path, answer)
    app.stop()


def test_every_answer_that_the_file_promises_is_met_and_as_it_says(folder, nginx, start, fake, provider, alice, bob):
    description = Description()
    asker = Asker(description, nginx)
    meet_reports(asker, alice, bob)
    meet_refusals(asker, alice, "Bearer " + provider.sign_in(STRANGER))
    meet_operator(asker)
    meet_overload(folder, start, fake, description)
    meet_faults(folder, start, provider, alice, description)
    meet_nginx(folder, description)
    meet_cgi(folder, description)
    # That one nginx says where it limits the rate: test_nginx_conf.py meets it.
    wanted = {row for row in description.wanted() if row[2] != "too busy\n"}
    assert not wanted - description.met


def sources_of(body):
    found = body.get("sources", []) + [source for metric in body.get("metrics", []) for source in metric["sources"]]
    return {(source["name"], source["status"]) for source in found}


def test_sources_that_are_not_there_or_not_in_full_are_as_the_file_says(folder, start, loki):
    """Every name, and every status with its note."""
    services = {"OSCAR_METRICS_SERVICES_DIR": folder / "services"}
    (folder / "services").mkdir()
    (folder / "services" / "broken.yaml").write_text("name: [")
    # The logs begin late in the month.
    logdata.write(folder / "half.log", logdata.request("2026-01-25T00:00:00Z", "/run/public"))
    half = {"OSCAR_METRICS_LOG_FILES": folder / "half.log", "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "half.log"}
    seen = set()
    for number, settings in enumerate([{}, {**services, **half, "GEOIP_DATABASE": folder / "none.mmdb"},
                                       {**services, **loki.settings, "PROMETHEUS_URL": "http://127.0.0.1:1"}]):
        with behind_nginx(folder / f"n{number}", start(settings).address, Description()) as asker:
            for path, query in GOOD:
                answer = asker.ask(path, query, status=200)
                if "csv" not in query:
                    seen |= sources_of(answer.json())
    assert {name for name, _ in seen} == set(FOUND.document["components"]["schemas"]["Source"]["properties"]["name"]["enum"])
    assert {status for _, status in seen} == {"ok", "partial", "missing"}
    assert {("request-logs", "missing"), ("request-logs", "partial"), ("prometheus", "missing"), ("loki", "partial"),
            ("service-inventory", "partial"), ("country-attribution", "missing")} <= seen
