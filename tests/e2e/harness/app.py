"""Starts and ends the program under test."""
import os
import pathlib
import re
import socket
import subprocess

from .client import PASSWORD, USER, Client
from .process import is_pending
from .waiting import PATIENCE, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.path.abspath(os.environ.get("OSCAR_METRICS", ROOT / "build" / "oscar-metrics"))

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")


def environment(settings):
    """The program's whole environment: the settings, and what sanitizers and the loader need. A setting None is
    not there."""
    passed = {name: value for name, value in os.environ.items()
              if name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") or name.endswith("SAN_OPTIONS")}
    # Nothing but loopback is ever asked: the default address of Prometheus is a cluster's.
    defaults = {"OSCAR_USERNAME": USER, "OSCAR_PASSWORD": PASSWORD, "PROMETHEUS_URL": "none"}
    chosen = {**defaults, **settings}
    return {**passed, **{name: str(value) for name, value in chosen.items() if value is not None}}


def run(*arguments, settings=None, stdin=subprocess.DEVNULL):
    """Runs the program to its end, for options and faults of the settings."""
    return subprocess.run([BINARY, *arguments], env=environment(settings or {}), stdin=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False, text=True)


class App(Client):
    """The program at work. `address` is where it listens."""

    def __init__(self, directory, settings, how="descriptor", address=None, arguments=()):
        self.directory = pathlib.Path(directory)
        self.settings = dict(settings)
        self.address = address or str(self.directory / "app.sock")
        self.errors = open(self.directory / "stderr", "w+b")
        self.expected_exit = 0
        start = {"descriptor": self._start_on_descriptor,
                 "listen": self._start_listening}[how]
        self.process = start(list(arguments))
        try:
            wait_until(self._is_ready, "the program to be ready")
        except BaseException:
            self.kill()
            text = self.stderr()
            self.errors.close()
            raise AssertionError("the program did not start: " + text) from None

    def _popen(self, command, settings, stdin):
        return subprocess.Popen(command, env=environment(settings), stdin=stdin, stdout=self.errors,
                                stderr=self.errors)

    def _start_on_descriptor(self, arguments):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(self.address)
            listening.listen(1024)
            return self._popen([BINARY, *arguments], self.settings, listening)

    def _start_listening(self, arguments):
        listen = self.address if isinstance(self.address, str) else "%s:%d" % self.address
        settings = {"OSCAR_METRICS_LISTEN": listen, **self.settings}
        return self._popen([BINARY, *arguments], settings, subprocess.DEVNULL)

    def _is_ready(self):
        assert self.process.poll() is None, "it ended"
        return self.is_answering()

    # Ending.

    def stderr(self):
        # pread: the position of the shared file belongs to the program, which writes there.
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode("utf-8", "replace")

    def signal(self, number):
        """Sends a signal and waits until it has been taken from the process' queue."""
        self.process.send_signal(number)
        wait_until(lambda: not is_pending(self.process.pid, number), f"signal {number} to be taken")

    def wait(self, patience=PATIENCE):
        """Waits for the end of the program; its exit status."""
        return self.process.wait(timeout=patience)

    def is_running(self):
        return self.process.poll() is None

    def kill(self):
        """Ends whatever is left, at once. No process outlives its test."""
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def stop(self):
        """Ends the program as an operator does, and holds it to a clean end."""
        try:
            if self.is_running():
                self.process.terminate()
            status = self.wait()
            text = self.stderr()
        finally:
            self.kill()
            self.errors.close()
        assert not SANITIZER.search(text), text
        assert status == self.expected_exit, f"exit status {status}: {text}"


def start_on_a_port(start, settings=None, host="127.0.0.1"):
    """By `start`, on a port that was free; `host`: how the program is told of 127.0.0.1."""
    def attempt():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = probe.getsockname()
        try:
            listen = {"OSCAR_METRICS_LISTEN": f"{host}:{address[1]}"}
            return start({**listen, **(settings or {})}, how="listen", address=address)
        except AssertionError as fault:
            # Somebody else was quicker.
            assert "in use" in str(fault)
            return None

    return wait_until(attempt, "a free port")


class Apps:
    """Starts programs for tests and ends them all when the tests are through."""

    def __init__(self, directory, kind=App):
        self.directory = pathlib.Path(directory)
        self.kind = kind
        self.running = []

    def start(self, settings=None, **how):
        # Short names: a Unix socket's path has 107 bytes.
        directory = self.directory / str(len(self.running))
        directory.mkdir()
        app = self.kind(directory, settings or {}, **how)
        self.running.append(app)
        return app

    def stop(self):
        faults = []
        for app in self.running:
            if app.errors.closed:
                continue
            try:
                app.stop()
            except (AssertionError, subprocess.TimeoutExpired) as fault:
                faults.append(str(fault))
        assert not faults, "\n".join(faults)
