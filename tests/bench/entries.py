"""The data for Loki: a month of requests as it sends them, days and nights at 10:1, one hour at 20 times the mean, and
a fifth as many distinct rows by hour as there are entries. The same bytes on every machine."""
import dataclasses
import functools
import hashlib
import json
import pathlib
import shutil
import sys

from month import SAMPLE, make_users

from make_sample import SECOND, START, Dice, rfc3339  # noqa: E402 (month.py knows where)

HOURS, HOUR = 720, 3600 * SECOND
FIRST = int(START.timestamp()) * SECOND
DAY_FROM, DAY_TO, DAY_TO_NIGHT = 8, 20, 10
BUSY, BUSY_TIMES = 400, 20   # that hour has so many times the mean
ENTRIES_A_ROW = 5
SERVICES = ["service-%02d" % number for number in range(50)]
ENTRY = '["%d","[GIN-EXECUTIONS-LOGGER] %s | 200 |  347.805334ms | 79.117.163.142 | POST    /%s/%s | %s"],\n'
LABELS = [{"namespace": "oscar", "app": "oscar", "geoip_country_code": code} for code in ("ES", "FR", "DE", "IT", "PT")]
LABELS.append({"namespace": "oscar", "app": "oscar"})


@dataclasses.dataclass
class Entries:
    folder: str
    entries: int
    rows: int  # distinct (hour, service, kind, user, country)
    sync: int


def shares(total, weights):
    """Whole numbers in these proportions, which add up to the total."""
    out, done, before = [], 0.0, 0
    for weight in weights:
        done += weight
        now = round(total * done / sum(weights))
        out.append(now - before)
        before = now
    return out


def hourly(count):
    weights = [DAY_TO_NIGHT if DAY_FROM <= hour % 24 < DAY_TO else 1 for hour in range(HOURS)]
    weights[BUSY] = 0
    weights[BUSY] = sum(weights) * BUSY_TIMES / (HOURS - BUSY_TIMES)
    return shares(count, weights)


def rows_of(dice, count, users):
    """So many distinct (service, kind, user, number of labels)."""
    rows = {}
    while len(rows) < count:
        rows[dice.below(len(SERVICES)), dice.below(2), dice.below(len(users)), dice.below(len(LABELS))] = None
    return list(rows)


def write(folder, count):
    dice = Dice("entries")
    users = make_users(dice)
    files = [open(folder / str(number), "w", encoding="utf-8") for number in range(len(LABELS))]
    (folder / "streams").write_text("".join(json.dumps(labels) + "\n" for labels in LABELS))
    # Not a request, and before them: the data begin before every range.
    files[-1].write('["%d","the manager starts"],\n' % (FIRST - HOUR))
    row_count, sync = 0, 0
    for hour, entries in enumerate(hourly(count)):
        rows = rows_of(dice, -(-entries // ENTRIES_A_ROW), users)
        row_count += len(rows)
        times = sorted(FIRST + hour * HOUR + dice.below(HOUR) for _ in range(entries))
        for number, when in enumerate(times):
            service, kind, user, labels = rows[number] if number < len(rows) else dice.pick(rows)
            sync += kind
            files[labels].write(ENTRY % (when, rfc3339(when - FIRST), "run" if kind else "job", SERVICES[service],
                                         users[user]))
    for file in files:
        file.close()
    return {"entries": count, "rows": row_count, "sync": sync}


@functools.cache
def entries(folder, count):
    """The data in that folder. They are made when they are not there, or when what makes them has changed."""
    folder = pathlib.Path(folder) / f"loki-{count}"
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in (
        pathlib.Path(__file__), pathlib.Path(__file__).with_name("month.py"), SAMPLE / "make_sample.py"))).hexdigest()
    about = folder / "about.json"
    if not about.exists() or json.loads(about.read_text())["stamp"] != stamp:
        print(f"making {count} entries for Loki in {folder} (once)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        about.write_text(json.dumps({"stamp": stamp, **write(folder, count)}))
    counted = json.loads(about.read_text())
    del counted["stamp"]
    return Entries(str(folder), **counted)
