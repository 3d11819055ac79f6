"""Limits that only the whole program meets: backends that never answer, clients that go away or hardly read, heads of
requests that nobody sends. All other limits are met in the unit tests (docs/limits.md has the table)."""
import contextlib
import pathlib
import resource
import signal
import socket
import time

import pytest

from harness import expect, fcgi, logdata
from harness.app import start_on_a_port
from harness.client import basic
from harness.fake_prometheus import Hold, Reply, vector
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Container, Kube
from harness.waiting import SLOWDOWN, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
HEAD = 72 * 1024
WORKERS = 8
SLOTS = 6


class Scene:
    """The program with a backend that never answers; `begin` begins a request that waits for it."""

    def __init__(self, app, hold, begin, settle=None):
        self.app, self.hold, self.begin, self.settle = app, hold, begin, settle


@pytest.fixture
def logs(folder):
    log = folder / "manager.log"
    logdata.write(log, logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    (folder / "services").mkdir()
    return {"OSCAR_METRICS_LOG_FILES": log, "OSCAR_METRICS_SERVICES_DIR": folder / "services",
            "OSCAR_METRICS_WORKERS": WORKERS}


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def summary(app):
    return lambda: app.begin("/system/metrics", DAY)


def silent_prometheus(start, logs, fake, **_):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({**logs, "PROMETHEUS_URL": fake.url})
    return Scene(app, hold, lambda: app.begin("/system/metrics/s", DAY + "&metric=cpu-hours"))


def silent_loki(start, logs, loki, **_):
    hold = Hold()

    def answer(asked, reply):
        hold.reply = reply
        return hold

    loki.answers(answer)
    app = start({**loki.settings, **logs, "OSCAR_METRICS_LOG_FILES": None})
    return Scene(app, hold, lambda: app.begin("/system/metrics/breakdown", DAY + "&group_by=user"))


def kube_of(stack, folder):
    """Behind TLS, as it always is."""
    return stack.enter_context(contextlib.closing(Kube(folder / "kube")))


def silent_kubernetes(start, logs, folder, stack, **_):
    kube, hold = kube_of(stack, folder), Hold()

    def answer(asked, reply):
        hold.reply = reply
        return hold

    kube.fault = answer
    app = start({**logs, **kube.settings, "OSCAR_METRICS_SERVICES_DIR": None})
    return Scene(app, hold, summary(app))


def silent_pods(start, logs, folder, stack, pods=1, **_):
    kube, hold = kube_of(stack, folder), Hold()
    for n in range(pods):
        kube.put_pod(f"oscar-{n}", {"oscar": Container([("2026-01-01T10:00:00.5Z", "nothing of note")])})

    def answer(asked, reply):
        if not asked.path.split("?")[0].endswith("/log"):
            return reply
        hold.reply = Reply("", content_type="text/plain")
        return hold

    kube.fault = answer
    app = start({**logs, **kube.settings, "OSCAR_METRICS_LOG_FILES": None})
    return Scene(app, hold, lambda: app.begin("/system/metrics/breakdown", DAY + "&group_by=user"))


def silent_provider(start, logs, stack, **_):
    server, hold = stack.enter_context(contextlib.closing(HostileOidc())), Hold(Reply("", 500))
    issuer = server.issuer("/x", EcKey())
    app = start({**logs, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
    # Its documents are known: what is not, is the user.
    assert app.get("/system/metrics", "end=x", auth="Bearer " + issuer.token("first@example.org")).status == 400
    issuer.userinfo = hold
    names = iter(range(1000))
    return Scene(app, hold, lambda: app.begin("/system/metrics", DAY, auth="Bearer " + issuer.token(
        f"user{next(names)}@example.org")))


BACKENDS = {"Prometheus": silent_prometheus, "Loki": silent_loki, "Kubernetes": silent_kubernetes,
            "pods' logs": silent_pods, "the provider": silent_provider}


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS)
def scene(request, start, logs, folder, stack, fake, loki):
    return request.param(start=start, logs=logs, folder=folder, stack=stack, fake=fake, loki=loki)


def test_a_backend_that_never_answers_does_not_take_all_workers(scene, stack):
    waiting = [stack.enter_context(scene.begin()) for _ in range(3 * WORKERS)]
    scene.hold.wait_held()
    app = scene.app
    for _ in range(10):
        assert app.get("/-/healthy").status == 200
        assert app.get("/system/metrics", auth=None).status == 401
        assert app.get("/system/metrics", auth=basic(password="wrong")).status == 401
        assert app.summary("end=x").status == 400
        assert app.get("/nowhere").status == 404
    scene.hold.release()
    for connection in waiting:
        assert connection.answer().status in (200, 503)


def test_what_comes_from_logs_does_not_wait_for_prometheus(start, logs, fake, stack):
    scene = silent_prometheus(start, logs, fake)
    waiting = [stack.enter_context(scene.begin()) for _ in range(2 * WORKERS)]
    waiting += [stack.enter_context(scene.app.begin("/system/metrics", DAY)) for _ in range(WORKERS)]
    scene.hold.wait_held(SLOTS - 1)
    for path, more in (("breakdown", "&group_by=user"), ("breakdown", "&group_by=service"),
                       ("s", "&metric=requests-sync-per-service"), ("s", "&metric=users-per-service")):
        answer = scene.app.get("/system/metrics/" + path, DAY + more)
        assert answer.status == 200 and answer.header("OSCAR-Metrics-Complete") in ("true", "false")
    assert len(fake.asked) == SLOTS - 1, "that many reports hang, and not one more"
    scene.hold.release()
    for connection in waiting:
        assert connection.answer().status == 200


def went_away(app):
    return app.stderr().count('msg="client went away"')


def test_a_client_that_goes_away_is_not_worked_for(scene):
    connection = scene.begin()
    scene.hold.wait_held()
    connection.close()
    scene.hold.wait_gone()
    wait_until(lambda: went_away(scene.app) == 1, "the report to end")


def test_a_client_that_goes_away_while_another_reads_for_both_is_not_worked_for(start, logs, folder, stack):
    scene = silent_kubernetes(start, logs, folder, stack)
    first = stack.enter_context(scene.begin())
    scene.hold.wait_held()
    second = scene.begin()
    second.close()
    wait_until(lambda: went_away(scene.app) == 1, "the second report to end")
    scene.hold.release()
    assert first.answer().status == 200


def test_an_answer_that_is_hardly_read_ends_in_time(start, folder):
    """A peer that takes some bytes now and then keeps its worker no longer than twice the deadline."""
    deadline = int(2 * SLOWDOWN)
    app = start({"OSCAR_METRICS_WORKERS": 2, "OSCAR_METRICS_DEADLINE": f"{deadline}s",
                 "OSCAR_METRICS_LOG_FILES": logdata.write_many_users(folder / "x.log", 6000)})
    patient = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    whole = len(patient.breakdown(DAY + "&group_by=user").text)
    began, taken = time.monotonic(), 0
    with app.begin("/system/metrics/breakdown", DAY + "&group_by=user") as peer:
        while time.monotonic() < began + 2 * deadline + 1:
            taken += len(peer.socket.recv(1024))
            time.sleep(0.02 * SLOWDOWN)  # how slow it is
        while piece := peer.socket.recv(65536):
            taken += len(piece)
    assert taken < whole, "it was cut"
    assert app.get("/-/healthy").status == 200


@pytest.mark.parametrize("takes", [1024, 0], ids=["hardly read", "not read"])
def test_an_answer_that_is_not_read_does_not_hold_up_the_end(start, folder, takes):
    """It is cut when a request that had come with the signal would have had its time."""
    deadline = int(6 * SLOWDOWN)
    app = start({"OSCAR_METRICS_WORKERS": 2, "OSCAR_METRICS_DEADLINE": f"{deadline}s",
                 "OSCAR_METRICS_LOG_FILES": logdata.write_many_users(folder / "x.log", 6000)})
    with app.begin("/system/metrics/breakdown", DAY + "&group_by=user") as peer:
        assert peer.socket.recv(1024), "it is being written"
        app.signal(signal.SIGTERM)
        began = time.monotonic()
        while app.is_running():
            assert time.monotonic() < began + 2 * deadline - 1, "in vain"
            if takes:
                peer.socket.recv(takes)
            time.sleep(0.02 * SLOWDOWN)  # how slow it is
    assert app.wait() == 0, app.stderr()
    assert "before the deadline" not in app.stderr()
    assert "path=/system/metrics/breakdown" in app.stderr(), "it has its line"


def head(app, size):
    """A request whose parameters, with their records' heads and the empty one, are so long."""
    values = app.params("/-/healthy")
    frame = len(fcgi.begin()) + 3 * 8
    rest = size - frame - len(fcgi.pairs({**values, "HTTP_X": "x" * 1000})) + 1000
    data = fcgi.pairs({**values, "HTTP_X": "x" * rest})
    made = fcgi.begin() + fcgi.record(fcgi.PARAMS, 1, data[:60000]) + fcgi.record(fcgi.PARAMS, 1, data[60000:]) \
        + fcgi.record(fcgi.PARAMS, 1)
    assert len(made) == size
    return made


def test_the_head_of_a_request_is_bounded(start):
    app = start({"OSCAR_METRICS_WORKERS": 2})
    with app.connect() as connection:
        connection.send(head(app, HEAD) + fcgi.record(fcgi.STDIN, 1))
        assert connection.answer().status == 200
    with app.connect() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(head(app, HEAD + 1) + fcgi.record(fcgi.STDIN, 1))
        with contextlib.suppress(ConnectionResetError):
            assert connection.socket.recv(1) == b"", "no answer"
    expect.plain(app.get("/-/healthy"), 200, "healthy")


# Connections.

GUESTS, BACKLOG = 1024, 1024
PATIENCE_S, LINGER_S, SEND_S = 10, 2, 10


def is_closed(peer):
    try:
        return peer.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def connect(app):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(app.address)
    return peer


def test_the_oldest_of_too_many_silent_connections_is_closed(start, stack):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 2 * GUESTS, "this test opens that many connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    app = start({"OSCAR_METRICS_WORKERS": 2})
    began = time.monotonic()
    peers = [stack.enter_context(connect(app)) for _ in range(GUESTS)]
    assert app.get("/-/healthy").status == 200, "all are in the lobby"
    if time.monotonic() - began < PATIENCE_S / 2:
        assert not is_closed(peers[0])
    peers.append(stack.enter_context(connect(app)))
    wait_until(lambda: is_closed(peers[0]), "the oldest to be closed")
    if time.monotonic() - began < PATIENCE_S / 2:
        assert not any(is_closed(peer) for peer in peers[1:])


def test_silent_peers_are_closed_in_time(start, stack):
    """One that says nothing, one that stays after its answer over TCP, and one that reads nothing of a large one."""
    app = start_on_a_port(start, {"OSCAR_METRICS_WORKERS": 3})
    began = time.monotonic()
    silent = stack.enter_context(socket.create_connection(app.address))
    stays = stack.enter_context(socket.create_connection(app.address))
    stays.sendall(fcgi.request(app.params("/-/healthy")))
    wait_until(lambda: is_ended(stays), "the answer")
    answered = time.monotonic()
    wait_until(lambda: is_reset(stays), "the end of lingering")
    assert LINGER_S - 0.5 < time.monotonic() - answered < PATIENCE_S - 1 or time.monotonic() - began > PATIENCE_S
    wait_until(lambda: is_closed(silent), "the end of patience")
    assert time.monotonic() - began > PATIENCE_S - 0.5


def is_ended(peer):
    """The answer was read to its end."""
    try:
        while peer.recv(65536, socket.MSG_DONTWAIT):
            pass
        return True
    except BlockingIOError:
        return False


def is_reset(peer):
    """Nobody takes what is sent any more."""
    try:
        peer.send(b"x")
        return False
    except (BrokenPipeError, ConnectionResetError):
        return True


def test_a_peer_that_reads_nothing_is_closed_in_time(start, folder):
    app = start({"OSCAR_METRICS_WORKERS": 2, "OSCAR_METRICS_LOG_FILES": logdata.write_many_users(folder / "x.log", 6000)})
    began = time.monotonic()
    with app.begin("/system/metrics/breakdown", DAY + "&group_by=user"):
        wait_until(lambda: "path=/system/metrics/breakdown" in app.stderr(), "the answer to be given up")
    assert time.monotonic() - began > SEND_S - 0.5


def test_connections_that_nobody_accepts_are_bounded(start, folder, stack):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    app = start({}, how="listen", address=str(folder / "own.sock"))
    app.process.send_signal(signal.SIGSTOP)
    stack.callback(app.process.send_signal, signal.SIGCONT)
    wait_until(lambda: "T" in (pathlib.Path("/proc") / str(app.process.pid) / "stat").read_text().rsplit(")")[1],
               "the program to stand still")
    count = 0
    with contextlib.suppress(BlockingIOError):
        while count <= 2 * BACKLOG:
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            peer.connect(app.address)
            count += 1
    limit = min(BACKLOG, int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text()))
    assert limit <= count <= limit + 1


def test_without_a_descriptor_it_waits_and_goes_on(start, stack):
    """A program that may have few descriptors, and more connections than that."""
    app = start({"OSCAR_METRICS_WORKERS": 2})
    taken = len(list((pathlib.Path("/proc") / str(app.process.pid) / "fd").iterdir()))
    resource.prlimit(app.process.pid, resource.RLIMIT_NOFILE, (taken + 4, taken + 4))
    peers = [stack.enter_context(connect(app)) for _ in range(12)]
    wait_until(lambda: "no descriptor for a new connection" in app.stderr(), "the log to say so")
    began, before = time.monotonic(), app.stderr().count("no descriptor")
    wait_until(lambda: app.stderr().count("no descriptor") > before + 2, "it to be tried again")
    assert time.monotonic() - began > 0.15, "it does not spin"
    for peer in peers:
        peer.close()
    assert app.get("/-/healthy").status == 200


# How many at once, and how long.

def test_eight_logs_of_pods_are_read_at_once(start, logs, folder, stack):
    scene = silent_pods(start, logs, folder, stack, pods=9)
    with scene.begin() as connection:
        scene.hold.wait_held(8)
        assert not scene.hold.held.acquire(timeout=0.2), "the ninth waits"
        scene.hold.release()
        assert connection.answer().status == 200


def test_eight_queries_of_a_kind_run_at_once(start, fake, folder):
    """Where a template asks for one service only, there are as many queries as services: of CPU and of GPU hours."""
    (folder / "services").mkdir()
    for n in range(9):
        (folder / "services" / f"s{n}.yaml").write_text(f"name: s{n}\nvisibility: public\n")
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    server = HostileOidc()
    issuer = server.issuer("/x", EcKey())
    template = 'sum(increase(x{namespace="{{namespace}}",service="{{service}}"}[{{range}}]))'
    app = start({"OSCAR_METRICS_SERVICES_DIR": folder / "services", "PROMETHEUS_URL": fake.url, "OIDC_ENABLE": "true",
                 "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, "PROMETHEUS_CPU_QUERY": template,
                 "PROMETHEUS_GPU_QUERY": template})
    with app.begin("/system/metrics", DAY, auth="Bearer " + issuer.token("alice@example.org")) as connection:
        hold.wait_held(16)
        assert not hold.held.acquire(timeout=0.2), "the ninth of each kind waits"
        hold.release()
        assert connection.answer().status == 200
    server.close()
    assert len(fake.asked) == 18


def test_hints_are_not_waited_for_long(start_loki, loki, data):
    """An index that does not answer costs five seconds, and nothing else."""
    hold = Hold()
    loki.answers(lambda asked, reply: reply if asked.what == "query_range" else hold)
    app = start_loki()
    began = time.monotonic()
    answer = app.breakdown("group_by=user&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z")
    assert answer.status == 200 and 5 <= time.monotonic() - began
    hold.wait_held()
