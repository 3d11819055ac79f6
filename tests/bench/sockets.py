"""Peers that are silent, reports that wait for a silent backend, and the end."""
import contextlib
import resource
import signal
import statistics

from measure import PAIRS, absolute, by_turns, milliseconds, seconds
from program import refused, running

from harness import fcgi  # noqa: E402 (program.py knows where)
from harness.fake_prometheus import FakePrometheus, Hold  # noqa: E402

IDLE, HALF, REPORTS, ASKED = 1000, 1000, 48, 20
WORKERS, SLOTS = 16, 9  # of its 12 slots those that ask for hours may have nine
DELAY, END = 0.100, 0.100


def request_seconds(program, peers, sent=b""):
    """The median of some requests while that many peers have sent that much, and wait."""
    with contextlib.ExitStack() as stack:
        for _ in range(peers):
            stack.enter_context(program.connect()).send(sent)
        return statistics.median(seconds(lambda: refused(program)) for _ in range(ASKED))


def health(program):
    assert program.get("/-/healthy", auth=None).status == 200


def health_seconds(program, prometheus, reports):
    """The same of health checks, while that many reports wait for a Prometheus that does not answer."""
    hold = Hold()
    prometheus.answers(hold)
    with contextlib.ExitStack() as stack:
        for _ in range(reports):
            stack.enter_context(program.begin("/system/metrics/yolo", "metric=cpu-hours"))
        if reports:
            hold.wait_held(SLOTS)
        return statistics.median(seconds(lambda: health(program)) for _ in range(ASKED))


def delay_row(what, measured, alone):
    delay = statistics.median(with_them - without for with_them, without in zip(measured, alone))
    row = absolute(what, delay, DELAY, milliseconds, f"alone: {milliseconds(statistics.median(alone))}")
    row.measured = milliseconds(statistics.median(measured))
    row.bound = f"under {milliseconds(DELAY)} more"
    return row


def end_seconds():
    with running() as program:
        refused(program)

        def end():
            program.process.send_signal(signal.SIGTERM)
            program.process.wait()

        return seconds(end)


def figures(_month):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))  # for so many peers
    with running() as program:
        whole = fcgi.request(program.params("/system/metrics/breakdown"))
        idle, half, alone = by_turns(lambda: request_seconds(program, IDLE),
                                     lambda: request_seconds(program, HALF, whole[:len(whole) // 2]),
                                     lambda: request_seconds(program, 0))
    yield delay_row(f"a request beside {IDLE:,} silent connections", idle, alone)
    yield delay_row(f"a request beside {HALF:,} half requests", half, alone)
    with contextlib.closing(FakePrometheus()) as prometheus, \
            running(OSCAR_METRICS_WORKERS=WORKERS, PROMETHEUS_URL=prometheus.url) as program:
        beside, alone = by_turns(lambda: health_seconds(program, prometheus, REPORTS),
                                 lambda: health_seconds(program, prometheus, 0))
    yield delay_row(f"a health check beside {REPORTS} reports that wait, {WORKERS} workers", beside, alone)
    yield absolute("SIGTERM while idle, to the end", statistics.median(end_seconds() for _ in range(PAIRS)), END,
                   milliseconds)
