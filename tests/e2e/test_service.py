"""Section 5: the metrics of one service, held against the model."""
import pytest

from harness import expect, model

MONTH = "start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z"
SERVICES = ["yolo", "cowsay", "a.b", "nb", "exposed-only", "deleted-svc", "0", "z" * 253, "never-heard-of"]
SOURCES = {
    "cpu-hours": {"prometheus": "missing"},
    "gpu-hours": {"prometheus": "missing"},
    "requests-sync-per-service": {"request-logs": "ok"},
    "requests-async-per-service": {"request-logs": "ok"},
    "requests-exposed-per-service": {"exposed-request-logs": "ok"},
    "users-per-service": {"request-logs": "ok"},
}


@pytest.mark.parametrize("name", SERVICES, ids=lambda name: name[:20])
def test_the_values_are_those_of_the_lines(month, span, span_query, name):
    answer = month.app.service(name, span_query).json()
    values = [(metric["metric"], metric["value"]) for metric in answer["metrics"]]
    assert values == model.values_of(month.between(*span), name)


@pytest.mark.parametrize("metric", SOURCES)
@pytest.mark.parametrize("name", ["yolo", "nb", "never-heard-of"])
def test_one_metric_is_the_same_as_among_all(month, name, metric):
    alone = month.app.service(name, f"{MONTH}&metric={metric}").json()
    among = [entry for entry in month.app.service(name, MONTH).json()["metrics"] if entry["metric"] == metric]
    assert len(among) == 1
    assert {key: alone.get(key) for key in ("metric", "value", "unit")} == \
        {key: among[0].get(key) for key in ("metric", "value", "unit")}


@pytest.mark.parametrize("metric", SOURCES)
def test_the_fields_of_one_metric(month, metric):
    answer = month.app.service("yolo", f"{MONTH}&metric={metric}").json()
    unit = ["unit"] if metric.endswith("-hours") else []
    assert list(answer) == ["service_id", "metric", "start", "end", "value", *unit, "sources"]
    assert answer["service_id"] == "yolo"
    assert answer["metric"] == metric
    assert (answer["start"], answer["end"]) == ("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z")
    assert answer.get("unit", "hours") == "hours"


def test_the_fields_of_all_metrics(month):
    answer = month.app.service("yolo", MONTH).json()
    assert list(answer) == ["service_name", "start", "end", "metrics"]
    assert answer["service_name"] == "yolo"
    assert [entry["metric"] for entry in answer["metrics"]] == list(SOURCES)
    for entry in answer["metrics"]:
        unit = ["unit"] if entry["metric"].endswith("-hours") else []
        assert list(entry) == ["metric", "value", *unit, "sources"]
        assert entry.get("unit", "hours") == "hours"


@pytest.mark.parametrize("metric", SOURCES)
def test_every_metric_carries_its_source(month, metric):
    expect.sources(month.app.service("yolo", f"{MONTH}&metric={metric}"), SOURCES[metric])


def test_every_metric_among_all_carries_its_source(month):
    answer = month.app.service("yolo", MONTH)
    for entry in answer.json()["metrics"]:
        expect.check_sources(entry["sources"], SOURCES[entry["metric"]])
    assert answer.header("OSCAR-Metrics-Complete") == "false", "the hours are missing"


def test_all_values_are_integers_here(month):
    for entry in month.app.service("yolo", MONTH).json()["metrics"]:
        assert type(entry["value"]) is int


def test_a_service_that_is_gone_keeps_its_history(month):
    answer = month.app.service("deleted-svc", f"{MONTH}&metric=requests-sync-per-service").json()
    assert answer["value"] > 0


def test_the_services_add_up_to_the_summary(month, span, span_query):
    names = {event.service for event in month.between(*span)}
    totals = month.app.summary(span_query).json()["totals"]
    sums = {}
    for name in names:
        for entry in month.app.service(name, span_query).json()["metrics"]:
            sums[entry["metric"]] = sums.get(entry["metric"], 0) + entry["value"]
    assert sums.get("requests-sync-per-service", 0) == totals["requests_count_sync"]
    assert sums.get("requests-async-per-service", 0) == totals["requests_count_async"]
    assert sums.get("requests-exposed-per-service", 0) == totals["requests_count_exposed"]
