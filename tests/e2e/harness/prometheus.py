"""A real Prometheus on a loopback port, over data that promtool wrote, or scraping."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.parse

from .waiting import PATIENCE, wait_until


def _free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def openmetrics(name, series, end=None):
    """Text for promtool: `series` is a list of (labels, [(unix time, value), ...]) of one counter."""
    family = name.removesuffix("_total")
    lines = [f"# TYPE {family} counter"]
    for labels, samples in series:
        text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        lines += [f"{name}{{{text}}} {value} {when}" for when, value in samples]
    return "\n".join(lines) + "\n"


def steady(start, end, per_second, step=300):
    """A counter that grows evenly."""
    return [(when, (when - start) * per_second) for when in range(start, end + 1, step)]


class Prometheus:
    def __init__(self, directory, metrics=None, options=(), configuration="global: {}\n", files=()):
        """`metrics`: OpenMetrics text without its end, to begin with. `options` go on the command line. `files` are copied
        beside the configuration."""
        self.options = list(options)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.data = self.directory / "data"
        if metrics is not None:
            self._fill(metrics)
        for file in files:
            shutil.copy(file, self.directory)
        (self.directory / "prometheus.yml").write_text(configuration)
        self.log = open(self.directory / "prometheus.log", "w+b")
        self.process = None
        wait_until(self._start, "Prometheus to find a free port")
        self.url = f"http://127.0.0.1:{self.port}"

    def _fill(self, metrics):
        source = self.directory / "data.om"
        source.write_text(metrics + "# EOF\n")
        # Long blocks: two seconds for a month instead of minutes.
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h",
                        str(source), str(self.data)], check=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=6 * PATIENCE)

    def _start(self):
        """Starts it on a port that was free a moment ago; false when somebody else was quicker."""
        self.port = _free_port()
        command = ["prometheus", f"--config.file={self.directory}/prometheus.yml",
                   f"--storage.tsdb.path={self.data}", "--storage.tsdb.retention.time=100y",
                   f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn", *self.options]
        self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env={"PATH": os.environ["PATH"]})
        wait_until(lambda: self.process.poll() is not None or self._is_ready(), "Prometheus to be ready")
        if self.process.poll() is None:
            return True
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), size, 0).decode()
        assert "address already in use" in text, text
        return False

    def _get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _is_ready(self):
        try:
            return self._get("/-/ready")[0] == 200
        except OSError:
            return False

    def api(self, path, **parameters):
        """The data of one of its answers; it must be a success."""
        status, body = self._get(f"/api/v1/{path}?" + urllib.parse.urlencode(parameters))
        assert status == 200, body
        return json.loads(body)["data"]

    def series(self, query):
        """What a query gives now: a list of (labels, value)."""
        return [(sample["metric"], float(sample["value"][1])) for sample in self.api("query", query=query)["result"]]

    def ask(self, query, time):
        """The status and the body that Prometheus itself answers with."""
        return self._get("/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": time}))

    def query(self, query, time):
        """What Prometheus itself says: the sum of an instant vector."""
        status, body = self.ask(query, time)
        assert status == 200, body
        return sum(float(sample["value"][1]) for sample in json.loads(body)["data"]["result"])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=PATIENCE)
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)
