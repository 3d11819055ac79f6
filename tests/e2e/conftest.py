"""Fixtures of all tests. `start` gives a program for one test, `start_shared` for all tests of a file."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.app import BINARY, ROOT, App, Apps  # noqa: E402
from harness.cgi import CgiApp  # noqa: E402
from harness.fake_prometheus import FakePrometheus  # noqa: E402
from harness.hostile_oidc import HostileOidc  # noqa: E402
from harness.jose import EcKey  # noqa: E402
from harness.loki import REAL_URL, Loki  # noqa: E402
from harness.lokidata import Data  # noqa: E402
from harness.nginx import Nginx  # noqa: E402


def pytest_report_header():
    loki = f"{REAL_URL}, behind the stand-in" if REAL_URL else "the stand-in (LOKI_TEST_URL names a real one)"
    return [f"program: {BINARY}", f"Loki: {loki}"]


def pytest_terminal_summary(terminalreporter):
    alone = {report.nodeid for reports in terminalreporter.stats.values() for report in reports
             if "standin" in getattr(report, "keywords", ())}
    if REAL_URL and alone:
        terminalreporter.write_line(f"{len(alone)} tests of Loki ran on the stand-in alone:")
        for name in sorted(alone):
            terminalreporter.write_line(f"    {name}")


def pytest_sessionstart():
    # Whoever was started by nohup ignores it, and so would all that is started here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is not there: build it, or name another one by OSCAR_METRICS", returncode=2)


# The tests of these files mean the same through FastCGI and through plain CGI; all others are about FastCGI.
CGI_TOO = {"test_auth", "test_breakdown", "test_csv", "test_owners", "test_paths", "test_query", "test_service",
           "test_sources_status", "test_summary"}


@pytest.fixture(scope="module")
def transport(request):
    """How the program of a test is asked: "fastcgi" or "cgi"."""
    return getattr(request, "param", "fastcgi")


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__ in CGI_TOO and "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", ["fastcgi", "cgi"], indirect=True, scope="module")


# The files that take longest. Files are dealt out whole, in this order: a long one that is begun last keeps a machine
# waiting whose other processors have nothing left to do.
LONG = ["test_faults", "test_loki_faults", "test_waits", "test_concurrency_loki", "test_demo", "test_limits", "test_openapi",
        "test_loki_random", "test_monitoring", "test_metrics", "test_loki", "test_kube_inventory", "test_workers",
        "test_concurrency", "test_soak", "test_access_log"]


def _when(item):
    name = item.module.__name__
    return LONG.index(name) if name in LONG else len(LONG)


def _is_for_fastcgi_alone(item):
    # An environment cannot hold a NUL.
    texts = [value for value in item.callspec.params.values() if isinstance(value, str)]
    return item.get_closest_marker("fastcgi") or any("\0" in text for text in texts)


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if getattr(item, "callspec", None)
                and item.callspec.params.get("transport") == "cgi" and _is_for_fastcgi_alone(item)]
    items[:] = sorted((item for item in items if item not in left_out), key=_when)
    config.hook.pytest_deselected(items=left_out)


def _folder():
    # Not pytest's own folders: their names are too long for Unix sockets.
    return pathlib.Path(tempfile.mkdtemp(prefix="om-"))


@pytest.fixture
def folder():
    """A folder with a short name."""
    path = _folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_folder(transport):
    path = _folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _apps(folder, transport):
    (folder / "apps").mkdir()
    return Apps(folder / "apps", CgiApp if transport == "cgi" else App)


@pytest.fixture
def start(folder, transport):
    """start(settings, how="descriptor") -> App. All are ended after the test, which fails if one ends badly."""
    apps = _apps(folder, transport)
    yield apps.start
    apps.stop()


@pytest.fixture(scope="module")
def start_shared(shared_folder, transport):
    apps = _apps(shared_folder, transport)
    yield apps.start
    apps.stop()


@pytest.fixture
def behind(folder):
    """behind(app) -> a real nginx before it; what else is given is nginx's."""
    running = []

    def behind_nginx(app, **how):
        running.append(Nginx(folder / f"nginx{len(running)}", app.address, **how))
        return running[-1]

    yield behind_nginx
    for nginx in running:
        nginx.stop()


@pytest.fixture
def fake():
    """A scripted Prometheus for one test."""
    server = FakePrometheus()
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared_fake():
    server = FakePrometheus()
    yield server
    server.close()


@pytest.fixture
def loki(request):
    """Loki's stand-in for one test; it passes on to a real one where there is one, unless the test is marked."""
    server = Loki(real="" if request.node.get_closest_marker("standin") else REAL_URL)
    yield server
    server.close()


@pytest.fixture
def data(loki):
    """What the test gives to it."""
    return Data(loki)


@pytest.fixture
def start_loki(start, folder, loki):
    """start_loki(settings) -> App that reads its requests from Loki, with no services."""
    (folder / "no-services").mkdir()

    def start_app(settings=None, **how):
        return start({**loki.settings, "OSCAR_METRICS_SERVICES_DIR": folder / "no-services", **(settings or {})}, **how)

    return start_app


class ArchiveApp:
    """The program over a month's archive of logs, and the events that the model finds in the same bytes."""

    def __init__(self, directory, start):
        from harness import logdata, model
        self.archive = logdata.Archive(directory / "archive")
        self.events = model.read_requests(self.archive.requests) + model.read_exposed(self.archive.exposed)
        services = directory / "services"
        (services / "oscar-svc-a1").mkdir(parents=True)
        for path in ("yolo.yaml", "cowsay.yaml", "oscar-svc-a1/yolo.yaml"):
            name = pathlib.Path(path).stem
            (services / path).write_text(f"name: {name}\nimage: images.example.org/x/{name}\nvisibility: public\n")
        self.active = 3
        self.app = start({**self.archive.settings, "OSCAR_METRICS_SERVICES_DIR": services})

    def between(self, start, end):
        from harness import model
        return model.between(self.events, start, end)


@pytest.fixture(scope="module")
def month(start_shared, shared_folder):
    """The program over the archive of January 2026, without Prometheus."""
    return ArchiveApp(shared_folder, start_shared)


# Ranges that the reports over the archive are held against: whole, cut at odd places, empty, a point.
RANGES = {
    "the month": ("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"),
    "more than the archive": ("2025-12-01T00:00:00Z", "2026-03-01T00:00:00Z"),
    "a day": ("2026-01-10T00:00:00Z", "2026-01-10T23:59:59.999Z"),
    "cut in hours": ("2026-01-05T10:17:03.5Z", "2026-01-20T03:59:59.999999999Z"),
    "in another offset": ("2026-01-05T00:00:00+05:30", "2026-01-06T00:00:00-03:00"),
    "across the formats": ("2026-01-08T00:00:00Z", "2026-01-24T00:00:00Z"),
    "nothing there": ("2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z"),
}


@pytest.fixture(params=list(RANGES))
def span(request):
    """(start, end) of one of the ranges."""
    return RANGES[request.param]


@pytest.fixture
def span_query(span):
    return "start={}&end={}".format(*(time.replace("+", "%2B") for time in span))


@pytest.fixture
def issuer():
    """A provider of OIDC users, without any yet."""
    server = HostileOidc()
    yield server.issuer("/x", EcKey())
    server.close()


@pytest.fixture(params=["one process", "under multiwatch"])
def units(request, folder):
    """A folder with the files of the systemd units, with the program in its place."""
    to = {"oscar-metrics.socket": "", "oscar-metrics.service.in": ""}
    if request.param == "under multiwatch":
        to["multiwatch.conf.in"] = "oscar-metrics.service.d"
    for name, place in to.items():
        text = (ROOT / "deploy" / "systemd" / name).read_text().replace("@bindir@/oscar-metrics", BINARY)
        (folder / "units" / place).mkdir(parents=True, exist_ok=True)
        (folder / "units" / place / name.removesuffix(".in")).write_text(text)
    return folder / "units"
