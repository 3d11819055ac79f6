"""What the process holds in memory, with 16 workers (the default) if nothing else is said."""
import concurrent.futures
import pathlib
import statistics
import tempfile

from measure import PAIRS, Row, absolute, megabytes
from month import RANGE
from program import refused, running, summary

BEFORE, MONTH_MORE, A_ROW = 16e6, 24e6, 64
EARLY, ALL = 1_000, 100_000
# What may come late: each worker's memory grows with the largest report that it has seen, and 1,000 requests do not
# show every worker its largest one. A leak shows with one worker.
WORKERS, GROWTH, A_WORKER = 16, 0.5e6, 0.25e6
CLIENTS = 8


def month_bytes(month, **settings):
    """(before the first request, after the month's summary, the most meanwhile)"""
    with running(OSCAR_METRICS_LOG_FILES=month.log, **settings) as program:
        before = program.bytes("VmRSS")
        assert summary(program, RANGE) == month.requests
        return before, program.bytes("VmRSS"), program.bytes("VmHWM")


def month_row(what, taken, rows):
    before, after, most = (statistics.median(column) for column in zip(*taken))
    limit = before + MONTH_MORE + A_ROW * rows
    return Row(f"resident after the month{what}", f"{megabytes(after)} (at most {megabytes(most)} meanwhile)",
               f"before: {megabytes(before)}", "", f"under {megabytes(limit)} ({rows:,} rows)", after < limit)


def small_requests(program, count):
    """`count` requests, from some clients at once: half of them refused, the others small reports, of other hours
    each time."""
    def some(first):
        for number in range(first, count, CLIENTS):
            if number // CLIENTS % 2:
                refused(program)
                continue
            day, hour = 1 + number // 24 % 28, number % 24
            answer = program.breakdown(f"group_by=user&start=2026-05-{day:02}T{hour:02}:15:00Z"
                                       f"&end=2026-05-{day + 1:02}T{hour:02}:45:00Z")
            assert answer.status == 200, answer

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(some, range(CLIENTS)))


def small_log(month, path):
    """Some 1,000 lines of the month."""
    step = max(1, month.requests // 900)
    with open(month.log, encoding="utf-8") as lines:
        path.write_text("".join(line for number, line in enumerate(lines) if number % step == 0), encoding="utf-8")


def growth_row(month, workers):
    with tempfile.TemporaryDirectory(prefix="om-") as folder:
        log = pathlib.Path(folder) / "small.log"
        small_log(month, log)
        with running(OSCAR_METRICS_LOG_FILES=log, OSCAR_METRICS_WORKERS=workers) as program:
            small_requests(program, EARLY)
            early = program.bytes("VmRSS")
            small_requests(program, ALL - EARLY)
            late = program.bytes("VmRSS")
    limit = GROWTH + A_WORKER * (workers - 1)
    return Row(f"resident after {ALL:,} requests, {workers} worker{'s' if workers > 1 else ''}", megabytes(late),
               f"after {EARLY:,}: {megabytes(early)}", "", f"at most {megabytes(limit)} more", late - early <= limit)


def figures(month):
    plain = [month_bytes(month) for _ in range(PAIRS)]
    located = [month_bytes(month, GEOIP_DATABASE=month.countries) for _ in range(PAIRS)]
    yield absolute("resident before the first request", statistics.median(taken[0] for taken in plain), BEFORE,
                   megabytes)
    yield month_row("", plain, month.rows)
    yield month_row(", with countries", located, month.country_rows)
    yield growth_row(month, 1)
    yield growth_row(month, WORKERS)
