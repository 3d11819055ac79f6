"""Far more connections than small programs take: who is refused is told so, who is not gets the right answer, and the
operator is answered at once."""
import threading
import time

from stand import Stand

from harness.waiting import PATIENCE, wait_until  # noqa: E402 (stand.py knows where)

# Of each program: 4 workers, of which 3 may wait for backends, and 64 places in the queue. Two take 134 requests.
PROGRAMS, WORKERS, OVER = 2, 4, 256
# What a client waits for who was refused, in milliseconds; less than it is told, or nobody would be refused for long.
PATIENT_MS = 500
EVERY = 0.05


class Overload:
    """`said`: as wrk did; `busy`: refused; `whole`: answered as the model does; `healthy`: seconds that /-/healthy took,
    each time; `faults`: what was wrong with it."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.healthy, self.faults = [], []
        self.ended = threading.Event()

    def _look(self, nginx):
        while not self.ended.wait(EVERY):
            began = time.monotonic()
            try:
                answer = nginx.get("/-/healthy", server="operator")
                assert answer.status == 200, repr(answer)
            except Exception as fault:  # pylint: disable=broad-except # also what the connection came to
                self.faults.append(repr(fault))
            self.healthy.append(time.monotonic() - began)

    def _count(self, stand):
        statuses = stand.statuses()
        return sum(status != 503 for status in statuses), sum(status == 503 for status in statuses)

    def run(self, answers, **how):
        """Until so many were answered, and some refused."""
        with Stand(self.folder, programs=PROGRAMS, settings={"OSCAR_METRICS_WORKERS": str(WORKERS)}, **how) as stand:
            looking = threading.Thread(target=self._look, args=(stand.nginx,))
            load = stand.begin("load", connections=OVER, patience=PATIENT_MS)
            looking.start()
            try:
                def enough():
                    assert load.is_running(), "the load has ended"
                    whole, busy = self._count(stand)
                    return whole >= answers and busy > 0
                wait_until(enough, f"{answers} answers, and some refused", patience=30 * PATIENCE, pause=0.2)
                self.said = load.end()
            finally:
                load.kill()
                self.ended.set()
                looking.join()
        self.busy = sum(count for (kind, _), count in self.said.counts.items() if kind == "too busy")
        self.whole = self.said.answers - self.busy - self.said.wrong
        return self
