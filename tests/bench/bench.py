#!/usr/bin/python3
"""How long reports over the sample month take: the first (it reads all logs), beside what grep needs to count the same
lines, and those after it.

    bench.py PROGRAM SAMPLE

The first report and grep take turns, five times, the medians are compared: the machine does not stand still between
two measurements. Prometheus is left out; the program is asked over FastCGI, without nginx.
"""

import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness.client import ADMIN, PASSWORD, USER  # noqa: E402
from harness.fcgi import ask  # noqa: E402

PAIRS = 5
MONTH = "start=2026-05-01T00:00:00Z&end=2026-05-30T23:59:59.999Z"
DAY = "start=2026-05-20T00:00:00Z&end=2026-05-20T23:59:59.999Z"


class Program:
    def __init__(self, binary, sample, **more):
        self.folder = tempfile.TemporaryDirectory(prefix="om-")
        self.address = self.folder.name + "/app.sock"
        settings = {
            "OSCAR_USERNAME": USER, "OSCAR_PASSWORD": PASSWORD, "PROMETHEUS_URL": "none",
            "OSCAR_METRICS_LOG_FILES": f"{sample}/logs/oscar/manager.log*",
            "OSCAR_METRICS_EXPOSED_LOG_FILES": f"{sample}/logs/ingress/access.log*",
            "OSCAR_METRICS_LOG_TIMEZONE": "Europe/Madrid", "OSCAR_METRICS_SERVICES_DIR": f"{sample}/services",
            **more}
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.address)
            listening.listen(64)
            self.process = subprocess.Popen([binary], env=settings, stdin=listening, stderr=subprocess.DEVNULL)

    def seconds(self, path, query):
        """One request, answered in full."""
        begin = time.perf_counter()
        answer = ask(self.address, {"REQUEST_METHOD": "GET", "SCRIPT_NAME": path, "QUERY_STRING": query,
                                    "HTTP_AUTHORIZATION": ADMIN})
        assert answer.status == 200, answer
        return time.perf_counter() - begin

    def summary(self, query=MONTH):
        return self.seconds("/system/metrics", query)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.folder.cleanup()


def grep_seconds(sample):
    """The same files, the same lines, counted only. Into a pipe: grep stops at the first match otherwise."""
    begin = time.perf_counter()
    subprocess.run(f"zcat -f {sample}/logs/*/* | grep -c -e GIN-EXECUTIONS-LOGGER -e /exposed | cat",
                   shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def first_summary(binary, sample, **more):
    program = Program(binary, sample, **more)
    try:
        program.seconds("/-/ready", "")
        return program.summary()
    finally:
        program.end()


def later(binary, sample):
    """What a program answers after its first report: name -> seconds."""
    program = Program(binary, sample)
    try:
        program.summary()
        asked = {
            "the same summary again": lambda: program.summary(),
            "breakdown by service, with users": lambda: program.seconds(
                "/system/metrics/breakdown", "group_by=service&include_users=true&" + MONTH),
            "breakdown by user, CSV": lambda: program.seconds(
                "/system/metrics/breakdown", "group_by=user&format=csv&" + MONTH),
            "summary of one day": lambda: program.summary(DAY),
        }
        return {name: statistics.median(one() for _ in range(PAIRS)) for name, one in asked.items()}
    finally:
        program.end()


def row(name, seconds, note=""):
    print(f"{name:<40}{seconds * 1000:>10.1f} ms{note}")


def main():
    binary, sample = sys.argv[1:]
    size = sum(file.stat().st_size for file in pathlib.Path(sample, "logs").rglob("*") if file.is_file())
    pairs = [(first_summary(binary, sample), first_summary(binary, sample, GEOIP_DATABASE=f"{sample}/countries.mmdb"),
              grep_seconds(sample)) for _ in range(PAIRS)]
    ours, countries, grep = (statistics.median(column) for column in zip(*pairs))
    print(f"30 days of logs, {size / 1e6:.0f} MB on disk; medians of {PAIRS}")
    row("first summary", ours, f"   {ours / grep:.2f} times grep")
    row("first summary with countries", countries, f"   {countries / ours:.2f} times without")
    row("zcat | grep -c", grep)
    for name, seconds in later(binary, sample).items():
        row(name, seconds)


if __name__ == "__main__":
    main()
