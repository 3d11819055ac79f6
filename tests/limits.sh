#!/bin/bash
# Every limit has a name in src/caps.h, and a row in docs/limits.md with its value and a test that is there. Prints one
# line per breach; status 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 - <<'PYTHON'
import pathlib
import re
import sys

# No test meets these; the page says why.
UNMET = {"ASK_WAIT_MS", "OIDC_WAIT_MS", "GATHER_WAIT_MS", "LOBBY_RECEIVE_SECONDS"}
# Look like limits and are none: what data and clocks mean, the sizes of our own lists, what is made or demanded.
NO_LIMITS = {"TOKEN_EARLY_SECONDS", "PODLOGS_SKEW_SECONDS", "FIRST_LINE_SECONDS", "ORDER_SECONDS", "SETTLED_SECONDS",
             "COPIED_SECONDS", "CA_CACHE_SECONDS", "ROUNDING_MS", "METER_MS", "JOBS_MAX", "COLUMNS_MAX",
             "EXPOSITION_LABELS_MAX", "OWN_ID_BYTES", "SHOWN_BYTES", "PSEUDONYM_KEY_MIN_BYTES"}
LIKE_A_LIMIT = re.compile(r"(^|_)(MAX|MOST|LIMIT|BYTES|MS|SECONDS|RETRIES|ROUNDS|PATIENCE|AT_ONCE)$|_MAX_|^MAX_")
UNITS = {"_BYTES": [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")],
         "_MS": [(3600000, "h"), (60000, "min"), (1000, "s"), (1, "ms")],
         "_SECONDS": [(3600, "h"), (1, "s")], "_HOURS": [(1, "h")], "_BITS": [(1, "bits")]}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def limits():
    """{name: value}"""
    found = {}
    for name, value in re.findall(r"^ +([A-Z][A-Z0-9_]*)\s*=\s*([^,]+),",
                                  without_comments(pathlib.Path("src/caps.h").read_text()), re.M):
        found[name] = eval(value, {"__builtins__": {}}, found)
    return found


def spelled(name, value):
    for ending, units in UNITS.items():
        if name.endswith(ending):
            return next(f"{value // size} {unit}" for size, unit in units if value % size == 0)
    return str(value)


def check_row(name, value, row):
    if row[1] != spelled(name, value):
        yield f"{name} is {spelled(name, value)}, not {row[1]}"
    if not row[2]:
        yield f"{name}: what happens when it is met?"
    if name in UNMET:
        if not row[3].startswith("none: "):
            yield f"{name} is met by a test: take it out of UNMET"
        return
    tests = re.findall(r"`(tests/[^`]+)` `(\w+)`", row[3])
    if not tests:
        yield f"{name} has no test"
    for file, test in tests:
        path = pathlib.Path(file)
        if not path.exists() or not re.search(rf"^(static void|def) {test}\(", path.read_text(), re.M):
            yield f"{name}: there is no {test} in {file}"


def check_page(found):
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in pathlib.Path("docs/limits.md").read_text().splitlines() if line.startswith("| `")]
    names = [row[0].strip("` ") for row in rows]
    for name in sorted(set(names) - set(found)):
        yield f"{name} is no limit"
    for name, value in found.items():
        if names.count(name) != 1:
            yield f"{name} has {names.count(name)} rows"
        else:
            yield from check_row(name, value, rows[names.index(name)])


def check_elsewhere(found):
    for path in sorted(pathlib.Path("src").rglob("*.[ch]")):
        text = without_comments(path.read_text())
        if path.name == "caps.h":
            continue
        for body in re.findall(r"\benum\s*\w*\s*\{([^}]*)\}", text):
            for name in re.findall(r"\b([A-Z][A-Z0-9_]+)\s*=", body):
                if LIKE_A_LIMIT.search(name) and name not in NO_LIMITS:
                    yield f"{path}: {name} looks like a limit: it belongs into src/caps.h"
    everything = "".join(path.read_text() for path in pathlib.Path("src").rglob("*.[ch]") if path.name != "caps.h")
    for name in found:
        if not re.search(rf"\b{name}\b", without_comments(everything)):
            yield f"{name} limits nothing"


found = limits()
breaches = [f"docs/limits.md: {breach}" for breach in check_page(found)] + list(check_elsewhere(found))
for breach in breaches:
    print(breach)
sys.exit(bool(breaches) or not found)
PYTHON
