"""LogQL as far as templates of queries need it: a stream selector and line filters. Whatever else there is, is an
error, so that nothing can hide in a query that was put together badly."""
import re

_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MATCH = re.compile(r"=~|!~|!=|=")
_FILTER = re.compile(r"\|=|\|~|!=|!~")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_HEX = {"x": 2, "u": 4, "U": 8}


class ParseError(Exception):
    """With the words that Loki uses."""


class Matcher:
    """A label and what it must be, or a line and what it must hold: `op` is =, !=, =~ or !~; |= and |~ in filters."""

    def __init__(self, name, op, value):
        self.name, self.op, self.value = name, op, value
        if op.endswith("~"):
            try:
                # RE2's classes are those of ASCII; what templates use is the same in both.
                self.regex = re.compile(value, re.ASCII)
            except re.error as fault:
                raise ParseError(f"parse error : error parsing regexp: {fault}") from None

    def fits_label(self, labels):
        value = labels.get(self.name, "")
        return self._holds(self.regex.fullmatch(value) is not None if self.op.endswith("~") else value == self.value)

    def fits_line(self, line):
        return self._holds(self.regex.search(line) is not None if self.op.endswith("~") else self.value in line)

    def _holds(self, found):
        return found != self.op.startswith("!")

    def __repr__(self):
        return f"{self.name or ''}{self.op}{self.value!r}"


class Query:
    def __init__(self, text, matchers, filters):
        self.text, self.matchers, self.filters = text, matchers, filters

    def selects(self, labels):
        return all(matcher.fits_label(labels) for matcher in self.matchers)

    def keeps(self, line):
        return all(each.fits_line(line) for each in self.filters)


class _Reader:
    def __init__(self, text):
        self.text, self.at = text, 0
        self.skip()

    def skip(self):
        self.at = _SPACE.match(self.text, self.at).end()

    def fail(self, expecting):
        rest = self.text[self.at:]
        found = f"'{rest[0]}'" if rest else "$end"
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - (self.text.rfind("\n", 0, self.at) + 1) + 1
        raise ParseError(f"parse error at line {line}, col {column}: syntax error: unexpected {found}, "
                         f"expecting {expecting}")

    def take(self, pattern, expecting):
        """What the pattern finds here; without `expecting` it may be missing."""
        found = pattern.match(self.text, self.at)
        if not found:
            if expecting:
                self.fail(expecting)
            return None
        self.at = found.end()
        self.skip()
        return found[0]

    def char(self, chars, expecting):
        found = self.text[self.at:self.at + 1]
        if found not in tuple(chars):
            self.fail(expecting)
        self.at += 1
        self.skip()
        return found

    def string(self):
        quote = self.text[self.at:self.at + 1]
        if quote not in ('"', "`"):
            self.fail("STRING")
        end, out = self.at + 1, []
        while self.text[end:end + 1] != quote:
            if end >= len(self.text) or (quote == '"' and self.text[end] == "\n"):
                raise ParseError("parse error : literal not terminated")
            if quote == '"' and self.text[end] == "\\":
                piece, end = self._escape(end + 1)
                out.append(piece)
            else:
                out.append(self.text[end].encode())
                end += 1
        self.at = end + 1
        self.skip()
        return b"".join(out).decode("utf-8", "surrogateescape")

    def _escape(self, at):
        """(the bytes, where the escape ends) of what stands behind a backslash, as in a string of Go's."""
        kind = self.text[at:at + 1]
        if kind in _ESCAPES:
            return _ESCAPES[kind].encode(), at + 1
        begin, length, base = (at + 1, _HEX[kind], 16) if kind in _HEX else (at, 3, 8)
        digits = self.text[begin:begin + length]
        if not re.fullmatch("[0-9a-fA-F]{%d}" % length if base == 16 else "[0-3][0-7]{2}", digits):
            raise ParseError("parse error : invalid char escape")
        number, end = int(digits, base), begin + length
        if kind not in ("u", "U"):
            return bytes([number]), end
        if number > 0x10ffff or 0xd800 <= number < 0xe000:
            raise ParseError("parse error : invalid char escape")
        return chr(number).encode(), end


def parse(text):
    """A query; raises ParseError."""
    reader = _Reader(text)
    if not reader.text[reader.at:]:
        raise ParseError("parse error : syntax error: unexpected $end")
    reader.char("{", "{")
    matchers, filters = [], []
    while True:
        name = reader.take(_NAME, "IDENTIFIER or }" if not matchers else "IDENTIFIER")
        operator = reader.take(_MATCH, "=, !=, =~ or !~")
        matchers.append(Matcher(name, operator, reader.string()))
        if reader.char(",}", "} or ,") == "}":
            break
    while reader.at < len(text):
        operator = reader.take(_FILTER, "|=, !=, |~ or !~")
        filters.append(Matcher(None, operator, reader.string()))
    if all(matcher.fits_label({}) for matcher in matchers):
        raise ParseError("parse error : queries require at least one regexp or equality matcher that does not have "
                         'an empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
                         'app=~".+" will')
    return Query(text, matchers, filters)
