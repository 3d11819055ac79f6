"""How fast a month is read from Loki: loki.c serves it, in the same windows to us and to curl."""
import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import threading
import urllib.parse

from measure import PAIRS, Row, absolute, by_turns, compare, megabytes, milliseconds, seconds
from month import RANGE
from program import running

from harness.fake_prometheus import FakePrometheus, vector  # noqa: E402 (program.py knows where)

LIMIT, PARALLEL = 5000, 4  # Loki's and our own defaults
QUERIES = {"summary": ("/system/metrics", ""),
           "by service": ("/system/metrics/breakdown", "&group_by=service&include_users=true"),
           "by country": ("/system/metrics/breakdown", "&group_by=country"),
           "by user": ("/system/metrics/breakdown", "&group_by=user")}
COLD_TIMES, CPU, WARM, OVER_BACKEND, FOUR_TIMES = 1.25, 1.5, 0.030, 0.010, 1.2
BASE, A_ROW = 40e6, 64
REQUESTS_TIMES, THROWN_SHARE = 2.2, 0.10
PROMETHEUS_SECONDS = 0.050
REAL_MS = 40  # what Loki 3.7.6 took for a window under the limit


class Server:
    """loki.c at work. `windows()`: (start, end, limit, entries) of each query_range since the last forget()."""

    def __init__(self, folder, data, latency=0):
        folder.mkdir()
        binary = folder / "loki"
        subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", binary,
                        pathlib.Path(__file__).with_name("loki.c")], check=True)
        self.log = open(folder / "loki.log", "w+b")
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(256)
            self.url = "http://127.0.0.1:%d" % listening.getsockname()[1]
            self.process = subprocess.Popen([binary, data.folder, str(latency)], stdin=listening, stdout=self.log)
        self.forget()

    def forget(self):
        self.seen = os.fstat(self.log.fileno()).st_size

    def windows(self):
        size = os.fstat(self.log.fileno()).st_size - self.seen
        text = os.pread(self.log.fileno(), size, self.seen).decode()
        return [tuple(map(int, line.split())) for line in text.splitlines()]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def ask(program, name):
    path, more = QUERIES[name]
    answer = program.get(path, RANGE + more)
    assert answer.status == 200, answer
    return answer


def whole_summary(program, data):
    """The summary, which must be that of the data."""
    answer = ask(program, "summary")
    totals = answer.json()["totals"]
    assert (totals["requests_count_total"], totals["requests_count_sync"]) == (data.entries, data.sync), answer
    assert answer.source("loki")["status"] == "ok", answer


def cpu_seconds(program):
    fields = pathlib.Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cold:
    """A new program's first month."""

    def __init__(self, server, data):
        server.forget()
        with running(LOKI_URL=server.url) as program:
            before = cpu_seconds(program)
            self.seconds = seconds(lambda: whole_summary(program, data))
            self.cpu = cpu_seconds(program) - before
            self.resident, self.most = program.bytes("VmRSS"), program.bytes("VmHWM")
        self.windows = server.windows()


def curl(config):
    """Plain curl over the same windows."""
    return seconds(lambda: subprocess.run(
        ["curl", "--silent", "--fail", "--parallel", "--parallel-immediate", "--parallel-max", str(PARALLEL),
         "--config", config], check=True, stderr=subprocess.DEVNULL))


def write_config(path, server, windows):
    query = '{namespace="oscar", app="oscar"} |~ "/(job|run)/"'
    with open(path, "w", encoding="utf-8") as out:
        for start, end, limit, _ in windows:
            form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "limit": limit,
                                           "direction": "forward"})
            out.write(f'url = "{server.url}/loki/api/v1/query_range?{form}"\noutput = "/dev/null"\n')


def cold_row(what, server, data, folder):
    config = folder / "curl.conf"
    write_config(config, server, Cold(server, data).windows)
    ours, curls = by_turns(lambda: Cold(server, data), lambda: curl(config))
    return ours, compare(what, [cold.seconds for cold in ours], "curl, the same windows", curls, milliseconds,
                         at_most=COLD_TIMES)


def cold_rows(server, slower, data, folder):
    ours, row = cold_row("first summary of a month from Loki", server, data, folder)
    yield row
    yield cold_row(f"the same where a window takes {REAL_MS} ms", slower, data, folder)[1]
    yield absolute("our processor time for it", statistics.median(cold.cpu for cold in ours), CPU, milliseconds)
    resident = statistics.median(cold.resident for cold in ours)
    most = statistics.median(cold.most for cold in ours)
    limit = BASE + A_ROW * data.rows
    yield Row("resident after it", f"{megabytes(resident)} (at most {megabytes(most)} meanwhile)", "", "",
              f"under {megabytes(limit)} ({data.rows:,} rows)", resident < limit)
    count = statistics.median(len(cold.windows) for cold in ours)
    thrown = statistics.median(sum(entries for _, _, limit, entries in cold.windows if entries >= limit)
                               for cold in ours)
    least = data.entries / LIMIT
    yield Row("query_range requests for it", f"{count:.0f}", f"entries / limit: {least:.0f}", f"{count / least:.2f}",
              f"at most {REQUESTS_TIMES} times", count <= REQUESTS_TIMES * least)
    yield Row("entries thrown away", f"{thrown:,.0f}", f"entries: {data.entries:,}", f"{thrown / data.entries:.2f}",
              f"under {THROWN_SHARE}", thrown < THROWN_SHARE * data.entries)


def warm_rows(server, data):
    with running(LOKI_URL=server.url) as program:
        whole_summary(program, data)
        for name in QUERIES:
            took = statistics.median(seconds(lambda: ask(program, name)) for _ in range(PAIRS))
            yield absolute(f"the month again, {name}", took, WARM, milliseconds)


def backend_row(server, data):
    """Beside a Prometheus that takes its time."""
    prometheus, slow = FakePrometheus(), threading.Event()

    def answer(_):
        slow.wait(PROMETHEUS_SECONDS)
        return vector("1")

    def alone():
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(prometheus.url).netloc)
        connection.request("POST", "/api/v1/query", "query=1")
        connection.getresponse().read()
        connection.close()

    prometheus.answers(answer)
    try:
        with running(LOKI_URL=server.url, PROMETHEUS_URL=prometheus.url) as program:
            whole_summary(program, data)
            ours, theirs = by_turns(lambda: seconds(lambda: ask(program, "summary")), lambda: seconds(alone))
    finally:
        prometheus.close()
    over = statistics.median(one - another for one, another in zip(ours, theirs))
    return Row("the same beside a slow Prometheus", milliseconds(statistics.median(ours)),
               f"its own answer: {milliseconds(statistics.median(theirs))}", "",
               f"under {milliseconds(OVER_BACKEND)} more", over < OVER_BACKEND)


def together(server, names):
    """A new program, asked these at once."""
    with running(LOKI_URL=server.url) as program, concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        return seconds(lambda: list(pool.map(lambda name: ask(program, name), names)))


def four_row(what, server):
    four, one = by_turns(lambda: together(server, list(QUERIES)), lambda: together(server, ["summary"]))
    return compare(what, four, "one", one, milliseconds, at_most=FOUR_TIMES)


def figures(data):
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="om-")))
        server = stack.enter_context(contextlib.closing(Server(folder / "fast", data)))
        slower = stack.enter_context(contextlib.closing(Server(folder / "slower", data, REAL_MS)))
        yield from cold_rows(server, slower, data, folder)
        yield from warm_rows(server, data)
        yield backend_row(server, data)
        yield four_row("the dashboard's four requests at once, first time", server)
        yield four_row(f"the same where a window takes {REAL_MS} ms", slower)
