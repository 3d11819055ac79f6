"""SIGHUP: what comes from files is taken anew, without losing a request."""
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from harness import app as harness
from harness import expect, logdata
from harness.app import BINARY, environment
from harness.client import ADMIN, basic
from harness.fake_prometheus import Hold, Reply, vector
from harness.load import Load
from harness.loki import Loki
from harness.tls import Authority
from harness.waiting import PATIENCE, wait_until
from test_countries import write_database

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
REPORT = f"/system/metrics?{DAY}"
REQUESTS = 137
OLD, NEW = "old-password-1", "new-password-2"


def write_unseen(path, text, process):
    """Other bytes in the same file, as many, with the same time: only who reads it sees that it is another. The process
    is held meanwhile: in between the time is another."""
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: is_stopped(process.pid), "the program to be held")
        write_over(path, text)
    finally:
        process.send_signal(signal.SIGCONT)


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def write_over(path, text):
    data = text.encode() if isinstance(text, str) else text
    before = os.stat(path)
    assert len(data) <= before.st_size
    data += b"\n" * (before.st_size - len(data))
    with open(path, "r+b", buffering=0) as file:
        assert file.write(data) == len(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def reloads(app):
    """The lines that reloads left in the log."""
    return [line for line in app.stderr().splitlines() if "msg=reloaded" in line]


def reload(app, number=signal.SIGHUP):
    """Sends the signal, and waits for the line that says what came of it."""
    before = len(reloads(app))
    app.process.send_signal(number)
    wait_until(lambda: len(reloads(app)) > before, "the line of the reload")
    line = reloads(app)[-1]
    expect.logfmt(line)
    return line


@pytest.fixture
def logs(folder):
    """Settings of a program whose report over DAY has so many requests."""
    lines = [logdata.request(f"2026-01-01T{number % 24:02}:00:00Z", client="192.0.2.1") for number in range(REQUESTS)]
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *lines)
    return {"OSCAR_METRICS_LOG_FILES": folder / "manager.log"}


@pytest.fixture
def password(folder):
    file = folder / "password"
    file.write_text(OLD)
    return file


def counted(answer):
    assert answer.status == 200, answer
    assert answer.json()["totals"]["requests_count_sync"] == REQUESTS, answer
    return answer


# ---- passwords and tokens -------------------------------------------------------------------------------------------


class Turn:
    """Who gets in at which time: the old password until the signal, the new one from the log line on."""

    IN = {"before": {OLD}, "between": {OLD, NEW}, "after": {NEW}}
    OUT = {"before": {NEW}, "between": {OLD, NEW}, "after": {OLD}}

    def __init__(self):
        self.phase = "before"

    def ask(self, nginx):
        word, began = random.choice([OLD, NEW]), self.phase
        answer = nginx.get(REPORT, auth=basic(password=word))
        phases = {began, self.phase}
        if len(phases) > 1:
            phases.add("between")
        assert answer.status in (200, 401), answer
        assert any(word in (self.IN if answer.status == 200 else self.OUT)[phase] for phase in phases), \
            f"{word}, {phases}: {answer}"
        if answer.status == 200:
            counted(answer)


def test_a_new_password_under_load(start, behind, logs, password):
    app = start({**logs, "OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password})
    nginx, turn = behind(app), Turn()
    with Load(lambda: turn.ask(nginx)) as load:
        load.more(150)
        write_unseen(password, NEW, app.process)
        load.more(150)  # nobody has looked yet
        turn.phase = "between"
        line = reload(app)
        turn.phase = "after"
        load.more(150)
    assert "level=info" in line and "settings=read" in line
    assert not re.search("password-[12]", app.stderr())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_both_signals_have_files_read(start, password, number):
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password})
    write_unseen(password, NEW, app.process)
    assert app.get("/system/metrics", "end=x", auth=basic(password=NEW)).status == 401
    assert "level=info" in reload(app, number)
    assert app.get("/system/metrics", "end=x", auth=basic(password=NEW)).status == 400
    assert app.get("/system/metrics", "end=x", auth=basic(password=OLD)).status == 401


def test_requests_that_run_or_wait_keep_what_they_began_with(start, fake, folder, password):
    token = folder / "token"
    token.write_text("token-1")
    hold = Hold(Reply(vector("3")))
    fake.answers(hold)
    # Two workers: one may wait for a network, the next request queues for that.
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password, "PROMETHEUS_URL": fake.url,
                 "PROMETHEUS_TOKEN_FILE": token, "OSCAR_METRICS_WORKERS": 2})
    old = basic(password=OLD)
    running = app.begin("/system/metrics", DAY, auth=old)
    hold.wait_held(2)
    waiting = app.begin("/system/metrics", DAY, auth=old)
    # The worker that is left has looked at it, if another request after it has been answered.
    assert app.get("/system/metrics", "end=x", auth=old).status == 400
    write_unseen(password, NEW, app.process)
    write_unseen(token, "token-2", app.process)
    reload(app)
    assert app.get("/system/metrics", "end=x", auth=old).status == 401
    hold.release()
    for connection in (running, waiting):
        assert connection.answer().json()["totals"]["cpu_hours_total"] == 3
        connection.close()
    assert {asked.headers["Authorization"] for asked in fake.asked} == {"Bearer token-1"}
    assert app.summary(DAY).status == 401
    assert app.get("/system/metrics", DAY, auth=basic(password=NEW)).status == 200
    assert fake.asked[-1].headers["Authorization"] == "Bearer token-2"


@pytest.mark.parametrize("backend", ["PROMETHEUS", "LOKI"])
@pytest.mark.standin
def test_a_new_token_of_a_backend(start_loki, start, behind, fake, loki, folder, backend):
    token = folder / "token"
    token.write_text("token-1")
    fake.answers(vector("1"))
    asked = {"PROMETHEUS": fake, "LOKI": loki}[backend]
    app = start_loki({"PROMETHEUS_URL": fake.url, f"{backend}_TOKEN_FILE": token})
    nginx = behind(app)

    def ask():
        # Read anew each time: what is remembered needs no token.
        answer = nginx.admin(REPORT, headers=[("Cache-Control", "no-cache")])
        assert answer.status == 200 and answer.source(backend.lower())["status"] != "missing", answer

    with Load(ask, threads=4) as load:
        load.more(20)
        assert {one.headers["Authorization"] for one in asked.asked} == {"Bearer token-1"}
        write_unseen(token, "token-2", app.process)
        load.more(20)
        assert {one.headers["Authorization"] for one in asked.asked} == {"Bearer token-1"}
        reload(app)
        load.turn_over()
        seen = len(asked.asked)
        load.more(20)
        assert {one.headers["Authorization"] for one in asked.asked[seen:]} == {"Bearer token-2"}
    assert "token-" not in app.stderr()


# ---- what is wrong --------------------------------------------------------------------------------------------------


def _empty(file):
    file.write_text("")


def _nul(file):
    file.write_bytes(b"word\0in-the-file")


def _folder(file):
    file.unlink()
    file.mkdir()


def _pipe(file):
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [pathlib.Path.unlink, _empty, _nul, _folder, _pipe])
def test_a_broken_file_leaves_the_last_good_settings(start, behind, logs, password, spoil):
    app = start({**logs, "OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password})
    nginx = behind(app)
    with Load(lambda: counted(nginx.get(REPORT, auth=basic(password=OLD)))) as load:
        load.more(20)
        spoil(password)
        line = reload(app)
        assert "level=warning" in line and "OSCAR_PASSWORD_FILE: its file" in line, line
        load.more(20)
        if password.is_dir():
            password.rmdir()
        password.unlink(missing_ok=True)
        password.with_name("next").write_text(OLD)
        password.with_name("next").rename(password)
        assert "level=info" in reload(app)
        load.more(20)
    assert OLD not in app.stderr() and "in-the-file" not in app.stderr()
    # Requests looked at it all the time: that is said once, too, for each reason. One more is that it was not there.
    reasons = [line.partition(" reason=")[2] for line in app.stderr().splitlines()
               if "a changed secret cannot be read" in line]
    assert len(set(reasons)) == len(reasons) <= 2, reasons


def figures(app):
    return {name: float(value) for name, value in
            re.findall(r"^oscar_metrics_settings_(\S+) (\S+)$", app.get("/-/metrics", auth=None).text, re.M)}


def test_the_operator_sees_what_became_of_reloads(start, password):
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password})

    def seen():
        now = figures(app)
        assert 0 <= time.time() - now.pop("last_reload_timestamp_seconds") < PATIENCE
        return list(now.values()), app.get("/-/ready").json()["settings"]

    # successful, successes, failures
    numbers, said = seen()
    assert numbers == [1, 0, 0] and said["status"] == "ok" and expect.UTC_SECONDS.match(said["read"])
    reload(app)
    assert seen()[0] == [1, 1, 0]
    password.unlink()
    reload(app)
    numbers, said = seen()
    assert numbers == [0, 1, 1] and said["status"] == "stale"
    assert said["reason"] == "OSCAR_PASSWORD_FILE: its file cannot be read"
    password.write_text(OLD)
    reload(app)
    numbers, said = seen()
    # The first request may have seen it before the signal came.
    assert numbers in ([1, 2, 1], [1, 3, 1]) and said == {"status": "ok", "read": said["read"]}


# ---- certificates ---------------------------------------------------------------------------------------------------


@pytest.fixture
def authorities(folder):
    """Two, the certificates of the first in a file with room for those of the second."""
    first, second = Authority(folder / "first"), Authority(folder / "second")
    file = folder / "ca.pem"
    file.write_bytes(first.ca.read_bytes() + b"\n" * 200)
    return first, second, file


@pytest.mark.standin
def test_a_new_authority_under_load(start_loki, behind, authorities):
    first, second, file = authorities
    loki = Loki(context=first.server())
    try:
        app = start_loki({"LOKI_URL": loki.url, "LOKI_CA_FILE": file})
        nginx, allowed = behind(app), [("partial", "ok")]

        def ask():
            answer = nginx.admin(REPORT, headers=[("Cache-Control", "no-cache")])
            assert answer.status == 200 and answer.source("loki")["status"] in allowed[0], answer

        with Load(ask, threads=4) as load:
            load.more(20)
            write_unseen(file, second.ca.read_bytes(), app.process)
            load.more(20)  # nobody has looked
            allowed[0] = ("partial", "ok", "missing")
            assert "certificates=read" in reload(app)
            load.turn_over()
            allowed[0] = ("missing",)
            load.more(20)  # kept connections, too
            asked = len(loki.asked)
            load.more(20)
            assert len(loki.asked) == asked, "nobody is asked whom nobody vouches for"
            allowed[0] = ("partial", "ok", "missing")
            file.with_name("next").write_bytes(first.ca.read_bytes())
            file.with_name("next").rename(file)
            load.turn_over()
            allowed[0] = ("partial", "ok")
            load.more(20)
    finally:
        loki.close()


@pytest.mark.parametrize("name", ["PROMETHEUS_CA_FILE", "LOKI_CA_FILE", "OIDC_CA_FILE", "OSCAR_METRICS_KUBE_CA_FILE"])
def test_certificates_that_cannot_be_read_are_named(start, folder, authorities, name):
    _, _, file = authorities
    app = start({name: file})
    assert "certificates=read" in reload(app)
    file.write_text("no certificate")
    line = reload(app)
    assert "level=warning" in line and f"certificates={name}" in line, line
    assert app.summary(DAY).status == 200


# ---- countries ------------------------------------------------------------------------------------------------------


def test_a_new_database_of_countries_under_load(start, behind, logs, folder):
    database = folder / "countries.mmdb"
    write_database(database, {"192.0.2.0/24": "ES"})
    app = start({**logs, "GEOIP_DATABASE": database})
    nginx, allowed = behind(app), [{"ES"}]
    target = f"/system/metrics/breakdown?{DAY}&group_by=country"

    def ask():
        may = allowed[0]
        answer = nginx.admin(target)
        assert answer.status == 200, answer
        [item] = answer.json()["items"]
        assert item["key"] in may | allowed[0] and item["executions_count"] == REQUESTS, answer

    with Load(ask) as load:
        load.more(50)
        allowed[0] = {"ES", "PT"}
        write_database(database, {"192.0.2.0/24": "PT"})
        line = reload(app)
        allowed[0] = {"PT"}
        load.more(50)
    assert "level=info" in line and "countries=read" in line
    database.write_bytes(b"no database")
    line = reload(app)
    assert "level=warning" in line and "not a MaxMind database" in line
    assert nginx.admin(target).source("country-attribution")["status"] != "ok"


# ---- many, and none -------------------------------------------------------------------------------------------------


def descriptors(app):
    return len(os.listdir(f"/proc/{app.process.pid}/fd"))


def test_a_thousand_signals_under_load(start, behind, logs, password, folder):
    write_database(folder / "countries.mmdb", {"192.0.2.0/24": "ES"})
    app = start({**logs, "OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": password,
                 "GEOIP_DATABASE": folder / "countries.mmdb"})
    nginx = behind(app)
    with Load(lambda: counted(nginx.get(REPORT, auth=basic(password=OLD)))) as load:
        load.more(50)
        for number in range(1000):
            app.process.send_signal(random.choice([signal.SIGHUP, signal.SIGUSR2]))
            if number % 100 == 0:
                load.more(20)
        load.more(50)
    wait_until(lambda: not harness.is_pending(app.process.pid, signal.SIGHUP), "the last signal to be taken")
    assert reloads(app) and all("level=info" in line for line in reloads(app))
    reload(app)
    before = descriptors(app)
    for _ in range(20):
        reload(app)
    assert descriptors(app) <= before + 2, "a reload keeps nothing open"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
@pytest.mark.parametrize("how", ["cgi", "report"])
def test_what_runs_for_one_answer_is_ended_by_the_signal(fake, how, number):
    hold = Hold()
    fake.answers(hold)
    settings = environment({"PROMETHEUS_URL": fake.url})
    if how == "cgi":
        settings.update({"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/system/metrics",
                         "QUERY_STRING": DAY, "HTTP_AUTHORIZATION": ADMIN})
    process = subprocess.Popen([BINARY] + (["report"] if how == "report" else []), env=settings,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        hold.wait_held()
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number
    finally:
        process.kill()
        process.wait()
