"""./dev demo: what it prints and serves, held against what the generator of its data counted; and what it leaves."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import urllib.request

import pytest
from harness.waiting import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "demo-data"
MONTH = "start=2026-05-01T00:00:00Z&end=2026-05-30T23:59:59.999Z"


def processes_of(folder):
    """The processes that work in this folder, or have it in their command line."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes().decode(errors="replace") + os.readlink(process / "cwd")
        except OSError:
            continue
        if str(folder) in text:
            found.append(text)
    return found


def take_signals():
    """Whoever runs the tests in the background may have them ignored, and a shell cannot change that for itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Demo:
    """A demo that serves. Its output is read up to the line that says so."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["./dev", "demo", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True, preexec_fn=take_signals)
        self.folder = DATA / f"run.{self.process.pid}"
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if serving := re.search(r"serving at (\S+),", line):
                self.url = serving[1]
                return
        self.end(signal.SIGTERM)
        raise AssertionError(self.output)

    def ask(self, target):
        request = urllib.request.Request(self.url + target)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"oscar:demo").decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as response:
            return json.load(response)

    def end(self, how):
        """As a terminal does on Ctrl-C: all processes of the group get the signal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        with self.process.stdout as rest:
            self.output += rest.read()
        return self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def demo():
    running = Demo()
    yield running
    running.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def expected(demo):
    return json.loads((DATA / "sample" / "expected.json").read_text())


def assert_near(got, wanted):
    # Prometheus extrapolates to the ends of the range.
    assert got == pytest.approx(wanted, rel=0.01)


def test_summary(demo, expected):
    answer = demo.ask("?" + MONTH)
    assert [(source["name"], source["status"], source.get("notes")) for source in answer["sources"]] == [
        (name, "ok", None) for name in ("service-inventory", "prometheus", "request-logs", "country-attribution",
                                        "exposed-request-logs")]
    totals = answer["totals"]
    assert {name: totals[name] for name in expected["totals"]} == expected["totals"]
    assert totals["users_count"] == len(expected["totals"]["users"]) == 200
    assert totals["services_count_total"] == 50
    assert totals["countries_count"] == len(expected["countries"]) == 20
    assert_near(totals["cpu_hours_total"], expected["hours"]["cpu"])
    assert_near(totals["gpu_hours_total"], expected["hours"]["gpu"])


def test_by_service(demo, expected):
    items = demo.ask("/breakdown?group_by=service&include_users=true&" + MONTH)["items"]
    assert [{name: item[name] for name in row} for item, row in zip(items, expected["services"])] \
        == expected["services"]
    assert len(items) == len(expected["services"])


def test_by_user(demo, expected):
    items = demo.ask("/breakdown?group_by=user&" + MONTH)["items"]
    assert items == expected["users"]


def test_by_country(demo, expected):
    assert demo.ask("/breakdown?group_by=country&" + MONTH)["items"] == expected["countries"]


@pytest.mark.parametrize("service", ["bridges-detect", "gpu-lab", "proteins-detect"])
def test_one_service(demo, expected, service):
    values = {metric["metric"]: metric["value"] for metric in demo.ask(f"/{service}?{MONTH}")["metrics"]}
    row = next(row for row in expected["services"] if row["key"] == service)
    assert values["requests-sync-per-service"] == row["requests_count_sync"]
    assert values["requests-async-per-service"] == row["requests_count_async"]
    assert values["requests-exposed-per-service"] == row["requests_count_exposed"]
    assert values["users-per-service"] == len(row["users"])
    assert_near(values["cpu-hours"], expected["hours_by_service"][service]["cpu"])
    assert_near(values["gpu-hours"], expected["hours_by_service"][service]["gpu"])


@pytest.mark.parametrize("day", [1, 9, 10, 16, 17, 24, 25, 30])
def test_one_day(demo, expected, day):
    """Days on both sides of every change of the lines' form."""
    totals = demo.ask(f"?start=2026-05-{day:02}T00:00:00Z&end=2026-05-{day:02}T23:59:59.999999999Z")["totals"]
    wanted = expected["days"][day - 1]
    assert {kind: totals[f"requests_count_{kind}"] for kind in wanted} == wanted


def test_operator_is_told(demo):
    url = demo.url.replace("/system/metrics", "/-/ready")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=PATIENCE) as response:
        assert response.status == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left(how):
    running = Demo()
    assert running.folder.is_dir() and processes_of(running.folder)
    running.end(how)
    assert not running.folder.exists()
    assert processes_of(running.folder) == []


def test_once_prints_and_ends():
    done = subprocess.run(["./dev", "demo", "--once"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, timeout=10 * PATIENCE, check=False)
    assert done.returncode == 0
    assert len(re.findall(r'^\$ curl -u oscar:demo "http://127\.0\.0\.1:\d+/system/metrics\S*"$', done.stdout,
                          re.MULTILINE)) == 2
    assert re.findall(r'"status": "(\w+)"', done.stdout) and set(re.findall(r'"status": "(\w+)"', done.stdout)) == {"ok"}


def test_port_is_taken_as_asked():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Demo("--port", str(port))
    try:
        assert running.url == f"http://127.0.0.1:{port}/system/metrics"
        second = subprocess.run(["./dev", "demo", "--once", "--port", str(port)], cwd=ROOT, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, text=True, timeout=10 * PATIENCE, check=False)
        assert second.returncode == 1 and f"port {port} on 127.0.0.1 is taken" in second.stderr
    finally:
        running.end(signal.SIGTERM)
