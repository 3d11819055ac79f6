"""Section 6: what the answer says about its sources."""
import datetime
import time

import pytest

from harness import expect, logdata, model
from harness.fake_prometheus import failure, vector

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"
EVERYTHING = {"service-inventory": "ok", "prometheus": "ok", "request-logs": "ok", "country-attribution": "ok",
              "exposed-request-logs": "ok"}


def everything(folder, fake):
    """Settings with every source there."""
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, logdata.request(T))
    logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN)
    (folder / "services").mkdir()
    (folder / "services" / "yolo.yaml").write_text("name: yolo\n")
    return {"OSCAR_METRICS_LOG_FILES": folder / "manager.log", "PROMETHEUS_URL": fake.url,
            "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log",
            "OSCAR_METRICS_SERVICES_DIR": folder / "services"}


def test_everything_is_there(start, folder, fake):
    app = start(everything(folder, fake))
    answer = app.summary(DAY)
    expect.sources(answer, EVERYTHING)
    assert answer.header("OSCAR-Metrics-Complete") == "true"
    assert b'"notes"' not in answer.body, "a dashboard warns on any note"


def test_nothing_is_configured_and_the_report_is_there(start):
    app = start()
    answer = app.summary(DAY)
    assert answer.json()["totals"] == model.totals([])
    assert answer.source("prometheus")["notes"] == "not configured"
    assert answer.source("exposed-request-logs")["notes"].startswith("not configured")
    statuses = {source["name"]: source["status"] for source in answer.json()["sources"]}
    requests = [name for name in statuses if name in ("request-logs", "loki")]
    assert len(requests) == 1
    assert list(statuses.values()) == ["missing"] * 4
    assert answer.header("OSCAR-Metrics-Complete") == "false"


@pytest.mark.parametrize("files,name", [(True, "request-logs"), (False, "loki")])
def test_files_come_before_loki(start, folder, files, name):
    logdata.write(folder / "x.log", logdata.REQUESTS_BEGIN, logdata.request(T))
    settings = {"LOKI_URL": "http://127.0.0.1:1"}
    if files:
        settings["OSCAR_METRICS_LOG_FILES"] = folder / "x.log"
    answer = start(settings).breakdown(DAY + "&group_by=user")
    assert answer.json()["sources"][0]["name"] == name
    assert len(answer.json()["items"]) == int(files)


@pytest.mark.parametrize("query", ["group_by=service", "group_by=user", "group_by=country"])
def test_nothing_is_configured_and_the_breakdown_is_there(start, query):
    answer = start().breakdown(f"{DAY}&{query}")
    assert answer.json()["items"] == []
    assert {source["status"] for source in answer.json()["sources"]} == {"missing"}


REMOVED = {
    "OSCAR_METRICS_SERVICES_DIR": "service-inventory",
    "PROMETHEUS_URL": "prometheus",
    "OSCAR_METRICS_EXPOSED_LOG_FILES": "exposed-request-logs",
}


@pytest.mark.parametrize("setting", REMOVED)
def test_each_source_is_missing_alone(start, folder, fake, setting):
    settings = everything(folder, fake)
    del settings[setting]
    expect.sources(start(settings).summary(DAY), {**EVERYTHING, REMOVED[setting]: "missing"})


def test_without_the_requests_the_rest_is_there(start, folder, fake):
    fake.answers(vector("2.5"))
    settings = everything(folder, fake)
    settings["OSCAR_METRICS_LOG_FILES"] = folder / "nowhere.log"
    answer = start(settings).summary(DAY)
    expected = {name: status for name, status in EVERYTHING.items() if name != "country-attribution"}
    expect.sources(answer, {**expected, "request-logs": "missing"})
    assert answer.json()["totals"]["cpu_hours_total"] == 2.5
    assert answer.json()["totals"]["services_count_active"] == 1


def test_every_source_says_when_it_was_read(start, folder, fake):
    app = start(everything(folder, fake))
    before = int(time.time())
    sources = app.summary(DAY).json()["sources"]
    after = int(time.time())
    for source in sources:
        if source["name"] != "country-attribution":
            assert before <= model.rfc3339(source["last_updated"]) // model.SECOND <= after, source


def test_remembered_data_keeps_its_time(start, folder, fake):
    app = start(everything(folder, fake))
    first = app.summary(DAY).source("request-logs")["last_updated"]
    again = app.summary(DAY).source("request-logs")["last_updated"]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert first <= again <= now


# The header of every report follows its own sources only.

COMPLETE = [
    ("/system/metrics", "", "false"),
    ("/system/metrics/breakdown", "group_by=service", "true"),
    ("/system/metrics/breakdown", "group_by=service&format=csv", "true"),
    ("/system/metrics/breakdown", "group_by=user", "true"),
    ("/system/metrics/yolo", "", "false"),
    ("/system/metrics/yolo", "metric=cpu-hours", "false"),
    ("/system/metrics/yolo", "metric=requests-sync-per-service", "true"),
    ("/system/metrics/yolo", "metric=requests-exposed-per-service", "true"),
]


@pytest.mark.parametrize("path,query,expected", COMPLETE)
def test_completeness_follows_the_sources_of_the_report(start, folder, fake, path, query, expected):
    fake.answers(failure())
    app = start(everything(folder, fake))
    for method in ("GET", "HEAD"):
        answer = app.get(path, f"{DAY}&{query}", method=method)
        assert answer.header("OSCAR-Metrics-Complete") == expected


@pytest.mark.parametrize("query", ["group_by=service&format=csv", "group_by=user&format=csv",
                                   "group_by=country&format=csv"])
def test_an_incomplete_csv_says_so(start, folder, fake, query):
    settings = everything(folder, fake)
    settings["OSCAR_METRICS_LOG_FILES"] = folder / "nowhere.log"
    answer = start(settings).breakdown(f"{DAY}&{query}")
    assert answer.header("OSCAR-Metrics-Complete") == "false"
    assert len(answer.csv()) == 1


def test_exposed_logs_do_not_matter_to_users_and_countries(start, folder, fake):
    settings = everything(folder, fake)
    del settings["OSCAR_METRICS_EXPOSED_LOG_FILES"]
    app = start(settings)
    assert app.breakdown(DAY + "&group_by=user").header("OSCAR-Metrics-Complete") == "true"
    assert app.breakdown(DAY + "&group_by=service").header("OSCAR-Metrics-Complete") == "false"


def test_several_reasons_are_one_text(start, folder):
    for name in ("a.log", "b.log"):
        (folder / name).mkdir()
    logdata.write(folder / "c.log", logdata.REQUESTS_BEGIN, logdata.request(T))
    source = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"}).summary(DAY).source("request-logs")
    assert source["status"] == "partial"
    reasons = source["notes"].split("; ")
    assert any("a.log" in reason for reason in reasons) and any("b.log" in reason for reason in reasons)


def test_very_many_reasons_stay_readable(start, folder):
    for number in range(200):
        (folder / f"{number}.log").mkdir()
    source = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"}).summary(DAY).source("request-logs")
    assert source["status"] == "missing"
    assert len(source["notes"]) < 8192


def test_errors_carry_no_word_about_completeness(start):
    app = start()
    for answer in (app.summary("end=x"), app.get("/nowhere"), app.get("/system/metrics", auth=None)):
        assert answer.header("OSCAR-Metrics-Complete") is None
