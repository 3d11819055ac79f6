"""Measuring by turns, and a row of the table."""
import dataclasses
import statistics
import time

PAIRS = 5


@dataclasses.dataclass
class Row:
    what: str
    measured: str
    compared: str   # empty: the bound is an absolute one
    ratio: str
    bound: str
    met: bool


def seconds(act):
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def by_turns(*takes, pairs=PAIRS):
    """Takes turns, for the machine does not stand still: a list of values for each."""
    rounds = [[take() for take in takes] for _ in range(pairs)]
    return [list(column) for column in zip(*rounds)]


def compare(what, measured, other, compared, show, at_most=None, at_least=None):
    """A row about two lists of by_turns(). The ratio is the median of the pairs' own ratios."""
    ratio = statistics.median(one / another for one, another in zip(measured, compared))
    bound = f"at most {at_most:g} times" if at_least is None else f"at least {at_least:g} times"
    return Row(what, show(statistics.median(measured)), f"{other}: {show(statistics.median(compared))}",
               f"{ratio:.2f}", bound, ratio <= at_most if at_least is None else ratio >= at_least)


def absolute(what, value, limit, show, compared=""):
    return Row(what, show(value), compared, "", "under " + show(limit), value < limit)


def milliseconds(value):
    value *= 1000
    return f"{value:.2f} ms" if abs(value) < 10 else f"{value:.0f} ms"


def megabytes(value):
    return f"{value / 1e6:.1f} MB"


def per_second(value):
    return f"{value:,.0f}/s"
