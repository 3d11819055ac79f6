"""Beside the load: asks for one after the other of the mix, and looks at all of each answer, headers too."""
import random
import threading

from world import without_times

from harness import expect  # noqa: E402 (world.py knows where)
from harness.answer import parse_json  # noqa: E402

TYPES = {"application/json; charset=utf-8": parse_json, "text/csv; charset=utf-8": lambda body: None,
         "text/plain; charset=utf-8": lambda body: None}
EXAMPLES = 5


def check(answer, wanted, method="GET"):
    """Fails when this is not the answer; strictly read, and with the headers that belong to it."""
    assert answer.status == wanted.status, f"{answer.status}, not {wanted.status}: {answer!r}"
    expect.common_headers(answer)
    kind = answer.header("Content-Type")
    if method == "HEAD":
        assert kind in TYPES and answer.body == b"", repr(answer)
        return
    TYPES[kind](answer.body)
    assert without_times(answer.text) == wanted.body, f"{answer.text}\n  wanted: {wanted.body}"
    assert answer.header("OSCAR-Metrics-Complete") == ("true" if wanted.status == 200 else None), repr(answer)
    assert (answer.header("WWW-Authenticate") is not None) == (wanted.status == 401), repr(answer)
    assert answer.header("Allow") == ("GET, HEAD" if wanted.status == 405 else None), repr(answer)


class Checker:
    """A thread of its own, with connections of its own. `checked`: answers that were looked at; `faults`: the first
    ones that were not right; `kinds`: of which there were some."""

    def __init__(self, nginx, mix, pause=0.005):
        self.nginx, self.mix, self.pause = nginx, mix, pause
        self.checked, self.wrong, self.faults, self.kinds = 0, 0, [], set()
        self.random = random.Random(1)
        self.turn = threading.Lock()  # whoever holds it keeps it from asking
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _one(self):
        wanted = self.random.choice(self.mix)
        method = "HEAD" if wanted.method == "GET" and self.random.random() < 0.1 else wanted.method
        self.kinds.add(wanted.kind)
        try:
            check(self.nginx.get(wanted.target, auth=wanted.auth, method=method), wanted, method)
        except Exception as fault:  # pylint: disable=broad-except # also what the connection came to
            self.wrong += 1
            if len(self.faults) < EXAMPLES:
                self.faults.append(f"{wanted.kind}: {wanted.target}: {fault!r}")
        self.checked += 1

    def _run(self):
        while not self.ended.wait(self.pause):
            with self.turn:
                self._one()

    def end(self):
        self.ended.set()
        self.thread.join()
