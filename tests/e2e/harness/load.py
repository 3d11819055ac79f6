"""Clients that ask without a pause, from many threads, for as long as a test does something to the program."""
import threading

from .waiting import wait_until


class Load:
    """Within `with`: so many threads call ask() again and again. Whatever it raises fails the test, at the end or as
    soon as somebody waits for more."""

    def __init__(self, ask, threads=8):
        self._ask = ask
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._faults = []
        self._each = [0] * threads
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    @property
    def done(self):
        return sum(self._each)

    def _run(self, number):
        while not self._stop.is_set():
            try:
                self._ask()
            except BaseException as fault:  # pylint: disable=broad-except
                with self._lock:
                    self._faults.append(fault)
                return
            self._each[number] += 1  # its own

    def _check(self):
        with self._lock:
            if self._faults:
                raise self._faults[0]

    def more(self, count=100):
        """Waits until so many more have been asked, and answered."""
        goal = self.done + count

        def enough():
            self._check()
            return self.done >= goal
        wait_until(enough, f"{count} more answers")

    def turn_over(self):
        """Waits until all that are being asked now have been answered."""
        goal = [done + 1 for done in self._each]

        def all_are():
            self._check()
            return all(done >= wanted for done, wanted in zip(self._each, goal))
        wait_until(all_are, "those that were running")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            self._check()
