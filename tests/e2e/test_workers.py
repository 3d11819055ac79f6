"""How the program starts, works and ends: sockets, workers, signals, and peers that behave badly."""
import os
import resource
import signal
import socket
import subprocess

import pytest

from harness import app as harness
from harness import fcgi, logdata
from harness.client import ADMIN
from harness.fake_prometheus import Hold, Reply, vector
from harness.process import has_open, looks_after
from harness.spawn import Spawned
from harness.waiting import wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]


@pytest.fixture
def spawned(folder):
    running = []

    def spawn(settings=None, processes=1):
        running.append(Spawned(folder, settings or {}, processes))
        return running[-1]
    yield spawn
    for program in running:
        program.kill()


# Starting.

def test_on_a_descriptor(start):
    assert start().summary(DAY).status == 200


def test_more_log_files_than_the_soft_limit_of_descriptors(start, folder):
    # Also connections whose descriptors are beyond those that select() knows: each report holds the files open.
    for number in range(1100):
        logdata.write(folder / f"{number}.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        app = start({"OSCAR_METRICS_LOG_FILES": folder / "*.log"})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connections = [app.begin("/system/metrics", DAY) for _ in range(8)]
    for connection in connections:
        answer = connection.answer()
        connection.close()
        assert answer.source("request-logs")["status"] == "ok", answer
        assert answer.json()["totals"]["requests_count_sync"] == 1100


def test_by_spawn_fcgi(spawned):
    program = spawned()
    assert program.summary(DAY).status == 200
    assert program.stop() == [0]


def test_by_spawn_fcgi_as_several_processes(spawned):
    program = spawned(processes=2)
    for _ in range(20):
        assert program.summary(DAY).status == 200
    assert program.stop() == [0, 0]


def test_one_of_several_processes_is_enough(spawned):
    program = spawned(processes=2)
    os.kill(program.pids[0], signal.SIGTERM)
    wait_until(lambda: program.exit_status(program.pids[0]), "the first process to end")
    program.pids.pop(0)
    assert program.summary(DAY).status == 200
    assert program.stop() == [0]


def test_it_opens_a_unix_socket_itself(start, folder):
    app = start(how="listen", address=str(folder / "own.sock"))
    assert app.summary(DAY).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0." + "0" * 247 + "1"], ids=["short", "256 bytes"])
def test_it_opens_a_tcp_socket_itself(start, host):
    app = harness.start_on_a_port(start, host=host)
    assert app.summary(DAY).status == 200
    assert app.get("/system/metrics", auth=None).status == 401


def test_it_serves_a_tcp_socket_on_the_descriptor():
    """As systemd hands one over."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        process = subprocess.Popen([harness.BINARY], env=harness.environment({}), stdin=listening,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client = harness.Client()
            client.address = listening.getsockname()
            wait_until(client.is_answering, "the program to be ready")
            assert client.summary(DAY).status == 200
            process.terminate()
            assert process.wait(timeout=harness.PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


def test_a_socket_in_use_is_refused(start, folder):
    app = start(how="listen", address=str(folder / "own.sock"))
    done = harness.run(settings={"OSCAR_METRICS_LISTEN": folder / "own.sock"})
    assert done.returncode == 1
    assert "OSCAR_METRICS_LISTEN" in done.stderr or "own.sock" in done.stderr
    assert app.summary(DAY).status == 200, "the first one is not disturbed"


@pytest.mark.parametrize("address, why", [
    ("/nowhere/at/all.sock", "No such file or directory"), ("/" + "x" * 107, "the socket's path is too long"),
    ("127.0.0." + "0" * 248 + "1:80", "its host is longer than 256 bytes")], ids=["nowhere", "a path", "a host"])
def test_a_socket_that_cannot_be_opened_stops_the_start(address, why):
    done = harness.run(settings={"OSCAR_METRICS_LISTEN": address})
    assert done.returncode == 1
    assert done.stderr == f"OSCAR_METRICS_LISTEN: {why}\n"


def connected_socket():
    ours, theirs = socket.socketpair()
    ours.close()
    return theirs


@pytest.mark.parametrize("make", [lambda: open("/dev/null", "rb"), lambda: open(__file__, "rb"), connected_socket],
                         ids=["/dev/null", "a file", "a connected socket"])
def test_a_descriptor_that_is_no_listening_socket(make):
    with make() as descriptor:
        done = harness.run(stdin=descriptor)
    assert done.returncode == 1
    assert "descriptor 0" in done.stderr and "socket" in done.stderr


def test_no_standard_input_at_all():
    done = subprocess.run(["sh", "-c", 'exec "$0" <&-', harness.BINARY], env=harness.environment({}),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr


# Ending.

@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_idle_ends_it(start, number):
    app = start()
    app.signal(number)
    assert app.wait() == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_only_silent_peers_are_there_ends_it(start, number):
    app = start({"OSCAR_METRICS_WORKERS": 2})
    peers = [app.connect() for _ in range(10)]
    peers[0].send(b"\1\1\0")
    app.get("/-/healthy")
    app.signal(number)
    assert app.wait() == 0
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_report_that_runs_is_answered_before_the_end(start, fake, number):
    hold = Hold(Reply(vector("3")))
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url})
    with app.begin("/system/metrics", DAY) as connection:
        hold.wait_held(2)
        app.signal(number)
        assert app.is_running()
        hold.release()
        assert connection.answer().json()["totals"]["cpu_hours_total"] == 3
    assert app.wait() == 0


def test_an_answer_that_is_still_on_its_way_is_not_taken_back_at_the_end(start, folder):
    """Over TCP, from a peer that has sent more than was read and has not read all: closing it at once would reset it."""
    logdata.write_many_users(folder / "x.log", 20000)
    app = harness.start_on_a_port(start, {"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    question = app.params("/system/metrics/breakdown", DAY + "&group_by=user&format=csv")
    with app.connect() as peer:
        peer.socket.close()
        peer.socket = socket.socket()
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.socket.settimeout(harness.PATIENCE)
        peer.socket.connect(app.address)
        peer.send(fcgi.request(question, body=b"x" * 60000))
        peer.pending = peer.socket.recv(4096)
        app.signal(signal.SIGTERM)
        while "path=/system/metrics/breakdown" not in app.stderr():
            peer.pending += peer.socket.recv(4096)
        assert app.wait() == 0
        rows = peer.answer().text.splitlines()
    assert len(rows) == 1 + 20000


def test_the_deadline_bounds_the_end(start, fake):
    fake.answers(Hold())
    app = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "2s"})
    with app.begin("/system/metrics", DAY) as connection:
        wait_until(lambda: len(fake.asked) == 2, "the queries")
        app.signal(signal.SIGTERM)
        assert connection.answer().status == 200
    assert app.wait() == 0


@pytest.mark.parametrize("attempt", range(5))
def test_a_signal_while_starting_is_not_lost(attempt):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")
        listening.listen(1)
        process = subprocess.Popen([harness.BINARY], env=harness.environment({}), stdin=listening,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # As early as a signal can be more than the end of a process.
        wait_until(lambda: looks_after(process.pid, signal.SIGTERM), "the program to look after signals", pause=0)
        process.terminate()
        assert process.wait(timeout=harness.PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_two_signals_are_as_good_as_one(start):
    app = start()
    for _ in range(3):
        app.process.send_signal(signal.SIGTERM)
    assert app.wait() == 0


def test_other_signals_do_not_matter(start):
    app = start()
    app.signal(signal.SIGPIPE)
    assert app.summary(DAY).status == 200


def test_after_the_signal_nobody_new_is_let_in(start, fake):
    hold = Hold()
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url})
    with app.begin("/system/metrics", DAY) as connection:
        hold.wait_held(2)
        app.signal(signal.SIGTERM)

        def refused():
            # Until the accepting side has seen the signal somebody may still slip in.
            try:
                with app.connect() as late:
                    late.socket.settimeout(0.5)
                    late.send(fcgi.request(app.params("/-/healthy")))
                    late.answer()
                    return False
            except (OSError, fcgi.Closed):
                return True

        wait_until(refused, "no more requests to be accepted")
        hold.release()
        assert connection.answer().status == 200
    assert app.wait() == 0


# Peers that behave badly. Two workers, so that each one lost would be seen.

@pytest.fixture
def two(start, fake):
    return start({"OSCAR_METRICS_WORKERS": 2, "PROMETHEUS_URL": fake.url})


def prefixes(app):
    """Beginnings of a request, each of which then waits for more."""
    whole = fcgi.request(app.params("/system/metrics", DAY), keep=True)
    return [whole[:cut] for cut in (0, 1, 4, 7, 8, 12, 16, 20, 24, 30, len(whole) - 8, len(whole) - 1)]


def test_silent_peers_hold_nobody_up(two):
    peers = [two.connect() for _ in range(200)]
    assert two.summary(DAY).status == 200
    assert two.get("/-/healthy").status == 200
    for peer in peers:
        peer.close()
    assert two.summary(DAY).status == 200


def test_half_requests_hold_nobody_up(two):
    peers = []
    for _ in range(5):
        for data in prefixes(two):
            peers.append(two.connect())
            peers[-1].send(data)
    for _ in range(5):
        assert two.summary(DAY).status == 200
    for peer in peers:
        peer.close()
    assert two.summary(DAY).status == 200


def test_a_request_in_small_pieces_is_answered(two):
    data = fcgi.request(two.params("/-/healthy"))
    with two.connect() as connection:
        try:
            for at in range(0, len(data), 5):
                connection.send(data[at:at + 5])
        except ConnectionError:
            pass  # the end of the empty body need not be waited for
        assert connection.answer().status == 200


def test_kept_connections_hold_nobody_up(two):
    kept = []
    for _ in range(20):
        connection = two.connect()
        connection.send(fcgi.request(two.params("/-/healthy"), keep=True))
        assert connection.answer().status == 200
        kept.append(connection)
    assert two.summary(DAY).status == 200
    for connection in kept:
        connection.close()


def test_peers_that_do_not_read_hold_nobody_up(start, folder):
    # An answer much larger than a socket's buffer.
    logdata.write_many_users(folder / "x.log", 20000)
    app = start({"OSCAR_METRICS_WORKERS": 3, "OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    peers = [app.begin("/system/metrics/breakdown", DAY + "&group_by=user") for _ in range(2)]
    for _ in range(5):
        assert app.get("/-/healthy").status == 200
    for peer in peers:
        peer.close()
    answer = app.breakdown(DAY + "&group_by=user")
    assert len(answer.json()["items"]) == 20000


def test_a_client_that_goes_away_ends_its_report(two, fake):
    hold = Hold()
    fake.answers(hold)
    connection = two.begin("/system/metrics", DAY)
    hold.wait_held(2)
    connection.close()
    hold.wait_gone()
    fake.answers(vector())
    assert two.summary(DAY).status == 200


def endless_log(folder):
    """A log that takes longer to read than anybody waits: one line, and then a hole of a terabyte."""
    log = folder / "endless.log"
    log.write_text(logdata.REQUESTS_BEGIN + logdata.request("2026-01-01T10:00:00Z"))
    os.truncate(log, 1 << 40)
    logdata.age(log)
    return log


def begin_reading(app, log):
    """A report that reads the log, and will for long."""
    connection = app.begin("/system/metrics", DAY)
    wait_until(lambda: has_open(app.process.pid, log), "the log to be read")
    return connection


def test_a_client_that_goes_away_ends_the_reading_of_files(start, folder):
    log = endless_log(folder)
    app = start({"OSCAR_METRICS_WORKERS": 1, "OSCAR_METRICS_DEADLINE": "10m", "OSCAR_METRICS_LOG_FILES": log})
    for _ in range(3):
        begin_reading(app, log).close()
        wait_until(lambda: not has_open(app.process.pid, log), "the log to be left alone")
        assert app.get("/-/healthy").status == 200


def test_the_deadline_ends_the_reading_of_files(start, folder):
    (folder / "a.log").write_text(logdata.REQUESTS_BEGIN + logdata.request("2026-01-01T10:00:00Z"))
    logdata.age(folder / "a.log")
    endless_log(folder)
    app = start({"OSCAR_METRICS_DEADLINE": "1s", "OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
    for _ in range(2):
        answer = app.summary(DAY)
        # What was read before counts, and the answer says that there is more.
        assert 1 <= answer.json()["totals"]["requests_count_total"] <= 2
        source = answer.source("request-logs")
        assert source["status"] == "partial" and source["notes"]


def test_the_deadline_bounds_the_end_while_files_are_read(start, folder):
    log = endless_log(folder)
    app = start({"OSCAR_METRICS_DEADLINE": "2s", "OSCAR_METRICS_LOG_FILES": log})
    with begin_reading(app, log) as connection:
        app.signal(signal.SIGTERM)
        assert connection.answer().status == 200
    assert app.wait() == 0


def test_an_abort_ends_the_report(two, fake):
    hold = Hold()
    fake.answers(hold)
    with two.begin("/system/metrics", DAY) as connection:
        hold.wait_held(2)
        connection.send(fcgi.record(fcgi.ABORT_REQUEST, 1))
        connection.socket.shutdown(socket.SHUT_WR)
        hold.wait_gone()
    fake.answers(vector())
    assert two.summary(DAY).status == 200


def test_clients_that_go_away_before_the_answer_cost_no_worker(two):
    for _ in range(50):
        two.begin("/system/metrics", DAY).close()
    assert two.summary(DAY).status == 200


# More reports than workers.

def test_cheap_answers_do_not_queue_behind_reports(start, fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({"OSCAR_METRICS_WORKERS": 4, "PROMETHEUS_URL": fake.url})
    running = [app.begin("/system/metrics", DAY) for _ in range(3)]
    wait_until(lambda: len(fake.asked) >= 2, "a report to run")
    assert app.get("/-/healthy").status == 200
    assert app.get("/system/metrics", auth=None).status == 401
    assert app.summary("end=x").status == 400
    assert app.get("/nowhere").status == 404
    hold.release()
    for connection in running:
        assert connection.answer().json()["totals"]["cpu_hours_total"] == 1
        connection.close()


def test_one_worker_is_enough_for_a_report(start):
    app = start({"OSCAR_METRICS_WORKERS": 1})
    assert app.summary(DAY).status == 200
    assert app.get("/-/healthy").status == 200


def test_the_four_requests_of_a_dashboard_run_side_by_side(start, fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url})
    running = [app.begin("/system/metrics", DAY), app.begin("/system/metrics/yolo", DAY),
               app.begin("/system/metrics/cowsay", DAY)]
    hold.wait_held(6)
    assert app.breakdown(DAY + "&group_by=user").status == 200
    hold.release()
    for connection in running:
        assert connection.answer().status == 200
        connection.close()


# What workers share.

def test_a_backend_that_is_away_is_not_tried_by_everybody(start):
    notes = lambda answer: answer.source("prometheus").get("notes", "")  # noqa: E731
    with socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        app = start({"PROMETHEUS_URL": "http://127.0.0.1:%d" % away.getsockname()[1]})
        path, query = "/system/metrics/yolo", DAY + "&metric=cpu-hours"
        assert notes(app.get(path, query)).endswith("connection refused")
        running = [app.begin(path, query) for _ in range(8)]
        for connection in running:
            answer = connection.answer()
            connection.close()
            assert answer.source("prometheus")["status"] == "missing"
            assert "connection refused (tried " in notes(answer)
        away.listen()
        # It is tried again, by itself: a connection comes.
        away.setblocking(False)

        def tried():
            app.begin(path, query).close()
            try:
                away.accept()[0].close()
                return True
            except BlockingIOError:
                return False

        wait_until(tried, "the backend to be tried again")


# FastCGI as no web server speaks it.

def test_several_requests_on_one_kept_connection_or_a_close(two):
    """Keeping a connection is an offer that the program need not take; answering wrongly is not allowed."""
    with two.connect() as connection:
        answered = 0
        for number in range(1, 4):
            try:
                connection.send(fcgi.request(two.params("/-/healthy"), request_id=number, keep=True))
                assert connection.answer(number).status == 200
                answered += 1
            except (fcgi.Closed, ConnectionError):
                break
        assert answered >= 1


def test_any_request_number_is_echoed(two):
    for number in (1, 2, 255, 256, 65535):
        with two.connect() as connection:
            connection.send(fcgi.request(two.params("/-/healthy"), request_id=number))
            assert connection.answer(number).status == 200


@pytest.mark.parametrize("size", [1, 1000, 65535, 1_000_000])
def test_a_body_that_nobody_reads_does_no_harm(two, size):
    with two.connect() as connection:
        try:
            connection.send(fcgi.request(two.params("/-/healthy", CONTENT_LENGTH=str(size)), body=b"x" * size))
        except ConnectionError:
            pass  # the program need not take all of it
        assert connection.answer().status == 200


def test_padding_and_small_records_are_understood(two):
    data = fcgi.pairs(two.params("/system/metrics", DAY))
    records = b"".join(fcgi.record(fcgi.PARAMS, 1, data[at:at + 3], padding=5) for at in range(0, len(data), 3))
    with two.connect() as connection:
        connection.send(fcgi.begin() + records + fcgi.record(fcgi.PARAMS, 1, padding=7) + fcgi.record(fcgi.STDIN, 1))
        assert connection.answer().status == 200


JUNK = {
    "text": b"GET /system/metrics HTTP/1.0\r\n\r\n",
    "zeros": b"\0" * 1000,
    "ones": b"\xff" * 1000,
    "another version": b"\2" + fcgi.begin()[1:],
    "parameters without a beginning": fcgi.params(1, {"REQUEST_METHOD": "GET"}),
    "an end": fcgi.record(fcgi.END_REQUEST, 1, b"\0" * 8),
    "a short beginning": fcgi.record(fcgi.BEGIN_REQUEST, 1, b"\0"),
    "two beginnings": fcgi.begin(1) + fcgi.begin(2),
    "a parameter longer than the stream": fcgi.begin() + fcgi.record(fcgi.PARAMS, 1, b"\xff" * 8 + b"x")
                                          + fcgi.record(fcgi.PARAMS, 1) + fcgi.record(fcgi.STDIN, 1),
    "half a parameter": fcgi.begin() + fcgi.record(fcgi.PARAMS, 1, b"\x0e\x03REQUEST") + fcgi.record(fcgi.PARAMS, 1)
                        + fcgi.record(fcgi.STDIN, 1),
    "an unknown kind": fcgi.record(99, 0, b"x") + fcgi.begin(),
    "an unknown kind for the request": fcgi.begin() + fcgi.record(99, 1, b"x"),
    "no parameters": fcgi.begin() + fcgi.record(fcgi.PARAMS, 1) + fcgi.record(fcgi.STDIN, 1),
    "an abort at once": fcgi.begin() + fcgi.record(fcgi.ABORT_REQUEST, 1),
}


@pytest.mark.parametrize("row", JUNK)
def test_junk_costs_no_worker(two, row):
    peers = []
    for _ in range(6):
        peers.append(two.connect())
        try:
            peers[-1].send(JUNK[row])
            peers[-1].socket.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
    assert two.summary(DAY).status == 200
    for peer in peers:
        peer.close()
    assert two.summary(DAY).status == 200


def test_management_records_are_answered_or_the_connection_ends(two):
    with two.connect() as connection:
        connection.send(fcgi.record(fcgi.GET_VALUES, 0, fcgi.pairs({"FCGI_MPXS_CONNS": ""})))
        connection.send(fcgi.request(two.params("/-/healthy")))
        try:
            kind, number, _ = connection.receive_record()
            assert (kind, number) == (fcgi.GET_VALUES_RESULT, 0)
            assert connection.answer().status == 200
        except (fcgi.Closed, ConnectionError):
            pass
    assert two.summary(DAY).status == 200


def test_a_role_that_nobody_plays_is_refused(two):
    for role in (fcgi.AUTHORIZER, fcgi.FILTER, 9):
        with two.connect() as connection:
            connection.send(fcgi.request(two.params("/system/metrics", DAY), role=role))
            try:
                output, _, protocol_status = connection.receive()
            except (fcgi.Closed, ConnectionError):
                continue
            # An authorizer's 200 would let somebody in elsewhere.
            if protocol_status == fcgi.REQUEST_COMPLETE and role == fcgi.AUTHORIZER:
                assert fcgi.parse_cgi(output).status != 200
    assert two.summary(DAY).status == 200


def test_interleaved_requests_do_not_mix(two):
    """A second request on a busy connection is refused or left alone, never answered with parts of the first."""
    first, second = two.params("/system/metrics/first", DAY), two.params("/system/metrics/second", DAY)
    with two.connect() as connection:
        connection.send(fcgi.begin(1, keep=True) + fcgi.begin(2, keep=True) + fcgi.params(1, first)
                        + fcgi.params(2, second) + fcgi.record(fcgi.STDIN, 1) + fcgi.record(fcgi.STDIN, 2))
        output = {1: b"", 2: b""}
        try:
            while True:
                kind, number, content = connection.receive_record()
                if kind == fcgi.STDOUT:
                    output[number] += content
                if kind == fcgi.END_REQUEST and number == 1:
                    break
        except (fcgi.Closed, ConnectionError):
            pass
    assert b"second" not in output[1] and b"first" not in output[2]
    assert two.summary(DAY).status == 200


MISSING = ["REQUEST_METHOD", "SCRIPT_NAME", "QUERY_STRING", "HTTP_AUTHORIZATION", "SERVER_PROTOCOL", "CONTENT_LENGTH"]


@pytest.mark.parametrize("name", MISSING)
def test_a_parameter_that_is_not_there(two, name):
    values = two.params("/system/metrics", "")
    del values[name]
    expected = {"REQUEST_METHOD": 405, "SCRIPT_NAME": 404, "HTTP_AUTHORIZATION": 401}.get(name, 200)
    assert fcgi.ask(two.address, values).status == expected


def test_many_parameters_and_long_ones_do_no_harm(two):
    values = two.params("/-/healthy")
    values.update({f"HTTP_X_{n}": "v" * 200 for n in range(100)})
    assert fcgi.ask(two.address, values).status == 200


def test_a_parameter_given_twice_does_no_harm(two):
    data = fcgi.pairs({"HTTP_AUTHORIZATION": "Basic eDp5"}) + fcgi.pairs(two.params("/-/healthy")) \
        + fcgi.pairs({"HTTP_AUTHORIZATION": ADMIN})
    with two.connect() as connection:
        connection.send(fcgi.begin() + fcgi.record(fcgi.PARAMS, 1, data) + fcgi.record(fcgi.PARAMS, 1)
                        + fcgi.record(fcgi.STDIN, 1))
        assert connection.answer().status == 200
