"""Section 7, Prometheus: what it is asked, what is made of its answers, and what is said when it fails."""
import decimal
import random
import re
import socket

import pytest

from harness import expect, logdata, model
from harness.fake_prometheus import Cut, Endless, Hold, Reply, failure, success, vector
from harness.prometheus import Prometheus, openmetrics, steady

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
CPU_NAME, GPU_NAME = "container_cpu_usage_seconds_total", "container_gpu_usage_seconds_total"


@pytest.fixture(scope="module")
def app(start_shared, shared_fake):
    return start_shared({"PROMETHEUS_URL": shared_fake.url})


@pytest.fixture
def prometheus(shared_fake):
    shared_fake.forget()
    shared_fake.answers(vector())
    return shared_fake


def hours(answer):
    totals = answer.json()["totals"]
    return totals["cpu_hours_total"], totals["gpu_hours_total"]


def queries(prometheus):
    """The queries that were sent, the one for CPU first."""
    return sorted(asked.query for asked in prometheus.asked)


# What is asked.

def unescaped_dashes(query):
    # A dash may be escaped in a regular expression, or not: it is the same.
    return query.replace(r"\\-", "-")


def default_query(name, service, seconds=86400):
    return f'sum(increase({name}{{namespace=~"oscar-svc.*",service=~"{service}"}}[{seconds}s])) / 3600'


def test_a_summary_asks_once_for_each_kind_over_all_services(app, prometheus):
    app.summary(DAY)
    assert [unescaped_dashes(query) for query in queries(prometheus)] == \
        [default_query(CPU_NAME, ".*"), default_query(GPU_NAME, ".*")]


def test_a_service_asks_for_its_own_name(app, prometheus):
    app.service("yolo", DAY)
    assert [unescaped_dashes(query) for query in queries(prometheus)] == \
        [default_query(CPU_NAME, "yolo"), default_query(GPU_NAME, "yolo")]


@pytest.mark.parametrize("metric,name", [("cpu-hours", CPU_NAME), ("gpu-hours", GPU_NAME)])
def test_one_metric_asks_for_one_kind(app, prometheus, metric, name):
    app.service("yolo", f"{DAY}&metric={metric}")
    assert [unescaped_dashes(query) for query in queries(prometheus)] == [default_query(name, "yolo")]


@pytest.mark.parametrize("path,query", [("/system/metrics/breakdown", "group_by=service"),
                                        ("/system/metrics/breakdown", "group_by=user"),
                                        ("/system/metrics/yolo", "metric=users-per-service"),
                                        ("/system/metrics/yolo", "metric=requests-sync-per-service")])
def test_who_wants_no_hours_asks_for_none(app, prometheus, path, query):
    assert app.get(path, f"{DAY}&{query}").status == 200
    assert prometheus.asked == []


def test_it_is_asked_by_a_form_at_its_path(app, prometheus):
    app.summary(DAY)
    for asked in prometheus.asked:
        assert (asked.method, asked.path) == ("POST", "/api/v1/query")
        assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert asked.headers["Authorization"] is None


def test_the_url_may_have_a_path(start, prometheus):
    start({"PROMETHEUS_URL": prometheus.url + "/deep/er"}).summary(DAY)
    assert {asked.path for asked in prometheus.asked} == {"/deep/er/api/v1/query"}


def asked_time(asked):
    """The time parameter in nanoseconds, in either form that Prometheus takes."""
    parsed = model.rfc3339(asked.time)
    return int(decimal.Decimal(asked.time) * model.SECOND) if parsed is None else parsed


@pytest.mark.parametrize("end", ["2026-01-02T00:00:00Z", "2026-01-02T02:00:00%2B02:00", "2026-01-02T00:00:00.999Z",
                                 "1969-12-31T23:59:58.5Z"])
def test_the_time_of_the_query_is_the_end(app, prometheus, end):
    app.summary(f"end={end}")
    for asked in prometheus.asked:
        assert abs(asked_time(asked) - model.rfc3339(end.replace("%2B", "+"))) < model.SECOND // 1000


RANGES = [("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "1s"),
          ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "60s"),
          ("2025-02-01T00:00:00Z", "2026-01-01T00:00:00Z", f"{334 * 86400}s"),
          ("2026-01-01T00:00:00%2B01:00", "2026-01-01T00:00:00Z", "3600s")]


@pytest.mark.parametrize("first,last,expected", RANGES)
def test_the_range_is_in_seconds(app, prometheus, first, last, expected):
    app.summary(f"start={first}&end={last}")
    assert len(prometheus.asked) == 2
    for asked in prometheus.asked:
        assert re.search(r"\[(.*)\]", asked.query)[1] == expected


@pytest.mark.parametrize("last", ["00:00:00Z", "00:00:00.5Z", "00:00:00.999999999Z"])
def test_a_range_under_one_second_is_not_asked_for(app, prometheus, last):
    answer = app.summary(f"start=2026-01-01T00:00:00Z&end=2026-01-01T{last}")
    source = answer.source("prometheus")
    assert (source["status"], source["notes"]) == ("missing", "invalid time range")
    assert hours(answer) == (0, 0)
    assert prometheus.asked == []


# Templates.

def ask_template(start, prometheus, template, path="/system/metrics/a.b-c", **settings):
    app = start({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_CPU_QUERY": template, **settings})
    answer = app.get(path, DAY + "&metric=cpu-hours")
    return answer, [asked.query for asked in prometheus.asked if "gpu" not in asked.query]


TEMPLATES = {
    "regular expression": ('x{s=~"{{service}}"}', r'x{s=~"a\\.b-c"}'),
    "no regular expression": ('x{t="{{service}}",s!~"{{service}}"}', r'x{t="a.b-c",s!~"a\\.b-c"}'),
    "equal": ('x{s="{{service}}"}', 'x{s="a.b-c"}'),
    "unequal": ('x{t="{{service}}",s!="{{service}}"}', 'x{t="a.b-c",s!="a.b-c"}'),
    "blanks around the operator": ('x{s =~ "{{service}}", t = "{{service}}"}', r'x{s =~ "a\\.b-c", t = "a.b-c"}'),
    "within other text": ('x{s=~"pre-{{service}}-.*"}', r'x{s=~"pre-a\\.b-c-.*"}'),
    "twice": ('x{s=~"{{service}}"} + y{s="{{service}}"}', r'x{s=~"a\\.b-c"} + y{s="a.b-c"}'),
    "range twice": ('a{s="{{service}}"}[{{range}}] + b[{{range}}]', 'a{s="a.b-c"}[86400s] + b[86400s]'),
    "an unknown placeholder": ('x{s="{{service}}",t="{{other}}"}', 'x{s="a.b-c",t="{{other}}"}'),
}


@pytest.mark.parametrize("row", TEMPLATES)
def test_a_name_is_escaped_by_the_operator_before_it(start, prometheus, row):
    template, expected = TEMPLATES[row]
    _, sent = ask_template(start, prometheus, template)
    assert [unescaped_dashes(query) for query in sent] == [expected]


ALL_SERVICES = {
    "the services' namespace": ('x{n="{{services_namespace}}"}', 'x{n="oscar-svc"}'),
    "no placeholder": ("vector(1)", "vector(1)"),
    "an unknown placeholder": ('x{s="{{other}}"}', 'x{s="{{other}}"}'),
}


@pytest.mark.parametrize("row", ALL_SERVICES)
def test_a_template_without_a_service_is_for_all_of_them(start, prometheus, row):
    template, expected = ALL_SERVICES[row]
    _, sent = ask_template(start, prometheus, template, "/system/metrics")
    assert sent == [expected]


@pytest.mark.parametrize("row", ALL_SERVICES)
def test_and_cannot_be_limited_to_one(start, prometheus, row):
    answer, sent = ask_template(start, prometheus, ALL_SERVICES[row][0])
    assert sent == []
    assert answer.json()["value"] == 0
    source, = answer.json()["sources"]
    assert source["status"] == "missing"
    assert "{{service}}" in source["notes"]


def test_the_other_kind_still_counts(start, prometheus):
    prometheus.answers(vector("3"))
    app = start({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_CPU_QUERY": "sum(x[{{range}}])"})
    cpu, gpu = app.service("yolo", DAY).json()["metrics"][:2]
    assert (cpu["value"], gpu["value"]) == (0, 3)
    assert {source["status"] for source in cpu["sources"]} == {"partial"}


def test_the_namespace_of_a_template_is_the_services_own_and_what_follows(start, prometheus):
    _, sent = ask_template(start, prometheus, 'x{n=~"{{namespace}}"}', "/system/metrics",
                           OSCAR_SERVICES_NAMESPACE="my.svc")
    assert sent == [r'x{n=~"my\\.svc.*"}']


# What is made of answers.

SUMS = {
    "one sample": (vector("2.5"), 2.5),
    "several samples": (vector("1", "2", "0.5"), 3.5),
    "no sample": (vector(), 0),
    "zero": (vector("0"), 0),
    "minus zero": (vector("-0"), 0),
    "an exponent": (vector("1e3"), 1000),
    "a scalar": (success("scalar", [1767225600, "4.5"]), 4.5),
    "a matrix": (success("matrix", [{"metric": {"a": "1"}, "values": [[1, "1"], [2, "2"], [3, "4"]]},
                                    {"metric": {"a": "2"}, "values": [[1, "7"]]}]), 11),
    "an empty matrix": (success("matrix", []), 0),
    "unknown fields": ('{"status":"success","x":[1],"data":{"stats":{},"resultType":"vector","result":'
                       '[{"metric":{},"value":[1.5,"3"],"y":null}]}}', 3),
}


@pytest.mark.parametrize("row", SUMS)
def test_results_are_summed_up(app, prometheus, row):
    body, expected = SUMS[row]
    prometheus.answers(body)
    answer = app.summary(DAY)
    assert hours(answer) == (expected, expected)
    assert answer.source("prometheus")["status"] == "ok"


def test_the_metrics_of_a_service_have_the_values_too(app, prometheus):
    prometheus.answers_by_kind(vector("2.5"), vector("0.25"))
    metrics = app.service("yolo", DAY).json()["metrics"]
    assert [(entry["metric"], entry["value"], entry["unit"]) for entry in metrics[:2]] == \
        [("cpu-hours", 2.5, "hours"), ("gpu-hours", 0.25, "hours")]
    expect.check_sources(metrics[0]["sources"], {"prometheus": "ok"})


def test_the_source_says_when_it_was_read(app, prometheus):
    source = app.summary(DAY).source("prometheus")
    assert list(source) == ["name", "status", "last_updated"]


SPELLINGS = [
    # what Prometheus says, what the answer says
    ("2.5", "2.5"), ("0.1", "0.1"), ("0.10000000000000001", "0.1"), ("0.30000000000000004", "0.30000000000000004"),
    ("0", "0"), ("-0", "0"), ("0.0", "0"), ("17", "17"), ("17.0", "17"), ("1e2", "100"), ("100000", "100000"),
    ("1000000", "1000000"), ("1e15", "1000000000000000"), ("1e16", "10000000000000000"),
    ("123456789012345680000", "123456789012345680000"), ("1e20", "100000000000000000000"),
    ("3.3333333333333335", "3.3333333333333335"), ("1e-5", "0.00001"), ("1e-7", "0.0000001"),
    ("1.5e-10", "0.00000000015"), ("-2.5", "-2.5"), ("9007199254740993", "9007199254740992"),
    ("0.000123", "0.000123"), ("744.0000000001", "744.0000000001"),
]


@pytest.mark.parametrize("sample,expected", SPELLINGS)
def test_hours_print_as_the_shortest_text(app, prometheus, sample, expected):
    prometheus.answers(vector(sample))
    body = app.summary(DAY).text
    assert f'"cpu_hours_total":{expected},' in re.sub(r"\s", "", body)
    body = app.service("yolo", DAY + "&metric=cpu-hours").text
    assert f'"value":{expected},' in re.sub(r"\s", "", body)


@pytest.mark.parametrize("sample", ["1e21", "1.7976931348623157e308", "5e-324", "123456.789e3"])
def test_extreme_hours_read_back_the_same(app, prometheus, sample):
    prometheus.answers(vector(sample))
    assert hours(app.summary(DAY)) == (float(sample), float(sample))


# What is said when it fails.

NAN = ["NaN", "+Inf", "-Inf", "Inf", "1e999", "-1e999"]


@pytest.mark.parametrize("bad", NAN)
def test_a_sample_that_is_no_number_is_left_out(app, prometheus, bad):
    prometheus.answers(vector("1", bad, "2"))
    answer = app.summary(DAY)
    assert hours(answer) == (3, 3)
    assert answer.source("prometheus")["status"] == "partial"


def test_a_sum_that_is_no_number_is_not_printed(app, prometheus):
    prometheus.answers(vector("1e308", "1e308"))
    answer = app.summary(DAY)
    for value in hours(answer):
        assert value in (0, 1e308)
    assert answer.source("prometheus")["status"] != "ok"


def test_warnings_come_with_the_value(app, prometheus):
    prometheus.answers(vector("2.5", warnings=["first warning", "second warning"]))
    answer = app.summary(DAY)
    assert hours(answer) == (2.5, 2.5)
    source = answer.source("prometheus")
    assert source["status"] == "partial"
    assert "first warning" in source["notes"] and "second warning" in source["notes"]
    assert answer.header("OSCAR-Metrics-Complete") == "false"


def test_an_empty_list_of_warnings_is_none(app, prometheus):
    prometheus.answers(vector("2.5", warnings=[]))
    assert app.summary(DAY).source("prometheus")["status"] == "ok"


@pytest.mark.parametrize("cpu,gpu,expected,named", [(vector("2"), failure(), (2, 0), "GPU"),
                                                    (failure(), vector("2"), (0, 2), "CPU")])
def test_one_of_two_queries_fails(app, prometheus, cpu, gpu, expected, named):
    prometheus.answers_by_kind(cpu, gpu)
    answer = app.summary(DAY)
    assert hours(answer) == expected
    source = answer.source("prometheus")
    assert source["status"] == "partial"
    assert named in source["notes"]


FAILURES = {
    "error": Reply(failure("execution", "expanding series: boom"), 422),
    "error with 200": failure(),
    "bad query": Reply(failure("bad_data", "parse error"), 400),
    "503": Reply(failure("unavailable", "starting"), 503),
    "500 without a body": Reply("", 500),
    "401": Reply("Unauthorized", 401, "text/plain"),
    "404": Reply("404 page not found", 404, "text/plain"),
    "a redirect": Reply("", 302, headers=[("Location", "/api/v1/query")]),
    "an empty body": "",
    "HTML": Reply("<html><body>Sign in</body></html>", 200, "text/html"),
    "cut short JSON": vector("1")[:-5],
    "two documents": vector("1") + vector("1"),
    "no object": "[]",
    "null": "null",
    "a string": '"success"',
    "no data": '{"status":"success"}',
    "data null": '{"status":"success","data":null}',
    "data a list": '{"status":"success","data":[]}',
    "no result": '{"status":"success","data":{"resultType":"vector"}}',
    "result null": '{"status":"success","data":{"resultType":"vector","result":null}}',
    "result an object": '{"status":"success","data":{"resultType":"vector","result":{}}}',
    "no type": '{"status":"success","data":{"result":[]}}',
    "another type": '{"status":"success","data":{"resultType":"string","result":[1,"5"]}}',
    "no status": '{"data":{"resultType":"vector","result":[]}}',
    "status a number": '{"status":1,"data":{"resultType":"vector","result":[]}}',
    "a sample without a value": success("vector", [{"metric": {}}]),
    "a sample that is a number": success("vector", [{"metric": {}, "value": [1, 5]}]),
    "a sample that is text": success("vector", [{"metric": {}, "value": [1, "many"]}]),
    "a sample with text behind": success("vector", [{"metric": {}, "value": [1, "5x"]}]),
    "an empty sample": success("vector", [{"metric": {}, "value": [1, ""]}]),
    "a short pair": success("vector", [{"metric": {}, "value": [1]}]),
    "a scalar that is a vector": success("scalar", []),
    "no UTF-8": b'{"status":"\xff"}',
    "deep nesting": "[" * 100000,
    "connection cut half-way": Cut(vector(*["1"] * 1000)),
    "connection reset half-way": Cut(vector(*["1"] * 100000), reset=True),
    "no end": Endless(),
    "huge": Reply(" " * 100_000_000 + vector("1")),
}


@pytest.mark.parametrize("row", FAILURES)
def test_an_answer_that_is_none_is_missing_and_the_report_goes_on(app, prometheus, row):
    prometheus.answers(FAILURES[row])
    answer = app.summary(DAY)
    assert hours(answer) == (0, 0)
    source = answer.source("prometheus")
    # A broken sample beside none is "left out": there may be a partial sum of nothing.
    assert source["status"] == "missing" if "sample" not in row and "pair" not in row else source["status"] != "ok"
    assert source["notes"]
    assert answer.header("OSCAR-Metrics-Complete") == "false"


def test_a_redirect_is_not_followed(app, prometheus):
    prometheus.answers(lambda asked: vector("7") if asked.path == "/elsewhere" else
                       Reply("", 307, headers=[("Location", prometheus.url + "/elsewhere")]))
    assert hours(app.summary(DAY)) == (0, 0)
    assert "/elsewhere" not in [asked.path for asked in prometheus.asked]


def test_nobody_listens(start):
    with socket.socket() as taken:
        # Bound but not listening: nobody else can take the port, and connecting is refused.
        taken.bind(("127.0.0.1", 0))
        app = start({"PROMETHEUS_URL": "http://127.0.0.1:%d" % taken.getsockname()[1]})
        for _ in range(2):
            answer = app.summary(DAY)
            assert hours(answer) == (0, 0)
            assert answer.source("prometheus")["status"] == "missing"


def test_nobody_knows_the_host(start):
    answer = start({"PROMETHEUS_URL": "http://prometheus.invalid"}).summary(DAY)
    assert answer.source("prometheus")["status"] == "missing"


def test_it_does_not_speak_tls(start, fake):
    answer = start({"PROMETHEUS_URL": fake.url.replace("http:", "https:")}).summary(DAY)
    assert answer.source("prometheus")["status"] == "missing"


def test_the_deadline_passes(start, folder, fake):
    hold = Hold()
    fake.answers(hold)
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    app = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "1s",
                 "OSCAR_METRICS_LOG_FILES": folder / "manager.log"})
    answer = app.summary(DAY)
    assert hours(answer) == (0, 0)
    assert answer.source("prometheus")["status"] == "missing"
    # The rest of the report is there.
    assert answer.json()["totals"]["requests_count_total"] == 1
    assert answer.source("request-logs")["status"] == "ok"
    hold.wait_gone()


def test_one_query_is_slow_and_the_other_counts(start, fake):
    hold = Hold()
    fake.answers_by_kind(vector("3"), hold)
    answer = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "1s"}).summary(DAY)
    assert hours(answer) == (3, 0)
    assert answer.source("prometheus")["status"] == "partial"


def test_both_queries_run_side_by_side(app, prometheus):
    hold = Hold(Reply(vector("1")))
    prometheus.answers(hold)
    with app.begin("/system/metrics", DAY) as connection:
        hold.wait_held(2)
        hold.release()
        assert hours(connection.answer()) == (1, 1)


def test_without_prometheus_no_hours_are_wanted(start):
    answer = start({"PROMETHEUS_URL": "none"}).summary(DAY)
    source = answer.source("prometheus")
    assert (source["status"], source["notes"]) == ("missing", "not configured")
    assert hours(answer) == (0, 0)


# Getting in.

ACCESS = {
    "a token": ({"PROMETHEUS_TOKEN": "t0k3n"}, "Bearer t0k3n"),
    "a password": ({"PROMETHEUS_USERNAME": "u", "PROMETHEUS_PASSWORD": "p:w"}, "Basic dTpwOnc="),
}


@pytest.mark.parametrize("row", ACCESS)
def test_credentials_for_prometheus(start, prometheus, row):
    settings, header = ACCESS[row]
    start({"PROMETHEUS_URL": prometheus.url, **settings}).summary(DAY)
    assert [asked.headers["Authorization"] for asked in prometheus.asked] == [header] * 2


def test_the_clients_own_credentials_stay_here(app, prometheus):
    app.summary(DAY)
    assert {asked.headers["Authorization"] for asked in prometheus.asked} == {None}


def test_a_token_from_a_file_that_changes(start, folder, prometheus):
    (folder / "token").write_text("first\n")
    app = start({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_TOKEN_FILE": folder / "token"})
    app.summary(DAY)
    (folder / "token").write_text("the second\n")
    app.summary(DAY)
    sent = [asked.headers["Authorization"] for asked in prometheus.asked]
    assert sent == ["Bearer first"] * 2 + ["Bearer the second"] * 2


@pytest.mark.parametrize("row", ["error", "401", "HTML", "connection cut half-way"])
def test_no_secret_in_notes_and_log(start, prometheus, row):
    prometheus.answers(FAILURES[row])
    secret = "s3cr3t-4711"
    url = prometheus.url.replace("http://", f"http://user:{secret}@")
    for settings in ({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_TOKEN": secret}, {"PROMETHEUS_URL": url}):
        app = start(settings)
        assert secret not in app.summary(DAY).text
        assert secret not in app.stderr()
        expect.logfmt(app.stderr())


# Too much at once: pieces of the range.

TOO_MANY = Reply(failure("execution", "query processing would load too many samples into memory in query execution"), 422)
TIMED_OUT = Reply(failure("timeout", "query timed out in expression evaluation"), 503)
PROXY = Reply("<html>upstream timed out</html>", 504, "text/html")
DAY_START, DAY_END = 1767225600, 1767312000


def span(asked):
    """The range of a query that has one, in milliseconds: from, to."""
    number, unit = re.search(r"\[(\d+)(m?s)\]", asked.query).groups()
    end = asked_time(asked) // 1_000_000
    return end - int(number) * (1000 if unit == "s" else 1), end


def refuse_over(seconds, refusal, broken=lambda first, last: False):
    """Ranges over that get `refusal`; the others an hour for each second that they have."""
    def answer(asked):
        first, last = span(asked)
        if last - first > seconds * 1000:
            return refusal
        if broken(first // 1000, last // 1000):
            return Reply(failure("internal", "a block is gone"), 500)
        return vector(str((last - first) / 1000))
    return answer


@pytest.mark.parametrize("refusal", [TOO_MANY, TIMED_OUT, PROXY], ids=["samples", "timeout", "proxy"])
@pytest.mark.parametrize("limit,pieces", [(43200, 2), (3600, 32)])
def test_a_range_that_is_too_much_is_asked_in_halves(app, prometheus, refusal, limit, pieces):
    prometheus.answers(refuse_over(limit, refusal))
    answer = app.service("yolo", DAY + "&metric=cpu-hours").json()
    assert answer["value"] == DAY_END - DAY_START
    assert answer["sources"][0]["status"] == "ok"
    spans = sorted(span(asked) for asked in prometheus.asked)
    spans = [(first, last) for first, last in spans if last - first <= limit * 1000]
    assert len(spans) == pieces
    assert (spans[0][0], spans[-1][1]) == (DAY_START * 1000, DAY_END * 1000)
    assert [first for first, _ in spans[1:]] == [last for _, last in spans[:-1]]


def test_pieces_that_fail_are_named_and_the_others_count(app, prometheus):
    half = DAY_START + 43200
    prometheus.answers(refuse_over(21600, TOO_MANY, broken=lambda first, last: first >= half))
    answer = app.summary(DAY)
    assert hours(answer) == (43200, 43200)
    source = answer.source("prometheus")
    assert source["status"] == "partial"
    for kind in ("CPU", "GPU"):
        assert f"{kind} query: not in the sum: all services, 2026-01-01T12:00:00Z to 2026-01-01T18:00:00Z, and more" \
            in source["notes"]
    assert "a block is gone" in source["notes"]
    assert answer.header("OSCAR-Metrics-Complete") == "false"


def test_all_pieces_fail(app, prometheus):
    prometheus.answers(refuse_over(21600, TOO_MANY, broken=lambda first, last: True))
    answer = app.summary(DAY)
    assert hours(answer) == (0, 0)
    assert answer.source("prometheus")["status"] == "missing"


def test_there_is_an_end_to_halving(app, prometheus):
    prometheus.answers(TOO_MANY)
    answer = app.summary(DAY)
    assert hours(answer) == (0, 0)
    assert answer.source("prometheus")["status"] == "missing"
    assert "too many samples" in answer.source("prometheus")["notes"]
    assert min(last - first for first, last in map(span, prometheus.asked)) >= 600_000
    assert len(prometheus.asked) < 2 * 255


NOT_ADDITIVE = ['sum(avg_over_time(x{s=~"{{service}}"}[{{range}}]))', 'sum(max_over_time(x{s=~"{{service}}"}[{{range}}]))',
                'sum(rate(x{s=~"{{service}}"}[{{range}}])) * 24', 'max(increase(x{s=~"{{service}}"}[{{range}}]))',
                'sum(sum_over_time(x{s=~"{{service}}"}[{{range}}:1m]))',
                'sum(increase(x{s=~"{{service}}"}[{{range}}])) / sum(rate(x[{{range}}]))']


@pytest.mark.parametrize("template", NOT_ADDITIVE)
@pytest.mark.parametrize("refusal", [TOO_MANY, TIMED_OUT, PROXY], ids=["samples", "timeout", "proxy"])
def test_what_does_not_add_up_is_missing_and_says_so(start, prometheus, template, refusal):
    prometheus.answers(lambda asked: vector("1") if "gpu" in asked.query else refusal)
    answer = start({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_CPU_QUERY": template}).summary(DAY)
    assert hours(answer) == (0, 1)
    source = answer.source("prometheus")
    assert source["status"] == "partial"
    assert "CPU query" in source["notes"] and "adds up" in source["notes"]
    assert len(prometheus.asked) == 2


def test_a_query_without_an_answer_is_asked_in_pieces_in_time(start, fake):
    hold = Hold()
    fake.answers(lambda asked: hold if span(asked)[1] - span(asked)[0] == 86400_000 else vector("1"))
    answer = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "4s"}).summary(DAY)
    assert hours(answer) == (8, 8)
    assert answer.source("prometheus")["status"] == "ok"
    hold.wait_gone()


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_server_is_asked_once_more(app, prometheus, status):
    busy = {"CPU", "GPU"}

    def answer(asked):
        kind = "GPU" if "gpu" in asked.query else "CPU"
        if kind in busy:
            busy.remove(kind)
            return Reply("later", status, "text/plain", headers=[("Retry-After", "1")])
        return vector("2")
    prometheus.answers(answer)
    answered = app.summary(DAY)
    assert hours(answered) == (2, 2)
    assert answered.source("prometheus")["status"] == "ok"
    assert len(prometheus.asked) == 4


# The real one.

REAL_START, REAL_END = 1767225600, 1769904000  # January 2026
SECONDS = REAL_END - REAL_START
SERIES = [
    # labels, CPU seconds a second, GPU seconds a second
    ({"namespace": "oscar-svc", "service": "yolo"}, 0.5, 0.25),
    ({"namespace": "oscar-svc-a1", "service": "yolo"}, 0.125, 0),
    ({"namespace": "oscar-svc", "service": "a.b"}, 1, 0),
    ({"namespace": "oscar-svc", "service": "axb"}, 2, 0),
    ({"namespace": "oscar-svc", "service": "deleted"}, 4, 0),
    ({"namespace": "kube-system", "service": "yolo"}, 64, 64),
    ({"namespace": "my-oscar-svc", "service": "yolo"}, 128, 128),
]


@pytest.fixture(scope="module")
def real(shared_folder):
    cpu = [(labels, steady(REAL_START - 3600, REAL_END + 3600, rate)) for labels, rate, _ in SERIES]
    gpu = [(labels, steady(REAL_START - 3600, REAL_END + 3600, rate)) for labels, _, rate in SERIES]
    prometheus = Prometheus(shared_folder / "real", openmetrics(CPU_NAME, cpu) + openmetrics(GPU_NAME, gpu))
    yield prometheus
    prometheus.stop()


@pytest.fixture(scope="module")
def real_app(real, start_shared):
    return start_shared({"PROMETHEUS_URL": real.url})


MONTH = "start=2026-01-01T00:00:00Z&end=2026-02-01T00:00:00Z"


def test_hours_of_a_real_prometheus(real_app, real):
    answer = real_app.summary(MONTH)
    assert answer.source("prometheus")["status"] == "ok"
    cpu, gpu = hours(answer)
    assert cpu == pytest.approx((0.5 + 0.125 + 1 + 2 + 4) * SECONDS / 3600, rel=1e-3)
    assert gpu == pytest.approx(0.25 * SECONDS / 3600, rel=1e-3)
    # And to the last digit what it says when it is asked directly.
    assert cpu == real.query(default_query(CPU_NAME, ".*", SECONDS), REAL_END)


@pytest.mark.parametrize("service,rate", [("yolo", 0.625), ("a.b", 1), ("axb", 2), ("deleted", 4),
                                          ("yol", 0), ("never", 0)])
def test_a_service_of_a_real_prometheus(real_app, service, rate):
    answer = real_app.service(service, MONTH + "&metric=cpu-hours").json()
    assert answer["value"] == pytest.approx(rate * SECONDS / 3600, rel=1e-3)
    assert answer["sources"][0]["status"] == "ok"


def test_the_end_moves_what_a_real_prometheus_says(real_app):
    cpu, _ = hours(real_app.summary("start=2026-01-10T00:00:00Z&end=2026-01-10T12:00:00Z"))
    assert cpu == pytest.approx(7.625 * 12, rel=1e-3)


def test_an_error_of_a_real_prometheus_is_said(start, real):
    app = start({"PROMETHEUS_URL": real.url, "PROMETHEUS_CPU_QUERY": "sum(", "PROMETHEUS_GPU_QUERY": "1/0"})
    answer = app.summary(MONTH)
    assert hours(answer) == (0, 0)
    assert answer.source("prometheus")["status"] != "ok"


def test_a_matrix_and_a_scalar_of_a_real_prometheus(start, real):
    app = start({"PROMETHEUS_URL": real.url, "PROMETHEUS_GPU_QUERY": "scalar(vector(6))",
                 "PROMETHEUS_CPU_QUERY": 'container_cpu_usage_seconds_total{service="axb"}[{{range}}]'})
    answer = app.summary(MONTH)
    cpu, gpu = hours(answer)
    assert (cpu, gpu) == (2 * (SECONDS + 3600), 6)
    assert answer.source("prometheus")["status"] == "ok"


# A real one that refuses: the halves are held against what one without that limit says of the whole.

LIMITED_START, LIMITED_END = 1767225600, 1767312000
LIMITED = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
SCRAPE = 60


def uneven(seed, offset):
    """A counter that stands still and leaps; a sample each minute, `offset` milliseconds behind it."""
    random_ = random.Random(seed)
    value, samples = 0, []
    for when in range(LIMITED_START - 3600, LIMITED_END + 3600, SCRAPE):
        samples.append((f"{when + offset / 1000:.3f}", value))
        value += random_.choice([0, 0, 0, random_.randrange(4 * SCRAPE)])
    return samples


def limited_metrics():
    at_cuts = [({"service": "at-cuts", "namespace": "oscar-svc"}, uneven(1, 0))]
    between = [({"service": f"between-{n}", "namespace": "oscar-svc"}, uneven(n, 1000 * n + 500)) for n in range(2, 40)]
    samples = [({"service": f"s-{n}"}, [(when, n + 1) for when, _ in uneven(n, offset)])
               for n, offset in enumerate((0, 1, 999, 30000))]
    return openmetrics(CPU_NAME, at_cuts + between) + openmetrics(GPU_NAME, at_cuts) + \
        openmetrics("samples_total", samples)


@pytest.fixture(scope="module")
def unlimited(shared_folder):
    prometheus = Prometheus(shared_folder / "unlimited", limited_metrics())
    yield prometheus
    prometheus.stop()


@pytest.fixture(scope="module", params=[400, 100])
def limited(shared_folder, request):
    prometheus = Prometheus(shared_folder / f"limited-{request.param}", limited_metrics(),
                            [f"--query.max-samples={request.param}"])
    yield prometheus
    prometheus.stop()


def check_refused(prometheus, query):
    status, body = prometheus.ask(query, LIMITED_END)
    assert status == 422 and b"too many samples" in body, body


@pytest.mark.parametrize("service,tolerance", [("at-cuts", 1e-12), ("between-7", 0.01), (None, 0.001)])
def test_halves_of_an_increase_at_a_real_prometheus(start, unlimited, limited, service, tolerance):
    query = default_query(CPU_NAME, service or ".*")
    check_refused(limited, query)
    path = "/system/metrics/" + service if service else "/system/metrics"
    answer = start({"PROMETHEUS_URL": limited.url}).get(path, LIMITED + ("&metric=cpu-hours" if service else ""))
    value = answer.json()["value"] if service else hours(answer)[0]
    assert answer.source("prometheus")["status"] == "ok"
    # With a sample at every cut the halves are the whole; else each cut may shift what happened within a scrape.
    assert value == pytest.approx(unlimited.query(query, LIMITED_END), rel=tolerance)


@pytest.mark.parametrize("row", [LIMITED, "start=2026-01-01T00:00:00.999Z&end=2026-01-02T00:00:00.999Z",
                                 "start=2026-01-01T00:00:00.001Z&end=2026-01-01T17:11:13.001Z"])
def test_halves_of_a_sum_over_time_at_a_real_prometheus_are_exactly_the_whole(start, unlimited, limited, row):
    first, last = (model.rfc3339(text) for text in re.findall(r"=([^&]*)", row))
    query = f"sum(sum_over_time(samples_total[{(last - first) // model.SECOND}s]))"
    status, _ = limited.ask(query, last / model.SECOND)
    assert status == 422
    answer = start({"PROMETHEUS_URL": limited.url,
                    "PROMETHEUS_CPU_QUERY": "sum(sum_over_time(samples_total[{{range}}]))"}).summary(row)
    assert answer.source("prometheus")["status"] == "ok"
    assert hours(answer)[0] == unlimited.query(query, f"{last // 1_000_000 / 1000:.3f}")


def test_a_template_that_does_not_add_up_at_a_real_prometheus(start, limited):
    template = "sum(max_over_time(container_cpu_usage_seconds_total[{{range}}]))"
    check_refused(limited, template.replace("{{range}}", "86400s"))
    answer = start({"PROMETHEUS_URL": limited.url, "PROMETHEUS_CPU_QUERY": template,
                    "PROMETHEUS_GPU_QUERY": "vector(1)"}).summary(LIMITED)
    assert hours(answer) == (0, 1)
    assert answer.source("prometheus")["status"] == "partial"
    assert "too many samples" in answer.source("prometheus")["notes"]


def test_a_real_prometheus_that_runs_out_of_time(start, shared_folder):
    series = [({"namespace": "oscar-svc", "service": f"s{n}"}, steady(LIMITED_START - 3600, LIMITED_END + 3600, 1, 30))
              for n in range(100)]
    prometheus = Prometheus(shared_folder / "hasty", openmetrics(CPU_NAME, series), ["--query.timeout=1ms"])
    try:
        query = default_query(CPU_NAME, ".*")
        status, body = prometheus.ask(query, LIMITED_END)
        # The engine says it, or the storage below it, whichever meets the end of the millisecond.
        assert (status, b"query timed out" in body) == (503, True) or b"context deadline exceeded" in body, body
        answer = start({"PROMETHEUS_URL": prometheus.url, "PROMETHEUS_GPU_QUERY": "none_total"}).summary(LIMITED)
        source = answer.source("prometheus")
        # How far one gets in a millisecond depends on the machine: all of it, or what is missing is said.
        if source["status"] == "ok":
            assert hours(answer)[0] == pytest.approx(100 * 24, rel=1e-9)
        else:
            assert "query timed out" in source["notes"] or "context deadline exceeded" in source["notes"]
            assert hours(answer)[0] < 100 * 24 * (1 + 1e-9)
    finally:
        prometheus.stop()
