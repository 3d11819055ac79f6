"""Many requests at once, of all kinds. Worth most on a build with the ThreadSanitizer: the program's standard error
is searched for its reports when it ends."""
import random
import signal
import threading

import pytest

from harness import expect, fcgi, logdata, model
from harness.client import basic
from harness.fake_prometheus import Hold, Reply, failure, vector
from harness.together import together
from harness.waiting import wait_until

MONTH = "start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z"
DAY = "start=2026-01-10T00:00:00Z&end=2026-01-10T23:59:59.999Z"
THREADS, ROUNDS = 12, 25


REQUESTS = [
    ("/system/metrics", MONTH, 200), ("/system/metrics", DAY, 200), ("/system/metrics", "", 200),
    ("/system/metrics/breakdown", MONTH + "&group_by=service&include_users=true", 200),
    ("/system/metrics/breakdown", DAY + "&group_by=user", 200),
    ("/system/metrics/breakdown", DAY + "&group_by=country", 200),
    ("/system/metrics/breakdown", MONTH + "&group_by=service&format=csv", 200),
    ("/system/metrics/yolo", MONTH, 200), ("/system/metrics/yolo", DAY + "&metric=users-per-service", 200),
    ("/system/metrics/owners", "", 200), ("/-/healthy", "", 200), ("/-/ready", "", 200),
    ("/system/metrics", "end=x", 400), ("/system/metrics/breakdown", "", 400), ("/system/metrics/Yolo", "", 400),
    ("/nowhere", "", 404), ("/system/metrics", "owner=nobody", 404),
]


@pytest.fixture
def busy(start, folder, fake):
    """A program with everything configured, and the events of its archive."""
    archive = logdata.Archive(folder / "archive", lines=600)
    (folder / "services").mkdir()
    for name in ("yolo", "cowsay"):
        (folder / "services" / f"{name}.yaml").write_text(f"name: {name}\n")
    fake.answers(vector("1.5"))
    app = start({**archive.settings, "PROMETHEUS_URL": fake.url, "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    app.archive = archive
    app.events = model.read_requests(archive.requests) + model.read_exposed(archive.exposed)
    return app


def answered(app, path, query, status, **more):
    """A request that may be told to come again while too many reports run."""
    while True:
        answer = app.get(path, query, **more)
        if answer.status != 503 or status == 503:
            assert answer.status == status, answer
            return answer
        assert answer.text == "too busy" and answer.header("Retry-After"), answer


def test_all_kinds_at_once(busy):
    def work(number):
        random_ = random.Random(number)
        for _ in range(ROUNDS):
            path, query, status = random_.choice(REQUESTS)
            answered(busy, path, query, status)

    together(THREADS, work)
    expect.logfmt(busy.stderr())


def test_the_same_report_at_once_is_the_same_everywhere(busy):
    month = model.totals(model.between(busy.events, logdata.START, logdata.END), active=2, cpu=1.5, gpu=1.5)

    def work(_):
        for _ in range(5):
            assert answered(busy, "/system/metrics", MONTH, 200).json()["totals"] == month

    together(THREADS, work)


def test_clients_that_go_away_among_others_that_stay(busy, fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(lambda asked: hold if '"slow"' in asked.query else vector("1"))

    def work(number):
        random_ = random.Random(number)
        for _ in range(ROUNDS):
            path, query, status = random_.choice(REQUESTS)
            choice = random_.randrange(4)
            if choice == 0:
                busy.begin(path, query).close()
            elif choice == 1:
                data = fcgi.request(busy.params(path, query))
                with busy.connect() as connection:
                    connection.send(data[:random_.randrange(len(data))])
            elif choice == 2:
                busy.begin("/system/metrics/slow", DAY).close()
            else:
                answered(busy, path, query, status)

    together(THREADS, work)
    hold.release()
    assert busy.get("/-/healthy").status == 200


def test_files_that_change_while_they_are_read(busy, folder):
    log = folder / "archive" / "requests" / "manager.log"
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            data = log.read_bytes()
            log.rename(log.with_name("manager.log.9"))
            log.write_bytes(data)
            with open(log, "ab") as file:
                file.write(logdata.request("2026-02-20T00:00:00Z").encode())
            log.with_name("manager.log.9").unlink()
            (folder / "services" / "new.yaml").write_text("name: new\n")
            (folder / "services" / "new.yaml").unlink()

    changer = threading.Thread(target=change)
    changer.start()
    try:
        def work(_):
            for _ in range(5):
                totals = answered(busy, "/system/metrics", MONTH, 200).json()["totals"]
                assert totals["requests_count_total"] == totals["requests_count_sync"] + totals["requests_count_async"]

        together(THREADS, work)
    finally:
        stop.set()
        changer.join()


def test_a_secret_that_changes_under_load(start, folder):
    file = folder / "password"
    file.write_text("one")
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": file})
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for word in ("two", "one"):
                (folder / "new").write_text(word)
                (folder / "new").rename(file)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        def work(_):
            for _ in range(ROUNDS):
                # One of the two is right at any time, a third never.
                assert answered(app, "/system/metrics", "end=x", 401, auth=basic(password="three")).status == 401
                assert app.get("/system/metrics", "end=x", auth=basic(password="one")).status in (400, 401)

        together(THREADS, work)
    finally:
        stop.set()
        changer.join()
    file.write_text("one")
    wait_until(lambda: app.get("/system/metrics", "end=x", auth=basic(password="one")).status == 400,
               "the last password to be taken")


def test_a_backend_that_fails_now_and_then(busy, fake):
    random_ = random.Random(1)
    lock = threading.Lock()

    def answer(_):
        with lock:
            return random_.choice([vector("1"), failure(), Reply("", 503), "{", vector("NaN")])

    fake.answers(answer)

    def work(number):
        for _ in range(ROUNDS):
            if number % 2:
                answer = answered(busy, "/system/metrics", DAY, 200)
            else:
                answer = answered(busy, "/system/metrics/yolo", DAY + "&metric=gpu-hours", 200)
            complete = all(source["status"] == "ok" for source in answer.json()["sources"])
            assert answer.header("OSCAR-Metrics-Complete") == str(complete).lower()

    together(THREADS, work)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_in_the_middle_of_everything(busy, number):
    """Who was let in gets a whole answer; the others see their connection refused or closed."""
    started = threading.Barrier(THREADS + 1)

    def work(thread):
        random_ = random.Random(thread)
        started.wait()
        try:
            while True:
                path, query, status = random_.choice(REQUESTS)
                answered(busy, path, query, status)
        except ConnectionError:
            pass
        except fcgi.Closed as closed:
            assert not closed.begun, closed

    def send():
        started.wait()
        wait_until(lambda: busy.get("/-/healthy").status == 200, "the program to be busy")
        busy.process.send_signal(number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        together(THREADS, work)
    finally:
        sender.join()
    assert busy.wait() == 0


def test_reports_that_wait_do_not_stop_each_other(busy, fake):
    holds = {name: Hold(Reply(vector(value))) for name, value in (("slow-a", "1"), ("slow-b", "2"))}
    fake.answers(lambda asked: next((hold for name, hold in holds.items() if f'"{name}"' in asked.query), vector("5")))
    first, second = busy.begin("/system/metrics/slow-a", DAY), busy.begin("/system/metrics/slow-b", DAY)
    for hold in holds.values():
        hold.wait_held(2)
    assert busy.summary(DAY).json()["totals"]["cpu_hours_total"] == 5
    holds["slow-b"].release()
    assert second.answer().json()["metrics"][0]["value"] == 2
    holds["slow-a"].release()
    assert first.answer().json()["metrics"][0]["value"] == 1
    first.close()
    second.close()
