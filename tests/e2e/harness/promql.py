"""Which series a PromQL expression asks for: as much of the language as a dashboard and rules need to be held against
what a program shows."""
import re

_TOKEN = re.compile(r"""
    (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<range>\[[^\]]*\])
  | (?P<grouping>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))
  | (?P<number>\b\d[\w.]*)
  | (?P<name>[A-Za-z_:][\w:]*) \s* (?P<matchers>\{(?:"(?:\\.|[^"\\])*"|[^{}"])*\})?
    \s* (?P<call>(?:(?:by|without)\s*\([^)]*\)\s*)?\()?
""", re.VERBOSE)
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:\\.|[^"\\])*)"')
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def selectors(expression):
    """[(name of the metric, its matchers as they stand there)]"""
    return [(token["name"], token["matchers"] or "") for token in _TOKEN.finditer(expression)
            if token["name"] and not token["call"] and token["name"].lower() not in _WORDS]


def metrics(expression):
    return {name for name, _ in selectors(expression)}


def matchers(text):
    """[(label, operator, value)] of what stands in braces."""
    return _MATCHER.findall(text)
