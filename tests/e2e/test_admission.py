"""More reports than may run at once: who waits, who never does, and who is turned away."""
import contextlib
import re
import signal

import pytest

from harness import logdata
from harness.client import basic
from harness.fake_prometheus import Hold, Reply, vector

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
QUEUE = 64


def begin(app, name, stack):
    """A report that asks Prometheus once, for the service of that name."""
    return stack.enter_context(contextlib.closing(app.begin(f"/system/metrics/{name}", DAY + "&metric=cpu-hours")))


def asked(fake):
    """The services that Prometheus was asked about, in that order."""
    return [re.search('service=~"([^"]*)"', query.query)[1] for query in fake.asked]


def settle(app):
    """What was sent before has been looked at: with two workers one looks at everything, in turn."""
    assert app.get("/-/healthy").status == 200


def all_but_a_part(number):
    return number - max(1, number // 4) if number > 1 else number


def slots_for_hours(workers):
    return all_but_a_part(all_but_a_part(workers))


def turned_away(answer):
    return answer.status == 503 and answer.text == "too busy" and answer.header("Retry-After") == "5"


@pytest.fixture
def hold(fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    return hold


@pytest.fixture
def two(start, fake, hold):
    """Two workers, and so one report at a time, which waits for Prometheus."""
    return start({"OSCAR_METRICS_WORKERS": 2, "PROMETHEUS_URL": fake.url})


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def test_a_report_that_has_to_wait_is_answered_afterwards(two, fake, hold, stack):
    connections = [begin(two, "first", stack)]
    hold.wait_held()
    connections += [begin(two, name, stack) for name in ("second", "third")]
    settle(two)
    assert asked(fake) == ["first"], "the others wait"
    hold.release()
    for connection in connections:
        assert connection.answer().json()["value"] == 1
    assert asked(fake) == ["first", "second", "third"]


def test_nobody_overtakes(two, fake, hold, stack):
    names = [f"s{number}" for number in range(20)]
    connections = [begin(two, names[0], stack)]
    hold.wait_held()
    connections += [begin(two, name, stack) for name in names[1:]]
    settle(two)
    hold.release()
    for connection in reversed(connections):
        assert connection.answer().status == 200
    assert asked(fake) == names


@pytest.mark.parametrize("workers", [2, 4, 16])
def test_answers_that_need_no_backend_do_not_wait(start, fake, hold, stack, workers):
    app = start({"OSCAR_METRICS_WORKERS": workers, "PROMETHEUS_URL": fake.url})
    slots = slots_for_hours(workers)
    connections = [begin(app, f"s{number}", stack) for number in range(2 * workers)]
    hold.wait_held(slots)
    for _ in range(3):
        assert app.get("/-/healthy").status == 200
        assert app.get("/-/ready").status == 200
        assert app.get("/system/metrics", auth=None).status == 401
        assert app.get("/system/metrics", auth=basic(password="wrong")).status == 401
        assert app.get("/system/metrics", method="POST").status == 405
        assert app.get("/nowhere").status == 404
        assert app.summary("end=x").status == 400
        assert app.get("/system/metrics/Yolo").status == 400
        assert app.breakdown(DAY).status == 400
        assert app.get("/system/metrics/owners", "end=x").status == 400
    assert len(fake.asked) == slots, "no more at once"
    hold.release()
    for connection in connections:
        assert connection.answer().status == 200
    assert len(fake.asked) == 2 * workers


def test_too_many_are_turned_away_at_once(two, fake, hold, stack):
    connections = [begin(two, f"s{number}", stack) for number in range(1 + QUEUE)]
    hold.wait_held()
    for path, query in (("/system/metrics", DAY), ("/system/metrics/owners", ""), ("/system/metrics/more", DAY),
                        ("/system/metrics/breakdown", DAY + "&group_by=user&format=csv")):
        answer = two.get(path, query)
        assert turned_away(answer), answer
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"
        assert two.get(path, query, method="HEAD").status == 503
    assert two.get("/system/metrics", auth=None).status == 401
    assert two.summary("end=x").status == 400
    hold.release()
    for connection in connections:
        assert connection.answer().status == 200
    assert two.summary(DAY).status == 200
    assert "more" not in asked(fake)


def test_who_goes_away_while_waiting_costs_no_report(two, fake, hold, stack):
    first = begin(two, "first", stack)
    hold.wait_held()
    gone = begin(two, "gone", stack)
    last = begin(two, "last", stack)
    settle(two)
    gone.close()
    hold.release()
    assert first.answer().status == 200
    assert last.answer().status == 200
    assert asked(fake) == ["first", "last"]
    assert re.search(r'msg="client went away" request_id=\w{32} method=GET path=/system/metrics/gone '
                     r'route=/system/metrics/{serviceName} status=499 bytes=0 ', two.stderr())


def test_who_went_away_makes_room(two, fake, hold, stack):
    first = begin(two, "first", stack)
    hold.wait_held()
    gone = [begin(two, "gone", stack) for _ in range(QUEUE)]
    assert turned_away(two.summary(DAY))
    for connection in gone[::2]:
        connection.close()
    late = [begin(two, "late", stack) for _ in range(QUEUE // 2)]
    assert turned_away(two.summary(DAY))
    assert two.stderr().count('msg="client went away"') == QUEUE // 2
    hold.release()
    for connection in [first, *gone[1::2], *late]:
        assert connection.answer().status == 200
    assert asked(fake) == ["first"] + ["gone"] * (QUEUE // 2) + ["late"] * (QUEUE // 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_lets_those_who_wait_finish(two, hold, stack, number):
    connections = [begin(two, f"s{n}", stack) for n in range(10)]
    hold.wait_held()
    settle(two)
    two.signal(number)
    assert two.is_running()
    hold.release()
    for connection in connections:
        assert connection.answer().json()["value"] == 1
    assert two.wait() == 0


def test_the_deadline_counts_from_the_arrival(start, fake, hold, stack):
    """Who would get its turn with next to no time left is told to come again; and all end in time for a signal."""
    app = start({"OSCAR_METRICS_WORKERS": 2, "OSCAR_METRICS_DEADLINE": "5s", "PROMETHEUS_URL": fake.url})
    first = begin(app, "first", stack)
    hold.wait_held()
    waiting = [begin(app, "waiting", stack) for _ in range(5)]
    settle(app)
    app.signal(signal.SIGTERM)
    answer = first.answer()
    assert answer.status == 200 and answer.source("prometheus")["status"] == "missing"
    for connection in waiting:
        answer = connection.answer()
        assert turned_away(answer), answer
    assert set(asked(fake)) == {"first"}
    assert app.wait() == 0


def test_one_worker_serves_one_after_the_other(start, fake, hold, stack):
    app = start({"OSCAR_METRICS_WORKERS": 1, "PROMETHEUS_URL": fake.url})
    connections = [begin(app, f"s{number}", stack) for number in range(4)]
    hold.wait_held()
    hold.release()
    for connection in connections:
        assert connection.answer().status == 200
    assert app.get("/-/healthy").status == 200


def test_reports_over_files_wait_their_turn_too(start, fake, hold, stack, folder):
    log = folder / "manager.log"
    logdata.write(log, logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    app = start({"OSCAR_METRICS_WORKERS": 2, "PROMETHEUS_URL": fake.url, "OSCAR_METRICS_LOG_FILES": log})
    first = begin(app, "first", stack)
    hold.wait_held()
    second = stack.enter_context(contextlib.closing(
        app.begin("/system/metrics/breakdown", DAY + "&group_by=user")))
    settle(app)
    hold.release()
    assert first.answer().status == 200
    assert second.answer().status == 200
