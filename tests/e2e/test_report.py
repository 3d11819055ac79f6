"""Reports on the command line: the same as over HTTP, without a web server and without a login."""
import os
import pty
import re
import signal
import subprocess

import pytest

from harness import logdata, model
from harness.app import BINARY, SANITIZER, environment
from harness.fake_prometheus import Hold, vector
from harness.waiting import PATIENCE

MONTH = ("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z")
DAY = ["--start=2026-01-01T00:00:00Z", "--end=2026-01-02T00:00:00Z"]
GROUPS = ["service", "user", "country"]
NO_LOGIN = {"OSCAR_USERNAME": None, "OSCAR_PASSWORD": None}


class Report:
    """What `oscar-metrics report` printed, and with which status it ended."""

    def __init__(self, arguments, settings):
        done = subprocess.run([BINARY, "report", *arguments], env=environment({**NO_LOGIN, **settings}),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE, check=False)
        self.status, self.bytes, self.errors = done.returncode, done.stdout, done.stderr.decode()
        assert not SANITIZER.search(self.errors), self.errors

    @property
    def lines(self):
        return self.bytes.decode().split("\n")

    def rows(self, heading):
        """The cells of the table that begins with this heading, up to an empty line."""
        at = next(number for number, line in enumerate(self.lines) if line.startswith(heading))
        table = self.lines[at:]
        return [re.split(r" {2,}", line.strip()) for line in table[:table.index("")]]


def report(*arguments, **settings):
    return Report(arguments, settings)


def range_of(span):
    return [f"--start={span[0]}", f"--end={span[1]}"]


# As over HTTP.

def without_time(body):
    return re.sub(rb'"last_updated":"[^"]*"', b'"last_updated":"."', body)


def is_same(printed, answer):
    assert answer.status == 200, repr(answer)
    assert without_time(printed.bytes) == without_time(answer.body)
    assert printed.status == (0 if answer.header("OSCAR-Metrics-Complete") == "true" else 3), printed.errors


def over_the_archive(month, *arguments):
    return Report(arguments, month.app.settings)


def test_the_summary_is_that_of_http(month, span, span_query):
    is_same(over_the_archive(month, *range_of(span), "--format=json"), month.app.summary(span_query))


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("group_by", GROUPS)
def test_a_breakdown_is_that_of_http(month, span, span_query, group_by, form):
    is_same(over_the_archive(month, *range_of(span), "--group-by", group_by, "--format", form),
            month.app.breakdown(f"{span_query}&group_by={group_by}&format={form}"))


def test_a_breakdown_with_users_is_that_of_http(month, span, span_query):
    is_same(over_the_archive(month, *range_of(span), "--group-by=service", "--include-users", "--format=json"),
            month.app.breakdown(f"{span_query}&group_by=service&include_users=true"))


@pytest.mark.parametrize("name", ["yolo", "nb", "never-heard-of"])
def test_a_service_is_that_of_http(month, span, span_query, name):
    is_same(over_the_archive(month, *range_of(span), f"--service={name}", "--format=json"),
            month.app.service(name, span_query))


@pytest.mark.parametrize("metric", ["cpu-hours", "requests-async-per-service", "users-per-service"])
def test_a_metric_is_that_of_http(month, span, span_query, metric):
    is_same(over_the_archive(month, *range_of(span), "--service=yolo", f"--metric={metric}", "--format=json"),
            month.app.service("yolo", f"{span_query}&metric={metric}"))


@pytest.mark.parametrize("owner", ["cluster_admin", " cluster_admin "])
def test_an_owners_summary_is_that_of_http(month, owner):
    is_same(over_the_archive(month, *range_of(MONTH), f"--owner={owner}", "--format=json"),
            month.app.summary(f"start={MONTH[0]}&end={MONTH[1]}&owner=cluster_admin"))


# What is refused: the options, the words. Those of a query are the same as over HTTP.

REFUSED = [
    (["--end=x"], "invalid end timestamp"),
    (["--start=x"], "invalid start timestamp"),
    (["--start=2026-01-01T00:00:00+01:00", "--end=2026-01-01 00:00:00Z"], "invalid end timestamp"),
    (["--start=2026-01-02T00:00:00Z", "--end=2026-01-01T00:00:00Z"], "end must be after start"),
    (["--start=2020-01-01T00:00:00Z", "--end=2026-01-01T00:00:00Z"], "time range too long"),
    (["--start=x", "--end=y", "--group-by=z"], "invalid end timestamp"),
    (["--start=%32%30%32%36-01-01T00:00:00Z"], "invalid start timestamp"),
    (["--group-by="], "group_by is required"),
    (["--group-by=owner"], "unsupported group_by"),
    (["--group-by=user&format=csv"], "unsupported group_by"),
    (["--group-by=user", "--format=xml"], "invalid format"),
    (["--format=xml"], "invalid format"),
    (["--group-by=service", "--include-users", "--format=csv"], "include_users is not supported for csv"),
    (["--service="], "serviceName is required"),
    (["--service=A"], "invalid service name"),
    (["--service=a/b"], "invalid service name"),
    (["--service=yolo", "--metric=x"], "invalid metric key"),
    (["--service=yolo", "--metric=services-count"], "unsupported metric for value query"),
    (["--owner=nobody"], "metrics owner not found"),
    (["--owner=%63luster_admin"], "metrics owner not found"),
    (["--service=yolo", "--group-by=user"], "--service and --group-by exclude each other"),
    (["--metric=cpu-hours"], "--metric needs --service"),
    (["--include-users"], "--include-users needs --group-by"),
    (["--format=csv"], "--format=csv needs --group-by"),
    (["--service=yolo", "--format=csv"], "--format=csv needs --group-by"),
    (["now"], "unexpected argument 'now' (see --help)"),
]


@pytest.mark.parametrize("arguments,message", REFUSED, ids=lambda value: " ".join(value)[:40])
def test_wrong_questions_are_refused(folder, arguments, message):
    printed = report(*arguments, OSCAR_METRICS_SERVICES_DIR=folder)
    assert (printed.status, printed.bytes, printed.errors) == (2, b"", f"oscar-metrics: {message}\n")


@pytest.mark.parametrize("option", ["--nonsense", "-x", "--start", "--check-config", "--format"])
def test_wrong_options_are_refused(option):
    printed = report(option)
    assert (printed.status, printed.bytes) == (2, b"") and option.lstrip("-") in printed.errors


def test_without_an_inventory_an_owner_cannot_be_told_from_nobody():
    printed = report("--owner=alice")
    assert (printed.status, printed.errors) == (1, "oscar-metrics: service inventory unavailable\n")


def test_of_a_repeated_option_the_last_counts(month):
    once = over_the_archive(month, *range_of(MONTH), "--group-by=user", "--format=csv")
    twice = over_the_archive(month, "--start=x", *range_of(MONTH), "--group-by=x", "--group-by=user", "--format=csv")
    assert twice.bytes == once.bytes and once.status == 0


# Settings.

def test_no_login_is_needed_or_read(month, folder):
    whole = over_the_archive(month, *range_of(MONTH), "--group-by=user")
    assert whole.status == 0
    settings = {**month.app.settings, "OSCAR_PASSWORD_FILE": folder / "nothing", "OSCAR_USERNAME": "a:b"}
    assert Report([*range_of(MONTH), "--group-by=user"], settings).bytes == whole.bytes


def test_other_faults_of_settings_end_it():
    printed = report(OSCAR_METRICS_DEADLINE="soon", PROMETHEUS_URL="x")
    assert (printed.status, printed.bytes) == (1, b"")
    assert "OSCAR_METRICS_DEADLINE: " in printed.errors and "PROMETHEUS_URL: " in printed.errors


def test_the_deadline_holds_here_too(fake):
    held = Hold()
    fake.answers(held)
    printed = report(*DAY, "--format=json", PROMETHEUS_URL=fake.url, OSCAR_METRICS_DEADLINE="1s")
    held.release()
    assert printed.status == 3 and "oscar-metrics: prometheus: missing: " in printed.errors


def test_help_has_the_options_and_the_exit_status():
    for arguments in (["report", "--help"], ["report", "-h"], ["--help"]):
        text = subprocess.run([BINARY, *arguments], env=environment({}), stdout=subprocess.PIPE, check=True,
                              timeout=PATIENCE).stdout.decode()
        for word in ("oscar-metrics report", "--start", "--end", "--group-by", "--format", "--service", "--metric",
                     "--owner", "--include-users", "Exit status: 0", "3 it is there"):
            assert word in text


# Tables.

TOTALS = {"services_count_active": "Services deployed now", "services_count_total": "Services with requests",
          "requests_count_total": "Requests", "requests_count_sync": "synchronous",
          "requests_count_async": "asynchronous", "requests_count_exposed": "Requests to exposed services",
          "users_count": "Users", "countries_count": "Countries"}


def test_the_summary_as_a_table(month, span):
    printed = over_the_archive(month, *range_of(span))
    assert printed.lines[0] == f"Usage from {span[0]} to {span[1]}"
    totals = model.totals(month.between(*span), active=month.active)
    cells = dict(row for row in printed.rows("Services deployed now"))
    assert {key: cells[label] for key, label in TOTALS.items()} == {key: str(totals[key]) for key in TOTALS}
    assert ["prometheus", "missing", "not configured"] in printed.rows("SOURCE")
    assert ["request-logs", "ok"] in [row[:2] for row in printed.rows("SOURCE")] or printed.status == 3
    assert printed.errors == ""


def test_breakdowns_as_tables(month, span):
    events = month.between(*span)
    services = over_the_archive(month, *range_of(span), "--group-by=service").rows("SERVICE")
    assert services[1:] == [[str(item[key]) for key in ("key", "requests_count_total", "requests_count_sync",
                                                        "requests_count_async", "requests_count_exposed",
                                                        "unique_users_count")] for item in model.by_service(events)]
    users = over_the_archive(month, *range_of(span), "--group-by=user").rows("USER")
    assert [row[-2:] for row in users[1:]] == [[item["membership"], str(item["executions_count"])]
                                              for item in model.by_user(events)]
    countries = over_the_archive(month, *range_of(span), "--group-by=country").rows("COUNTRY")
    assert countries[1:] == [[str(item[key]) for key in ("key", "executions_count", "unique_users_count")]
                             for item in model.by_country(events)]


def test_a_service_as_a_table(month, span):
    rows = over_the_archive(month, *range_of(span), "--service=yolo").rows("METRIC")
    values = model.values_of(month.between(*span), "yolo")
    assert rows[1:] == [[name, "0.00" if name.endswith("-hours") else str(value)] for name, value in values]
    rows = over_the_archive(month, *range_of(span), "--service=yolo", "--metric=users-per-service").rows("METRIC")
    assert rows[1:] == [["users-per-service", str(dict(values)["users-per-service"])]]


def of_lines(folder, *lines, **settings):
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *lines)
    return {"OSCAR_METRICS_LOG_FILES": str(folder / "manager.log"), **settings}


def test_hours_have_two_digits(fake):
    fake.answers(vector("1234.5678"))
    printed = report(*DAY, PROMETHEUS_URL=fake.url)
    assert dict(row for row in printed.rows("Services deployed now"))["CPU hours"] == "1234.57"


def test_columns_are_aligned_and_lines_end_with_their_text(folder):
    users = ["é", "\U0001f600\U0001f600", "a" * 40, ""]
    settings = of_lines(folder, *[logdata.request("2026-01-01T10:00:00Z", user=user) for user in users * 60])
    table = report(*DAY, "--group-by=user", **settings).lines[2:]
    end = table[0].index("REQUESTS") + len("REQUESTS")
    assert [line[:end] == line and len(line) == end for line in table[1:5]] == [True] * 4, table
    assert {line.split()[0] for line in table[1:5]} == {*users[:3], "(none)"}
    assert not any(line.endswith(" ") for line in table)


@pytest.mark.parametrize("user,shown", [("a\x1b[2Jb", "a?[2Jb"), ("a\x07", "a?"), ("a\x7fb", "a?b"), ("a\x85b", "a?b"),
                                        ("a\x9b31mb", "a?31mb"), ("a\xa0b", "a\xa0b"), ("a\rb", "a?b")])
def test_no_command_reaches_the_terminal(folder, user, shown):
    settings = of_lines(folder, logdata.request("2026-01-01T10:00:00Z", user=user))
    assert report(*DAY, "--group-by=user", **settings).bytes.decode().split("\n")[3].split("  ")[0] == shown


def test_users_of_services_as_a_table(folder):
    settings = of_lines(folder, *[logdata.request("2026-01-01T10:00:00Z", user=user) for user in ("b", "a")])
    rows = report(*DAY, "--group-by=service", "--include-users", **settings).rows("SERVICE")
    assert rows[1] == ["yolo", "2", "2", "0", "0", "2", "a, b"]


# What is missing, and the status.

def test_what_is_missing_is_listed_below_a_table(folder):
    settings = of_lines(folder, logdata.request("2026-01-01T10:00:00Z"))
    printed = report(*DAY, "--group-by=service", **settings)
    assert (printed.status, printed.errors) == (3, "")
    assert printed.rows("SOURCE")[1:] == [["exposed-request-logs", "missing", "not configured"]]
    complete = report(*DAY, "--group-by=user", **settings)
    assert (complete.status, complete.errors) == (0, "") and b"SOURCE" not in complete.bytes


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_missing_is_said_beside_the_other_forms(folder, form):
    settings = of_lines(folder, logdata.request("2026-01-01T10:00:00Z"))
    printed = report(*DAY, "--group-by=service", f"--format={form}", **settings)
    assert (printed.status, printed.errors) == (3, "oscar-metrics: exposed-request-logs: missing: not configured\n")


def test_a_name_of_a_file_brings_no_command_to_the_terminal(folder):
    (folder / "a\x1b[2Jb").mkdir()
    settings = {"OSCAR_METRICS_LOG_FILES": f"{folder}/a\x1b[2Jb"}
    for form in ("table", "csv"):
        printed = report(*DAY, "--group-by=user", f"--format={form}", **settings)
        assert printed.status == 3 and "\x1b" not in printed.errors + printed.bytes.decode()


# Where it prints to.

def test_a_full_disk_is_said():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "report", *DAY], env=environment(NO_LOGIN), stdout=full, stderr=subprocess.PIPE,
                              timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (1, b"oscar-metrics: the report cannot be written: "
                                                 b"No space left on device\n")


def test_a_reader_that_has_enough_ends_it_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:
        done = subprocess.run([BINARY, "report", *DAY], env=environment(NO_LOGIN), stdout=closed,
                              stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def read_all(terminal):
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            piece = b""
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def test_progress_is_shown_on_a_terminal_and_erased(fake):
    held = Hold()
    fake.answers(held)
    ours, theirs = pty.openpty()
    with subprocess.Popen([BINARY, "report", *DAY, "--format=json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=theirs, env=environment({**NO_LOGIN, "PROMETHEUS_URL": fake.url})) as process:
        os.close(theirs)
        held.wait_held()
        shown = b""
        while b"waiting" not in shown:
            shown += os.read(ours, 65536)
        held.release()
        process.stdout.read()
        shown += read_all(ours)
        process.wait(timeout=PATIENCE)
    os.close(ours)
    progress, erased, rest = shown.rpartition(b"\r\x1b[K")
    assert erased and re.fullmatch(rb"(\rwaiting for other sources\x1b\[K)+", progress)
    assert rest.startswith(b"oscar-metrics: ")


def test_json_ends_with_a_line_end_on_a_terminal_alone(fake):
    ours, theirs = pty.openpty()
    with subprocess.Popen([BINARY, "report", *DAY, "--format=json"], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.DEVNULL, env=environment(NO_LOGIN)) as process:
        os.close(theirs)
        assert read_all(ours).endswith(b"}\r\n")
        process.wait(timeout=PATIENCE)
    os.close(ours)
