#!/usr/bin/python3
"""Counts what a run of tests came to: prints "PASSED FAILED SKIPPED".

    results.py unit FOLDER   the .trs and .log files that `make check` left there (cmocka's summaries)
    results.py junit FILE    pytest's --junitxml
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def summary(text, word):
    return sum(int(count) for count in re.findall(r"^\[ +%s +\] (\d+) test" % word, text, re.MULTILINE))


def unit_program(trs):
    """One program. What ended badly without naming a test, a crash for example, is a failure too."""
    log = trs.with_suffix(".log")
    text = log.read_text(errors="replace") if log.exists() else ""
    passed, failed, skipped = (summary(text, word) for word in ("PASSED", "FAILED", "SKIPPED"))
    good = ":test-result: PASS" in trs.read_text()
    if not failed and (not good or not passed):
        failed = 1
    if failed:
        print("---- %s\n%s" % (log, text), file=sys.stderr)
    return passed, failed, skipped


def unit(folder):
    programs = [unit_program(trs) for trs in sorted(pathlib.Path(folder).rglob("*.trs"))]
    return [sum(column) for column in zip(*programs)] or [0, 0, 0]


def junit(file):
    passed = failed = skipped = 0
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
        failed += bad
        passed += max(0, int(suite.get("tests")) - bad - int(suite.get("skipped")))
    return passed, failed, skipped


def main():
    kind, what = sys.argv[1:]
    print(*{"unit": unit, "junit": junit}[kind](what))


if __name__ == "__main__":
    main()
