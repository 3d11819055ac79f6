"""The stand-in for Loki, held against what a real one was recorded to answer, and against its own promises."""
import collections
import http.client
import json
import ssl
import urllib.parse

import pytest

from harness import logql
from harness.app import ROOT
from harness.fake_prometheus import Cut
from harness.loki import HOUR, REAL_URL, CutChunked, Dies, Loki, load, refusal
from harness.tls import Authority

DATA = ROOT / "tests" / "data" / "loki"
EXCHANGES = [json.loads(line) for line in (DATA / "exchanges.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def recorded():
    """The stand-in with the data and the limits of the recording; a real one behind it must answer the same."""
    server = Loki(max_entries=100, real=REAL_URL)
    load(server, DATA / "streams.jsonl")
    yield server
    server.close()


@pytest.fixture
def loki():
    server = Loki()
    yield server
    server.close()


def ask(loki, path, params=None, method="GET", headers=None):
    """(status, content type, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", loki.port, timeout=20)
    try:
        form = urllib.parse.urlencode(params or {})
        if method == "GET":
            connection.request("GET", path + "?" + form, headers=headers or {})
        else:
            connection.request("POST", path, form,
                               {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read().decode()
    finally:
        connection.close()


def read(loki, start=0, end=HOUR, query='{app="a"}', **more):
    return ask(loki, "/loki/api/v1/query_range", {"query": query, "start": f"{start:020}", "end": f"{end:020}", **more})


def as_sets(result, prefix=""):
    """{labels without those that Loki adds: [(time, line), ...]}: streams that differ in these alone become one."""
    streams = collections.defaultdict(list)
    for stream in result:
        labels = {name: value for name, value in stream["stream"].items()
                  if name not in ("detected_level", "service_name")}
        labels["namespace"] = labels["namespace"].removeprefix(prefix)
        streams[tuple(sorted(labels.items()))] += [tuple(value) for value in stream["values"]]
    return {key: sorted(values) for key, values in streams.items()}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[exchange["note"] for exchange in EXCHANGES])
def test_answers_what_was_recorded(recorded, exchange):
    params = dict(exchange["params"])
    if exchange["status"] == 200:
        params["query"] = params["query"].replace('namespace="', f'namespace="{recorded.prefix}')
    status, content_type, body = ask(recorded, exchange["path"], params, exchange["method"])
    assert (status, content_type) == (exchange["status"], exchange["content_type"]), body
    wanted = exchange["body"]
    if isinstance(wanted, str):
        assert body == wanted
        return
    found = json.loads(body)
    if exchange["path"].endswith("/index/stats"):
        # Of chunks and of an index that the stand-in does not have.
        assert list(found) == list(wanted) and bool(found["entries"]) == bool(wanted["entries"])
        return
    assert found["status"] == wanted["status"] and "warnings" not in found
    assert found["data"]["resultType"] == wanted["data"]["resultType"]
    found, wanted = as_sets(found["data"]["result"], recorded.prefix), as_sets(wanted["data"]["result"])
    if exchange["note"].startswith("150 lines"):
        whole = read_all(exchange["params"])
        for some in (found, wanted):
            assert sum(map(len, some.values())) == 100
            assert all(set(values) <= set(whole[key]) for key, values in some.items())
        return
    assert found == wanted


def read_all(params):
    """What a server without a limit answers."""
    server = Loki(max_entries=10_000)
    try:
        load(server, DATA / "streams.jsonl")
        body = ask(server, "/loki/api/v1/query_range", {**params, "limit": "10000"})[2]
        return as_sets(json.loads(body)["data"]["result"])
    finally:
        server.close()


# Its own promises.

def read(loki, start=0, end=HOUR, query='{app="a"}', **more):
    return ask(loki, "/loki/api/v1/query_range", {"query": query, "start": f"{start:020}", "end": f"{end:020}", **more})


def entries(body):
    return sorted((int(when), line) for stream in json.loads(body)["data"]["result"] for when, line in stream["values"])


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_cut_takes_the_first_over_all_streams(loki, direction):
    for number in range(3):
        loki.add({"app": "a", "pod": str(number)}, [(at * 3 + number, f"{at} {number}") for at in range(50)])
    body = read(loki, limit=70, direction=direction)[2]
    found = [when for when, _ in entries(body)]
    assert found == (list(range(70)) if direction == "forward" else list(range(80, 150)))
    assert (loki.reads[-1].entries, loki.reads[-1].met) == (70, True)


@pytest.mark.parametrize("query", [
    '', '{', '{}', '{app}', '{app=}', '{app="a"', '{app="a"} |', '{app="a"} x', '{app="a"} | json', '{app="a"}}',
    '{app="a" pod="b"}', '{app="a",}', '{app=~"("}', '{app="a\n"}', '{app="a\\q"}', '{app="\\x1"}', '{app="\\ud800"}',
    '{app="\\400"}', "{app='a'}", '{app="a"} |= x', '{app="a"} |= "x" or "y"', 'sum(count_over_time({app="a"}[1h]))',
    '{app="a"} # {', '{app=="a"}', '{app="a"} |~ "["', '{app!="a"}', '{app=~"a?"}', '{app="a"} |= "x', '{app=`a`'])
def test_what_is_no_query_is_refused(query):
    with pytest.raises(logql.ParseError, match="^parse error"):
        logql.parse(query)


@pytest.mark.parametrize("query, matchers, filters", [
    ('{app="a"}', [("app", "=", "a")], []),
    ('{ app = "a" , pod !~ "b.*" }|="x"|=`y"\\`', [("app", "=", "a"), ("pod", "!~", "b.*")],
     [("|=", "x"), ("|=", 'y"\\')]),
    ('{app=~"a\\\\.b"} != "\\"}" !~ "\\x41\\101\\u00e9\\U0001F600\\n"', [("app", "=~", "a\\.b")],
     [("!=", '"}'), ("!~", "AAé😀\n")]),
    ('{app="\\xff"}', [("app", "=", "\udcff")], []),
])
def test_what_a_query_says(query, matchers, filters):
    parsed = logql.parse(query)
    assert [(each.name, each.op, each.value) for each in parsed.matchers] == matchers
    assert [(each.op, each.value) for each in parsed.filters] == filters


@pytest.mark.parametrize("query, kept", [
    ('{app="a"}', "xyz"), ('{app="a"} |= "x"', "x"), ('{app="a"} != "x"', "yz"), ('{app="a"} |~ "[xy]"', "xy"),
    ('{app="a"} !~ "[xy]"', "z"), ('{app="a"} |~ "[xy]" != "y"', "x"), ('{app=~"a|b"}', "xyz"), ('{app=~"."}', "xyz"),
    ('{app!="", app!~"aa"}', "xyz"), ('{app="a", pod=""}', "xyz"), ('{app=~"A"}', ""), ('{app=~""}', None)])
def test_matchers_and_filters(loki, query, kept):
    loki.add({"app": "a"}, [(1, "x"), (1, "y"), (2, "z"), (2, "z")])
    loki.add({"app": "aa"}, [(1, "no")])
    status, _, body = read(loki, query=query)
    if kept is None:
        assert status == 400
    else:
        assert "".join(line for _, line in entries(body)) == kept


def test_what_is_pushed_is_there(loki):
    values = [["5", "one"], ["5", "one"], ["6", "two", {"meta": "x"}]]
    pushed = {"streams": [{"stream": {"app": "a"}, "values": values}]}
    connection = http.client.HTTPConnection("127.0.0.1", loki.port, timeout=20)
    connection.request("POST", "/loki/api/v1/push", json.dumps(pushed), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 204
    connection.close()
    assert entries(read(loki)[2]) == [(5, "one"), (6, "two")]


def test_the_index(loki):
    loki.add({"app": "a"}, [(at * HOUR // 2, "x" * 10) for at in range(10)])
    window = {"query": '{app="a"}', "start": "0" * 20, "end": str(5 * HOUR)}
    status, _, body = ask(loki, "/loki/api/v1/index/stats", window)
    assert (status, json.loads(body)) == (200, {"streams": 1, "chunks": 1, "bytes": 100, "entries": 10})
    status, _, body = ask(loki, "/loki/api/v1/index/volume_range", {**window, "step": "3600"})
    matrix = json.loads(body)["data"]
    assert matrix["resultType"] == "matrix"
    assert [tuple(value) for value in matrix["result"][0]["values"]] == [(3600 * at, "20") for at in range(5)]
    loki.skew = 0.5
    assert json.loads(ask(loki, "/loki/api/v1/index/stats", window)[2])["entries"] == 5
    loki.skew = None
    assert ask(loki, "/loki/api/v1/index/stats", window)[0] == 404


def test_limits_that_change(loki):
    loki.max_length, loki.max_entries = HOUR, 7
    assert read(loki, 0, HOUR, limit=7)[0] == 200
    assert read(loki, 0, HOUR, limit=8)[2].endswith("(8 > 7)")
    assert read(loki, 0, HOUR + 1, limit=7)[2].endswith("(query length: 1h0m0s, limit: 1h)")


def test_headers_that_are_required(loki):
    loki.required = {"X-Scope-OrgID": "t", "Authorization": "Bearer x"}
    assert read(loki)[0] == 401
    got = ask(loki, "/loki/api/v1/query_range", {"query": '{app="a"}', "start": "0" * 20, "end": "1"},
              headers={"X-Scope-OrgID": "t", "Authorization": "Bearer x"})
    assert got[0] == 200


def test_faults(loki):
    loki.add({"app": "a"}, [(1, "x")])
    loki.warnings = ["careful"]
    loki.fails(refusal("slower", 429, [("Retry-After", "1")]), lambda reply: Cut(reply.body),
               lambda reply: CutChunked(reply.body))
    assert read(loki)[0] == 429
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            read(loki)
    assert json.loads(read(loki)[2])["warnings"] == ["careful"]
    assert [asked.status for asked in loki.reads] == [429, 200, 200, 200]


def test_dies_and_comes_back(loki):
    loki.add({"app": "a"}, [(1, "x")])
    kept = http.client.HTTPConnection("127.0.0.1", loki.port, timeout=20)
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"404 page not found\n"
    loki.fails(Dies())
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        read(loki)
    # Soon, for one is cut after the other.
    assert kept.sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        read(loki)
    loki.revive()
    assert entries(read(loki)[2]) == [(1, "x")]
    kept.close()


def test_tls(tmp_path):
    authority = Authority(tmp_path / "ca")
    loki = Loki(context=authority.server())
    try:
        context = ssl.create_default_context(cafile=authority.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", loki.port, timeout=20, context=context)
        connection.request("GET", "/")
        assert connection.getresponse().status == 404
        connection.close()
        connection = http.client.HTTPSConnection("127.0.0.1", loki.port, timeout=20)
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/")
        connection.close()
    finally:
        loki.close()
