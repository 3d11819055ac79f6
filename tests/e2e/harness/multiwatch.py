"""The program several times on one socket, watched by the real multiwatch: who dies is followed by another."""
import os
import pathlib
import signal
import socket
import subprocess

from .app import BINARY, SANITIZER, environment
from .client import Client
from .process import children, looks_after
from .waiting import PATIENCE, wait_until


class Multiwatch(Client):
    """`spawn-fcgi -n` hands it a listening socket on descriptor 0; so do we. `pids`: the programs that run now."""

    def __init__(self, directory, settings, count=2):
        directory = pathlib.Path(directory)
        directory.mkdir(exist_ok=True)
        self.address = str(directory / "app.sock")
        self.count = count
        self.errors = open(directory / "stderr", "w+b")
        # Its patience with a program that dies again and again is not what is tried here.
        command = ["multiwatch", f"--forks={count}", "--retry=1000", "--timeout=1000", "--", BINARY]
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.address)
            listening.listen(1024)
            self.process = subprocess.Popen(command, env=environment(settings), stdin=listening, stdout=self.errors,
                                            stderr=self.errors)
        try:
            self.wait_for_all()
        except BaseException:
            self.kill()
            raise AssertionError("the programs did not start: " + self.stderr()) from None

    @property
    def pids(self):
        """Those that are there already, and can be told to end; while one starts it is not among them."""
        return [pid for pid in children(self.process.pid) if looks_after(pid, signal.SIGTERM)]

    def wait_for_all(self):
        """Until all of them run; their pids."""
        def all_there():
            assert self.process.poll() is None, "multiwatch ended: " + self.stderr()
            pids = self.pids
            return pids if len(pids) == self.count and self.is_answering() else None

        return wait_until(all_there, f"{self.count} programs")

    def kill_some(self, pids):
        """SIGKILL for these; returns when others are in their place."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(pids) & set(children(self.process.pid)), "the killed ones to be gone")
        self.wait_for_all()

    def stderr(self):
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode("utf-8", "replace")

    def kill(self):
        """Ends whatever is left, at once: first who would start others."""
        left = children(self.process.pid)
        self.process.kill()
        self.process.wait(timeout=PATIENCE)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self):
        """Ends it as an operator does: it tells the programs, and ends when they have."""
        try:
            self.process.terminate()
            status = self.process.wait(timeout=PATIENCE)
            text = self.stderr()
        finally:
            self.kill()
            self.errors.close()
        assert not SANITIZER.search(text), text
        assert status == 0, f"exit status {status}: {text}"
