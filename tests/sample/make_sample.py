#!/usr/bin/python3
"""Makes the sample data of the demo: a month of a made-up OSCAR cluster, the same bytes on every machine.

    make_sample.py FOLDER

writes into FOLDER, which must not exist:
    logs/oscar/manager.log*      the manager's log, rotated, older files gzipped: sync and async requests
    logs/ingress/access.log*     the ingress controller's log, likewise: exposed requests
    services/                    the definitions: at the top namespace oscar-svc, sub-folders are namespaces
    openmetrics.txt              CPU and GPU counters, for promtool
    countries.mmdb               the countries of the clients' addresses
    expected.json                what the program must answer, counted here while the lines are made

Only random() of the generator is used: its sequence for a seed never changes between versions of Python.
"""

import bisect
import gzip
import json
import os
import random
import sys
from datetime import datetime, timedelta, timezone

from make_mmdb import country, write_mmdb

UTC = timezone.utc
START = datetime(2026, 5, 1, tzinfo=UTC)
DAYS = 30
LOCAL = timedelta(hours=2)  # Europe/Madrid, all of May: what the older managers wrote
DAYS_A_FILE = 3
REQUESTS = 150_000
EXPOSED = 50_000
SAMPLE_STEP = 900  # seconds between two samples of a counter
SECOND = 1_000_000_000

# The networks that clients come from, one /16 each, and the country that each stands for. Made up: an address
# of these says nothing about the real one.
NETWORKS = [
    ("ES", "77.16"), ("DE", "91.20"), ("IT", "79.23"), ("FR", "90.31"), ("PT", "85.42"),
    ("GR", "94.64"), ("NL", "145.53"), ("PL", "83.61"), ("SK", "87.74"), ("SI", "84.82"),
    ("CZ", "147.91"), ("SE", "130.103"), ("AT", "86.112"), ("BG", "95.121"), ("TR", "88.130"),
    ("GB", "81.141"), ("CH", "128.152"), ("US", "64.163"), ("BR", "177.174"), ("JP", "133.185"),
]

WORDS = """plants birds cows dogs faces plates moths corals clouds fires floods rivers crops leaves
 seeds grapes stars galaxies proteins cells tumours bones lungs voices songs letters maps roads bridges ships""".split()
KINDS = ["detect", "classify", "segment"]
EXPOSED_NAMES = ["notebook", "labeller", "grafana", "map-viewer", "inference-api", "playground", "wiki", "gpu-lab"]
UNUSED = ["brand-new", "waiting"]
OWN_NAMESPACES = ["oscar-svc-u%d" % number for number in range(1, 6)]
CLUSTER_NAMESPACE = "oscar-svc"


class Dice:
    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, limit):
        return int(self.random() * limit)

    def pick(self, items):
        return items[self.below(len(items))]

    def weighted(self, cumulative):
        return min(bisect.bisect(cumulative, self.random() * cumulative[-1]), len(cumulative) - 1)

    def hex(self, digits):
        return "".join("0123456789abcdef"[self.below(16)] for _ in range(digits))


def cumulated(weights):
    total, result = 0.0, []
    for weight in weights:
        total += weight
        result.append(total)
    return result


def zipf(count, exponent):
    return [1 / (rank + 1) ** exponent for rank in range(count)]


# ---- the cluster -------------------------------------------------------------------------------------------------


class Service:
    def __init__(self, name, namespace, owner):
        self.name, self.namespace, self.owner = name, namespace, owner
        self.sync_share = 0.5     # the others are async
        self.exposed = False
        self.cpu_seconds = 1.0    # a request's
        self.gpu_seconds = 0.0
        self.idle_cores = 0.0
        self.deleted_after = DAYS  # days; before the month's end: gone from the definitions
        self.visibility, self.allowed = "private", []


def make_users(dice):
    """200: people, and what calls with a token of the cluster."""
    people = [dice.hex(64) + "@egi.eu" for _ in range(197)]
    return people[:9] + ["oscar"] + people[9:40] + ["nil", "minio"] + people[40:]


def make_services(dice, users):
    people = [user for user in users if user.endswith("@egi.eu")]
    names = list(EXPOSED_NAMES)
    for number in range(50 - len(names)):
        names.append("%s-%s" % (WORDS[number % len(WORDS)], KINDS[number // len(WORDS)]))
    services = []
    for number, name in enumerate(sorted(names, key=lambda name: (len(name) * 7 + ord(name[1])) % 53)):
        namespace = CLUSTER_NAMESPACE if number % 3 else dice.pick(OWN_NAMESPACES)
        owner = "cluster_admin" if namespace == CLUSTER_NAMESPACE else people[int(namespace[-1])]
        service = Service(name, namespace, owner)
        service.sync_share = dice.pick([0.05, 0.3, 0.6, 0.95])
        service.exposed = name in EXPOSED_NAMES
        service.cpu_seconds = 0.5 + 20 * dice.random() ** 3
        service.gpu_seconds = 2 + 8 * dice.random() if number % 6 == 2 else 0.0
        service.idle_cores = 0.02 if service.exposed else 0.0
        service.deleted_after = 9 + number // 2 if number % 8 == 7 else DAYS
        service.visibility = ["public", "private", "restricted"][number % 3]
        if service.visibility == "restricted":
            service.allowed = [dice.pick(people) for _ in range(3)]
        services.append(service)
    return services


def deployed(services):
    new = [Service(name, CLUSTER_NAMESPACE, "cluster_admin") for name in UNUSED]
    return [service for service in services if service.deleted_after == DAYS] + new


def write_definitions(folder, services):
    for service in deployed(services):
        place = folder if service.namespace == CLUSTER_NAMESPACE else os.path.join(folder, service.namespace)
        os.makedirs(place, exist_ok=True)
        allowed = "".join("\n- %s" % user for user in service.allowed) or " []"
        with open(os.path.join(place, service.name + ".yaml"), "w", encoding="ascii") as out:
            out.write(DEFINITION.format(service=service, allowed=allowed,
                                        gpu="true" if service.gpu_seconds else "false"))


DEFINITION = """\
name: {service.name}
cluster_id: demo
image: registry.example.org/{service.name}:1.2.0
memory: 1Gi
cpu: '1.0'
enable_gpu: {gpu}
log_level: INFO
token: not-a-real-token
script: |
  #!/bin/sh
  # name: not this one
  exec /opt/run "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/result.json"
input:
- storage_provider: minio.default
  path: {service.name}/in
output:
- storage_provider: minio.default
  path: {service.name}/out
environment:
  variables:
    OWNER: somebody
owner: {service.owner}
visibility: {service.visibility}
allowed_users:{allowed}
"""


# ---- when --------------------------------------------------------------------------------------------------------

DAY_CURVE = [4, 3, 2, 2, 3, 6, 14, 30, 52, 66, 70, 68, 58, 50, 60, 66, 62, 50, 36, 26, 20, 15, 10, 6]


def hour_weight(hour):
    when = START + timedelta(hours=hour)
    weekend = 0.3 if when.weekday() >= 5 else 1.0
    return DAY_CURVE[when.hour] * weekend * (1 + hour / 2000)


def moments(dice, total):
    """The times of all requests in nanoseconds since START, ascending: days, nights and weekends."""
    weights = [hour_weight(hour) for hour in range(DAYS * 24)]
    scale, carry = total / sum(weights), 0.0
    for hour, weight in enumerate(weights):
        carry += weight * scale
        count, carry = int(carry), carry - int(carry)
        for offset in sorted(dice.below(3600 * SECOND) for _ in range(count)):
            yield hour * 3600 * SECOND + offset


def instant(nanoseconds):
    seconds, rest = divmod(nanoseconds, SECOND)
    return START + timedelta(seconds=seconds), rest


def rfc3339(nanoseconds):
    when, rest = instant(nanoseconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S") + (".%09d" % rest).rstrip("0").rstrip(".") + "Z"


def runtime_prefix(nanoseconds, stream="stdout"):
    when, rest = instant(nanoseconds)
    return "%s.%09dZ %s F " % (when.strftime("%Y-%m-%dT%H:%M:%S"), rest, stream)


def local_form(nanoseconds):
    return (instant(nanoseconds)[0] + LOCAL).strftime("%Y/%m/%d - %H:%M:%S")


def access_form(nanoseconds):
    return instant(nanoseconds)[0].strftime("%d/%b/%Y:%H:%M:%S +0000")


# ---- logs --------------------------------------------------------------------------------------------------------


class RotatedLog:
    """name (the newest), name.1, name.2.gz, ...: DAYS_A_FILE days each. Lines come in the order of time."""

    def __init__(self, folder, name):
        os.makedirs(folder, exist_ok=True)
        self.base = os.path.join(folder, name)
        self.files = DAYS // DAYS_A_FILE
        self.current, self.out = None, None

    def write(self, nanoseconds, line):
        number = self.files - 1 - max(0, min(nanoseconds // (DAYS_A_FILE * 86400 * SECOND), self.files - 1))
        if number != self.current:
            self.close()
            self.current, self.out = number, self._open(number)
        self.out.write(line.encode() + b"\n")

    def _open(self, number):
        if number == 0:
            return open(self.base, "wb")
        if number == 1:
            return open(self.base + ".1", "wb")
        # No name and no time of today in the header: the same bytes every time.
        return gzip.GzipFile("", "wb", 6, open("%s.%d.gz" % (self.base, number), "wb"), mtime=0)

    def close(self):
        if self.out is None:
            return
        inner = getattr(self.out, "fileobj", None)
        self.out.close()
        if inner:
            inner.close()


class Totals:
    """What the program must answer about the month, counted from what was meant, not from the lines."""

    def __init__(self):
        self.services, self.users, self.countries = {}, {}, {}
        self.days = [{"sync": 0, "async": 0, "exposed": 0} for _ in range(DAYS)]
        self.hourly = {}  # (service, hour) -> requests of all kinds, for the counters

    def add(self, nanoseconds, service, kind, user=None, country=None):
        self.days[nanoseconds // (86400 * SECOND)][kind] += 1
        row = self.services.setdefault(service.name, {"sync": 0, "async": 0, "exposed": 0, "users": set(),
                                                      "countries": {}})
        row[kind] += 1
        hour = (service.name, nanoseconds // (3600 * SECOND))
        self.hourly[hour] = self.hourly.get(hour, 0) + 1
        if kind == "exposed":
            return
        own = self.users.setdefault(user, {"count": 0, "countries": {}})
        own["count"] += 1
        place = self.countries.setdefault(country, {"count": 0, "users": set()})
        place["count"] += 1
        for countries in (row["countries"], own["countries"]):
            countries[country] = countries.get(country, 0) + 1
        if user:
            row["users"].add(user)
            place["users"].add(user)


class Clients:
    """Who calls, and from where: mostly from home, sometimes from anywhere."""

    def __init__(self, dice, users):
        self.dice, self.users = dice, users
        self.by_rank = cumulated(zipf(len(users), 0.9))
        countries = cumulated(zipf(len(NETWORKS), 1.0))
        self.homes = [(dice.weighted(countries), dice.below(256), 1 + dice.below(254)) for _ in users]

    def call(self, service_number):
        """A user and an address; every service has other users that use it most."""
        number = (self.dice.weighted(self.by_rank) + service_number * 7) % len(self.users)
        network, third, fourth = self.homes[number]
        if self.dice.below(20) == 0:
            network, third = self.dice.below(len(NETWORKS)), self.dice.below(256)
        user = "" if self.dice.below(500) == 0 else self.users[number]
        country, prefix = NETWORKS[network]
        return user, country, "%s.%d.%d" % (prefix, third, fourth)


def latency(dice):
    nanoseconds = int(10 ** (4.5 + 5.5 * dice.random()))
    if nanoseconds < 1_000_000:
        return "%gµs" % (nanoseconds / 1000)
    if nanoseconds < SECOND:
        return "%gms" % (nanoseconds / 1_000_000)
    return "%.9gs" % (nanoseconds / SECOND)


def manager_form(day, dice):
    """How the manager and its container runtime wrote on that day: (prefix of the runtime, older time, fields)."""
    if day < 9:
        return False, True, 6
    if day < 16:
        return True, True, 6
    if day < 24:
        return True, False, 6
    return dice.below(4) != 0, False, 8


def manager_line(dice, nanoseconds, service, kind, user, address):
    """A line, and the time that counts for it."""
    prefixed, older, fields = manager_form(max(0, nanoseconds) // (86400 * SECOND), dice)
    time = local_form(nanoseconds) if older else rfc3339(nanoseconds)
    status = {"sync": 200, "async": 201}[kind] if dice.below(25) else dice.pick([401, 404, 500])
    path = {"sync": "/run/", "async": "/job/"}[kind] + service.name + ("?priority=low" if dice.below(50) == 0 else "")
    line = "[GIN-EXECUTIONS-LOGGER] %s | %d | %13s | %15s | POST    %s | %s" % (
        time, status, latency(dice), address, path, user)
    if fields == 8:
        line += " | %s | %s" % (service.name, service.namespace)
    counted = nanoseconds
    if prefixed:
        counted = nanoseconds + dice.below(3_000_000)  # the runtime sees it a little later
        line = runtime_prefix(counted, "stderr") + line
    elif older:
        counted = nanoseconds // SECOND * SECOND
    return line, counted


MANAGER_NOISE = [
    '[GIN] {local} | 200 |      35.118µs |       10.42.0.1 | GET      "/health"',
    '[GIN] {local} | 200 |    2.181104ms |       77.16.4.9 | GET      "/system/services"',
    '[GIN] {local} | 201 |  121.180034ms |       77.16.4.9 | POST     "/job/plants-detect"',
    "[OIDC-AUTH] {plain} user authenticated",
    "{plain} Reading service definition of /run/plants-detect from the cluster",
    "[GIN-EXECUTIONS-LOGGER] {time} | 404 | 1.2ms | 77.16.4.9 | POST    /run/a|b | somebody",
    "[GIN-EXECUTIONS-LOGGER] {time} | 404 | 1.2ms | 77.16.4.9 | POST    /run/Not_A_Name | somebody",
    "[GIN-EXECUTIONS-LOGGER] {time} | 200 | 1.2ms | 77.16.4.9 | GET    /system/config | somebody",
    "[GIN-EXECUTIONS-LOGGER] {time} | 201 | 1.2ms | 77.16.4.9 | POST    /job/x | somebody | x | kube-system",
]


def manager_noise(dice, nanoseconds):
    prefixed, older, _ = manager_form(max(0, nanoseconds) // (86400 * SECOND), dice)
    line = dice.pick(MANAGER_NOISE).format(
        local=local_form(nanoseconds), plain=local_form(nanoseconds).replace(" - ", " "),
        time=local_form(nanoseconds) if older else rfc3339(nanoseconds))
    return (runtime_prefix(nanoseconds) if prefixed else "") + line


def write_manager(folder, services, users, totals):
    dice = Dice("manager")
    clients = Clients(dice, users)
    popularity = cumulated(zipf(len(services), 1.05))
    log = RotatedLog(folder, "manager.log")
    end = DAYS * 86400 * SECOND

    def request(nanoseconds):
        number = dice.weighted(popularity)
        while nanoseconds // (86400 * SECOND) >= services[number].deleted_after:
            number = dice.weighted(popularity)
        user, country, address = clients.call(number)
        kind = "sync" if dice.random() < services[number].sync_share else "async"
        line, counted = manager_line(dice, nanoseconds, services[number], kind, user, address)
        log.write(nanoseconds, line)
        if 0 <= counted < end:
            totals.add(counted, services[number], kind, user, country)

    # What lies outside the month says that the log reaches beyond it, and does not count.
    for minute in range(-30, 0):
        log.write(0, manager_noise(dice, minute * 60 * SECOND))
        request_before = minute * 60 * SECOND + 7 * SECOND
        log.write(0, manager_line(dice, request_before, services[0], "sync", users[0], "77.16.4.9")[0])
    for nanoseconds in moments(dice, REQUESTS):
        if dice.below(8) == 0:
            log.write(nanoseconds, manager_noise(dice, nanoseconds))
        request(nanoseconds)
    for minute in range(1, 30):
        request(end + minute * 60 * SECOND)
    log.close()


def ingress_nginx_line(dice, nanoseconds, address, path, service):
    prefixed = nanoseconds // (86400 * SECOND) >= 8
    line = '%s - - [%s] "%s %s HTTP/1.1" %d %d "-" "Mozilla/5.0 (X11; Linux x86_64)" %d 0.0%02d [%s-%s-svc-80] [] 10.42.1.7:8888 ' \
        "%d 0.003 200 %s" % (
            address, access_form(nanoseconds), dice.pick(["GET", "GET", "POST"]), path, dice.pick([200, 200, 304, 502]),
            dice.below(90000), 200 + dice.below(900), dice.below(100), service.namespace, service.name, dice.below(90000),
            dice.hex(32))
    if prefixed:
        counted = nanoseconds + dice.below(3_000_000)
        return runtime_prefix(counted) + line, counted
    return line, nanoseconds // SECOND * SECOND


def traefik_line(dice, nanoseconds, address, path, service):
    counted = nanoseconds + dice.below(3_000_000)
    fields = {
        "ClientAddr": address + ":51442", "ClientHost": address, "DownstreamStatus": 200,
        "Duration": dice.below(90_000_000), "RequestAddr": "oscar.example.org", "RequestHost": "oscar.example.org",
        "RequestMethod": "GET", "RequestPath": path, "RequestProtocol": "HTTP/2.0",
        "ServiceName": "%s-%s-svc-80@kubernetesgateway" % (service.namespace, service.name),
    }
    form = dice.below(10)  # StartUTC: mostly RFC 3339, sometimes the access form, sometimes not there
    if form > 1:
        fields["StartUTC"] = rfc3339(nanoseconds)
    elif form == 1:
        fields["StartUTC"] = access_form(nanoseconds)
    fields["level"] = "info"
    return runtime_prefix(counted) + json.dumps(fields, separators=(",", ":")), counted


def ingress_line(dice, nanoseconds, address, path, service):
    traefik = nanoseconds >= 15 * 86400 * SECOND
    return (traefik_line if traefik else ingress_nginx_line)(dice, nanoseconds, address, path, service)


INGRESS_NOISE_PATHS = ["/", "/health", "/system/metrics", "/run/plants-detect", "/system/services/notebook",
                       "/system/services/notebook/exposedx", "/other?from=/system/services/notebook/exposed/"]


def write_ingress(folder, services, totals):
    dice = Dice("ingress")
    exposed = [service for service in services if service.exposed]
    popularity = cumulated(zipf(len(exposed), 1.0))
    log = RotatedLog(folder, "access.log")
    end = DAYS * 86400 * SECOND

    def address():
        return "%s.%d.%d" % (dice.pick(NETWORKS)[1], dice.below(256), 1 + dice.below(254))

    def request(nanoseconds):
        service = exposed[dice.weighted(popularity)]
        while nanoseconds // (86400 * SECOND) >= service.deleted_after:
            service = exposed[dice.weighted(popularity)]
        path = "/system/services/%s/exposed%s" % (service.name, dice.pick(["", "/", "/lab?reset", "?x=1", "/api/kernels"]))
        line, counted = ingress_line(dice, nanoseconds, address(), path, service)
        log.write(nanoseconds, line)
        if 0 <= counted < end:
            totals.add(counted, service, "exposed")

    def noise(nanoseconds):
        log.write(nanoseconds, ingress_line(dice, nanoseconds, address(), dice.pick(INGRESS_NOISE_PATHS), exposed[0])[0])

    for minute in range(-30, 0):
        noise(minute * 60 * SECOND)
    for nanoseconds in moments(dice, EXPOSED):
        if dice.below(4) == 0:
            noise(nanoseconds)
        request(nanoseconds)
    for minute in range(1, 30):
        request(end + minute * 60 * SECOND)
    log.close()


# ---- CPU and GPU -------------------------------------------------------------------------------------------------


class Counters:
    """Writes one counter in OpenMetrics form. A series per pod: every service gets a new pod on the 14th day."""

    def __init__(self, out, name, hourly):
        self.out, self.name, self.hourly = out, name, hourly
        out.write("# TYPE %s counter\n" % name)

    def service(self, service, per_request, idle):
        """Returns the hours that were used within the month."""
        used, value, pod = 0.0, 0.0, 0
        last = service.deleted_after * 86400 if service.deleted_after < DAYS else DAYS * 86400 + 3600
        begin = int(START.timestamp())
        for second in range(-3600, last + 1, SAMPLE_STEP):
            if second == 13 * 86400:
                self._sample(service, pod, value, begin + second)
                value, pod = 0.0, 1
            self._sample(service, pod, value, begin + second)
            hour = second // 3600
            step = self.hourly.get((service.name, hour), 0) * per_request * SAMPLE_STEP / 3600 + idle * SAMPLE_STEP
            value += step
            if 0 <= second < min(last, DAYS * 86400):
                used += step
        return used / 3600

    def _sample(self, service, pod, value, when):
        self.out.write('%s_total{namespace="%s",service="%s",pod="%s-%05d"} %.3f %d\n' % (
            self.name, service.namespace, service.name, service.name, pod + 1, value, when))


def write_counters(path, services, totals):
    hours = {}
    with open(path, "w", encoding="ascii") as out:
        cpu = Counters(out, "container_cpu_usage_seconds", totals.hourly)
        for service in services:
            hours[service.name] = {"cpu": cpu.service(service, service.cpu_seconds, service.idle_cores), "gpu": 0.0}
        gpu = Counters(out, "container_gpu_usage_seconds", totals.hourly)
        for service in services:
            if service.gpu_seconds:
                hours[service.name]["gpu"] = gpu.service(service, service.gpu_seconds, 0)
        out.write("# EOF\n")
    return hours


# ---- what must come out ------------------------------------------------------------------------------------------


def membership(user):
    if user in ("oscar", "nil"):
        return "external"
    return "unknown" if user in ("minio", "") else "member"


def listed(countries):
    return [{"country": code, "request_count": count} for code, count in sorted(countries.items())]


def expected(services, totals, hours):
    rows = [{"key": name, "requests_count_sync": row["sync"], "requests_count_async": row["async"],
             "requests_count_exposed": row["exposed"], "requests_count_total": row["sync"] + row["async"],
             "users": sorted(row["users"]), "countries": listed(row["countries"])} for name, row in sorted(totals.services.items())]
    count = {kind: sum(day[kind] for day in totals.days) for kind in ("sync", "async", "exposed")}
    return {
        "start": rfc3339(0), "end": rfc3339(DAYS * 86400 * SECOND - 1_000_000),
        "totals": {
            "services_count_active": len(deployed(services)), "services_count_total": len(rows),
            "requests_count_total": count["sync"] + count["async"], "requests_count_sync": count["sync"],
            "requests_count_async": count["async"], "requests_count_exposed": count["exposed"],
            "countries_count": len(totals.countries),
            "countries": listed({code: place["count"] for code, place in totals.countries.items()}),
            "users": sorted(user for user in totals.users if user)},
        # Prometheus extrapolates: to be met within a hundredth.
        "hours": {kind: sum(row[kind] for row in hours.values()) for kind in ("cpu", "gpu")},
        "hours_by_service": hours,
        "services": rows,
        "users": [{"key": user, "membership": membership(user), "executions_count": own["count"],
                   "countries": listed(own["countries"])} for user, own in sorted(totals.users.items())],
        "countries": [{"key": code, "executions_count": place["count"], "unique_users_count": len(place["users"]),
                       "countries": listed({code: place["count"]})}
                      for code, place in sorted(totals.countries.items())],
        "days": totals.days,
    }


def main():
    folder = sys.argv[1]
    os.makedirs(folder)
    users = make_users(Dice("users"))
    services = make_services(Dice("services"), users)
    totals = Totals()
    write_definitions(os.path.join(folder, "services"), services)
    write_manager(os.path.join(folder, "logs/oscar"), services, users, totals)
    write_ingress(os.path.join(folder, "logs/ingress"), services, totals)
    hours = write_counters(os.path.join(folder, "openmetrics.txt"), services, totals)
    write_mmdb(os.path.join(folder, "countries.mmdb"),
               {prefix + ".0.0/16": country(code) for code, prefix in NETWORKS})
    with open(os.path.join(folder, "expected.json"), "w", encoding="ascii") as out:
        json.dump(expected(services, totals, hours), out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
