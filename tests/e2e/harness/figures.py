"""What the program says at /-/metrics: the Prometheus text format, read strictly by a parser of our own."""
import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(rf'({_NAME})="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\d+(?:\.\d+)?)\Z")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """One scrape. `types`: {family: type}; `samples`: {(name, ((label, value), ...)): number}, labels sorted."""

    def __init__(self, text):
        self.types, self.samples, helps = {}, {}, set()
        assert text.endswith("\n")
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, words = line.split(" ", 3)[2:]
                assert name not in helps and words, line
                helps.add(name)
            elif line.startswith("# TYPE "):
                name, kind = line.split(" ")[2:]
                assert name in helps and name not in self.types and kind in ("counter", "gauge", "histogram"), line
                self.types[name] = kind
            else:
                self._add(line)
        assert set(self.types) == helps

    def _add(self, line):
        match = _SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        assert self.family(name) == list(self.types)[-1], f"{line}: not with its family"
        pairs = _LABEL.findall(labels or "")
        assert ",".join(f'{key}="{text}"' for key, text in pairs) == (labels or ""), line
        key = name, tuple(sorted(pairs))
        assert key not in self.samples and len(dict(pairs)) == len(pairs), line
        self.samples[key] = float(value) if "." in value else int(value)

    def family(self, name):
        base = re.sub("_(bucket|sum|count)$", "", name)
        return base if self.types.get(base) == "histogram" else name

    def __call__(self, name, **labels):
        """The one sample with just these labels; without any, the one that has none."""
        return self.samples[name, tuple(sorted(labels.items()))]

    def all(self, name, *by):
        """{values of these labels: number} of all samples of that name; a single label's value stands alone."""
        found = {tuple(dict(labels)[label] for label in by): value
                 for (each, labels), value in self.samples.items() if each == name}
        return {key[0]: value for key, value in found.items()} if len(by) == 1 else found

    def some(self, name, *by):
        """Those that are not 0."""
        return {key: value for key, value in self.all(name, *by).items() if value}

    def histogram(self, name, **labels):
        """(counts by bound, sum, count), which are held to what a histogram is."""
        wanted = set(labels.items())
        buckets = [(dict(each)["le"], value) for (found, each), value in self.samples.items()
                   if found == name + "_bucket" and set(each) - {("le", dict(each)["le"])} == wanted]
        assert buckets and buckets[-1][0] == "+Inf"
        bounds, counts = [float(bound) for bound, _ in buckets], [count for _, count in buckets]
        assert bounds == sorted(bounds) and counts == sorted(counts), buckets
        count = self(name + "_count", **labels)
        assert counts[-1] == count, buckets
        return dict(zip(bounds, counts)), self(name + "_sum", **labels), count


def scrape(app):
    answer = app.get("/-/metrics", auth=None)
    assert answer.status == 200 and answer.header("Content-Type") == CONTENT_TYPE, answer
    return Figures(answer.text)
