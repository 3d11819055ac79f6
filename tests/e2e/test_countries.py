"""Countries of clients' addresses: GEOIP_DATABASE, in every answer that has them, and when it changes or breaks."""
import os
import pathlib
import random
import subprocess
import sys

import pytest

from harness import app as program
from harness import expect, logdata, model
from harness.client import ADMIN

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "sample"))
sys.dont_write_bytecode = True

import make_mmdb  # noqa: E402

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"
CLF = "01/Jan/2026:10:00:00 +0000"

NETWORKS = {
    "192.0.2.0/24": "ES", "192.0.2.128/25": "FR", "192.0.2.200/32": "PT", "198.51.100.0/24": "DE",
    "203.0.113.0/24": "IT", "2001:db8::/32": "GR", "2001:db8:1::/48": "SK", "100.64.0.0/10": "NL",
    # Nobody's, whatever the database says.
    "10.0.0.0/8": "XX", "127.0.0.0/8": "XX", "169.254.0.0/16": "XX", "172.16.0.0/12": "XX", "192.168.0.0/16": "XX",
    "fc00::/7": "XX", "fe80::/10": "XX",
}

CLIENTS = {
    "192.0.2.1": "ES", "192.0.2.127": "ES", "192.0.2.128": "FR", "192.0.2.200": "PT", "192.0.2.1:5678": "ES",
    "198.51.100.7": "DE", "203.0.113.255": "IT", "100.64.0.1": "NL",
    "2001:db8::1": "GR", "2001:DB8:0::1": "GR", "2001:db8:1::1": "SK", "[2001:db8:1::1]": "SK",
    "[2001:db8::1]:443": "GR", "::ffff:192.0.2.1": "ES", "::ffff:c000:2c8": "PT", "[::ffff:192.0.2.130]:80": "FR",
    "8.8.8.8": None, "2001:db7::1": None,
    "10.0.0.1": None, "127.0.0.1": None, "169.254.1.1": None, "172.25.0.1": None, "192.168.1.1": None,
    "0.0.0.0": None, "::1": None, "::": None, "::10.0.0.1": None, "fd00::1": None, "fe80::1": None,
    "::ffff:10.0.0.1": None, "[::1]:80": None,
    "": None, "-": None, "garbage": None, "192.0.2": None, "192.0.2.256": None, "192.0.2.1.1": None,
    "192.0.2.1:": None, "192.0.2.1, 198.51.100.7": None, "[192.0.2.1]:80": None, "[2001:db8::1": None,
    "2001:db8::1%eth0": None, "9" * 300: None,
}


def write_database(path, networks=NETWORKS, **how):
    """As geoipupdate does it: beside it, then in its place."""
    make_mmdb.write_mmdb(f"{path}.new", {network: make_mmdb.country(code) for network, code in networks.items()},
                         **how)
    os.replace(f"{path}.new", path)


def settings(folder, requests, exposed=""):
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *requests)
    logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN, *exposed)
    return {"OSCAR_METRICS_LOG_FILES": folder / "manager.log",
            "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log", "GEOIP_DATABASE": folder / "countries.mmdb"}


def lines(clients=("192.0.2.1",) * 3 + ("8.8.8.8",)):
    return [logdata.request(T, client=client) for client in clients]


def source(answer):
    """(status, note) of the source, or None."""
    for entry in answer.json()["sources"]:
        if entry["name"] == "country-attribution":
            return entry["status"], entry.get("notes")
    return None


# ---- every answer ---------------------------------------------------------------------------------------------------


class Located:
    """The program over some thousand requests from everywhere, and the model's events of the same bytes."""

    def __init__(self, folder, start):
        random_ = random.Random(7)
        clients = list(CLIENTS)
        requests = []
        for _ in range(2000):
            service = random_.choice(["yolo", "cowsay", "grayify", "a.b"])
            user = random_.choice(["a1@egi.eu", "b2@egi.eu", "oscar", "", "=x"])
            requests.append(logdata.request(T, random_.choice(["/run/", "/job/"]) + service, user,
                                            client=random_.choice(clients)))
        exposed = [logdata.nginx_line(CLF, "/system/services/nb/exposed").replace("172.18.0.1", "192.0.2.1")] * 5
        write_database(folder / "countries.mmdb")
        self.app = start(settings(folder, requests, exposed))
        self.events = model.locate(model.read_requests("".join(requests).encode()), NETWORKS) \
            + model.locate(model.read_exposed("".join(exposed).encode()), NETWORKS)


@pytest.fixture(scope="module")
def located(start_shared, shared_folder):
    return Located(shared_folder, start_shared)


ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}


def test_the_model_knows_the_countries(located):
    found = {event.client: event.country for event in located.events if event.kind != "exposed"}
    assert found == {client: country or "" for client, country in CLIENTS.items()}


def test_summary(located):
    answer = located.app.summary(DAY)
    assert answer.json()["totals"] == model.totals(located.events)
    assert [item["country"] for item in answer.json()["totals"]["countries"]] == [
        "DE", "ES", "FR", "GR", "IT", "NL", "PT", "SK"]
    assert source(answer) == ("ok", None)


@pytest.mark.parametrize("group_by", ITEMS)
def test_breakdown(located, group_by):
    answer = located.app.breakdown(f"{DAY}&group_by={group_by}")
    assert answer.json()["items"] == ITEMS[group_by](located.events)
    assert source(answer) == ("ok", None)
    assert answer.header("OSCAR-Metrics-Complete") == "true"


@pytest.mark.parametrize("group_by", ITEMS)
def test_csv(located, group_by):
    answer = located.app.breakdown(f"{DAY}&group_by={group_by}&format=csv")
    assert answer.text == model.to_csv(group_by, ITEMS[group_by](located.events))


def summed(items):
    """{country: requests} over all items."""
    sums = {}
    for item in items:
        for entry in item["countries"]:
            sums[entry["country"]] = sums.get(entry["country"], 0) + entry["request_count"]
    return sums


def test_every_breakdown_adds_up_to_the_summary(located):
    totals = located.app.summary(DAY).json()["totals"]
    wanted = {entry["country"]: entry["request_count"] for entry in totals["countries"]}
    by = {name: located.app.breakdown(f"{DAY}&group_by={name}").json()["items"] for name in ITEMS}
    assert summed(by["service"]) == summed(by["user"]) == wanted
    unknown = totals["requests_count_total"] - sum(wanted.values())
    assert summed(by["country"]) == {**wanted, "unknown": unknown}
    assert sum(item["executions_count"] for item in by["country"]) == totals["requests_count_total"]


def test_a_service_alone_has_no_source_of_countries(located):
    answer = located.app.service("yolo", f"{DAY}&metric=users-per-service")
    assert source(answer) is None


def test_countries_in_one_cell_of_a_table(start, folder):
    write_database(folder / "countries.mmdb")
    app = start(settings(folder, lines(["192.0.2.1"] * 11 + ["192.0.2.129"] * 4 + ["10.0.0.1"] * 2)))
    answer = app.breakdown(f"{DAY}&group_by=service&format=csv")
    assert answer.text.splitlines()[1] == "yolo,,17,17,0,0,1,ES:11|FR:4"


@pytest.fixture(scope="module")
def one_client(start_shared, shared_folder):
    """A function: the key that a line of this client has by country."""
    folder = shared_folder / "one"
    folder.mkdir()
    write_database(folder / "countries.mmdb")
    app = start_shared(settings(folder, []))

    def ask(client):
        logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, *lines([client]))
        return [item["key"] for item in app.breakdown(f"{DAY}&group_by=country").json()["items"]]
    return ask


@pytest.mark.parametrize("client", CLIENTS)
def test_one_client(one_client, client):
    assert one_client(client) == [CLIENTS[client] or "unknown"]


@pytest.mark.parametrize("how", [{"record_size": 24}, {"record_size": 28}, {"record_size": 32}])
def test_trees_of_every_width(start, folder, how):
    write_database(folder / "countries.mmdb", **how)
    answer = start(settings(folder, lines(CLIENTS))).breakdown(f"{DAY}&group_by=country")
    events = model.locate(model.read_requests("".join(lines(CLIENTS)).encode()), NETWORKS)
    assert answer.json()["items"] == model.by_country(events)


def test_a_tree_of_ipv4_alone_knows_no_ipv6(start, folder):
    write_database(folder / "countries.mmdb", {"192.0.2.0/24": "ES"}, ip_version=4)
    answer = start(settings(folder, lines(["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]))).summary(DAY)
    assert answer.json()["totals"]["countries"] == [{"country": "ES", "request_count": 2}]
    assert source(answer) == ("ok", None)


# ---- the database changes -------------------------------------------------------------------------------------------


def countries(answer):
    return {entry["country"]: entry["request_count"] for entry in answer.json()["totals"]["countries"]}


def test_another_file_in_its_place_counts_at_once(start, folder):
    write_database(folder / "countries.mmdb")
    app = start(settings(folder, lines()))
    assert countries(app.summary(DAY)) == {"ES": 3}
    write_database(folder / "countries.mmdb", {**NETWORKS, "192.0.2.0/25": "AD", "8.8.8.0/24": "US"})
    assert countries(app.summary(DAY)) == {"AD": 3, "US": 1}


def test_a_file_that_is_written_over_does_no_harm(start, folder):
    path = folder / "countries.mmdb"
    write_database(path)
    app = start(settings(folder, lines()))
    assert countries(app.summary(DAY)) == {"ES": 3}
    whole = make_mmdb.make_mmdb({"192.0.2.0/24": make_mmdb.country("AD")})
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        answer = app.summary(DAY)
        assert countries(answer) == {} and answer.json()["totals"]["requests_count_total"] == 4
        assert source(answer)[0] == "missing"
    path.write_bytes(whole)
    assert countries(app.summary(DAY)) == {"AD": 3}


def unreadable_databases():
    def directory(path):
        path.mkdir()

    def pipe(path):
        os.mkfifo(path)

    def link(path):
        path.symlink_to(path)

    return {
        "not there": (lambda path: None, "No such file or directory"),
        "a folder": (directory, "not a regular file"),
        "a pipe": (pipe, "not a regular file"),
        "a link to itself": (link, "Too many levels of symbolic links"),
        "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
        "text": (lambda path: path.write_text("hello\n"), "the file is not a MaxMind database, or is damaged"),
        "too large": (lambda path: (path.touch(), os.truncate(path, 1 << 31)), "the file is larger than 1 GiB"),
    }


@pytest.mark.parametrize("what", unreadable_databases())
def test_what_cannot_be_read_is_missing_and_requests_count_all_the_same(start, folder, what):
    make, why = unreadable_databases()[what]
    make(folder / "countries.mmdb")
    app = start(settings(folder, lines()))
    answer = app.summary(DAY)
    assert source(answer) == ("missing", f"GEOIP_DATABASE cannot be read: {why}")
    expect.sources(answer, {"service-inventory": "missing", "prometheus": "missing", "request-logs": "ok",
                            "country-attribution": "missing", "exposed-request-logs": "ok"})
    assert answer.json()["totals"] == model.totals(model.read_requests("".join(lines()).encode()))
    table = app.breakdown(f"{DAY}&group_by=country&format=csv")
    assert table.header("OSCAR-Metrics-Complete") == "false"
    assert table.text.splitlines()[1:] == ["unknown,,4,1,unknown:4"]
    assert "GEOIP_DATABASE cannot be read" in app.stderr()


def test_a_database_that_is_taken_away_is_missing_until_it_is_back(start, folder):
    write_database(folder / "countries.mmdb")
    app = start(settings(folder, lines()))
    assert countries(app.summary(DAY)) == {"ES": 3}
    (folder / "countries.mmdb").rename(folder / "away")
    for _ in range(3):
        answer = app.summary(DAY)
        assert source(answer) == ("missing", "GEOIP_DATABASE cannot be read: No such file or directory")
        assert countries(answer) == {} and answer.json()["totals"]["requests_count_total"] == 4
    assert app.stderr().count("GEOIP_DATABASE cannot be read") == 1
    (folder / "away").rename(folder / "countries.mmdb")
    answer = app.summary(DAY)
    assert source(answer) == ("ok", None) and countries(answer) == {"ES": 3}


def test_damaged_records_make_it_partial(start, folder):
    path = folder / "countries.mmdb"
    whole = make_mmdb.make_mmdb({"192.0.2.0/24": make_mmdb.country("ES")})
    begin = whole.index(b"\x47country")
    path.write_bytes(whole[:begin] + b"\xff" * 24 + whole[begin + 24:])
    answer = start(settings(folder, lines())).summary(DAY)
    assert source(answer) == ("partial", "GEOIP_DATABASE is damaged: some addresses could not be looked up")
    assert countries(answer) == {} and answer.json()["totals"]["requests_count_total"] == 4


def test_without_requests_there_is_no_source_even_when_it_cannot_be_read(start, folder):
    exposed = [logdata.nginx_line(CLF, "/system/services/nb/exposed")]
    assert source(start(settings(folder, [], exposed)).summary(DAY)) is None


def test_without_a_database_no_country_is_known_and_that_is_fine(start, folder):
    answer = start({**settings(folder, lines()), "GEOIP_DATABASE": None}).summary(DAY)
    assert source(answer) == ("ok", None) and countries(answer) == {}


def test_a_database_that_cannot_be_read_is_no_fault_of_the_settings(folder):
    done = program.run("--check-config", settings={"GEOIP_DATABASE": folder / "none"})
    assert done.returncode == 0 and "GEOIP_DATABASE" in done.stdout


def test_without_a_web_server_the_countries_are_the_same(start, folder):
    write_database(folder / "countries.mmdb")
    given = settings(folder, lines(CLIENTS))
    wanted = start(given).breakdown(f"{DAY}&group_by=country&format=csv").text
    options = ["--group-by=country", "--format=csv", *(f"--{option}" for option in DAY.split("&"))]
    done = program.run("report", *options, settings=given)
    assert (done.stdout, done.returncode) == (wanted, 0)
    asked = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/system/metrics/breakdown",
             "QUERY_STRING": f"{DAY}&group_by=country&format=csv", "HTTP_AUTHORIZATION": ADMIN}
    done = program.run(settings={**given, **asked})
    assert done.stdout.replace("\r\n", "\n").split("\n\n", 1)[1] == wanted


# ---- the files that we make are what others read --------------------------------------------------------------------


def look_up(path, address, *fields):
    done = subprocess.run(["mmdblookup", "--file", path, "--ip", address, *fields], stdout=subprocess.PIPE, text=True,
                          check=True)
    return done.stdout.split()


@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_mmdblookup_reads_what_we_write(folder, record_size):
    path = folder / "countries.mmdb"
    write_database(path, record_size=record_size)
    for address, code in [("192.0.2.1", "ES"), ("192.0.2.200", "PT"), ("10.0.0.1", "XX"), ("2001:db8:1::1", "SK")]:
        assert look_up(path, address, "country", "iso_code") == [f'"{code}"', "<utf8_string>"]


def test_mmdblookup_reads_every_type(folder):
    record = {"text": "é" * 40, "long": "x" * 300, "longer": "y" * 70000, "list": [1, 2 ** 32 - 1, 0], "true": True,
              "half": 0.5, "map": {str(number): number for number in range(300)}}
    make_mmdb.write_mmdb(folder / "types.mmdb", {"2001:db8::/32": record})
    ask = lambda *fields: look_up(folder / "types.mmdb", "2001:db8::1", *fields)
    assert ask("text") == ['"' + "é" * 40 + '"', "<utf8_string>"]
    assert ask("long") == ['"' + "x" * 300 + '"', "<utf8_string>"]
    assert ask("longer") == ['"' + "y" * 70000 + '"', "<utf8_string>"]
    assert ask("list", "1") == ["4294967295", "<uint32>"]
    assert ask("true") == ["true", "<boolean>"]
    assert ask("half") == ["0.500000", "<double>"]
    assert ask("map", "299") == ["299", "<uint32>"]


def test_the_database_of_the_unit_tests_is_what_its_list_makes(folder):
    data = TESTS / "data"
    subprocess.run([sys.executable, TESTS / "sample" / "make_mmdb.py", data / "countries.txt", folder / "made"],
                   check=True)
    assert (folder / "made").read_bytes() == (data / "countries.mmdb").read_bytes()
