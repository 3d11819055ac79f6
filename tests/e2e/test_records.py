"""FastCGI records that no web server sends: cut, interleaved, too large, with lengths that lie. Two workers, so that one
that is held up is missed: whatever peers send and then wait for, others are answered beside them, and nobody is answered
with anything of somebody else's."""
import contextlib
import random
import resource
import socket
import statistics
import struct
import time

import pytest

from harness import fcgi, logdata
from harness.fcgi import PARAMS, STDIN, begin, record
from harness.figures import scrape
from harness.waiting import SLOWDOWN, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
WORKERS, MANY = 2, 1000
# Of those that hold a worker for some seconds each, so many would hold both up for longer than anybody waits.
PEERS = 40


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """For so many peers; the program sees to itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def app(start_shared, shared_folder):
    logdata.write(shared_folder / "x.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    return start_shared({"OSCAR_METRICS_WORKERS": WORKERS, "OSCAR_METRICS_LOG_FILES": shared_folder / "x.log"})


def head(version, kind, number, length, padding=0):
    """A record's header, whatever comes after it."""
    return struct.pack(">BBHHBx", version, kind, number, length, padding)


@contextlib.contextmanager
def peers(app, count, data):
    """So many connections that have sent this, and wait."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(app.connect()) for _ in range(count)]
        for connection in connections:
            try:
                connection.send(data)
            except ConnectionError:
                pass  # it was refused while it was sent
        yield connections


def answered_beside(app):
    """What needs no backend, and a report."""
    answer = app.get("/-/healthy", auth=None)
    assert answer.status == 200, answer
    answer = app.summary(DAY)
    assert answer.json()["totals"]["requests_count_sync"] == 1, answer


def is_open(connection):
    """Nothing has come, and the other side has not gone."""
    connection.socket.setblocking(False)
    try:
        connection.socket.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


# Many that wait. All are there until the others have been answered, so nobody waited for their end.

def half(app):
    whole = fcgi.request(app.params("/system/metrics", DAY))
    return whole[:len(whole) // 2]


SENT = {"nothing": lambda app: b"", "half a request": half, "all but the last byte of the parameters": lambda app:
        begin() + fcgi.params(1, app.params("/-/healthy"))[:-1], "a question": lambda app: record(fcgi.GET_VALUES, 0)}


@pytest.mark.parametrize("row", SENT)
def test_a_thousand_that_wait_delay_nobody(app, row):
    with peers(app, MANY, SENT[row](app)) as waiting:
        for _ in range(5):
            answered_beside(app)
        # They were answered while every one of the others waited.
        assert all(is_open(connection) for connection in waiting)


def waiting_at(app):
    return scrape(app)("oscar_metrics_connections_waiting")


@pytest.mark.parametrize("row", SENT)
def test_who_goes_away_within_a_request_waits_no_more(app, row):
    """Each would hold one of the places for as long as a request may take to arrive. Those that came before them, and are
    still there, wait for as long: they would be gone first."""
    wait_until(lambda: waiting_at(app) == 0, "those of before to be gone")
    with peers(app, 10, b"") as before:
        for close in (lambda connection: connection.close(), lambda connection: connection.socket.shutdown(socket.SHUT_WR)):
            with peers(app, 100, SENT[row](app)) as waiting:
                wait_until(lambda: waiting_at(app) == len(before) + len(waiting), "all to be let in")
                for connection in waiting:
                    close(connection)
                wait_until(lambda: waiting_at(app) <= len(before), "them to be missed")
                assert all(is_open(connection) for connection in before)


@pytest.mark.parametrize("row", SENT)
def test_a_thousand_that_wait_cost_no_time(app, row):
    """The middle one of twenty reports beside them takes hardly longer than that of twenty alone; by turns, so that what
    else the machine does meets both."""
    def timed(count=5):
        times = []
        for _ in range(count):
            began = time.monotonic()
            answer = app.summary(DAY)
            times.append(time.monotonic() - began)
            assert answer.status == 200, answer
        return times

    alone, beside = [], []
    for _ in range(4):
        wait_until(lambda: waiting_at(app) == 0, "those of before to be gone")
        alone += timed()
        with peers(app, MANY, SENT[row](app)):
            wait_until(lambda: waiting_at(app) == MANY, "all of them to be let in")
            beside += timed()
    assert statistics.median(beside) < statistics.median(alone) + 0.1 * SLOWDOWN, (alone, beside)


def test_more_than_may_wait_cost_the_oldest(app):
    """1,024 may: those who came first go, one that comes with its request is answered."""
    with peers(app, 1024 + 100, b"\1") as waiting:
        answered_beside(app)
        wait_until(lambda: sum(not is_open(connection) for connection in waiting) >= 100, "the oldest to be closed")
        assert all(is_open(connection) for connection in waiting[200:])


# Cut at every byte.

def test_a_request_cut_at_every_byte_is_one(app):
    """The first part alone is waited for; with the rest it is answered."""
    params = app.params("/system/metrics", DAY)
    data = fcgi.request(params)
    for cuts in (range(at, min(at + 100, len(data))) for at in range(0, len(data), 100)):
        with contextlib.ExitStack() as stack:
            connections = {cut: stack.enter_context(app.connect()) for cut in cuts}
            for cut, connection in connections.items():
                connection.send(data[:cut])
            answered_beside(app)
            for cut, connection in connections.items():
                if cut < len(data) - len(record(STDIN, 1)):
                    connection.send(data[cut:])
                answer = connection.answer()
                assert answer.json()["totals"]["requests_count_sync"] == 1, (cut, answer)


def test_parameters_cut_into_records_at_every_byte_are_the_same(app):
    data = fcgi.pairs(app.params("/system/metrics", DAY))
    for cut in range(1, len(data)):
        records = record(PARAMS, 1, data[:cut], padding=cut % 256) + record(PARAMS, 1, data[cut:])
        with app.connect() as connection:
            connection.send(begin() + records + record(PARAMS, 1, padding=255) + record(STDIN, 1))
            answer = connection.answer()
            assert answer.json()["totals"]["requests_count_sync"] == 1, (cut, answer)


def test_a_record_for_each_byte(app):
    data = fcgi.pairs(app.params("/system/metrics", DAY))
    records = b"".join(record(PARAMS, 7, data[at:at + 1], padding=at % 8) for at in range(len(data)))
    with app.connect() as connection:
        connection.send(begin(7) + records + record(PARAMS, 7) + record(STDIN, 7))
        assert connection.answer(7).status == 200


# What ends a connection at once: libfcgi would wait for what never comes, with a worker in its hands.

HEALTHY = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/-/healthy", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
GOOD = fcgi.pairs(HEALTHY)
WHOLE = fcgi.params(1, HEALTHY)
REFUSED = {
    "version 0": head(0, fcgi.BEGIN_REQUEST, 1, 8) + begin()[8:] + WHOLE,
    "version 2": head(2, fcgi.BEGIN_REQUEST, 1, 8) + begin()[8:] + WHOLE,
    "a later record of version 2": begin() + head(2, PARAMS, 1, 0),
    "the number 0": begin(0) + fcgi.params(0, HEALTHY),
    "a beginning of no bytes": record(fcgi.BEGIN_REQUEST, 1) + WHOLE,
    "a beginning of 65,535 bytes": record(fcgi.BEGIN_REQUEST, 1, b"\0\1" + b"\0" * 65533) + WHOLE,
    "a padded beginning": record(fcgi.BEGIN_REQUEST, 1, begin()[8:], padding=32) + WHOLE,
    "a beginning whose padding is a request": head(1, fcgi.BEGIN_REQUEST, 1, 8, len(WHOLE)) + begin()[8:] + WHOLE + WHOLE,
    "two beginnings": begin() + begin() + WHOLE,
    "two requests": begin(1) + begin(2) + fcgi.params(2, HEALTHY),
    "two requests, the second's parameters alone": begin(1) + fcgi.params(2, HEALTHY),
    "two requests, their parameters mixed": begin(1) + record(PARAMS, 1, GOOD[:5]) + record(PARAMS, 2, GOOD) +
                                            record(PARAMS, 1, GOOD[5:]) + record(PARAMS, 1),
    "an end of the parameters of the number 0": begin() + record(PARAMS, 1, GOOD) + record(PARAMS, 0),
    "a body before the parameters end": begin() + record(PARAMS, 1, GOOD) + record(STDIN, 1, b"x") + record(PARAMS, 1),
    "an abort before the parameters end": begin() + record(PARAMS, 1, GOOD) + record(fcgi.ABORT_REQUEST, 1),
    "an unknown kind": begin() + record(99, 1, b"x") + WHOLE,
    "an unknown kind of the number 0": record(99, 0, b"x") + begin() + WHOLE,
    "a question between": begin() + record(fcgi.GET_VALUES, 0) + WHOLE,
    "a question whose lengths lie": record(fcgi.GET_VALUES, 0, b"\xff\xff\xff\xff\0x") + begin() + WHOLE,
    "half a pair": begin() + record(PARAMS, 1, GOOD + b"\1") + record(PARAMS, 1),
    "half a long length": begin() + record(PARAMS, 1, GOOD + b"\x80\0") + record(PARAMS, 1),
    "a value that is longer than all": begin() + record(PARAMS, 1, GOOD + b"\1\2AB") + record(PARAMS, 1),
    "a name of 2^31 - 1 bytes": begin() + record(PARAMS, 1, b"\xff\xff\xff\xff\0" + b"x" * 60000) + record(PARAMS, 1),
    "a value of 2^31 - 1 bytes": begin() + record(PARAMS, 1, b"\1\xff\xff\xff\xff" + b"x" * 60000) + record(PARAMS, 1),
    # Their sum, and room for two bytes more, is nothing in 32 bits.
    "both of 2^31 - 1 bytes": begin() + record(PARAMS, 1, b"\xff" * 8 + b"x" * 60000) + record(PARAMS, 1),
    "no beginning but questions, without an end": record(fcgi.GET_VALUES, 0, b"x" * 65535, 255) * 2,
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_no_web_server_sends_is_closed_and_costs_no_worker(app, row):
    with peers(app, PEERS, REFUSED[row]) as waiting:
        answered_beside(app)
        for connection in waiting:
            assert connection.is_closed(), "an answer to nobody's request"


# Too much.

@pytest.mark.parametrize("count, size", [(2, 65535), (3, 30000), (30, 65535), (1, 75000)])
def test_a_head_that_is_too_large_is_closed(app, count, size):
    """Behind 72 KB nothing is read: more than any nginx sends."""
    more = {f"HTTP_X_{n}": "v" * size for n in range(count)}
    with pytest.raises((fcgi.Closed, ConnectionError)):
        fcgi.ask(app.address, {**app.params("/-/healthy"), **more})
    answered_beside(app)


def test_a_head_of_a_whole_record_is_read(app):
    """The most that nginx sends."""
    params = app.params("/-/healthy")
    left = 65535 - len(fcgi.pairs({**params, "HTTP_X": "v" * 200})) + 200
    params["HTTP_X"] = "v" * left
    assert len(fcgi.pairs(params)) == 65535
    assert fcgi.ask(app.address, params).status == 200


def test_heads_without_an_end_delay_nobody(app):
    """More than is looked at, and then nothing."""
    data = begin(9) + fcgi.params(9, {f"HTTP_X_{n}": "v" * 60000 for n in range(2)})[:100_000]
    with peers(app, PEERS, data) as waiting:
        answered_beside(app)
        assert all(connection.is_closed() for connection in waiting)


def test_peers_that_send_without_an_end_delay_nobody(app):
    """A body that never ends, behind a request that was answered."""
    data = fcgi.request(app.params("/-/healthy"), keep=True)[:-8] + record(STDIN, 1, b"x" * 65535) * 3
    with peers(app, PEERS, b"") as waiting:
        for connection in waiting:
            connection.socket.setblocking(False)
        for _ in range(20):
            for connection in waiting:
                try:
                    connection.socket.send(data)
                except (BlockingIOError, ConnectionError):
                    pass
            answered_beside(app)


# At random.

def test_records_at_random(app):
    """Mutations of a good request: answered, refused or closed, and then the next one is answered."""
    random_ = random.Random(20261128)
    good = fcgi.request(app.params("/-/healthy"), keep=True)
    for number in range(400):
        data = bytearray(good)
        for _ in range(random_.choice([1, 1, 2, 4])):
            at = random_.randrange(len(data))
            kind = random_.randrange(4)
            if kind == 0:
                data[at] = random_.choice([0, 1, 2, 4, 127, 128, 255, random_.randrange(256)])
            elif kind == 1:
                del data[at:at + random_.choice([1, 4, 8])]
            elif kind == 2:
                data[at:at] = bytes(random_.randrange(256) for _ in range(random_.choice([1, 8])))
            else:
                data[at:at] = data[:random_.randrange(1, 40)]
        with app.connect() as connection:
            try:
                connection.send(bytes(data))
            except ConnectionError:
                pass
        if number % 20 == 0:
            answered_beside(app)
    answered_beside(app)
