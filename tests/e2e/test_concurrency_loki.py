"""Many reports over Loki at once, of ranges that overlap, while hours are forgotten. Worth most on a build with the
ThreadSanitizer: the program's standard error is searched for its reports when it ends."""
import random
import threading

import pytest

from harness import expect, model
from harness.fake_prometheus import Cut
from harness.loki import DAY, HOUR, refusal
from harness.lokidata import check_sources, nanoseconds, query
from harness.together import together
from harness.waiting import PATIENCE

T = nanoseconds("2025-03-10T12:00:00Z")
THREADS, ROUNDS, HOURS = 16, 8, 60


@pytest.fixture
def busy(start_loki, loki, data):
    """A program that can remember a few of the hours that it is asked for."""
    loki.max_entries = 1000
    data.begin(T)
    data.spread(T, T + HOURS * HOUR, 2000, exposed=400)
    data.many_rows(T, HOURS, 400)
    # A server that fails again and again is not waited for longer than the tests wait for an answer.
    return start_loki({"OSCAR_METRICS_MEMORY": "1MiB", "OSCAR_METRICS_WORKERS": 16,
                       "OSCAR_METRICS_DEADLINE": f"{int(PATIENCE * 0.7)}s"})


def some_range(random_):
    """Whole hours or not, overlapping those of the others."""
    first = T + random_.randrange(HOURS - 1) * HOUR + random_.choice([0, 0, random_.randrange(HOUR)])
    return first, min(first + random_.choice([HOUR, 5 * HOUR, DAY, HOURS * HOUR]) + random_.choice([-1, 17]),
                      T + HOURS * HOUR)


def asked(app, path, first, last, more=""):
    """A report that may be told to come again while too many run."""
    while True:
        answer = app.get(path, query(first, last, more))
        if answer.status != 503:
            assert answer.status == 200, answer
            return answer
        assert answer.text == "too busy" and answer.header("Retry-After"), answer


def test_overlapping_ranges_while_hours_are_forgotten(busy, loki, data):
    def work(number):
        random_ = random.Random(number)
        for _ in range(ROUNDS):
            first, last = some_range(random_)
            events = data.within(first, last)
            group_by = random_.choice([None, "service", "user", "country"])
            if group_by is None:
                answer = asked(busy, "/system/metrics", first, last)
                assert answer.json()["totals"] == model.totals(events)
                check_sources(answer)
            else:
                items = {"service": model.by_service, "user": model.by_user, "country": model.by_country}[group_by]
                answer = asked(busy, "/system/metrics/breakdown", first, last, f"&group_by={group_by}")
                assert answer.json()["items"] == items(events)

    together(THREADS, work)
    expect.logfmt(busy.stderr())
    # More than once each: some were forgotten.
    assert sum(read.entries for read in loki.reads if not read.met) > len(data.entries)


def test_the_same_range_at_once_is_read_once(busy, loki, data):
    first, last = T + HOUR // 2, T + 9 * HOUR + 5
    wanted = data.totals(first, last)
    loki.latency = 0.01

    def work(_):
        assert asked(busy, "/system/metrics", first, last).json()["totals"] == wanted

    together(THREADS, work)
    counted = sum(read.entries for read in loki.reads if not read.met and read.window[1] > first)
    assert counted <= 1.5 * len(data.within(first, last))


def test_a_server_that_fails_now_and_then_and_clients_that_leave(busy, loki, data):
    """What is said to be whole is right; what is not, is never more than there is."""
    random_, lock = random.Random(1), threading.Lock()

    def choose(asked_, reply):
        with lock:
            chosen = random_.randrange(12) if asked_.what == "query_range" else -1
        return {0: refusal("later", 503), 1: Cut(reply.body), 2: refusal("slower", 429)}.get(chosen, reply)

    loki.answers(choose)

    def work(number):
        random_ = random.Random(number)
        for _ in range(ROUNDS // 2):
            first, last = some_range(random_)
            if random_.randrange(3) == 0:
                busy.begin("/system/metrics", query(first, last)).close()
                continue
            answer = asked(busy, "/system/metrics", first, last)
            wanted, totals = data.totals(first, last), answer.json()["totals"]
            if answer.source("loki")["status"] == "ok":
                assert totals["requests_count_total"] == wanted["requests_count_total"]
            assert totals["requests_count_total"] <= wanted["requests_count_total"]

    together(THREADS, work)
    assert busy.get("/-/healthy").status == 200

