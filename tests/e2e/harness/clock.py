"""The program's clocks, moved by a test (clock.c)."""
import datetime
import os
import struct

from .preload import preload

# From the start on: what waits for a time by the kernel's own clock must not find it over.
_BEGIN_SECONDS = 3600


class Clock:
    """Who starts with these settings finds a clock that stands still until it is moved. Nothing ends by a deadline
    then, and how slow the machine is makes no difference."""

    def __init__(self, folder):
        self._file = open(folder / "ahead", "w+b", buffering=0)
        self.ahead(0)
        self.settings = {**preload(folder, "clock"), "CLOCK_AHEAD": folder / "ahead"}

    def ahead(self, seconds):
        """Since the start so long has passed."""
        self._seconds = _BEGIN_SECONDS + seconds
        os.pwrite(self._file.fileno(), struct.pack("=q", round(self._seconds * 1000)), 0)

    def now(self):
        """For those who need to know the day: the program was started a moment ago."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self._seconds)

    def close(self):
        self._file.close()
