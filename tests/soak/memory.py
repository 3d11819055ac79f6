"""What processes hold in memory, looked at again and again; and what a program holds when it has nothing to do."""
import dataclasses
import statistics
import threading

from world import World  # noqa: F401 (knows where the harness is)

from harness.process import resident_bytes, threads  # noqa: E402

EVERY = 0.25


@dataclasses.dataclass
class Rest:
    """What programs hold that have nothing to do but say this. By when each began: bytes that are allocated, file
    descriptors (with the question's own); by process id: threads."""
    allocated: dict
    files: dict
    threads: dict

    @classmethod
    def of(cls, found, pids):
        return cls({began: figures("oscar_metrics_allocated_bytes") for began, figures in found.items()},
                   {began: figures("process_open_fds") for began, figures in found.items()},
                   {pid: threads(pid) for pid in pids})


class Memory:
    """A thread that looks. `seen`: {pid: [bytes, ...]}."""

    def __init__(self, pids):
        self.pids = pids  # a function: those to be looked at now
        self.seen = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ended.wait(EVERY):
            for pid in self.pids():
                resident = resident_bytes(pid)
                if resident is not None:
                    self.seen.setdefault(pid, []).append(resident)

    def end(self):
        self.ended.set()
        self.thread.join()

    def fifths(self, pid):
        """The median of each fifth of what was seen of it."""
        seen = self.seen[pid]
        size = max(1, len(seen) // 5)
        return [statistics.median(seen[n * size:(n + 1) * size] or seen) for n in range(5)]

    def most(self):
        """The most that any of them held."""
        return max(max(seen) for seen in self.seen.values())
