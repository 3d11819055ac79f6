"""What stands while the soak runs: the stand-ins, the program under multiwatch, nginx with the project's files, and
wrk."""
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess

from world import World

from harness.figures import scrape  # noqa: E402 (world.py knows where)
from harness.nginx import Nginx  # noqa: E402
from harness.waiting import PATIENCE, wait_until  # noqa: E402
from harness.watched import Watched  # noqa: E402

THREADS, CONNECTIONS = 2, 64
BACKENDS = ("prometheus", "loki", "kubernetes", "oidc")

# How often a kind is asked, beside the others.
WEIGHTS = {"admin, summary": 10, "users, summary": 30, "admin, a service": 6, "users, a service": 12, "admin, owners": 2,
           "admin, breakdown, json": 6, "users, breakdown, json": 12, "admin, breakdown, csv": 4,
           "users, breakdown, csv": 6, "400": 4, "401": 4, "403": 2, "404": 1, "405": 1}

# Of each request: the status, those of the attempts ("502, 200": the first one's program died), the bytes of the body that
# went out, and how many it should have been.
LOG = """
    log_format soak "$status|$upstream_status|$body_bytes_sent|$sent_http_content_length|$request_method";"""
SERVER = """ access_log {folder}/access.log soak; add_header X-Soak $arg_soak always;
        keepalive_requests 1000000;"""


def lua(text):
    return '"' + "".join(char if char.isalnum() or char in " /:,.{}[]=-_" else f"\\{byte:03}"
                         for byte in text.encode() for char in [chr(byte)]) + '"'


def http(wanted, number):
    """The request's bytes; a parameter that the program does not know carries its number."""
    target = f"{wanted.path}?soak={number}" + ("&" + wanted.query if wanted.query else "")
    auth = f"Authorization: {wanted.auth}\r\n" if wanted.auth else ""
    return f"{wanted.method} {target} HTTP/1.1\r\nHost: oscar.example.org\r\n{auth}\r\n"


def write_mix(path, mix):
    """For wrk's script. Numbers begin with 1."""
    mix = sorted(mix, key=lambda wanted: wanted.kind)
    kinds = [wanted.kind for wanted in mix]
    assert set(kinds) == set(WEIGHTS), set(kinds) ^ set(WEIGHTS)
    groups = [f"{{{WEIGHTS[kind]}, {kinds.index(kind) + 1}, {kinds.index(kind) + kinds.count(kind)}}}"
              for kind in sorted(set(kinds))]
    rows = [f"{{{lua(wanted.kind)}, {lua(http(wanted, n))}, {wanted.status}, {lua(wanted.body)}}}"
            for n, wanted in enumerate(mix, 1)]
    path.write_text("return {groups = {" + ", ".join(groups) + "},\n" + ",\n".join(rows) + "}\n", encoding="ascii")


@dataclasses.dataclass
class Said:
    """What wrk said. `counts`: {(kind, status): answers}; `cut`: answers that came in part; `errors`: connect, read,
    write, timeout; `latency`: the median, the 99th of a hundred and the longest, in seconds."""
    counts: dict
    wrong: int
    cut: int
    errors: tuple
    latency: tuple
    examples: str

    @property
    def answers(self):
        return sum(self.counts.values())

    @property
    def faults(self):
        """5xx that are not the one that is allowed."""
        return sum(count for (kind, status), count in self.counts.items() if status >= 500 and kind != "too busy")


class Load:
    """wrk at work. It ends after so many answers, or so many seconds. `patience`: how long, in milliseconds, who is told
    that the program is too busy waits before asking again."""

    def __init__(self, folder, url, mix, answers=None, seconds=900, connections=CONNECTIONS, patience=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        environment = {**os.environ, "SOAK_MIX": str(mix), "SOAK_FOLDER": str(self.folder),
                       "SOAK_REQUESTS": str((answers or 1 << 40) // THREADS), "SOAK_PATIENCE": str(patience or "")}
        script = pathlib.Path(__file__).with_name("mix.lua")
        self.output = open(self.folder / "output", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", script, url],
            env=environment, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def _read(self, name):
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def is_running(self):
        return self.process.poll() is None and len(self._read("done").split()) < THREADS

    def pause(self, paused):
        """Nothing more is asked, or again."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def end(self):
        """Waits for its end: its threads may have stopped long before. What it said."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=PATIENCE)
        finally:
            self.kill()
        return self._said((self.folder / "output").read_text())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.output.close()

    def _said(self, text):
        rows = [line.split("\t") for line in text.splitlines()]
        found = {row[0]: [int(cell) for cell in row[1:]] for row in rows
                 if row[0] in ("wrong", "cut", "errors", "latency")}
        assert len(found) == 4, text
        counts = {(row[1], int(row[2])): int(row[3]) for row in rows if row[0] == "count"}
        return Said(counts, found["wrong"][0], found["cut"][0], tuple(found["errors"]),
                    tuple(value / 1e6 for value in found["latency"]), self._read("wrong"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stand:
    """All of it, in a folder with a short name. To be used with `with`."""

    def __init__(self, folder, users=40, requests=3000, programs=2, settings=None):
        self.folder = pathlib.Path(folder)
        self.parts = []
        try:
            self.world = self._part(World(self.folder, users, requests), "close")
            self.mix = self.world.mix()
            write_mix(self.folder / "mix.lua", self.mix)
            self.programs = self._part(Watched(self.folder, {**self.world.settings, **(settings or {})}, programs),
                                       "stop")
            wait_until(self.programs.is_answering, "the program to be ready")
            address = f"127.0.0.1:{free_port()}"
            self.url = "http://" + address
            self.nginx = self._part(Nginx(self.folder / "nginx", self.programs.address, listen=address, http=LOG,
                                          server=SERVER.format(folder=self.folder)), "stop")
        except BaseException:
            self.close()
            raise

    def _part(self, part, end):
        self.parts.append(getattr(part, end))
        return part

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends all that was started, the last first; the first fault of that is raised."""
        faults = []
        while self.parts:
            try:
                self.parts.pop()()
            except Exception as fault:  # pylint: disable=broad-except # the others must end, too
                faults.append(fault)
        if faults:
            raise faults[0]

    def kill(self, pids):
        """SIGKILL for these programs; returns when others are in their place. Those that run now."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return self.programs.wait_complete(without=pids)

    # Load.

    def begin(self, name, **how):
        """wrk over the whole mix."""
        self._begun = self._read_to = os.path.getsize(self.folder / "access.log")
        self._answered = 0
        return Load(self.folder / name, self.url, self.folder / "mix.lua", **how)

    def _log(self, begin):
        with open(self.folder / "access.log", encoding="ascii") as log:
            log.seek(begin)
            return log.read()

    def answered(self):
        """How many answers there have been since begin(), as nginx logged them."""
        text = self._log(self._read_to)
        self._read_to += len(text)
        self._answered += text.count("\n")
        return self._answered

    def attempts(self):
        """How nginx came by the answers since begin(): [statuses of the attempts of one request]."""
        return [line.split("|")[1].split(", ") for line in self._log(self._begun).splitlines()]

    def statuses(self):
        """Of the answers since begin()."""
        return [int(line.split("|")[0]) for line in self._log(self._begun).splitlines()]

    def cut(self):
        """Answers since begin() of which not all went out, though some had, by their place in the log: nginx says
        nothing of that. Without the last ones: wrk ends while they are on their way."""
        rows = [line.split("|") for line in self._log(self._begun).splitlines()]
        return [n for n, (_, _, sent, length, method) in enumerate(rows[:-CONNECTIONS])
                if method != "HEAD" and length.isdigit() and int(sent) < int(length)]

    def at_rest(self):
        """The figures of each program, by when it began, when none has anything to do but say them."""
        found = {}

        def all_seen():
            figures = scrape(self.programs)
            running = sum(figures("oscar_metrics_backend_requests_running", backend=name) for name in BACKENDS)
            asked = sum(figures("oscar_metrics_" + name) for name in ("reports_running", "reports_waiting",
                                                                      "connections_waiting"))
            idle = asked + running == 0 and figures("oscar_metrics_workers_busy") == 1
            began = figures("process_start_time_seconds")
            if idle:
                found[began] = figures
            else:
                found.pop(began, None)
            return len(found) == self.programs.processes and found
        return wait_until(all_seen, "the programs to have nothing to do", pause=0.01)

    def wait_answered(self, load, count):
        """Until there were so many answers; they must not be the last ones."""
        wait_until(lambda: self.answered() >= count or not load.is_running(), f"{count} answers")
        assert load.is_running(), "the load has ended"
