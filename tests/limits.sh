#!/bin/bash
# Every limit has a name in src/caps.h, and a row in docs/limits.md with its value and a test that is there. Prints one
# line per breach; status 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 - <<'PYTHON'
import pathlib
import re
import sys

# Look like limits and are none.
NO_LIMITS = set("""
TOKEN_EARLY_SECONDS PODLOGS_SKEW_SECONDS FIRST_LINE_SECONDS ORDER_SECONDS SETTLED_SECONDS COPIED_SECONDS
CA_CACHE_SECONDS ROUNDING_MS METER_MS FAR_BACK LATEST LOKI_EARLIEST
""".split())  # what data and clocks mean
NO_LIMITS |= set("""
STRETCH_MS
""".split())  # a piece of a wait that has a limit
NO_LIMITS |= set("""
JOBS_MAX COLUMNS_MAX EXPOSITION_LABELS_MAX OWN_ID_BYTES SHOWN_BYTES PSEUDONYM_KEY_MIN_BYTES
LOGLINE_NAME_SIZE LOGLINE_NAMESPACE_SIZE LOGLINE_CLIENT_SIZE HEADER_SIZE BEGIN_SIZE COORDINATE_SIZE
ROW_SIZE KEY_SIZE
""".split())  # the sizes of our own lists, what is made or demanded, what others' standards say
NO_LIMITS |= set("""
BACKEND_SIZE BLOCK_SIZE BODY_SIZE BRACKET_SIZE CERTIFICATES_SIZE DECIMAL_SIZE DER_SIZE ENTRY_SIZE FAULT_SIZE FORM_SIZE
HEAD_SIZE LOGBLOCK_PRINT_SIZE NAME_SIZE NOTES_SIZE NUMBER_SIZE OUTAGE_WORDS_SIZE PATH_SIZE PEM_SIZE QUERY_SIZE REASON_SIZE
ROWS_SIZE STAMP_SIZE TIMESTAMP_SIZE TIME_SIZE TRUST_SIZE TRUST_STATE_SIZE UPSTREAM_SIZE VARIABLE_SIZE
""".split())  # fit whatever a limit, the kernel or a format lets come
NO_LIMITS |= set("""
DAY SECOND LEDGER_HOUR LOKI_SECOND LOKI_HOUR LOKI_WINDOW_MAX
""".split())  # units, and limits of caps.h in them
NO_LIMITS |= set("""
FILL SCALE_MIN SCALE_MAX SCALE_STEP SCALE_LEAP WEIGHT GROWTH PEAK_FADES PEAK_LENGTH CATCH_UP SPARE SHORTEST_SPARED LOKI_LENGTH
""".split())  # how windows are guessed; what a server refuses is learnt
LIKE_A_LIMIT = re.compile(
    r"(^|_)(MAX|MOST|LIMIT|BYTES|MS|SECONDS|RETRIES|ROUNDS|PATIENCE|AT_ONCE|SIZE)$|_MAX_|^MAX_")
# Arrays of so many characters, by a number; here those that fit or grow.
LITERAL_ARRAY = re.compile(r"\bchar (?:\w+\[\w+\], )*(\w+)\[(\d{3,})\]")
NO_LIMIT_ARRAYS = {("src/util/buf.c", "small"), ("src/http/process.c", "data"), ("src/sources/logfiles.c", "why"),
                   ("src/sources/logset.c", "why")}
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
        for name in re.findall(r"^#define ([A-Z][A-Z0-9_]+) +[^\n\"]*\d", text, re.M):
            if name not in NO_LIMITS:
                yield f"{path}: {name} is a number and may be a limit: it belongs into src/caps.h"
        for name, size in LITERAL_ARRAY.findall(text):
            if (str(path), name) not in NO_LIMIT_ARRAYS:
                yield f"{path}: {name} has {size} characters: is that a limit?"
    everything = "".join(path.read_text() for path in pathlib.Path("src").rglob("*.[ch]") if path.name != "caps.h")
    for name in found:
        if not re.search(rf"\b{name}\b", without_comments(everything)):
            yield f"{name} limits nothing"


def check_exceptions():
    everything = "".join(without_comments(path.read_text()) for path in pathlib.Path("src").rglob("*.[ch]"))
    for name in sorted(NO_LIMITS):
        if not re.search(rf"\b{name}\b", everything):
            yield f"tests/limits.sh: there is no {name}"


found = limits()
breaches = [f"docs/limits.md: {breach}" for breach in check_page(found)] + list(check_elsewhere(found)) + list(check_exceptions())
for breach in breaches:
    print(breach)
sys.exit(bool(breaches) or not found)
PYTHON
