"""The data: a month of the manager's log in the form of today's managers, the same bytes on every machine. The
cluster, its days and nights, and its clients are those of the sample, only busier."""
import dataclasses
import hashlib
import itertools
import json
import pathlib
import shutil
import sys

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "sample"
sys.path.insert(0, str(SAMPLE))

from make_mmdb import country, write_mmdb  # noqa: E402
from make_sample import (MANAGER_NOISE, NETWORKS, SECOND, Clients, Dice, cumulated, latency, local_form,  # noqa: E402
                         make_services, moments, rfc3339, zipf)

RANGE = "start=2026-05-01T00:00:00Z&end=2026-05-30T23:59:59.999Z"
NOISE = [line for line in MANAGER_NOISE if "EXECUTIONS" not in line]


@dataclasses.dataclass
class Month:
    log: str            # the file
    countries: str      # the database
    requests: int
    rows: int           # distinct (hour, service, kind, user)
    country_rows: int   # the same with the country


def make_users(dice):
    people = [dice.hex(8) + "@egi.eu" for _ in range(197)]
    return people[:9] + ["oscar"] + people[9:40] + ["nil", "minio"] + people[40:]


def write_log(path, lines):
    """One line in ten is noise. Gives (requests, rows, rows with countries)."""
    dice = Dice("bench")
    users = make_users(dice)
    services = make_services(dice, users)
    clients = Clients(dice, users)
    popularity = cumulated(zipf(len(services), 1.05))
    requests, rows, noise_at = 0, set(), 0
    with open(path, "w", encoding="utf-8") as out:
        # One more is asked for: the shares of the hours are rounded down.
        for number, when in enumerate(itertools.islice(moments(dice, lines + 1), lines)):
            if number % 10 == 0:
                noise_at = dice.below(10)
            if number % 10 == noise_at:
                local = local_form(when)
                out.write(dice.pick(NOISE).format(local=local, plain=local.replace(" - ", " ")) + "\n")
                continue
            which = dice.weighted(popularity)
            user, code, address = clients.call(which)
            sync = dice.random() < services[which].sync_share
            out.write("[GIN-EXECUTIONS-LOGGER] %s | %d | %13s | %s | POST    /%s/%s | %s\n" % (
                rfc3339(when), 200 if sync else 201, latency(dice), address, "run" if sync else "job",
                services[which].name, user))
            requests += 1
            rows.add((when // (3600 * SECOND), which, sync, user, code))
    assert requests == lines - lines // 10, requests
    return requests, len({row[:4] for row in rows}), len(rows)


def month(folder, lines):
    """The month in that folder. It is made when it is not there, or when what makes it has changed."""
    folder = pathlib.Path(folder) / f"bench-{lines}"
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in (
        pathlib.Path(__file__), SAMPLE / "make_sample.py", SAMPLE / "make_mmdb.py"))).hexdigest()
    about, log, countries = folder / "about.json", folder / "manager.log", folder / "countries.mmdb"
    if not about.exists() or json.loads(about.read_text())["stamp"] != stamp:
        print(f"making {lines} lines of log in {folder} (once)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        requests, rows, country_rows = write_log(log, lines)
        write_mmdb(countries, {prefix + ".0.0/16": country(code) for code, prefix in NETWORKS})
        about.write_text(json.dumps(
            {"stamp": stamp, "requests": requests, "rows": rows, "country_rows": country_rows}))
    counted = json.loads(about.read_text())
    del counted["stamp"]
    return Month(str(log), str(countries), **counted)
