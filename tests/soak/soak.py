#!/usr/bin/python3
"""Holds the program to its answers under load, for long: through nginx, under multiwatch, with every kind of request.

    soak.py [--markdown] [--requests N] [--minutes N]

First nothing is disturbed; then programs are killed and nginx is reloaded meanwhile; in the end far more is asked than
small programs can take. --requests: in each of the first two (100,000). --minutes: as many of them in each of the two,
instead of a number of requests. Every answer is held against the model's. Prints what was found, and "N passed, N
failed" last.
"""
import argparse
import datetime
import os
import pathlib
import statistics
import sys
import tempfile
import time

from checker import Checker
from memory import Memory, Rest
from overload import Overload
from stand import CONNECTIONS, Stand

from harness.waiting import wait_until  # noqa: E402 (stand.py knows where)

REQUESTS, WARM, KILLS, RELOADS = 100_000, 40_000, 10, 5
# What may come late: each worker's memory grows with the largest report that it has seen, and it takes long until each
# has seen its largest; 16 workers (the same bound as in ./dev bench memory). From the second fifth on it is nearly flat.
WORKERS, GROWTH, A_WORKER, LATE_GROWTH = 16, 0.5e6, 0.25e6, 1.5e6
MOST_GROWTH = GROWTH + A_WORKER * (WORKERS - 1)
# Of what the program has in use, when it has nothing to do, from the second fifth of the quiet phase to the last.
FLAT = 64 * 1024
# Each of a program's 16 workers may be sending an answer when it is killed, but few take more than one write() and a
# place in a socket's buffer: seen were four in eleven kills.
CUT_A_KILL = 4
# Connections to backends that workers keep differ by some.
FILES = 16
LONGEST_SECONDS = 3600
OVERLOAD, HEALTHY, LONGEST_HEALTHY = 2000, 0.25, 5.0
# So many answers after a kill, all that ran then are answered.
SETTLED = 6 * CONNECTIONS


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


class Results:
    """What was held against what, as rows and as checks."""

    def __init__(self):
        self.rows, self.passed, self.failed = [], 0, 0

    def check(self, what, good, found):
        self.rows.append((what, str(found), "yes" if good else "NO"))
        self.passed += bool(good)
        self.failed += not good

    def figure(self, what, found):
        self.rows.append((what, str(found), ""))

    def print(self, markdown):
        cells = [("what", "found", "as it must be"), *self.rows]
        if markdown:
            cells.insert(1, ("---", "---", "---"))
            for row in cells:
                print("| " + " | ".join(row) + " |")
            return
        widths = [max(map(len, column)) for column in zip(*cells)]
        for row in cells:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


class Phase:
    """A load with its checker, and memory looked at."""

    def __init__(self, stand, name, answers=None, seconds=LONGEST_SECONDS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        self.stand, self.name, self.answers = stand, name, answers
        self.began = time.monotonic()
        self.seconds = seconds
        self.memory = Memory(stand.programs.children)
        self.checker = Checker(stand.nginx, stand.mix)
        self.load = stand.begin(name.replace(" ", "-"), answers=answers, seconds=seconds)
        self.kills = self.killed = self.reloaded = 0
        self.rests = []   # Rest, one after the other
        self.hurt = []    # (answers before a kill, answers when what it hit was answered)

    def progress(self):
        """From 0 to 1."""
        if self.answers:
            return self.stand.answered() / self.answers
        return (time.monotonic() - self.began) / self.seconds

    def wait_progress(self, share):
        wait_until(lambda: self.progress() >= share or not self.load.is_running(), f"{share:.0%} of the load",
                   patience=LONGEST_SECONDS, pause=0.1)

    def kill(self, all_at_once=False):
        """One program after the other, or all."""
        pids = self.stand.programs.children()
        chosen = pids if all_at_once else [pids[self.kills % len(pids)]]
        before = self.stand.answered()
        self.stand.kill(chosen)
        # What was asked again must not be hit twice: it is answered before the next kill.
        goal = self.stand.answered() + SETTLED
        wait_until(lambda: self.stand.answered() >= goal or not self.load.is_running(), "the next answers")
        self.hurt.append((before, self.stand.answered()))
        self.killed += len(chosen)
        self.kills += 1

    def reload(self):
        self.stand.nginx.reload()
        self.reloaded += 1

    def rest(self):
        """Nothing is asked for a moment: what the programs hold then."""
        with self.checker.turn:
            self.load.pause(True)
            try:
                self.rests.append(Rest.of(self.stand.at_rest(), self.stand.programs.children()))
            finally:
                self.load.pause(False)

    def end(self):
        """When the load has ended; what it said."""
        wait_until(lambda: not self.load.is_running(), "the end of the load", patience=LONGEST_SECONDS, pause=0.1)
        self.took = time.monotonic() - self.began
        self.said = self.load.end()
        self.stop()
        return self.said

    def stop(self):
        """Ends what is left of it; also when something went wrong."""
        self.load.kill()
        self.checker.end()
        self.memory.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def judge(results, phase):
    """What holds in every phase."""
    said, checker, name = phase.said, phase.checker, phase.name
    rate = f"{said.answers / phase.took:,.0f}/s"
    wanted = phase.answers or 1
    results.check(f"{name}: requests answered", said.answers >= wanted - CONNECTIONS, f"{said.answers:,} ({rate})")
    results.check(f"{name}: bodies and statuses that are not the model's", said.wrong == 0, said.wrong)
    results.check(f"{name}: 5xx but ours", said.faults == 0, said.faults)
    busy = sum(count for (kind, _), count in said.counts.items() if kind == "too busy")
    results.figure(f"{name}: 503 too busy", busy)
    results.check(f"{name}: answers looked at in full besides, not right", checker.wrong == 0 and checker.checked > 0,
                  f"{checker.wrong} of {checker.checked:,}")
    seconds = "median {:.3f} s, 99 % under {:.3f} s, longest {:.3f} s".format(*said.latency)
    results.figure(f"{name}: time of an answer, {CONNECTIONS} connections", seconds)
    for text in [said.examples, *checker.faults]:
        if text:
            print(text[:20000], file=sys.stderr)


def judge_errors(results, phase, connections):
    results.check(f"{phase.name}: connections that ended without an answer (at most {connections})",
                  sum(phase.said.errors) <= connections,
                  "{} connect, {} read, {} write, {} timeout".format(*phase.said.errors))


def judge_whole(results, phase):
    """Where no program dies, no answer is cut."""
    cut = phase.stand.cut()
    results.check(f"{phase.name}: answers that were cut, as wrk and as nginx saw it", phase.said.cut == 0 and not cut,
                  f"{phase.said.cut}, {len(cut)}")


def kilobytes(value):
    return f"{value / 1024:,.0f} KB"


def judge_rests(results, phase, warm):
    """What was in use each time that nothing was asked: memories are full, and all else was given back."""
    second, last = phase.rests[1], phase.rests[-1]
    for n, began in enumerate(sorted(last.allocated)):
        what = f"{phase.name}: in use by program {n + 1} with nothing to do, after each fifth"
        found = ", ".join(kilobytes(rest.allocated[began]) for rest in phase.rests)
        if warm < WARM:
            results.figure(f"{what}, too early to judge", found)
            continue
        results.check(f"{what} (in the end at most {kilobytes(FLAT)} more than after the second)",
                      last.allocated[began] - second.allocated[began] <= FLAT, found)
    results.check(f"{phase.name}: descriptors of each program then (at most {FILES} more in the end)",
                  all(last.files[began] <= second.files[began] + FILES for began in last.files),
                  "; ".join(", ".join(str(rest.files[began]) for rest in phase.rests) for began in sorted(last.files)))
    results.check(f"{phase.name}: threads of each program then (as many in the end)", last.threads == second.threads,
                  "; ".join(", ".join(str(rest.threads[pid]) for rest in phase.rests) for pid in sorted(last.threads)))


def judge_memory(results, phase, warm):
    """Before so many requests as WARM it still grows, rightly: then it is only told."""
    for n, pid in enumerate(sorted(phase.memory.seen)):
        fifths = phase.memory.fifths(pid)
        what, found = f"{phase.name}: memory of program {n + 1} by fifths of the time", ", ".join(map(megabytes, fifths))
        if warm < WARM:
            results.figure(f"{what}, too early to judge", found)
            continue
        results.check(f"{what} (at most {megabytes(MOST_GROWTH)} more in all, {megabytes(LATE_GROWTH)} from the second)",
                      fifths[4] - fifths[0] <= MOST_GROWTH and fifths[4] - fifths[1] <= LATE_GROWTH, found)


def disturb(phase, kills, reloads):
    """Kills and reloads, evenly over the load; the last kill is of all programs at once."""
    events = sorted([((n + 1) / (kills + 1), "kill", n == kills - 1) for n in range(kills)] +
                    [((n + 0.5) / reloads, "reload", False) for n in range(reloads)])
    for share, what, last in events:
        phase.wait_progress(share)
        phase.kill(all_at_once=last) if what == "kill" else phase.reload()


def judge_disturbed(results, phase, quiet_most):
    # A kept connection on which nothing is asked just when nginx reloads is closed, and an answer that has begun cannot
    # be asked again.
    cut = phase.stand.cut()
    judge_errors(results, phase, CONNECTIONS * phase.reloaded + len(cut))
    again = sum(len(attempts) > 1 for attempts in phase.stand.attempts())
    results.figure(f"{phase.name}: programs killed (SIGKILL), nginx reloaded (SIGHUP)",
                   f"{phase.killed}, {phase.reloaded}")
    # Those that are running; beside the load the checker asks.
    running = phase.kills * (CONNECTIONS + 1)
    results.check(f"{phase.name}: requests that nginx asked again because their program had died (at most {running})",
                  0 < again <= running, again)
    most = CUT_A_KILL * phase.killed
    results.check(f"{phase.name}: answers that were cut while they were sent, as wrk and as nginx saw it (at most {most})",
                  phase.said.cut <= len(cut) <= most, f"{phase.said.cut}, {len(cut)}")
    elsewhere = [n for n in cut if not any(before - CONNECTIONS <= n <= after for before, after in phase.hurt)]
    results.check(f"{phase.name}: of these not when a program was killed", not elsewhere, len(elsewhere))
    most = phase.memory.most()
    if quiet_most is None:
        return
    results.check(f"{phase.name}: the most memory of any program (at most {megabytes(MOST_GROWTH)} more than before)",
                  most <= quiet_most + MOST_GROWTH, f"{megabytes(most)}, before {megabytes(quiet_most)}")


def overload(results, folder):
    """A stand of its own: programs with few workers."""
    print("overload ...", file=sys.stderr, flush=True)
    seen = Overload(folder / "overload").run(OVERLOAD)
    for text in [seen.said.examples, *seen.faults]:
        if text:
            print(text[:20000], file=sys.stderr)
    results.check("overload: requests that were answered as the model does", seen.whole >= OVERLOAD, f"{seen.whole:,}")
    results.check("overload: 503 too busy, each with Retry-After", seen.busy > 0, f"{seen.busy:,}")
    results.check("overload: bodies and statuses that are not the model's", seen.said.wrong == 0, seen.said.wrong)
    results.check("overload: 5xx but ours", seen.said.faults == 0, seen.said.faults)
    results.check("overload: connections that ended without an answer", sum(seen.said.errors) == 0,
                  "{} connect, {} read, {} write, {} timeout".format(*seen.said.errors))
    # Who waits in the queue has to wait for some hundred others.
    middle, longest = statistics.median(seen.healthy), max(seen.healthy)
    results.check(f"overload: /-/healthy meanwhile (median within {HEALTHY:g} s, all within {LONGEST_HEALTHY:g} s)",
                  not seen.faults and middle <= HEALTHY and longest <= LONGEST_HEALTHY,
                  f"{len(seen.healthy):,} times, median {middle:.3f} s, longest {longest:.3f} s")


def soak(results, folder, requests, seconds, kills=KILLS, reloads=RELOADS, warm=WARM):
    """Both phases, after a warm-up. `seconds`: of each, in place of a number of requests."""
    warm = min(warm, requests)
    if not seconds:
        kills, reloads = min(kills, max(2, requests // SETTLED // 3)), min(reloads, max(1, requests // SETTLED // 6))
    how = {"seconds": seconds} if seconds else {"answers": requests}
    with Stand(folder) as stand:
        with Phase(stand, "warm-up", answers=warm) as phase:
            phase.end()
            judge(results, phase)
            judge_whole(results, phase)
        with Phase(stand, "quiet", **how) as phase:
            for fifth in range(1, 5):
                phase.wait_progress(fifth / 5)
                phase.rest()
            phase.end()
            phase.rest()
            judge(results, phase)
            judge_errors(results, phase, 0)
            judge_whole(results, phase)
            judge_rests(results, phase, warm)
            judge_memory(results, phase, warm)
            most = phase.memory.most()
        with Phase(stand, "disturbed", **how) as phase:
            disturb(phase, kills, reloads)
            phase.end()
            judge(results, phase)
            judge_disturbed(results, phase, most if warm >= WARM else None)
    overload(results, folder)
    results.check("everything ended cleanly", True, "yes")


def main():
    arguments = argparse.ArgumentParser(prog="soak", allow_abbrev=False)
    arguments.add_argument("--markdown", action="store_true")
    arguments.add_argument("--requests", type=int, default=REQUESTS)
    arguments.add_argument("--minutes", type=float)
    chosen = arguments.parse_args()

    results, began = Results(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="om-") as folder:
        try:
            soak(results, pathlib.Path(folder), chosen.requests, chosen.minutes and int(chosen.minutes * 60))
        except (AssertionError, OSError) as fault:
            results.check("the soak itself", False, str(fault)[:2000])
    load = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
    print(f"{datetime.date.today()}, {len(os.sched_getaffinity(0))} cores, Linux {os.uname().release.partition('-')[0]}; "
          f"{time.monotonic() - began:.0f} s; load average at the end: {load}", end="\n\n")
    results.print(chosen.markdown)
    print(f"\n{results.passed} passed, {results.failed} failed")
    sys.exit(0 if results.failed == 0 else 1)


if __name__ == "__main__":
    main()
