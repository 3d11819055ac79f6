"""The program under the real multiwatch, on the socket that spawn-fcgi opened."""
import os
import pathlib
import signal
import subprocess

from .app import BINARY, SANITIZER, environment
from .client import Client
from .process import children, looks_after
from .waiting import PATIENCE, wait_until


class Watched(Client):
    """`spawn-fcgi -n -s PATH -- multiwatch -f N -t 1000 -- PROGRAM`: spawn-fcgi becomes multiwatch."""

    def __init__(self, directory, settings, processes=2, program=BINARY):
        directory = pathlib.Path(directory)
        self.processes = processes
        self.address = str(directory / "watched.sock")
        self.errors = open(directory / "watched.stderr", "w+b")
        command = ["spawn-fcgi", "-n", "-s", self.address, "--", "/usr/bin/multiwatch", "-f", str(processes), "-t",
                   "1000", "--", str(program)]
        self.process = subprocess.Popen(command, env=environment(settings), stdin=subprocess.DEVNULL,
                                        stdout=self.errors, stderr=self.errors, start_new_session=True)
        try:
            self.wait_complete()
        except BaseException:
            self.kill()
            raise

    def children(self):
        """The processes that multiwatch has now."""
        return children(self.process.pid)

    def _is_at_work(self, pid):
        try:
            # Until it runs the program it has multiwatch's own handlers of signals.
            begun = os.readlink(f"/proc/{pid}/exe") != os.readlink(f"/proc/{self.process.pid}/exe")
        except FileNotFoundError:
            return False
        return begun and looks_after(pid, signal.SIGTERM)

    def wait_complete(self, without=()):
        """Waits until all are there, and at work, none of them one of `without`; their process ids."""
        def complete():
            assert self.process.poll() is None, "multiwatch ended: " + self.stderr()
            pids = self.children()
            return len(pids) == self.processes and not set(pids) & set(without) and \
                all(map(self._is_at_work, pids)) and pids
        return wait_until(complete, "all of multiwatch's processes")

    def replace(self, pid, number=signal.SIGTERM):
        """Sends one of them a signal that ends it, and waits until another one is in its place."""
        os.kill(pid, number)
        return self.wait_complete(without=[pid])

    def stderr(self):
        return os.pread(self.errors.fileno(), os.fstat(self.errors.fileno()).st_size, 0).decode("utf-8", "replace")

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self):
        """SIGTERM to multiwatch: it ends all, and itself."""
        pids = self.children()
        try:
            self.process.terminate()
            status = self.process.wait(timeout=PATIENCE)
            assert status == 0, self.stderr()
            wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), "all to end")
            assert not SANITIZER.search(self.stderr()), self.stderr()
        finally:
            self.kill()
            self.errors.close()
