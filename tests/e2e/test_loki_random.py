"""Whatever Loki holds, whatever it does meanwhile and whatever is asked: an answer is exact, or says that it is not
whole and has no more than there is. LOKI_RANDOM_SEED and LOKI_RANDOM_ROUNDS try others and more."""
import json
import os
import random

import pytest

from harness import model
from harness.fake_prometheus import Cut, Reply
from harness.loki import DAY, HOUR, SECOND, CutChunked, refusal
from harness.lokidata import INGRESS, OSCAR, exposed_line, line, nanoseconds, query
from harness.together import together

T = nanoseconds("2025-03-10T12:00:00Z")
HOURS = 60
END = T + HOURS * HOUR
SEED = int(os.environ.get("LOKI_RANDOM_SEED", "1"))
ROUNDS = int(os.environ.get("LOKI_RANDOM_ROUNDS", "3"))
THREADS = 16

GROUPS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}


def fill(data, random_):
    """Entries where counting goes wrong: at the edges of hours, many at once, in a few streams; and quiet hours."""
    data.begin(T)
    data.spread(T, END, 600, seed=random_.random(), exposed=200)
    times = []
    for _ in range(40):
        edge = T + random_.randrange(HOURS + 1) * HOUR
        times += [edge + random_.choice([-1, 0, 1]) for _ in range(random_.randrange(1, 6))]
    for _ in range(10):
        burst = T + random_.randrange(HOURS * HOUR)
        times += [burst + random_.choice([0, 0, 0, 1]) for _ in range(random_.randrange(2, 40))]
    times = sorted(when for when in times if T <= when < END)
    data.requests(times[::2], {**OSCAR, "country": "ES"}, user="edge")
    data.requests(times[1::2], {**OSCAR, "pod": "b"}, path="/job/edge")
    data.put(INGRESS, [(when, exposed_line(when)) for when in times[::5]])
    return times


def beyond(reply, random_):
    """An entry that nobody asked for, later than all."""
    body = json.loads(reply.body)
    for stream in body["data"]["result"][:1]:
        stream["values"].append([str(END + random_.randrange(DAY)), stream["values"][0][1]])
    return Reply(json.dumps(body))


def warned(reply, _random):
    return Reply(json.dumps({**json.loads(reply.body), "warnings": ["not all of it"]}))


FAULTS = [lambda reply, _: refusal("later", 503), lambda reply, _: refusal("slower", 429),
          lambda reply, _: refusal("too slow", 504), lambda reply, _: Reply("<html>hello</html>", 200, "text/html"),
          lambda reply, _: Cut(reply.body), lambda reply, _: CutChunked(reply.body),
          lambda reply, _: Reply(reply.body[:-3]), lambda reply, _: Reply(""), beyond, warned,
          lambda reply, _: refusal("the query would read too many bytes (query: 1GB, limit: 1MB)"),
          lambda reply, _: refusal("no such tenant", 401)]


class Moods:
    """What the server does next: now and then a fault, another entries limit, another length, other hints."""

    def __init__(self, loki, random_, limits, one_in):
        self.loki, self.random, self.limits, self.one_in = loki, random_, limits, one_in

    def choose(self, asked, reply):
        with self.loki.lock:
            if self.random.randrange(10) == 0:
                self.loki.max_entries = self.random.choice(self.limits)
                self.loki.max_length = self.random.choice([30 * DAY + HOUR, DAY, HOUR, 17 * 60 * SECOND])
                self.loki.skew = self.random.choice([1, 1, 0, 0.01, 300, None])
            if self.one_in and reply.status == 200 and self.random.randrange(self.one_in) == 0:
                return self.random.choice(FAULTS)(reply, self.random) if asked.what == "query_range" else \
                    refusal("not now", 500)
        return reply


def some_range(random_, times):
    """Whole hours, or ends at, beside or between entries, in an order that makes sense."""
    def some_time():
        chosen = random_.randrange(4)
        if chosen == 0:
            return T + random_.randrange(HOURS) * HOUR
        if chosen == 1:
            return random_.choice(times) + random_.choice([-1, 0, 1])
        if chosen == 2:
            return T + random_.randrange(HOURS + 1) * HOUR - 1
        return random_.randrange(T, END)
    first = min(max(some_time(), T), END - 1)
    if random_.randrange(4) == 0:
        return T, END - 1
    last = random_.choice([first, first + 1, first + HOUR - 1, some_time(), some_time()])
    return (first, last) if first <= last else (last, first) if last >= T else (T, first)


def check(answer, events):
    """True when it says that all is there."""
    said = answer.json()
    whole = all(source["status"] == "ok" for source in said["sources"] if source["name"] != "prometheus")
    if "totals" in said:
        wanted, totals = model.totals(events), said["totals"]
        requests, exposed = (answer.source(name)["status"] == "ok" for name in ("loki", "exposed-request-logs"))
        for name, value in totals.items():
            if name.startswith("requests_count"):
                ok = exposed if name == "requests_count_exposed" else requests
                assert value == wanted[name] if ok else value <= wanted[name], (name, value, wanted[name])
            elif isinstance(value, list) and requests or whole:
                assert value == wanted[name], (name, value, wanted[name])
    else:
        items = {item["key"]: item for item in said["items"]}
        wanted = GROUPS[said["group_by"]](events)
        if whole:
            assert said["items"] == wanted
        counts = {item["key"]: item for item in wanted}
        for key, item in items.items():
            for name, value in item.items():
                if isinstance(value, int):
                    assert value <= counts[key][name], (key, name, value, counts[key])
    return whole


def ask(app, random_, first, last, **headers):
    group_by = random_.choice([None, None, *GROUPS])
    path = "/system/metrics/breakdown" if group_by else "/system/metrics"
    while True:
        answer = app.get(path, query(first, last, f"&group_by={group_by}" if group_by else ""), **headers)
        if answer.status != 503:
            assert answer.status == 200, answer
            return answer


@pytest.mark.parametrize("limits, one_in, settings", [
    ([2, 5, 30], 0, {"OSCAR_METRICS_DEADLINE": "8s"}),
    ([40, 100, 5000], 6, {"LOKI_PARALLEL": 1}),
    ([40, 100, 5000], 25, {"LOKI_PARALLEL": 64}),
    ([5, 40, 300], 40, {"OSCAR_METRICS_DEADLINE": "2s"}),
], ids=["small limits", "many faults", "some faults", "short of time"])
def test_exact_or_said(start_loki, loki, data, limits, one_in, settings):
    random_ = random.Random(SEED)
    times = fill(data, random_)
    data.within(T, END)
    loki.max_entries = limits[-1]
    moods = Moods(loki, random_, limits, one_in)
    loki.answers(moods.choose)
    app = start_loki({"OSCAR_METRICS_MEMORY": "1MiB", "OSCAR_METRICS_WORKERS": 16, **settings})
    whole = []

    def work(number):
        mine = random.Random(f"{SEED} {number}")
        for _ in range(ROUNDS):
            first, last = some_range(mine, times)
            if mine.randrange(6) == 0:
                app.begin("/system/metrics", query(first, last)).close()
                continue
            headers = {"HTTP_CACHE_CONTROL": "no-cache"} if mine.randrange(8) == 0 else {}
            whole.append(check(ask(app, mine, first, last, **headers), data.within(first, last)))

    together(THREADS, work)
    print(f"{sum(whole)} of {len(whole)} whole")
    # It comes to rest, and what is remembered then is right.
    loki.answers()
    loki.max_entries, loki.max_length, loki.skew = 5000, 30 * DAY + HOUR, 1
    for _ in range(2):
        answer = app.get("/system/metrics", query(T, END - 1))
        assert check(answer, data.within(T, END - 1)), answer.text


def test_sums_of_remembered_hours_follow_them(start_loki, loki, data):
    """Hours that are read anew, or forgotten and read again, are in what many of them add up to."""
    random_ = random.Random(SEED)
    data.begin(T)
    data.many_rows(T, 24, 900)
    app = start_loki({"OSCAR_METRICS_MEMORY": "3MiB", "OSCAR_METRICS_WORKERS": 16})
    ends = [(T, T + DAY - 1), (T + HOUR, T + DAY - 1), (T, T + DAY - HOUR - 1)]  # no cut hours
    for round_ in range(2 * ROUNDS):
        hour = T + random_.randrange(24) * HOUR
        first, last = random_.choice([(hour, hour + HOUR - 1), ends[0]])
        when = first + random_.randrange(HOUR)
        data.put({**OSCAR, "country": "ES"}, [(when, line(when, user=f"late-{round_}"))])
        data.check(app, first, last, HTTP_CACHE_CONTROL="no-cache")

        def work(_):
            for first, last in ends:
                totals = app.get("/system/metrics", query(first, last)).json()["totals"]
                assert totals == data.totals(first, last)

        together(4, work)
