"""Fixtures of all tests. `start` gives a program for one test, `start_shared` for all tests of a file."""
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.app import BINARY, Apps  # noqa: E402
from harness.fake_prometheus import FakePrometheus  # noqa: E402


def pytest_report_header():
    return f"program: {BINARY}"


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
def shared_folder():
    path = _folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(folder):
    """start(settings, how="descriptor") -> App. All are ended after the test, which fails if one ends badly."""
    (folder / "apps").mkdir()
    apps = Apps(folder / "apps")
    yield apps.start
    apps.stop()


@pytest.fixture(scope="module")
def start_shared(shared_folder):
    (shared_folder / "apps").mkdir()
    apps = Apps(shared_folder / "apps")
    yield apps.start
    apps.stop()


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
