"""A new version takes over, and killed processes are replaced, under load: by multiwatch, and on a socket that somebody
holds as systemd does. What nginx would make good, where it asks once more, is not hidden by it: as long as nobody is killed,
clients of the socket itself are answered at their first try, and so is nginx."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from harness import fcgi, logdata
from harness.app import BINARY, SANITIZER, environment
from harness.client import ADMIN, Client
from harness.fake_prometheus import Hold, Reply, vector
from harness.load import Load
from harness.process import looks_after
from harness.waiting import PATIENCE, wait_until
from harness.watched import Watched

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
REPORT = f"/system/metrics?{DAY}"
REQUESTS = 211


@pytest.fixture
def settings(folder):
    lines = [logdata.request(f"2026-01-01T{number % 24:02}:00:00Z") for number in range(REQUESTS)]
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *lines)
    return {"OSCAR_METRICS_LOG_FILES": folder / "manager.log"}


@pytest.fixture
def program(folder):
    """A copy of the program, which may be replaced."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "oscar-metrics"
    shutil.copy2(BINARY, path)
    return path


def install(program):
    """Puts another copy into the program's place, as an installation does; its inode."""
    new = program.with_name("new")
    shutil.copy2(BINARY, new)
    os.rename(new, program)
    return program.stat().st_ino


def inode(pid):
    """The inode of the file that a process runs."""
    return os.stat(f"/proc/{pid}/exe").st_ino


def counted(answer):
    assert answer.status == 200, answer
    assert answer.json()["totals"]["requests_count_sync"] == REQUESTS, answer


class Front:
    """nginx before the program, and which of the requests that it passed on it had to pass on again."""

    def __init__(self, behind, app):
        self.app = app
        self.nginx = behind(app, http="log_format tries '$uri $status $upstream_status';",
                            server=" access_log tries.log tries;")
        self.log = self.nginx.directory / "tries.log"

    def report(self):
        counted(self.nginx.admin(REPORT))

    def report_from_the_socket(self):
        counted(self.app.summary(DAY))

    @contextlib.contextmanager
    def load(self):
        """Clients of both; yields more(count), which waits until so many more have been answered to each."""
        with Load(self.report, threads=6) as first, Load(self.report_from_the_socket, threads=4) as second:
            def more(count):
                first.more(count)
                second.more(count)
            yield more
            for each in (first, second):
                each.turn_over()
        self.check(first.done)

    def check(self, count):
        """So many reports and no less were asked for through nginx, each once."""
        def tries():
            lines = [line.split(" ", 1)[1] for line in self.log.read_text().splitlines() if line.startswith("/system/")]
            return len(lines) >= count and lines
        found = wait_until(tries, "nginx's lines")
        assert set(found) == {"200 200"}, self.nginx.error_log()


@pytest.fixture
def front(behind):
    return lambda app: Front(behind, app)


# ---- multiwatch -----------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(folder):
    running = []

    def watch_program(settings, **how):
        running.append(Watched(folder, settings, **how))
        return running[-1]
    yield watch_program
    for watched in running:
        watched.stop()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_new_version_takes_over_one_process_after_the_other(watch, front, settings, program, processes):
    watched = watch(settings, program=program, processes=processes)
    new = program.stat().st_ino
    with front(watched).load() as more:
        more(50)
        assert {inode(pid) for pid in watched.children()} == {new}
        for _ in range(3):
            old, new = new, install(program)
            for pid in watched.children():
                watched.replace(pid)
                more(30)
            assert new != old and {inode(pid) for pid in watched.children()} == {new}
        more(50)
    assert watched.stderr().count("msg=ready") == 4 * processes
    assert "to often" not in watched.stderr()


def test_a_report_that_runs_is_finished_by_the_old_version(watch, front, settings, program, fake):
    hold = Hold(Reply(vector("3")))
    fake.answers(lambda asked: hold if '"slow"' in asked.query else vector("1"))
    watched = watch({**settings, "PROMETHEUS_URL": fake.url}, program=program)
    before, answers = front(watched), []
    slow = threading.Thread(target=lambda: answers.append(before.nginx.admin(f"/system/metrics/slow?{DAY}")))
    slow.start()
    hold.wait_held()
    install(program)
    old = watched.children()
    with before.load() as more:
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        # One of them has the report; the other is replaced, and serves everybody meanwhile.
        wait_until(lambda: len(set(old) & set(watched.children())) == 1, "one of them to be replaced")
        more(50)
        assert not answers
        hold.release()
        slow.join()
        watched.wait_complete(without=old)
        more(50)
    assert answers[0].json()["metrics"][0]["value"] == 3


def test_killed_processes_are_replaced_and_no_request_is_lost(watch, behind, settings, fake):
    """nginx asks once more for what one of them was at."""
    hold = Hold(Reply(vector("3")))
    fake.answers(lambda asked: hold if '"slow"' in asked.query else vector("1"))
    watched = watch({**settings, "PROMETHEUS_URL": fake.url})
    nginx, answers = behind(watched), []
    slow = threading.Thread(target=lambda: answers.append(nginx.admin(f"/system/metrics/slow?{DAY}")))
    slow.start()
    hold.wait_held()
    first, second = watched.children()
    with Load(lambda: counted(nginx.admin(REPORT))) as load:
        load.more(50)
        watched.replace(first, signal.SIGKILL)
        load.more(50)
        hold.release()
        slow.join()
        watched.replace(second, signal.SIGKILL)
        load.more(200)
    assert answers[0].json()["metrics"][0]["value"] == 3, answers[0]


def test_processes_that_are_killed_again_and_again_come_back(watch, settings):
    """Longer than a second apart, as multiwatch is told (-t 1000); it would give up one that does not start."""
    watched = watch(settings, processes=1)
    for _ in range(3):
        watched.replace(watched.children()[0], signal.SIGKILL)
    assert watched.get("/-/ready").status == 200


def test_a_version_that_does_not_start_takes_one_process_and_no_request(watch, front, settings, program):
    watched = watch(settings, program=program)
    first, second = watched.children()
    with front(watched).load() as more:
        more(50)
        broken = program.with_name("broken")
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        os.rename(broken, program)
        os.kill(first, signal.SIGTERM)
        wait_until(lambda: "died to often" in watched.stderr(), "multiwatch to give up")
        more(50)
        assert watched.children() == [second]


def test_sigusr2_reaches_every_process(watch, folder):
    (folder / "password").write_text("one")
    watched = watch({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": folder / "password"})
    before = watched.children()
    watched.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: watched.stderr().count("msg=reloaded") == 2, "both to reload")
    assert watched.children() == before


# ---- a socket that somebody holds -----------------------------------------------------------------------------------


class Held(Client):
    """The harness has the listening socket, as systemd has, and starts programs on it."""

    def __init__(self, directory, settings):
        self.address = str(directory / "held.sock")
        self.settings = settings
        self.errors = open(directory / "held.stderr", "w+b")
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(self.address)
        self.listening.listen(511)
        self.processes = []

    def start(self, program=BINARY):
        process = subprocess.Popen([program], env=environment(self.settings), stdin=self.listening,
                                   stdout=self.errors, stderr=self.errors)
        self.processes.append(process)
        wait_until(lambda: looks_after(process.pid, signal.SIGTERM), "the program to look after signals")
        return process

    def end(self, process, patience=PATIENCE):
        process.terminate()
        assert process.wait(patience) == 0, self.stderr()

    def stderr(self):
        return pathlib.Path(self.errors.name).read_text("utf-8", "replace")

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.listening.close()
        assert not SANITIZER.search(self.stderr()), self.stderr()
        self.errors.close()


@pytest.fixture
def held(folder, settings):
    running = Held(folder, settings)
    yield running
    running.stop()


def test_connections_wait_in_the_socket_from_the_old_version_to_the_new_one(held, front, program):
    old = held.start(program)
    with front(held).load() as more:
        for _ in range(5):
            more(40)
            new_inode = install(program)
            held.end(old)
            # Nobody serves now: whoever comes waits.
            late = held.begin("/system/metrics", DAY)
            old = held.start(program)
            assert inode(old.pid) == new_inode
            counted(late.answer())
            late.close()
        more(40)


def test_who_was_let_in_is_served_by_the_one_that_ends(held):
    """nginx connects first, and sends then: in between the program may be told to end."""
    process = held.start()
    parts = fcgi.request(held.params("/system/metrics", DAY))
    connections = [held.connect() for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.send(parts[:number * len(parts) // 8])
    assert held.get("/-/healthy").status == 200  # those before have been let in
    process.terminate()
    wait_until(lambda: "msg=stopping" in held.stderr(), "the program to begin its end")
    for number, connection in enumerate(connections):
        connection.send(parts[number * len(parts) // 8:])
        counted(connection.answer())
        connection.close()
    assert process.wait(PATIENCE) == 0
    # And the socket is still good for the next one.
    with held.begin("/system/metrics", DAY) as late:
        held.start()
        counted(late.answer())


# ---- nginx ----------------------------------------------------------------------------------------------------------


def workers(nginx):
    pid = nginx.process.pid
    return set(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_a_reload_of_nginx_loses_nothing(held, behind):
    held.start()
    nginx = behind(held)
    with Load(lambda: counted(nginx.get(REPORT, auth=ADMIN))) as load:
        for _ in range(5):
            load.more(50)
            before = workers(nginx)
            nginx.process.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: workers(nginx) and not workers(nginx) & before, "new workers of nginx")
        load.more(50)
