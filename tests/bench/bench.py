#!/usr/bin/python3
"""Prints a table of how fast and how large the program is, each figure beside its bound.

    bench.py [--markdown] [--lines N] FOLDER [NAME]

FOLDER keeps the data. NAME: auth, files, kube, loki, memory, rate or sockets alone. A bound that is missed is no failure; a figure
that could not be taken is. --lines: a shorter log, to try the bench itself; the bounds are for 1,000,000.
"""
import argparse
import datetime
import os
import pathlib
import sys
import traceback

import auth
import files
import kube
import loki
import memory
import rate
import sockets
from entries import entries
from kube import services
from month import month

# What measures, and over which data.
GROUPS = {"auth": (auth, month), "files": (files, month), "kube": (kube, services), "loki": (loki, entries),
          "memory": (memory, month), "rate": (rate, month), "sockets": (sockets, month)}
HEADING = ["figure", "measured", "compared with", "ratio", "bound", "met"]


def machine():
    models = {line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")}
    cores = len(os.sched_getaffinity(0))
    kernel = os.uname().release.partition("-")[0]
    return f"{cores} cores, {', '.join(sorted(models)) or os.uname().machine}, Linux {kernel}"


def measure(names, lines, folder):
    """(rows, True when all could be taken)"""
    rows, whole = [], True
    for name in names:
        print(f"measuring: {name}", file=sys.stderr)
        try:
            group, data = GROUPS[name]
            rows += group.figures(data(folder, lines))
        except Exception:  # pylint: disable=broad-except # the others can still be taken
            traceback.print_exc()
            whole = False
    return rows, whole


def print_plain(cells):
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_markdown(cells):
    for row in [cells[0], ["---"] * len(HEADING), *cells[1:]]:
        print("| " + " | ".join(row) + " |")


def main():
    arguments = argparse.ArgumentParser(prog="bench")
    arguments.add_argument("--markdown", action="store_true")
    arguments.add_argument("--lines", type=int, default=1_000_000)
    arguments.add_argument("folder")
    arguments.add_argument("name", nargs="?", choices=GROUPS)
    chosen = arguments.parse_intermixed_args()

    rows, whole = measure([chosen.name] if chosen.name else GROUPS, chosen.lines, chosen.folder)
    if rows:
        cells = [HEADING] + [[row.what, row.measured, row.compared, row.ratio, row.bound, "yes" if row.met else "NO"]
                             for row in rows]
        print(f"{datetime.date.today()}, {machine()}; {chosen.lines:,} lines", end="\n\n")
        (print_markdown if chosen.markdown else print_plain)(cells)
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
