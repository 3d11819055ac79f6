"""Bad input of all kinds: never a crash, never a broken answer, never somebody else's data."""
import os
import random
import re
import socket
import subprocess
import zlib

import pytest

from harness import app as harness
from harness import expect, fcgi, logdata, model
from harness.client import Client
from harness.logdata import PREFIX, request, write
from harness.waiting import wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"
MESSAGES = {"invalid end timestamp", "invalid start timestamp", "end must be after start", "time range too long",
            "group_by is required", "unsupported group_by", "invalid format", "invalid metric key",
            "unsupported metric for value query", "include_users is not supported for csv"}


@pytest.fixture(scope="module")
def app(start_shared, shared_folder):
    write(shared_folder / "x.log", logdata.REQUESTS_BEGIN, request(T))
    return start_shared({"OSCAR_METRICS_LOG_FILES": shared_folder / "x.log"})


def over(start, folder, *lines):
    """The program over these lines of bytes, and what the model finds in them."""
    data = write(folder / "x.log", logdata.REQUESTS_BEGIN, *lines)
    events = model.between(model.read_requests(data), "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    return start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"}), events


def line_of(user, path=b"/run/yolo"):
    return f"{PREFIX} {T} | 200 | 1ms | 10.0.0.1 | POST ".encode() + path + b" | " + user + b"\n"


USERS = {
    # as logged, as answered
    "a byte that is no UTF-8": (b"a\xffb", "a\ufffdb"),
    "several": (b"\xff\xfe\xfd", "\ufffd\ufffd\ufffd"),
    "a character cut short": (b"a\xe2\x82", "a\ufffd\ufffd"),
    "a character cut by another": (b"\xe2\x82a", "\ufffd\ufffda"),
    "overlong": (b"\xc0\xaf", "\ufffd\ufffd"),
    "a surrogate": (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    "beyond Unicode": (b"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),
    "Latin-1": ("Jürgen".encode("latin-1"), "J\ufffdrgen"),
    "UTF-8": ("Jürgen 😀".encode(), "Jürgen 😀"),
    "U+FFFD itself": ("a\ufffdb".encode(), "a\ufffdb"),
    "the last character": (b"\xf4\x8f\xbf\xbf", "\U0010ffff"),
    "a NUL": (b"a\0b", "a\0b"),
    "control characters": (b"a\x01\x1f\x7f\x1bb", "a\x01\x1f\x7f\x1bb"),
    "a quote and a backslash": (b'a"b\\c', 'a"b\\c'),
    "an escape": (b"a\\u0000\\n", "a\\u0000\\n"),
    "a slash and a tag": (b"</script><b>", "</script><b>"),
    "right to left": ("evil\u202e".encode(), "evil\u202e"),
    "line separators": ("a\u2028b\u2029".encode(), "a\u2028b\u2029"),
    "a carriage return": (b"a\rb", "a\rb"),
    "JSON": (b'{"key":1}', '{"key":1}'),
}


@pytest.mark.parametrize("row", USERS)
def test_users_come_out_as_they_were_logged(start, folder, row):
    logged, answered = USERS[row]
    app, events = over(start, folder, line_of(logged), line_of(b"other"))
    assert sorted(event.user for event in events) == sorted([answered, "other"])
    users = app.summary(DAY).json()["totals"]["users"]
    assert users == model.totals(events)["users"]
    keys = [item["key"] for item in app.breakdown(DAY + "&group_by=user").json()["items"]]
    assert keys == users
    assert app.breakdown(DAY + "&group_by=user&format=csv").body == model.to_csv("user", model.by_user(events)).encode()


def test_users_that_differ_only_in_bad_bytes_are_one(start, folder):
    app, events = over(start, folder, line_of(b"a\xff"), line_of(b"a\xfe"))
    assert app.breakdown(DAY + "&group_by=user").json()["items"] == model.by_user(events)
    assert len(model.by_user(events)) == 1


BAD_LINES = {
    "a NUL in the path": line_of(b"u", b"/run/yo\0lo"),
    "a NUL behind the path": line_of(b"u", b"/run/yolo\0"),
    "a NUL in the prefix": line_of(b"u").replace(b"EXEC", b"EX\0EC"),
    "a NUL in the time": line_of(b"u").replace(b"10:00:00Z", b"10:00:00Z\0"),
    "pipes in the path": line_of(b"u", b"/run/yolo|forged|victim|oscar-svc"),
    "pipes that make eight fields": line_of(b"u", b"/run/yolo | forged |"),
    "a pipe in the user": line_of(b"a|b"),
    "no UTF-8 in the path": line_of(b"u", b"/run/\xff"),
    "UTF-8 in the path": line_of(b"u", "/run/é".encode()),
    "only the prefix": PREFIX.encode() + b"\n",
    "only pipes": PREFIX.encode() + b"|" * 100000 + b"\n",
    "only blanks": b" " * 100000 + b"\n",
    "only NULs": b"\0" * 100000 + b"\n",
    "a prefix cut short": PREFIX.encode()[:-1] + b"\n",
    "binary": bytes(range(256)) * 300,
    "UTF-16": line_of(b"u").decode().encode("utf-16"),
    "a time far away": line_of(b"u").replace(b"2026", b"9999"),
    "a time before everything": line_of(b"u").replace(b"2026", b"0000"),
    "an older time far away": line_of(b"u").replace(T.encode(), b"9999/12/31 - 23:59:59"),
    "an older time before everything": line_of(b"u").replace(T.encode(), b"0000/01/01 - 00:00:00"),
}


@pytest.mark.parametrize("row", BAD_LINES)
def test_bad_lines_count_nothing_and_cost_nothing(start, folder, row):
    app, events = over(start, folder, line_of(b"good"), BAD_LINES[row], b"\n", line_of(b"fine"))
    assert [event.user for event in events] == ["good", "fine"]
    assert app.summary(DAY).json()["totals"] == model.totals(events)


def test_noise_of_all_kinds(start, folder):
    """Many mutations of good lines: the program and the model agree about every one."""
    random_ = random.Random(4711)
    good = [request(T).encode(), request("2026/01/01 - 10:00:00", "/job/a.b", "u").encode(),
            request(T, "/run/x", "u", "yolo", "oscar-svc-a").encode(), f"{T} stderr F {request(T)}".encode()]
    alphabet = b"|/ \0\xff\"\\{}[]:-.TZ0129aA?=+\r\t"
    lines = []
    for _ in range(4000):
        line = bytearray(random_.choice(good).rstrip(b"\n"))
        for _ in range(random_.choice([0, 1, 1, 2, 5])):
            at = random_.randrange(len(line))
            action = random_.randrange(3)
            if action == 0:
                line[at] = random_.choice(alphabet)
            elif action == 1:
                del line[at]
            else:
                line.insert(at, random_.choice(alphabet))
        lines.append(bytes(line) + b"\n")
    app, events = over(start, folder, *lines)
    assert app.summary(DAY).json()["totals"] == model.totals(events)
    assert app.breakdown(DAY + "&group_by=service&include_users=true").json()["items"] == model.by_service(events, True)
    assert app.breakdown(DAY + "&group_by=user").json()["items"] == model.by_user(events)


# Queries.

TIMES = ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00%2B23:59", "0000-01-01T00:00:00-23:59", "0001-01-01T00:00:00Z",
         "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
         "9999-12-31T23:59:59.999999999-23:59", "9999-12-31T23:59:59.999999999%2B23:59", "2026-06-15T12:00:00%2B14:00"]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("form", ["end={0}", "start={0}", "start={0}&end={0}", "end={0}&format=csv"])
@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/breakdown", "/system/metrics/yolo"])
def test_the_ends_of_time(app, path, form, time):
    answer = app.get(path, form.format(time) + "&group_by=user")
    expect.common_headers(answer)
    if answer.status == 400:
        assert answer.body and any(message.encode() in answer.body for message in MESSAGES)
        return
    assert answer.status == 200
    if answer.header("Content-Type").startswith("text/csv"):
        assert '"' in answer.header("Content-Disposition")
        return
    # What is echoed can be read again.
    for field in ("start", "end"):
        assert len(answer.json()[field].split("T")[0]) == 10, answer.json()[field]


def test_ten_thousand_years_are_too_long(app):
    expect.bad_request(app.summary("start=0000-01-01T00:00:00Z&end=9999-12-31T23:59:59Z"), "time range too long")


def test_a_bounded_length_is_no_bounded_meaning(start, folder):
    """With a very long permitted range, a century can be asked for."""
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_METRICS_MAX_RANGE": "36500d"})
    answer = app.summary("start=1930-01-01T00:00:00Z&end=2029-12-01T00:00:00Z")
    assert answer.json()["totals"]["requests_count_total"] == 1


QUERIES = {
    "nothing but signs": "&=&=&&==%&%%&+",
    "a name only": "start&end&group_by&format",
    "very many parameters": "&".join(f"p{n}={n}" for n in range(5000)),
    "very many times the same": "&".join(["start=x"] * 5000),
    "a very long value": "group_by=" + "x" * 60000,
    "a very long name": "x" * 60000 + "=1",
    "a long run of escapes": "end=" + "%41" * 15000,
    "no UTF-8": b"end=\xff\xfe",
    "control characters": b"end=\x01\x02\r\n\t",
    "a question mark": "?end=x",
    "a fragment": "end=x#y",
    "brackets": "start[]=x&end[0]=y",
    "semicolons": "start=x;end=y",
}


@pytest.mark.parametrize("row", QUERIES)
@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/breakdown", "/system/metrics/yolo"])
def test_odd_queries_get_a_clean_answer(app, path, row):
    answer = app.get(path, QUERIES[row])
    assert answer.status in (200, 400)
    expect.common_headers(answer)
    if answer.status == 400:
        assert answer.header("Content-Type") == "application/json; charset=utf-8"
        assert any(message.encode() in answer.body for message in MESSAGES), answer


@pytest.mark.parametrize("name", ["path", "query"])
@pytest.mark.parametrize("value", ["/system/metrics\0", "\0", "/system/metrics/yolo\0", "/system/metrics/a\0b",
                                   "end=x\0&start=x", "start=\0", "\0/system/metrics"])
def test_a_nul_never_cuts_a_text_short(app, name, value):
    answer = app.get(**{"path": "/system/metrics", "query": DAY, name: value})
    assert answer.status in (400, 404)
    expect.common_headers(answer)


def test_nothing_of_a_query_comes_back_in_an_error(app):
    for parameter in ("start", "end", "group_by", "format", "metric"):
        for path in ("/system/metrics", "/system/metrics/breakdown", "/system/metrics/yolo"):
            answer = app.get(path, f"{parameter}=<script>4711</script>")
            assert b"4711" not in answer.body
            assert not any("4711" in value for _, value in answer.headers)


def test_line_ends_cannot_get_into_headers(app):
    for value in ("user%0D%0AX-Evil:%201", "csv%0D%0AX-Evil:%201"):
        answer = app.breakdown(f"{DAY}&group_by={value}&format={value}")
        assert answer.status == 400
        assert answer.header("X-Evil") is None


RANDOM_PARAMETERS = ["REQUEST_METHOD", "SCRIPT_NAME", "QUERY_STRING", "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL"]


@pytest.mark.parametrize("name", RANDOM_PARAMETERS)
@pytest.mark.parametrize("value", [b"", b"\xff" * 100, b"\0", b"%" * 1000, b"A" * 60_000, bytes(range(256))],
                         ids=["empty", "no UTF-8", "NUL", "percent", "long", "all bytes"])
def test_parameters_of_any_bytes(app, name, value):
    answer = fcgi.ask(app.address, {**app.params("/system/metrics", DAY), name: value})
    assert answer.status in (200, 400, 401, 404, 405)
    expect.common_headers(answer)


# Files.

def test_very_many_services_and_users(start, folder):
    lines = [request(T, f"/run/s{n % 5000}", f"user-{n}") for n in range(50000)]
    app, events = over(start, folder, *(line.encode() for line in lines))
    assert app.summary(DAY).json()["totals"] == model.totals(events)
    assert len(app.breakdown(DAY + "&group_by=service").json()["items"]) == 5000


def test_too_little_memory_is_said_and_never_a_crash(start, folder):
    with open(folder / "x.log", "w", encoding="ascii") as file:
        file.write(logdata.REQUESTS_BEGIN)
        for number in range(60000):
            file.write(request(T, user=f"{number}-{'u' * 200}"))
    logdata.age(folder / "x.log")
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_METRICS_MEMORY": "1MiB"})
    answer = app.summary(DAY)
    source = answer.source("request-logs")
    assert source["status"] == "partial" or answer.json()["totals"]["requests_count_total"] == 60000
    assert app.get("/-/healthy").status == 200


def test_a_file_name_of_any_bytes(start, folder):
    name = b"a\xff\"\n\\.log"
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write((logdata.REQUESTS_BEGIN + request(T)).encode())
    os.mkdir(os.path.join(os.fsencode(folder), b"dir\xff\n\".log"))
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
    answer = app.summary(DAY)
    assert answer.json()["totals"]["requests_count_total"] == 1
    assert answer.source("request-logs")["status"] == "partial"
    expect.logfmt(app.stderr())


def test_a_socket_where_a_log_file_should_be(start, folder):
    write(folder / "good.log", logdata.REQUESTS_BEGIN, request(T))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "bad.log"))
        app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
        answer = app.summary(DAY)
    assert answer.json()["totals"]["requests_count_total"] == 1
    assert answer.source("request-logs")["status"] == "partial"


@pytest.mark.parametrize("letter", ["x", "\x01"])
@pytest.mark.parametrize("method_length", [1, 9000])
def test_a_long_path_hides_nothing_in_the_log(start, letter, method_length):
    app = start()
    assert app.get("/" + letter * 9000, method="G" * method_length).status == 405
    wait_until(lambda: "status=405" in app.stderr(), "the line of the request")
    expect.logfmt(app.stderr())
    assert re.search(r' path="/[^"]*\.\.\." route=other status=405 bytes=18 ms=\d+\n', app.stderr())


def test_a_file_that_nobody_may_read(start, folder):
    """Root may read everything, so the program runs as somebody else."""
    write(folder / "good.log", logdata.REQUESTS_BEGIN, request(T))
    write(folder / "bad.log", logdata.REQUESTS_BEGIN, request(T))
    os.chmod(folder / "bad.log", 0)
    os.chmod(folder, 0o755)
    settings = {"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"}
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    client = Client()
    client.address = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(client.address)
        listening.listen(16)
        process = subprocess.Popen([harness.BINARY], env=harness.environment(settings), stdin=listening,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user)
    try:
        wait_until(client.is_answering, "the program to be ready")
        answer = client.summary(DAY)
        assert answer.json()["totals"]["requests_count_total"] == 1
        source = answer.source("request-logs")
        assert source["status"] == "partial" and "bad.log" in source["notes"]
        process.terminate()
        assert process.wait(timeout=harness.PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_bomb_of_gzip_is_read_in_constant_memory(start, folder):
    """Hundreds of megabytes of zeros in some hundred KB: one endless line."""
    packer = zlib.compressobj(9, wbits=31)
    with open(folder / "x.log.gz", "wb") as file:
        file.write(packer.compress((logdata.REQUESTS_BEGIN + request(T)).encode()))
        for _ in range(300):
            file.write(packer.compress(b"\0" * 1_000_000))
        file.write(packer.compress(("\n" + request(T)).encode()) + packer.flush())
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log.gz"})
    assert app.summary(DAY).json()["totals"]["requests_count_total"] == 2
    with open(f"/proc/{app.process.pid}/status", encoding="ascii") as status:
        peak = [int(line.split()[1]) for line in status if line.startswith("VmHWM")][0]
    # Sanitizers keep much more; plain builds need some ten MB.
    assert peak < 250_000 or os.environ.get("E2E_SLOWDOWN"), f"{peak} KB"
