"""Whatever names hold, they never leave their string in a query: the stand-in's parser, which knows nothing but
selectors and line filters, says what each matcher really asks for."""
import re
import urllib.parse

import pytest

from harness import expect, logql
from harness.app import run
from harness.fake_prometheus import vector
from harness.loki import HOUR
from harness.lokidata import INGRESS, OSCAR, exposed_line, hours, line, nanoseconds

T = nanoseconds("2025-03-10T12:00:00Z")
HOURS_QUERY = re.compile(r"sum\(increase\(container_[cg]pu_usage_seconds_total(\{.*\})\[\d+s\]\)\) / 3600\Z", re.DOTALL)

NASTY = [
    'a"b', "a`b", "a'b", "a\\", 'a\\"', "a\\\\", '"}', '"} or {app=~".+"}', '"} |= "', "a{b}", "{{service}}", "{{app}}",
    "a\nb", "a\r\nb", "a\tb", "a\x01b", "a\x7fb", ".*", ".+|x", "(", ")", "[a-z]+", "a|b", "^a$", "a?", "a*", "a{2}",
    "\\E.*\\Q", "(?i)a", "é", "\u202e", "😀", " a", "# a", "a//b", "%22", "$1", "-", "]", "a&b=c", "a+b",
]


def selector(query):
    """The selector of a query for hours; everything around it must be as in the template."""
    found = HOURS_QUERY.match(query)
    assert found, query
    return {each.name: each for each in logql.parse(found[1]).matchers}


def is_only(matcher, value):
    """Does the matcher ask for this value and for nothing else?"""
    if matcher.op == "=":
        return matcher.value == value
    others = [value + "x", "x" + value, value.upper() + "Z", value.replace(".", "x"), "", "a", "aa", "ab", "b", "x"]
    return matcher.op == "=~" and bool(matcher.regex.fullmatch(value)) and \
        not any(matcher.regex.fullmatch(other) for other in others if other != value)


# Names in paths.

@pytest.mark.parametrize("name", [name for name in NASTY if name != " a"])  # which is trimmed
def test_a_service_of_a_path_that_is_no_name_is_never_asked_for(start_loki, loki, fake, name):
    app = start_loki({"PROMETHEUS_URL": fake.url})
    answer = app.service(name, hours(T, 1))
    if answer.status != 404:  # more than one segment
        expect.bad_request(answer, "invalid service name")
    assert (loki.asked, fake.asked) == ([], [])


@pytest.mark.parametrize("operator", ["=", "=~"])
@pytest.mark.parametrize("quote", ['"', "`"])
@pytest.mark.parametrize("name", ["a.b", "a-b.c-d", "0", "x" * 253])
def test_a_service_means_itself_alone(start_loki, loki, data, fake, operator, quote, name):
    data.begin(T)
    for service in (name, name.replace(".", "x"), "other"):
        data.put({**OSCAR, "service": service}, [(T - HOUR, "hello"), (T, line(T, f"/run/{name}"))])
    app = start_loki({"PROMETHEUS_URL": fake.url,
                      "LOKI_QUERY": '{namespace="{{namespace}}", service%s%s{{service}}%s}' % (operator, quote, quote)})
    found = app.service(name, hours(T, 1, "&metric=requests-sync-per-service")).json()
    assert found["sources"][0]["status"] == "ok" and found["value"] == (1 if name != "other" else 2)
    for asked in loki.reads:
        (matcher,) = [each for each in logql.parse(asked.query).matchers if each.name == "service"]
        assert is_only(matcher, name)
    app.service(name, hours(T, 1, "&metric=cpu-hours"))
    for asked in fake.asked:
        assert is_only(selector(asked.query)["service"], name)


# Names in settings.

@pytest.mark.parametrize("operator", ["=", "=~"])
@pytest.mark.parametrize("app_name", NASTY)
def test_what_the_ingress_controller_is_called(start_loki, loki, data, operator, app_name):
    """Any text is a label's value."""
    data.begin(T)
    labels = {**INGRESS, "app": app_name}
    data.put(labels, [(T - HOUR, "hello"), (T, exposed_line(T))])
    data.put({**INGRESS, "app": "another"}, [(T, exposed_line(T))])
    app = start_loki({"LOKI_EXPOSED_APP": app_name,
                      "LOKI_EXPOSED_QUERY": '{namespace="{{namespace}}", app%s"{{app}}"} |~ "/exposed"' % operator})
    answer = app.summary(hours(T, 1))
    assert answer.json()["totals"]["requests_count_exposed"] == 1, answer
    seen = [each for asked in loki.reads for each in logql.parse(asked.query).matchers
            if each.name == "app" and each.value != "oscar"]
    assert seen and all(is_only(matcher, app_name) for matcher in seen)
    expect.logfmt(app.stderr())


@pytest.mark.parametrize("app_name", NASTY)
def test_a_raw_string_that_cannot_hold_a_name(start_loki, loki, data, app_name):
    data.begin(T)
    app = start_loki({"LOKI_EXPOSED_APP": app_name, "LOKI_EXPOSED_QUERY": '{namespace="{{namespace}}", app=`{{app}}`}'})
    answer = app.summary(hours(T, 1))
    seen = [each for asked in loki.reads for each in logql.parse(asked.query).matchers
            if each.name == "app" and each.value != "oscar"]
    if "`" in app_name:
        assert answer.source("exposed-request-logs")["status"] == "missing" and not seen
    else:
        # A raw string of Go's has no carriage returns.
        assert seen and all(is_only(matcher, app_name) for matcher in seen) or "\r" in app_name


@pytest.mark.parametrize("name", ["OSCAR_NAMESPACE", "LOKI_EXPOSED_NAMESPACE", "OSCAR_SERVICES_NAMESPACE"])
@pytest.mark.parametrize("value", NASTY)
def test_namespaces_are_names(name, value):
    done = run("--check-config", settings={name: value})
    assert done.returncode != 0 and name in done.stderr


@pytest.mark.parametrize("tenant", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\x01"])
def test_a_tenant_that_is_no_header(start_loki, loki, data, tenant):
    """It is refused when the program starts, or never sent."""
    data.begin(T)
    if run("--check-config", settings={"LOKI_TENANT": tenant}).returncode == 0:
        start_loki({"LOKI_TENANT": tenant}).summary(hours(T, 1))
    assert not [asked for asked in loki.asked if asked.headers.get("X-Evil")]


# Owners and namespaces.

@pytest.mark.parametrize("name", [name for name in NASTY if "/" not in name])
def test_owners_and_their_namespaces(start_loki, loki, data, fake, folder, name):
    """The name of a folder is a namespace; whoever may make one must not be able to ask for more."""
    data.begin(T)
    data.requests([T])
    namespace = folder / "services" / ("oscar-svc-" + name)
    namespace.mkdir(parents=True)
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    quoted = "".join(char if char.isprintable() else "\\U%08x" % ord(char) for char in quoted)
    (namespace / "x.yaml").write_text(f'name: x\nowner: "o {quoted}"\n', "utf-8")
    fake.answers(vector("1"))
    app = start_loki({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_SERVICES_DIR": folder / "services"})
    for asked in ("", "&owner=" + urllib.parse.quote("o " + name)):
        answer = app.summary(hours(T, 1, asked))
        # A folder with such a name is none of services: the owner may be there, or cannot be told.
        assert answer.status == 200 or (asked and answer.status in (404, 503)), answer
    assert fake.asked
    for asked in fake.asked:
        matcher = selector(asked.query)["namespace"]
        assert matcher.value == "oscar-svc.*" or is_only(matcher, "oscar-svc-" + name), asked.query
    for asked in loki.reads:
        assert set(asked.query) <= set('{namespace="t-0123456789abcdef-oscar", app="oscar"} |~ "/(job|run)/"'
                                       'ingress-nginx/system/services/.+/exposed'), asked.query
    expect.logfmt(app.stderr())
