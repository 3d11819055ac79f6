"""An answer of the program, however it came: status, headers and body, with strict readers for JSON and CSV."""
import csv
import io
import json


def _no_duplicates(pairs):
    fields = dict(pairs)
    assert len(fields) == len(pairs), f"a field stands twice: {[name for name, _ in pairs]}"
    return fields


def _no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def parse_json(text):
    """JSON as written: order of fields kept, duplicates and NaN refused, invalid UTF-8 refused."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # a list of (name, value)
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The value of a header that stands at most once; None when it does not stand at all."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times: {self!r}"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        """The body of a 200."""
        assert self.status == 200, repr(self)
        assert self.header("Content-Type") == "application/json; charset=utf-8", repr(self)
        return parse_json(self.body)

    def csv(self):
        """The rows of a CSV body, the heading first."""
        assert self.status == 200, repr(self)
        assert self.header("Content-Type") == "text/csv; charset=utf-8", repr(self)
        return list(csv.reader(io.StringIO(self.text, newline=""), strict=True))

    def source(self, name):
        """The one source of that name in the body's own list."""
        found = [source for source in self.json()["sources"] if source["name"] == name]
        assert len(found) == 1, f"{len(found)} sources {name}: {self!r}"
        return found[0]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:600]!r}>"
