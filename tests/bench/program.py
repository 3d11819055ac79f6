"""The program under measurement: the end-to-end tests' own, with what its process takes."""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness.app import App  # noqa: E402


class Program(App):
    def _is_ready(self):
        """Without a request: some figures are about the first one."""
        assert self.is_running(), "it ended"
        return "msg=ready" in self.stderr()

    def bytes(self, name):
        """VmRSS or VmHWM."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no " + name)


@contextlib.contextmanager
def running(**settings):
    with tempfile.TemporaryDirectory(prefix="om-") as folder:
        program = Program(folder, settings)
        try:
            yield program
        finally:
            program.stop()


def summary(program, query):
    """A summary of a month; how many requests it counted."""
    answer = program.summary(query)
    assert answer.status == 200, answer
    return answer.json()["totals"]["requests_count_total"]


def refused(program):
    """A request that no backend is needed for: a breakdown that does not say by what."""
    answer = program.get("/system/metrics/breakdown")
    assert answer.status == 400, answer
