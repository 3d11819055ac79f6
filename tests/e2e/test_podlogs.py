"""Requests from pods' logs: the same answers as from the other sources, and what pods do not have any more is said."""
import random

import pytest

from harness import expect, logdata, model
from harness.fake_prometheus import Hold
from harness.kube import Container, Kube, Log, Refused, internal_error
from harness.lokidata import INGRESS, OSCAR, SERVICES, USERS, exposed_line, line, nanoseconds, query

FIRST, LAST = nanoseconds("2026-05-01T10:00:00Z"), nanoseconds("2026-05-03T17:29:59.999999999Z")
SECOND = 1_000_000_000
LABELS = {"app.kubernetes.io/name": "ingress-nginx"}
HELLO = ("2026-01-01T00:00:00.500000000Z", "the program starts")
NO_PERMISSION = "may not get pods/log in namespace oscar: the Kubernetes API refuses it to " \
    "system:serviceaccount:oscar:oscar-metrics (403)"


def stamp(when):
    second, fraction = divmod(when, SECOND)
    return model.datetime.datetime.fromtimestamp(second, model.datetime.timezone.utc) \
        .strftime("%Y-%m-%dT%H:%M:%S") + f".{fraction:09}Z"


@pytest.fixture
def kube(folder):
    kube = Kube(folder / "kube")
    yield kube
    kube.close()


@pytest.fixture
def services(folder):
    path = folder / "services"
    path.mkdir()
    return path


@pytest.fixture
def app(start, kube, services):
    return start({**kube.settings, "OSCAR_METRICS_SERVICES_DIR": services})


def put_pod(kube, lines, name="oscar-1", hello=True, **more):
    kube.put_pod(name, {"oscar": Container([HELLO] * hello + list(lines))}, **more)


def at(seconds, path="/run/yolo", **fields):
    """(time, line) of a request so long after the beginning of the range."""
    when = FIRST + int(seconds * SECOND)
    return stamp(when), line(when, path, **fields)


def totals(app, first=FIRST, last=LAST):
    """(sync, async, status, notes)"""
    answer = app.summary(query(first, last))
    found, source = answer.json()["totals"], answer.source("request-logs")
    expect.check_sources(answer.json()["sources"][2:3], {"request-logs": source["status"]})
    return found["requests_count_sync"], found["requests_count_async"], source["status"], source.get("notes")


# The same data through all sources.

class Everywhere:
    """Entries in Loki, in the logs of pods (with restarts and several of them), and in files."""

    def __init__(self, loki, kube, folder, count=3000):
        random_ = random.Random(7)
        self.entries = []
        for when in sorted(random_.sample(range(FIRST - 3600 * SECOND, LAST + 3600 * SECOND, 1_000_003), count)):
            if random_.random() < 0.3:
                self.entries.append((INGRESS, when, exposed_line(when, random_.choice(["nb", "yolo"]))))
            else:
                path = random_.choice(["/run/", "/job/", "/health/"]) + random_.choice(SERVICES)
                more = random_.choice([{}, {"service": "yolo", "namespace": "oscar-svc-a1"},
                                       {"service": "yolo", "namespace": "kube-system"}])
                self.entries.append((OSCAR, when, line(when, path, random_.choice(USERS), **more)))
        for labels in (OSCAR, INGRESS):
            loki.add(labels, [(nanoseconds(HELLO[0]), HELLO[1])])
            loki.add(labels, [(when, text) for each, when, text in self.entries if each is labels])
        self._put_pods(kube, random_)
        (folder / "logs").mkdir()
        for name, labels in (("requests", OSCAR), ("exposed", INGRESS)):
            logdata.write(folder / "logs" / name, f"{HELLO[0]} stdout F {HELLO[1]}\n",
                          *(f"{stamp(when)} stdout F {text}\n" for each, when, text in self.entries if each is labels))

    def _put_pods(self, kube, random_):
        """Each entry in one of three pods; the second one was restarted in the middle, the third has a neighbour."""
        middle = (FIRST + LAST) // 2
        for kind, labels, more in (("oscar", OSCAR, {}),
                                   ("ingress", INGRESS, {"namespace": "ingress-nginx", "labels": LABELS})):
            logs = [[], [], []]
            for each, when, text in self.entries:
                if each is labels:
                    random_.choice(logs).append((stamp(when), text))
            before = [entry for entry in logs[1] if entry[0] < stamp(middle)]
            again = [(stamp(middle), HELLO[1])] + logs[1][len(before):]
            restart = stamp(middle)[:19] + "Z"
            kube.put_pod(f"{kind}-1", {"x": Container([HELLO] + logs[0])}, **more)
            kube.put_pod(f"{kind}-2", {"x": Container(again, previous=[HELLO] + before, started=restart,
                                                      ran=("2026-01-01T00:00:00Z", restart))}, **more)
            kube.put_pod(f"{kind}-3", {"x": Container([HELLO] + logs[2]),
                                       "mesh": Container([(stamp(FIRST), "proxy ready")])}, **more)

    def events(self, first, last):
        return [event for event in model.read_entries(self.entries) if first <= event.time <= last]


SPANS = {
    "all": (FIRST, LAST),
    "cut in a second": (FIRST + 12345 * SECOND + 500_000_000, LAST - 4321 * SECOND - 250_000_000),
    "before the restart": (FIRST, FIRST + 3600 * SECOND),
    "a point": (FIRST, FIRST),
}


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
def test_all_sources_give_the_same_answers(start, loki, kube, folder, services, span):
    everywhere = Everywhere(loki, kube, folder)
    events = everywhere.events(*span)
    files = {"OSCAR_METRICS_LOG_FILES": folder / "logs" / "requests",
             "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "logs" / "exposed"}
    for name, settings in {"loki": loki.settings, "request-logs": kube.settings, "files": files}.items():
        app = start({**settings, "OSCAR_METRICS_SERVICES_DIR": services})
        answer = app.summary(query(*span))
        assert answer.json()["totals"] == model.totals(events), name
        expected = {"service-inventory": "ok", "prometheus": "missing",
                    "loki" if name == "loki" else "request-logs": "ok", "country-attribution": "ok",
                    "exposed-request-logs": "ok"}
        if not model.totals(events)["requests_count_total"]:
            del expected["country-attribution"]
        expect.sources(answer, expected)
        assert app.breakdown(query(*span, "&group_by=service&include_users=true")).json()["items"] == \
            model.by_service(events, include_users=True), name
        assert app.breakdown(query(*span, "&group_by=user")).json()["items"] == model.by_user(events), name
        found = app.service("yolo", query(*span)).json()["metrics"]
        assert [(each["metric"], each["value"]) for each in found] == model.values_of(events, "yolo"), name


# What pods have, and have not.

def test_both_ends_are_part_of_the_range_to_the_nanosecond(app, kube):
    put_pod(kube, [(stamp(when), line(when)) for when in (FIRST - 1, FIRST, LAST, LAST + 1)])
    assert totals(app) == (2, 0, "ok", None)


def test_many_pods_in_pages(app, kube):
    kube.max_limit = 7
    for number in range(40):
        put_pod(kube, [at(number), at(number + 0.5, "/job/yolo")], f"oscar-{number}")
    assert totals(app) == (40, 40, "ok", None)
    assert len(kube.lists("pods")) >= 6


def test_a_list_that_expires_is_read_again(app, kube):
    kube.max_limit = 1
    for number in range(3):
        put_pod(kube, [at(number)], f"oscar-{number}")
    kube.fails("pods", None, lambda reply: Refused(410, "Expired", "too old"), None)
    assert totals(app) == (3, 0, "ok", None)


def test_a_pod_that_was_replaced_yesterday(app, kube):
    kube.put_pod("oscar-1", {"oscar": Container([("2026-05-02T09:00:01.000000000Z", "the manager starts"),
                                                 at(2 * 86400)], started="2026-05-02T09:00:00Z")},
                 created="2026-05-02T09:00:00Z")
    assert totals(app) == (1, 0, "partial",
                           "logs begin at 2026-05-02T09:00:00Z: what pods before that wrote is gone with them")
    assert totals(app, nanoseconds("2026-05-02T09:00:00Z")) == (1, 0, "ok", None)


def test_a_log_that_was_rotated(app, kube):
    put_pod(kube, [at(60), at(120)], hello=False)
    assert totals(app) == (2, 0, "partial", "logs begin at 2026-05-01T10:01:00Z: older lines were rotated away")
    assert totals(app, FIRST + 60 * SECOND) == (2, 0, "ok", None)


def test_a_container_that_was_restarted_twice(app, kube):
    kube.put_pod("oscar-1", {"oscar": Container(
        [at(3000), at(3001)], previous=[at(1800)], restarts=2, started="2026-05-01T10:50:00Z",
        ran=("2026-05-01T10:30:00Z", "2026-05-01T10:49:59Z"))})
    assert totals(app) == (3, 0, "partial",
                           "logs begin at 2026-05-01T10:30:00Z: a container was restarted more than once")
    assert totals(app, FIRST + 1800 * SECOND) == (3, 0, "ok", None)


def test_a_container_that_waits_to_be_started(app, kube):
    put_pod(kube, [at(0)])
    kube.put_pod("oscar-2", {"oscar": Container(waiting=True)}, phase="Pending")
    assert totals(app) == (1, 0, "ok", None)


def test_there_is_no_pod(app, kube):
    kube.put_pod("other", {"x": Container([at(0)])}, labels={"app": "other"})
    kube.put_pod("elsewhere", {"x": Container([at(0)])}, namespace="other")
    assert totals(app) == (0, 0, "missing", "no pod with app=oscar in namespace oscar")


def test_settings_name_namespace_and_label(start, kube, services):
    kube.put_pod("a", {"x": Container([HELLO, at(0)])}, namespace="prod")
    kube.put_pod("b", {"x": Container([HELLO, (stamp(FIRST), exposed_line(FIRST))])}, namespace="edge",
                 labels={"app.kubernetes.io/name": "nginx-2"})
    answer = start({**kube.settings, "OSCAR_METRICS_SERVICES_DIR": services, "OSCAR_NAMESPACE": "prod",
                    "LOKI_EXPOSED_NAMESPACE": "edge", "LOKI_EXPOSED_APP": "nginx-2"}).summary(query(FIRST, LAST))
    found = answer.json()["totals"]
    assert (found["requests_count_total"], found["requests_count_exposed"]) == (1, 1)


def test_no_api_is_configured(start, services):
    assert totals(start({"OSCAR_METRICS_SERVICES_DIR": services}))[2:] == (
        "missing", "not configured: set LOKI_URL or OSCAR_METRICS_LOG_FILES, or, outside of a cluster, "
        "OSCAR_METRICS_KUBE_URL for pods' logs")


# Host names of services.

def access(when, upstream, path="/lab"):
    clf = logdata.nginx_line("12/Jan/2026:10:00:00 +0000", path).rstrip("\n")
    return stamp(when), clf.replace("oscar-svc-nb-svc-80", upstream)


def test_host_names_of_services(start, kube, services):
    (services / "oscar-svc-62bb11b4").mkdir()
    (services / "oscar-svc-62bb11b4" / "nb.yaml").write_text("name: nb\nimage: x\n")
    kube.put_pod("ingress-1", {"x": Container([HELLO, *(access(FIRST + n, upstream) for n, upstream in enumerate(
        ["oscar-svc-web-svc-80", "oscar-svc-web-svc-80", "oscar-svc-62bb11b4-nb-svc-8888", "oscar-oscar-8080",
         "minio-minio-9000", "-"]))])}, "ingress-nginx", LABELS)
    app = start({**kube.settings, "OSCAR_METRICS_SERVICES_DIR": services,
                 "EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE": "true"})

    def counts():
        answer = app.breakdown(query(FIRST, LAST, "&group_by=service"))
        source = answer.source("exposed-request-logs")
        return ({item["key"]: item["requests_count_exposed"] for item in answer.json()["items"]}, source["status"],
                source.get("notes"))
    assert counts() == ({"web": 2, "nb": 1}, "ok", None)
    (services / "oscar-svc-62bb11b4" / "nb.yaml").unlink()
    assert counts() == ({"web": 2, "nb": 1}, "partial", "requests of which the ingress controller's line does not say "
                        "for certain whose service they were for: 1")


# What fails.

FAULTS = {
    "forbidden": (Refused(403, "Forbidden", 'pods "oscar-2" is forbidden: User '
                          '"system:serviceaccount:oscar:oscar-metrics" cannot get resource "pods/log"'), NO_PERMISSION),
    "gone": (Refused(404, "NotFound", 'pods "oscar-2" not found'), "pod oscar-2 is gone, and its log with it"),
    "an error": (internal_error(),
                 "cannot read the log of pod oscar-2: the Kubernetes API answered 500 InternalError"),
    "expired": (Refused(410, "Expired", "gone"),
                "cannot read the log of pod oscar-2: the list was gone before it was read to its end (410)"),
    "words of the kubelet": (Log(b"unable to retrieve container logs for containerd://0"),
                             "the log of pod oscar-2: 1 lines without a time"),
}


@pytest.mark.parametrize("fault,words", FAULTS.values(), ids=FAULTS)
def test_one_log_that_cannot_be_read(app, kube, fault, words):
    put_pod(kube, [at(0)])
    put_pod(kube, [at(1)], "oscar-2")
    kube.fault = lambda asked, reply: fault if asked.resource == "pods/log" and asked.name == "oscar-2" else reply
    found = totals(app)
    assert found[:3] == (1, 0, "partial")
    assert found[3].startswith(words), found
    kube.works()
    assert totals(app) == (2, 0, "ok", None)


def test_a_log_that_breaks_off(app, kube):
    put_pod(kube, [at(0), at(1), at(2)])
    right = "".join(f"{when} {text}\n" for when, text in (at(0), at(1), at(2))).encode()
    kube.fails("pods/log", Log(right[:-30], cut=True), None)
    sync, _, status, notes = totals(app)
    assert (sync, status) == (2, "missing")
    assert notes.startswith("cannot read the log of pod oscar-1 to its end: the Kubernetes API: the connection broke")


def test_no_permission_at_all(app, kube):
    for number in range(20):
        put_pod(kube, [at(0)], f"oscar-{number}")
    kube.denied = {"pods/log"}
    assert totals(app) == (0, 0, "missing", f"{NO_PERMISSION}; no log of a pod could be read")
    kube.denied = {"pods"}
    assert totals(app) == (0, 0, "missing", "may not list pods in namespace oscar: the Kubernetes API refuses it to "
                           "system:serviceaccount:oscar:oscar-metrics (403)")


def test_a_token_that_rotates_while_logs_are_read(app, kube):
    put_pod(kube, [at(0)])
    kube.fault = lambda asked, reply: (asked.resource == "pods" and kube.rotate(), reply)[1]
    assert totals(app) == (1, 0, "ok", None)


def test_a_restart_while_logs_are_read(app, kube):
    put_pod(kube, [at(0)])

    def restart(asked, reply):
        if asked.resource == "pods/log":
            kube.put_pod("oscar-1", {"oscar": Container([HELLO], previous=[HELLO, at(0)])})
        return reply
    kube.fault = restart
    assert totals(app)[2:] == ("partial", "container oscar of pod oscar-1 was restarted while its log was read")


def test_the_deadline_passes(start, kube, services):
    hold = Hold()
    put_pod(kube, [at(0)])
    put_pod(kube, [at(1)], "oscar-2")
    kube.fault = lambda asked, reply: hold if asked.resource == "pods/log" and asked.name == "oscar-2" else reply
    app = start({**kube.settings, "OSCAR_METRICS_SERVICES_DIR": services, "OSCAR_METRICS_DEADLINE": "1s"})
    found = totals(app)
    assert found[:3] == (1, 0, "partial")
    assert found[3].endswith("deadline passed while pods' logs were read: 1 of 2 were read to their end"), found
