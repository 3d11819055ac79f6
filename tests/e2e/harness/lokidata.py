"""Entries for Loki, and what a report over them must say."""
import datetime
import random

from . import expect, logdata, model
from .loki import HOUR, SECOND

OSCAR = {"namespace": "oscar", "app": "oscar"}
INGRESS = {"namespace": "ingress-nginx", "app": "ingress-nginx"}
SERVICES = ["yolo", "cowsay", "grayify", "yolo-v8", "a.b"]
USERS = ["a1@egi.eu", "b2@egi.eu", "oscar", "minio", ""]
COUNTRIES = [{"geoip_country_code": "ES"}, {"geoip_country_code": "FR"}, {}, {"country": "PT"}]
HELLO = "the manager starts"


def nanoseconds(text):
    """Of an RFC 3339 time."""
    when = model.rfc3339(text)
    assert when is not None, text
    return when


def rfc3339(when):
    """UTC, to the nanosecond."""
    second, fraction = divmod(when, SECOND)
    moment = datetime.datetime.fromtimestamp(second, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction:09}" if fraction else "") + "Z"


def query(first, last, more=""):
    """The query string of a range; both ends in nanoseconds, inclusive."""
    return f"start={rfc3339(first)}&end={rfc3339(last)}{more}"


def hours(first, count, more=""):
    """That of whole hours, up to the last nanosecond."""
    return query(first, first + count * HOUR - 1, more)


def line(when, path="/run/yolo", user="a1@egi.eu", **fields):
    return logdata.request(rfc3339(when), path, user, **fields).rstrip("\n")


def exposed_line(when, service="nb"):
    clf = datetime.datetime.fromtimestamp(when // SECOND, datetime.timezone.utc).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return logdata.nginx_line(clf, f"/system/services/{service}/exposed/").rstrip("\n")


class Data:
    """What a test gives to a Loki, kept, so that the model can count the same entries."""

    def __init__(self, loki):
        self.loki = loki
        self.entries = []
        self._events = (0, [])  # of so many entries

    def put(self, labels, entries):
        """Entries, [(time, line), ...], of one stream."""
        self.entries += [(labels, when, text) for when, text in entries]
        self.loki.add(labels, entries)

    def begin(self, when):
        """Something that is no request, in both logs, just before: the data reach back far enough."""
        for labels in (OSCAR, INGRESS):
            self.put(labels, [(when - HOUR, HELLO)])

    def requests(self, times, labels=OSCAR, **fields):
        """One request at each of these times. Equal times give lines that differ by their client."""
        self.put(labels, [(when, line(when, client=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", **fields))
                          for n, when in enumerate(times)])

    def spread(self, start, end, count, seed=0, exposed=0):
        """`count` requests of all sorts between start (inclusive) and end (exclusive), over several streams."""
        random_ = random.Random(seed)
        streams = {}
        for when in sorted(random_.randrange(start, end) for _ in range(count)):
            number = random_.randrange(len(COUNTRIES))
            path = random_.choice(["/run/", "/job/"]) + random_.choice(SERVICES)
            streams.setdefault(number, []).append((when, line(when, path, random_.choice(USERS))))
        for number, entries in streams.items():
            self.put({**OSCAR, **COUNTRIES[number]}, entries)
        if exposed:
            times = sorted(random_.randrange(start, end) for _ in range(exposed))
            self.put(INGRESS, [(when, exposed_line(when, random_.choice(["nb", "yolo"]))) for when in times])

    def many_rows(self, first, hours_, rows):
        """In each of these hours, one request of each of so many users: the same ones in all hours."""
        for hour in range(hours_):
            times = [first + hour * HOUR + n * SECOND for n in range(rows)]
            self.put(OSCAR, [(when, line(when, user=f"user-{n:04}@egi.eu")) for n, when in enumerate(times)])

    def within(self, first, last):
        """The events of a range, both ends inclusive."""
        if self._events[0] != len(self.entries):
            self._events = (len(self.entries), model.read_entries(self.entries))
        return [event for event in self._events[1] if first <= event.time <= last]

    def totals(self, first, last, **more):
        return model.totals(self.within(first, last), **more)

    def check(self, app, first, last, loki="ok", exposed="ok", **headers):
        """Asks for the summary of a range, both ends inclusive; it must say what the entries say."""
        answer = app.get("/system/metrics", query(first, last), **headers)
        assert answer.json()["totals"] == self.totals(first, last), answer
        check_sources(answer, loki, exposed)
        return answer


def check_sources(answer, loki="ok", exposed="ok"):
    """Those of a summary over Loki, with services and without hours."""
    expected = {"service-inventory": "ok", "prometheus": "missing", "loki": loki, "country-attribution": "ok",
                "exposed-request-logs": exposed}
    if not answer.json()["totals"]["requests_count_total"]:
        del expected["country-attribution"]
    expect.sources(answer, expected)
