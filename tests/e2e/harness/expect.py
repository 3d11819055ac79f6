"""What several files expect of answers."""
import json
import re

UTC_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_VALUE = r'(?:"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\.)*"|[^\s"=]+)'
LOG_LINE = re.compile(rf"time=\S+ level=(?:info|warning|error) msg={_VALUE}(?: [a-z_]+={_VALUE})*\Z")
SOURCE_FIELDS = ["name", "status", "last_updated", "notes"]


def common_headers(answer):
    """What stands on every answer."""
    assert answer.header("Cache-Control") == "no-store", repr(answer)
    assert answer.header("X-Content-Type-Options") == "nosniff", repr(answer)
    assert answer.header("Vary") == "Authorization", repr(answer)


def bad_request(answer, message):
    assert (answer.status, answer.body) == (400, json.dumps({"error": message}, separators=(",", ":")).encode()), \
        repr(answer)
    assert answer.header("Content-Type") == "application/json; charset=utf-8", repr(answer)
    common_headers(answer)


def plain(answer, status, text):
    """An error that is one line of text."""
    assert (answer.status, answer.body) == (status, text.encode()), repr(answer)
    assert answer.header("Content-Type") == "text/plain; charset=utf-8", repr(answer)
    common_headers(answer)


def sources(answer, expected):
    """`expected`: {name: status}, in the order of the answer. Fields, notes and the header must go with it."""
    check_sources(answer.json()["sources"], expected)
    complete = all(status == "ok" for status in expected.values())
    assert answer.header("OSCAR-Metrics-Complete") == str(complete).lower(), repr(answer)


def check_sources(found, expected):
    assert [(source["name"], source["status"]) for source in found] == list(expected.items()), found
    for source in found:
        assert list(source) == [field for field in SOURCE_FIELDS if field in source], source
        assert source["status"] in ("ok", "partial", "missing"), source
        # A note always, and only, where something is not there.
        assert ("notes" in source) == (source["status"] != "ok"), source
        assert source.get("notes", "x").strip(), source
        if "last_updated" in source:
            assert UTC_SECONDS.match(source["last_updated"]), source


def logfmt(text):
    """Every line of the program's log is one event, whatever strangers put into it."""
    for line in text.splitlines():
        assert LOG_LINE.match(line), line
