"""The program started by the real spawn-fcgi, which leaves once its children run."""
import ctypes
import os
import pathlib
import signal
import subprocess

from .app import BINARY, environment
from .client import Client
from .process import looks_after
from .waiting import PATIENCE, wait_until

PR_SET_CHILD_SUBREAPER = 36


class Spawned(Client):
    """`spawn-fcgi -s PATH [-F n] -- oscar-metrics`. Its children become ours, so that their end can be seen."""

    def __init__(self, directory, settings, processes=1):
        directory = pathlib.Path(directory)
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self.address = str(directory / "spawned.sock")
        pid_file = directory / "pids"
        count = ["-F", str(processes)] if processes != 1 else []
        command = ["spawn-fcgi", "-s", self.address, *count, "-P", str(pid_file), "--", BINARY]
        # Its own output goes to a file: a pipe would be held open by what it starts.
        with open(directory / "spawn-fcgi.out", "w+b") as output:
            status = subprocess.run(command, env=environment(settings), stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, timeout=PATIENCE, check=False).returncode
            output.seek(0)
            assert status == 0, output.read()
        self.pids = [int(pid) for pid in pid_file.read_text().split()]
        try:
            assert len(self.pids) == processes
            wait_until(self.is_answering, "the spawned program to be ready")
            # One of several may answer while the others still start.
            wait_until(lambda: all(looks_after(pid, signal.SIGTERM) for pid in self.pids), "all of them to be ready")
        except BaseException:
            self.kill()
            raise

    def exit_status(self, pid):
        """(exit status,) of a child, or None while it runs."""
        got, status = os.waitpid(pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status),) if got else None

    def kill(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: self.exit_status(pid), "a killed process to end")
        self.pids = []

    def stop(self):
        """SIGTERM to all; their exit statuses."""
        statuses = []
        try:
            for pid in self.pids:
                os.kill(pid, signal.SIGTERM)
            for pid in list(self.pids):
                statuses.append(wait_until(lambda pid=pid: self.exit_status(pid), "a spawned process to end")[0])
                self.pids.remove(pid)
        finally:
            self.kill()
        return statuses
