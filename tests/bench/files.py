"""How fast log files are read: a new program's first summary of the month, by one worker, over FastCGI."""
import statistics
import subprocess

from measure import absolute, by_turns, compare, milliseconds, seconds
from month import RANGE
from program import running, summary

# Both into a pipe: grep stops at the first match when nobody reads what it counts.
GREP = "grep -c GIN-EXECUTIONS-LOGGER {log} | cat"
# The quickest that groups by the service and not by the path: it stands at one place, behind "/run/" and "/job/".
MAWK = """mawk -F'|' '/GIN-EXECUTIONS-LOGGER/ {{ count[substr($5, 15), $6]++ }}
    END {{ for (key in count) print count[key], key }}' {log} | cat"""


def shell(command, month):
    """How long it takes, and what it prints."""
    printed = []

    def act():
        done = subprocess.run(command.format(log=month.log), shell=True, check=True, stdout=subprocess.PIPE,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        printed.append(done.stdout)

    return seconds(act), printed[0]


def grep(month):
    took, printed = shell(GREP, month)
    assert int(printed) == month.requests, printed
    return took


def mawk(month):
    took, printed = shell(MAWK, month)
    assert sum(int(line.split()[0]) for line in printed.splitlines()) == month.requests
    return took


def timed_summary(program, month):
    counted = []
    took = seconds(lambda: counted.append(summary(program, RANGE)))
    assert counted == [month.requests], counted
    return took


def first_and_second(month, **settings):
    with running(OSCAR_METRICS_LOG_FILES=month.log, OSCAR_METRICS_WORKERS=1, **settings) as program:
        return timed_summary(program, month), timed_summary(program, month)


def figures(month):
    grep(month)  # from here on the file is in memory
    ours, grepped, mawked, located = by_turns(
        lambda: first_and_second(month), lambda: grep(month), lambda: mawk(month),
        lambda: first_and_second(month, GEOIP_DATABASE=month.countries))
    first, second = zip(*ours)
    located = [pair[0] for pair in located]
    yield compare("first summary of the month", first, "grep -c", grepped, milliseconds, at_most=5)
    yield compare("the same", first, "mawk", mawked, milliseconds, at_most=0.6)
    yield compare("the same with countries", located, "without", first, milliseconds, at_most=1.5)
    yield absolute("second summary of the month", statistics.median(second), 0.030, milliseconds)
