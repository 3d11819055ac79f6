"""The program as plain CGI: a process for each request, which finds it in its environment."""
import os
import pathlib
import signal
import socket
import subprocess

from . import fcgi
from .app import BINARY, SANITIZER, environment
from .client import ADMIN, Client
from .waiting import PATIENCE


class CgiApp(Client):
    """What is asked like an App, as far as there is one without a process that stays."""

    def __init__(self, directory, settings):
        self.directory = pathlib.Path(directory)
        self.settings = dict(settings)
        self.errors = open(self.directory / "stderr", "w+b")
        self.expected_exit = 0

    def run(self, values, *arguments):
        """Runs the program to its end, with these parameters."""
        env = {**environment(self.settings), "GATEWAY_INTERFACE": "CGI/1.1", **values}
        return subprocess.run([BINARY, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=self.errors, timeout=PATIENCE, check=False)

    def get(self, path, query="", auth=ADMIN, method="GET", **more):
        done = self.run(self.params(path, query, auth, method, **more))
        assert done.returncode == self.expected_exit, f"exit status {done.returncode}: {self.stderr()}"
        return fcgi.parse_cgi(done.stdout)

    def stderr(self):
        return (self.directory / "stderr").read_text("utf-8", "replace")

    def stop(self):
        text = self.stderr()
        self.errors.close()
        assert not SANITIZER.search(text), text


class Fcgiwrap:
    """The real fcgiwrap, which runs CGI programs for FastCGI clients. Its environment is theirs, too."""

    def __init__(self, directory, settings, processes=1):
        directory = pathlib.Path(directory)
        self.address = str(directory / "fcgiwrap.sock")
        self.errors = open(directory / "fcgiwrap.stderr", "w+b")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(self.address)
            listening.listen(64)
            self.process = subprocess.Popen(["fcgiwrap", "-c", str(processes)], stdin=listening, stdout=self.errors,
                                            stderr=self.errors, env=environment(settings), start_new_session=True)

    def stderr(self):
        return pathlib.Path(self.errors.name).read_text("utf-8", "replace")

    def _below(self, pid):
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [process for child in children for process in (child, *self._below(child))]

    def running(self):
        """How many processes of the program there are."""
        count = 0
        for pid in self._below(self.process.pid):
            try:
                count += os.path.samefile(f"/proc/{pid}/exe", BINARY)
            except FileNotFoundError:
                pass
        return count

    def stop(self):
        # It leaves its children running when it is told to end.
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)
        text = self.stderr()
        self.errors.close()
        assert not SANITIZER.search(text), text
