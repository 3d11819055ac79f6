"""A real nginx with the project's own configuration, in a folder of its own, on a Unix socket."""
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from .answer import Answer
from .app import BINARY, ROOT
from .client import ADMIN
from .process import children
from .waiting import PATIENCE, wait_until

CONFIGURATION = ROOT / "nginx"

MAIN = """\
user root;
worker_processes 1;
daemon off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log notice;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    include {prefix}/oscar-metrics-upstream.conf;{http}
    server {{
        listen unix:{prefix}/http.sock;{server}
        large_client_header_buffers 4 16k;
        include oscar-metrics.conf;
        location / {{ return 404 "somebody else's\\n"; }}
    }}
    server {{
        listen unix:{prefix}/operator.sock;{operator}
        include oscar-metrics.conf;
        include oscar-metrics-operator.conf;
    }}
}}
"""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("oscar.example.org", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def uncomment(text, line):
    """The configuration with one of its own options turned on."""
    assert "#" + line in text, line
    return text.replace("#" + line, line)


class Nginx:
    """`application`: the path of the program's socket, or of fcgiwrap's, which then runs the program as CGI; `cgi`:
    settings in place of those that stand in the project's file for CGI; `listen`: where it listens besides;
    `operator`: a listening TCP socket that the operator's server takes over, besides its own; `patience`: how long it
    waits for the application, in place of what stands in the project's file; `http`, `server`: more directives for
    these blocks."""

    def __init__(self, directory, application, cors=False, cgi=None, listen=None, operator=None, patience=None, http="",
                 server=""):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        for file in CONFIGURATION.glob("oscar-metrics*"):
            shutil.copy(file, self.directory)
        self._edit("oscar-metrics-upstream.conf",
                   lambda text: text.replace("/run/oscar-metrics/oscar-metrics.sock", str(application)))
        assert str(application) in (self.directory / "oscar-metrics-upstream.conf").read_text()
        if cors:
            for name in ("oscar-metrics.fastcgi_params", "oscar-metrics.conf"):
                self._edit(name, lambda text: uncomment(text, "include oscar-metrics-cors.conf;"))
        if cgi is not None:
            self._edit("oscar-metrics.fastcgi_params", lambda text: uncomment(text, "include oscar-metrics-cgi.conf;"))
            self._edit("oscar-metrics-cgi.conf", lambda text: self._cgi(text, cgi))
        if patience:
            self._edit("oscar-metrics.fastcgi_params",
                       lambda text: text.replace("fastcgi_read_timeout 60s;", f"fastcgi_read_timeout {patience};"))
        main = self.directory / "nginx.conf"
        handed = operator and " listen %s:%d;" % operator.getsockname()
        main.write_text(MAIN.format(prefix=self.directory, http=http, operator=handed or "",
                                    server=(f" listen {listen};" if listen else "") + server))
        self.output = open(self.directory / "output", "w+b")
        # nginx takes a socket that it inherits for the one that it is to listen on: no port is guessed.
        inherited = {"pass_fds": [operator.fileno()], "env": {**os.environ, "NGINX": f"{operator.fileno()};"}} \
            if operator else {}
        self.process = subprocess.Popen(["nginx", "-p", str(self.directory), "-c", str(main),
                                         "-e", str(self.directory / "error.log")],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, **inherited)
        try:
            wait_until(self._is_ready, "nginx to be ready")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise AssertionError(self.error_log()) from None

    @staticmethod
    def _cgi(text, settings):
        kept = [line for line in text.splitlines() if not re.match("fastcgi_param (OSCAR|PROMETHEUS)", line)]
        text = "\n".join(kept).replace("/usr/local/bin/oscar-metrics", BINARY)
        assert BINARY in text
        return text + "".join(f'\nfastcgi_param {name} "{value}";' for name, value in settings.items())

    def _edit(self, name, change):
        file = self.directory / name
        file.write_text(change(file.read_text()))

    def error_log(self):
        return "".join(file.read_text() for file in (self.directory / "output", self.directory / "error.log")
                       if file.exists())

    def _is_ready(self):
        assert self.process.poll() is None, "nginx ended"
        try:
            return self.get("/not/ours").status == 404
        except (FileNotFoundError, ConnectionError):
            return False

    def get(self, target, auth=None, method="GET", headers=(), body=None, server="http"):
        """One request; `target` goes out as it is."""
        connection = _Connection(str(self.directory / f"{server}.sock"))
        try:
            sent = dict(headers)
            if auth is not None:
                sent["Authorization"] = auth
            connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def admin(self, target, **more):
        return self.get(target, auth=ADMIN, **more)

    def raw(self, data, server="http"):
        """Sends bytes, and gives all that comes back until nginx closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.directory / f"{server}.sock"))
            connection.sendall(data)
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)

    def reload(self):
        """SIGHUP; returns when the workers of before have answered what they had, and are gone."""
        before = set(children(self.process.pid))
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: children(self.process.pid) and not before & set(children(self.process.pid)),
                   "nginx's workers to be others")

    def stop(self):
        self.process.terminate()
        try:
            status = self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.output.close()
        assert status == 0, self.error_log()
