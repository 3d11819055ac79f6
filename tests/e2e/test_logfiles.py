"""Section 7, log files: which lines count, when they were written, and files that change."""
import datetime
import gzip
import os
import shutil

import pytest

from harness import expect, logdata, model
from harness.logdata import PREFIX, age, nginx_line, request, traefik_line, write

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
T = "2026-01-01T10:00:00Z"
NB = "/system/services/nb/exposed"
CLF = "01/Jan/2026:10:00:00 +0000"


def gin(fields):
    return f"{PREFIX} {fields}\n"


# One line, and what it counts as: (service, sync, async, exposed) or None.

LINES = {
    # The six fields.
    "sync": (request(T, "/run/yolo"), ("yolo", 1, 0)),
    "async": (request(T, "/job/yolo"), ("yolo", 0, 1)),
    "as in the documentation": (gin("2026-01-01T10:00:00.123456789Z | 200 |  347.805334ms | 172.25.0.1 | POST    "
                                    "/run/simple-test | oscar"), ("simple-test", 1, 0)),
    "no blanks": (gin(f"{T}|200|1ms|10.0.0.1|POST /job/yolo|u"), ("yolo", 0, 1)),
    "a status of an error": (request(T, status=500), ("yolo", 1, 0)),
    "refused by the manager": (request(T, status=401), ("yolo", 1, 0)),
    "a query": (request(T, "/run/yolo?x=/job/other"), ("yolo", 1, 0)),
    "an empty query": (request(T, "/run/yolo?"), ("yolo", 1, 0)),
    "an empty user": (request(T, user=""), ("yolo", 1, 0)),
    "an IPv6 client": (gin(f"{T} | 200 | 1ms | 2001:db8::1 | POST /run/yolo | u"), ("yolo", 1, 0)),
    "a time in another offset": (request("2026-01-01T12:00:00+02:00"), ("yolo", 1, 0)),
    "a fraction": (request("2026-01-01T10:00:00.5Z"), ("yolo", 1, 0)),
    "the older time": (request("2026/01/01 - 10:00:00"), ("yolo", 1, 0)),
    "a name of one sign": (request(T, "/run/a"), ("a", 1, 0)),
    "a name of 253 signs": (request(T, "/run/" + "z" * 253), ("z" * 253, 1, 0)),
    "a name with points": (request(T, "/run/a.b-c"), ("a.b-c", 1, 0)),
    "a carriage return at the end": (request(T).replace("\n", "\r\n"), ("yolo", 1, 0)),
    # Eight fields.
    "eight fields": (request(T, "/job/by-path", "u", "yolo", "oscar-svc"), ("yolo", 0, 1)),
    "a user's namespace": (request(T, "/run/by-path", "u", "yolo", "oscar-svc-user"), ("yolo", 1, 0)),
    "another namespace": (request(T, "/run/yolo", "u", "yolo", "kube-system"), None),
    "a namespace that begins like ours": (request(T, "/run/yolo", "u", "yolo", "oscar-svcx"), None),
    "a namespace that ours begins with": (request(T, "/run/yolo", "u", "yolo", "oscar"), None),
    "an empty namespace": (request(T, "/run/yolo", "u", "yolo", ""), None),
    "a service that is no name": (request(T, "/run/yolo", "u", "Yolo", "oscar-svc"), None),
    # Another number of fields: who calls may have put them into the path.
    "five fields": (gin(f"{T} | 200 | 1ms | 10.0.0.1 | POST /run/yolo"), None),
    "seven fields": (gin(f"{T} | 200 | 1ms | 10.0.0.1 | POST /run/yolo | u | yolo"), None),
    "nine fields": (gin(f"{T} | 200 | 1ms | 10.0.0.1 | POST /run/yolo | u | yolo | oscar-svc | x"), None),
    "a pipe in the path": (request(T, "/run/yolo|x"), None),
    "two pipes in the path": (request(T, "/run/yolo | forged | other"), None),
    "two pipes in the path and eight fields": (request(T, "/run/a | forged | b", "u", "yolo", "oscar-svc"), None),
    # Other paths.
    "another path": (request(T, "/system/services"), None),
    "no name": (request(T, "/run/"), None),
    "no name and no slash": (request(T, "/run"), None),
    "run in another case": (request(T, "/RUN/yolo"), None),
    "a longer first segment": (request(T, "/runs/yolo"), None),
    "deeper": (request(T, "/x/run/yolo"), None),
    "a name in upper case": (request(T, "/run/Yolo"), None),
    "dots": (request(T, "/run/../../etc/passwd"), None),
    "a name that ends in a dash": (request(T, "/run/yolo-"), None),
    "a name of 254 signs": (request(T, "/run/" + "z" * 254), None),
    "an escape": (request(T, "/run/y%6flo"), None),
    "the path in the query": (request(T, "/health?/run/yolo"), None),
    # The prefix.
    "no prefix": (f"{T} | 200 | 1ms | 10.0.0.1 | POST /run/yolo | u\n", None),
    "another logger": (f"[GIN] 2026/01/01 - 10:00:00 | 200 | 1ms | 10.0.0.1 | POST /run/yolo | u\n", None),
    "the prefix in other text": ("x " + request(T), None),
    "the prefix in a user's text": (f"2026/01/01 10:00:00 log: {request(T)}", None),
    "the prefix after a blank": (" " + request(T), None),
    "the prefix in lower case": (request(T).replace(PREFIX, PREFIX.lower()), None),
    "the prefix twice": (f"{PREFIX} {request(T)}", None),
    # A container runtime's own.
    "a runtime's prefix": (f"{T} stderr F {request(T)}", ("yolo", 1, 0)),
    "a runtime's time alone": (f"{T} {request(T)}", ("yolo", 1, 0)),
    "a runtime's offset": (f"2026-01-01T12:00:00.123456789+02:00 stdout F {request('never')}", ("yolo", 1, 0)),
    "a runtime's time decides, out": (f"2026-02-01T00:00:00Z stderr F {request(T)}", None),
    "a runtime's time decides, in": (f"{T} stderr F {request('2026-02-01T00:00:00Z')}", ("yolo", 1, 0)),
    "a runtime's time alone decides": (f"{T} {request('2026-02-01T00:00:00Z')}", ("yolo", 1, 0)),
    "a runtime's time for the older form": (f"{T} stderr F {request('2026/02/01 - 00:00:00')}", ("yolo", 1, 0)),
    "a runtime's time and none of the line's": (f"{T} stderr F {request('not-a-time')}", ("yolo", 1, 0)),
    "a runtime's time at the end": (f"2026-01-02T00:00:00Z stderr F {request(T)}", ("yolo", 1, 0)),
    "a runtime's time behind the end": (f"2026-01-02T00:00:00.000000001Z stderr F {request(T)}", None),
    "a runtime's time at the start": (f"2026-01-01T01:00:00+01:00 {request(T)}", ("yolo", 1, 0)),
    "a runtime's time before the start": (f"2025-12-31T23:59:59.999999999Z {request(T)}", None),
    "no stream's name": (f"{T} stdfoo F {request(T)}", None),
    # Times that nobody knows.
    "no time": (request("not-a-time"), None),
    "an empty time": (request(""), None),
    "a date that does not exist": (request("2026-01-32T10:00:00Z"), None),
    "a time without a zone": (request("2026-01-01T10:00:00"), None),
    "a date of the older form that does not exist": (request("2026/13/01 - 10:00:00"), None),
    # Out of the range.
    "before": (request("2025-12-31T23:59:59.999999999Z"), None),
    "behind": (request("2026-01-02T00:00:00.000000001Z"), None),
    "at the start": (request("2026-01-01T00:00:00Z"), ("yolo", 1, 0)),
    "at the end": (request("2026-01-02T00:00:00Z"), ("yolo", 1, 0)),
    "nothing": ("\n", None),
    "other text": ("hello, world\n", None),
}


@pytest.fixture(scope="module")
def reader(start_shared, shared_folder):
    """A function: the items by service of one line. One program reads them all: its files change under it."""
    requests, exposed = shared_folder / "manager.log", shared_folder / "ingress.log"
    write(requests, logdata.REQUESTS_BEGIN)
    write(exposed, logdata.EXPOSED_BEGIN)
    app = start_shared({"OSCAR_METRICS_LOG_FILES": requests, "OSCAR_METRICS_EXPOSED_LOG_FILES": exposed})

    def read(line="", exposed_line=""):
        write(requests, logdata.REQUESTS_BEGIN, line)
        write(exposed, logdata.EXPOSED_BEGIN, exposed_line)
        answer = app.breakdown(DAY + "&group_by=service")
        return answer.json()["items"]
    return read


@pytest.mark.parametrize("row", LINES)
def test_lines_of_the_manager(reader, row):
    line, expected = LINES[row]
    items = [(item["key"], item["requests_count_sync"], item["requests_count_async"]) for item in reader(line)]
    assert items == ([expected] if expected else [])
    # The model must be of the same opinion, or nothing computed from it would mean much.
    events = model.between(model.read_requests(line.encode()), "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert [event.service for event in events] == ([expected[0]] if expected else [])


def forged_user(user):
    return nginx_line(CLF, NB).replace(" - - ", f" - {user} ")


EXPOSED = {
    "nginx": (nginx_line(CLF, NB), "nb"),
    "nginx, a slash": (nginx_line(CLF, "/system/services/nb/exposed/"), "nb"),
    "nginx, deeper": (nginx_line(CLF, "/system/services/nb/exposed/lab/x"), "nb"),
    "nginx, a query": (nginx_line(CLF, "/system/services/nb/exposed?x=1"), "nb"),
    "nginx, another service in the query": (nginx_line(CLF, NB + "/?next=/system/services/other/exposed"), "nb"),
    "nginx, another offset": (nginx_line("01/Jan/2026:12:00:00 +0200", NB), "nb"),
    "nginx, a user's name": (forged_user("somebody"), "nb"),
    "nginx, a runtime's prefix": (f"{T} stdout F {nginx_line('01/Feb/2026:10:00:00 +0000', NB)}", "nb"),
    "nginx, a runtime's time decides": (f"2026-02-01T00:00:00Z stdout F {nginx_line(CLF, NB)}", None),
    "nginx, only in the referrer": (nginx_line(CLF, "/x", "https://h/system/services/nb/exposed"), None),
    "nginx, only in the query": (nginx_line(CLF, "/x?/system/services/nb/exposed"), None),
    "nginx, not from the beginning": (nginx_line(CLF, "/x/system/services/nb/exposed"), None),
    "nginx, more behind": (nginx_line(CLF, "/system/services/nb/exposedx"), None),
    "nginx, a dash behind": (nginx_line(CLF, "/system/services/nb/exposed-x"), None),
    "nginx, no name": (nginx_line(CLF, "/system/services//exposed"), None),
    "nginx, no valid name": (nginx_line(CLF, "/system/services/Nb/exposed"), None),
    "nginx, two segments": (nginx_line(CLF, "/system/services/a/b/exposed"), None),
    "nginx, the service alone": (nginx_line(CLF, "/system/services/nb"), None),
    "nginx, at the end": (nginx_line("02/Jan/2026:00:00:00 +0000", NB), "nb"),
    "nginx, behind the end": (nginx_line("02/Jan/2026:00:00:01 +0000", NB), None),
    "nginx, at the start": (nginx_line("31/Dec/2025:19:00:00 -0500", NB), "nb"),
    "nginx, before the start": (nginx_line("31/Dec/2025:23:59:59 +0000", NB), None),
    "nginx, no time": (nginx_line("yesterday", NB), None),
    "nginx, a day that does not exist": (nginx_line("32/Jan/2026:10:00:00 +0000", NB), None),
    "nginx, out of the range": (nginx_line("01/Feb/2026:10:00:00 +0000", NB), None),
    "Traefik": (traefik_line("2026-01-01T10:00:00.1Z", "/system/services/nb/exposed/lab"), "nb"),
    "Traefik, the other time": (traefik_line(CLF, NB), "nb"),
    "Traefik, a query": (traefik_line(T, "/system/services/nb/exposed?x=1"), "nb"),
    "Traefik, no time": (traefik_line(None, NB), None),
    "Traefik, no time but a runtime's": (f"{T} stdout F {traefik_line(None, NB)}", "nb"),
    "Traefik, a time that nobody knows": (traefik_line("soon", NB), None),
    "Traefik, that and a runtime's": (f"{T} stdout F {traefik_line('soon', NB)}", "nb"),
    "Traefik, at the end": (traefik_line("2026-01-02T00:00:00Z", NB), "nb"),
    "Traefik, behind the end": (traefik_line("2026-01-02T00:00:00.000000001Z", NB), None),
    "Traefik, no path": ('{"StartUTC":"2026-01-01T10:00:00Z"}\n', None),
    "Traefik, an empty object": ("{}\n", None),
    "Traefik, no object": ("[1,2]\n", None),
    "Traefik, cut short": ('{"RequestPath":"/system/services/nb/exposed","StartUTC":\n', None),
    "Traefik, another path": (traefik_line(T, "/x"), None),
    "Traefik, in the query": (traefik_line(T, "/x?/system/services/nb/exposed"), None),
    "Traefik, in another field": (f'{{"RequestPath":"/","Referer":"{NB}","StartUTC":"{T}"}}\n', None),
    "Traefik, escapes in JSON": (
        '{"RequestPath":"\\/system\\/services\\/n\\u0062\\/exposed","StartUTC":"%s"}\n' % T, "nb"),
    "a line of the manager": (request(T, "/run/yolo"), None),
}


@pytest.mark.parametrize("row", EXPOSED)
def test_lines_of_ingress_controllers(reader, row):
    line, expected = EXPOSED[row]
    items = [(item["key"], item["requests_count_exposed"]) for item in reader(exposed_line=line)]
    assert items == ([(expected, 1)] if expected else [])
    events = model.between(model.read_exposed(line.encode()), "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert [event.service for event in events] == ([expected] if expected else [])


@pytest.mark.parametrize("field,value", [("RequestPath", "5"), ("RequestPath", "null"), ("RequestPath", "{}"),
                                         ("StartUTC", "5"), ("StartUTC", "null"), ("StartUTC", "[]")])
def test_fields_of_another_type_do_no_harm(reader, field, value):
    fields = {"RequestPath": '"/system/services/nb/exposed"', "StartUTC": f'"{T}"', field: value}
    broken = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}\n"
    items = reader(exposed_line=broken + traefik_line(T, "/system/services/good/exposed"))
    assert [item["key"] for item in items] == ["good"]


def test_who_signs_in_cannot_forge_the_time(reader):
    # ingress-nginx logs the name of a Basic header as it came, but for quotes.
    items = reader(exposed_line=forged_user("a [01/Jan/2020:00:00:00 +0000] b"))
    assert [item["key"] for item in items] == ["nb"]


def test_exposed_lines_of_the_managers_files_do_not_count(reader):
    assert reader(nginx_line(CLF, NB)) == []


@pytest.mark.parametrize("kind", ["ingress", "httproute"])
def test_the_controller_is_told_by_the_line_not_by_the_setting(start, folder, kind):
    write(folder / "x.log", logdata.EXPOSED_BEGIN, nginx_line(CLF, "/system/services/a/exposed"),
          traefik_line(T, "/system/services/b/exposed"))
    app = start({"OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "x.log", "EXPOSED_SERVICES_ROUTE_KIND": kind})
    assert [item["key"] for item in app.breakdown(DAY + "&group_by=service").json()["items"]] == ["a", "b"]


ZONES = [
    # zone, local time, the instant
    ("UTC", "2026/01/01 - 10:00:00", "2026-01-01T10:00:00Z"),
    ("Europe/Madrid", "2026/01/01 - 10:00:00", "2026-01-01T09:00:00Z"),
    ("Europe/Madrid", "2026/07/01 - 10:00:00", "2026-07-01T08:00:00Z"),
    ("America/New_York", "2026/01/01 - 10:00:00", "2026-01-01T15:00:00Z"),
    ("Asia/Kolkata", "2026/01/01 - 10:00:00", "2026-01-01T04:30:00Z"),
]


@pytest.mark.parametrize("zone,local,instant", ZONES)
def test_the_older_time_is_local(start, folder, zone, local, instant):
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(local), request(instant, "/job/yolo"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_METRICS_LOG_TIMEZONE": zone})
    assert app.summary(f"start={instant}&end={instant}").json()["totals"]["requests_count_total"] == 2


def test_the_services_namespace_is_a_setting(start, folder):
    write(folder / "x.log", logdata.REQUESTS_BEGIN, *(request(T, "/run/x", "u", "yolo", namespace)
                                                      for namespace in ("mine", "mine-a", "oscar-svc", "minex")))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_SERVICES_NAMESPACE": "mine"})
    assert app.summary(DAY).json()["totals"]["requests_count_total"] == 2


def test_the_formats_lie_mixed_in_one_file(month):
    """The archive's files are mixed; here they are one, in another order."""
    assert month.app.summary(DAY).json()["totals"] == \
        model.totals(month.between("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), active=month.active)


# Files.

def count(app, query=DAY):
    return app.summary(query).json()["totals"]["requests_count_total"]


def status(app, name="request-logs", query=DAY):
    return app.summary(query).source(name)["status"]


def lines(number, **more):
    return [request(f"2026-01-01T10:{n // 60:02}:{n % 60:02}Z", **more) for n in range(number)]


@pytest.fixture
def app(start, folder):
    (folder / "logs").mkdir()
    write(folder / "logs" / "manager.log", logdata.REQUESTS_BEGIN, *lines(3))
    return start({"OSCAR_METRICS_LOG_FILES": f"{folder}/logs/manager.log*"})


def test_globs_name_files(start, folder):
    for name in ("a1.log", "a2.log", "b.log.gz", "c.txt"):
        write(folder / name, logdata.REQUESTS_BEGIN, request(T, user=name))
    app = start({"OSCAR_METRICS_LOG_FILES": f" {folder}/a?.log , {folder}/b.log.[g]z,,{folder}/none* "})
    assert app.summary(DAY).json()["totals"]["users"] == ["a1.log", "a2.log", "b.log.gz"]


def test_a_glob_without_files_is_said(start, folder):
    write(folder / "a.log", logdata.REQUESTS_BEGIN, request(T))
    source = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/a.log,{folder}/none*"}).summary(DAY).source("request-logs")
    assert source["status"] == "partial" and "none*" in source["notes"]


def test_a_file_that_two_globs_name_counts_once(start, folder):
    write(folder / "a.log", logdata.REQUESTS_BEGIN, request(T))
    (folder / "link.log").symlink_to("a.log")
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log,{folder}/a.log,{folder}/../{folder.name}/a.log"})
    assert count(app) == 1


def test_a_symbolic_link_is_followed(start, folder):
    (folder / "pods").mkdir()
    (folder / "containers").mkdir()
    write(folder / "pods" / "0.log", logdata.REQUESTS_BEGIN, request(T))
    (folder / "containers" / "oscar.log").symlink_to("../pods/0.log")
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/containers/*.log"})
    assert (count(app), status(app)) == (1, "ok")


def test_gzip_is_told_by_the_content(start, folder):
    # Rotation by kubelet names them so; others lose the ending.
    write(folder / "0.log.20260101-000000.gz", logdata.REQUESTS_BEGIN, *lines(2))
    shutil.move(folder / "0.log.20260101-000000.gz", folder / "0.log.1")
    write(folder / "0.log", request(T))
    shutil.copy2(folder / "0.log", folder / "0.log.2.gz")
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/0.log*"})
    assert (count(app), status(app)) == (4, "ok")


def test_gzip_may_have_several_members(start, folder):
    data = gzip.compress((logdata.REQUESTS_BEGIN + request(T)).encode()) + gzip.compress(request(T).encode() * 2) \
        + gzip.compress(b"")
    (folder / "x.log.gz").write_bytes(data)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log.gz"})
    assert (count(app), status(app)) == (3, "ok")


def test_a_file_that_grows_is_read_again(app, folder):
    assert count(app) == 3
    with open(folder / "logs" / "manager.log", "a", encoding="ascii") as file:
        file.writelines(lines(2))
    assert count(app) == 5
    assert status(app) == "ok"


def test_a_new_file_is_read(app, folder):
    assert count(app) == 3
    write(folder / "logs" / "manager.log.1", *lines(10))
    assert count(app) == 13


def test_rotation_loses_and_doubles_nothing(app, folder):
    assert count(app) == 3
    log = folder / "logs" / "manager.log"
    log.rename(folder / "logs" / "manager.log.1")
    assert count(app) == 3
    write(log, *lines(2))
    assert count(app) == 5
    data = (folder / "logs" / "manager.log.1").read_bytes()
    write(folder / "logs" / "manager.log.2.gz", data)
    (folder / "logs" / "manager.log.1").unlink()
    assert count(app) == 5


@pytest.mark.parametrize("done", [1.0, 0.5, 0.0])
def test_a_file_and_its_copy_that_is_being_compressed_count_once(app, folder, done):
    # The copy may be whole, half written or empty; the original goes last.
    log = folder / "logs" / "manager.log"
    filler = "".join(os.urandom(40).hex() + "\n" for _ in range(5000))
    data = write(log, logdata.REQUESTS_BEGIN, *lines(3), filler, *lines(4))
    packed = gzip.compress(data)
    log.with_name("manager.log.gz").write_bytes(packed[:int(len(packed) * done)])
    assert (count(app), status(app)) == (7, "ok")


def test_a_file_that_is_truncated_is_read_again(app, folder):
    assert count(app) == 3
    os.truncate(folder / "logs" / "manager.log", 0)
    assert count(app) == 0
    write(folder / "logs" / "manager.log", logdata.REQUESTS_BEGIN, *lines(1))
    assert count(app) == 1


def test_a_file_that_vanishes_is_gone(app, folder):
    write(folder / "logs" / "manager.log.1", *lines(5))
    assert count(app) == 8
    (folder / "logs" / "manager.log.1").unlink()
    assert count(app) == 3


def test_a_file_of_the_same_length_is_told_by_its_time(app, folder):
    log = folder / "logs" / "manager.log"
    assert count(app) == 3
    write(log, logdata.REQUESTS_BEGIN, *lines(3, path="/run/gone"))
    items = app.breakdown(DAY + "&group_by=service").json()["items"]
    assert [item["key"] for item in items] == ["gone"]
    write(log, logdata.REQUESTS_BEGIN, *lines(3, path="/run/here"))
    items = app.breakdown(DAY + "&group_by=service").json()["items"]
    assert [item["key"] for item in items] == ["here"]


def change_behind_the_back(log, old, new):
    """Other bytes, and nothing that tells."""
    before = log.stat()
    with open(log, "r+b") as file:
        data = file.read().replace(old, new)
        file.seek(0)
        file.write(data)
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = log.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def services(app, **more):
    answer = app.get("/system/metrics/breakdown", DAY + "&group_by=service", **more)
    return [item["key"] for item in answer.json()["items"]]


@pytest.mark.parametrize("header", ["no-cache", "max-age=0, No-Cache"])
def test_the_admin_may_have_everything_read_anew(app, folder, header):
    log = folder / "logs" / "manager.log"
    write(log, logdata.REQUESTS_BEGIN, *lines(3, path="/run/gone"))
    assert services(app) == ["gone"]
    change_behind_the_back(log, b"/run/gone", b"/run/here")
    assert services(app) == ["gone"], "it is remembered"
    assert services(app, HTTP_CACHE_CONTROL="no-store") == ["gone"]
    assert services(app, HTTP_CACHE_CONTROL=header) == ["here"]
    assert services(app) == ["here"], "what was read anew is remembered in its place"


def test_cut_hours_are_read_anew_too(app, folder):
    log = folder / "logs" / "manager.log"
    write(log, logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:20:00Z"), logdata.request("2026-01-01T10:50:00Z"))
    span = "start=2026-01-01T10:30:00Z&end=2026-01-01T10:59:00Z"
    sync = lambda **more: app.get("/system/metrics", span, **more).json()["totals"]["requests_count_sync"]  # noqa: E731
    assert sync() == 1
    change_behind_the_back(log, b"T10:20:00Z", b"T11:20:00Z")
    change_behind_the_back(log, b"T10:50:00Z", b"T12:50:00Z")
    assert sync(HTTP_CACHE_CONTROL="no-cache") == 0
    change_behind_the_back(log, b"T11:20:00Z", b"T10:40:00Z")
    assert sync(HTTP_CACHE_CONTROL="no-cache") == 1


def test_files_appear_after_the_start(start, folder):
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/later/*.log"})
    assert status(app) != "ok"
    (folder / "later").mkdir()
    write(folder / "later" / "x.log", logdata.REQUESTS_BEGIN, request(T))
    assert (count(app), status(app)) == (1, "ok")


# The last line.

def test_an_unfinished_line_of_a_file_that_is_being_written_does_not_count_yet(start, folder):
    log = folder / "x.log"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    write(log, logdata.REQUESTS_BEGIN, request(now), request(now).rstrip("\n"), aged=False)
    app = start({"OSCAR_METRICS_LOG_FILES": log})
    assert (count(app, ""), status(app, query="")) == (1, "partial")
    # A range of long ago does not care: lines are written when they happen.
    assert status(app) == "ok"
    with open(log, "a", encoding="ascii") as file:
        file.write("\n")
    assert (count(app, ""), status(app, query="")) == (2, "ok")


def test_an_unfinished_line_of_an_older_file_counts(start, folder):
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T), request(T).rstrip("\n"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    assert (count(app), status(app)) == (2, "ok")


def test_an_unfinished_line_of_a_compressed_file_counts(start, folder):
    write(folder / "x.log.gz", logdata.REQUESTS_BEGIN, request(T), request(T).rstrip("\n"), aged=False)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log.gz"})
    assert (count(app), status(app)) == (2, "ok")


def test_a_finished_line_of_a_file_that_is_being_written_counts(start, folder):
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T), aged=False)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    assert (count(app), status(app)) == (1, "ok")


# How far back the logs go.

def test_a_range_before_the_oldest_line_is_partial_and_says_since_when(start, folder):
    write(folder / "x.log", "2026-01-01T08:30:00Z stderr F begin\n", request(T))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    answer = app.summary(DAY)
    source = answer.source("request-logs")
    assert source["status"] == "partial"
    assert "2026-01-01T08:30:00Z" in source["notes"]
    assert answer.json()["totals"]["requests_count_total"] == 1
    assert answer.header("OSCAR-Metrics-Complete") == "false"
    assert status(app, query="start=2026-01-01T08:30:00Z&end=2026-01-02T00:00:00Z") == "ok"
    assert status(app, query="start=2026-01-01T08:29:59.999999999Z&end=2026-01-02T00:00:00Z") == "partial"


def test_the_oldest_of_several_files_counts(start, folder):
    write(folder / "2.log", request("2026-01-01T12:00:00Z"))
    write(folder / "1.log", request("2025-12-31T12:00:00Z"))
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
    assert status(app) == "ok"


def test_the_exposed_logs_have_an_oldest_line_of_their_own(start, folder):
    write(folder / "x.log", logdata.REQUESTS_BEGIN)
    write(folder / "y.log", nginx_line(CLF, "/other"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log", "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "y.log"})
    assert (status(app), status(app, "exposed-request-logs")) == ("ok", "partial")
    later = "start=2026-01-01T10:00:00Z&end=2026-01-02T00:00:00Z"
    assert status(app, "exposed-request-logs", later) == "ok"


# Files that cannot be read.

def test_nothing_can_be_read(start, folder):
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/none.log"})
    answer = app.summary(DAY)
    assert answer.source("request-logs")["status"] == "missing"
    assert answer.json()["totals"] == model.totals([])


def unreadable_loop(path):
    path.symlink_to(path.name)


def unreadable_dangling(path):
    path.symlink_to("nowhere")


def unreadable_directory(path):
    path.mkdir()


def unreadable_fifo(path):
    os.mkfifo(path)


def unreadable_device(path):
    path.symlink_to("/dev/zero")


def unreadable_short_gzip(path):
    data = gzip.compress("".join([logdata.REQUESTS_BEGIN, *lines(3), "x" * 100000]).encode())
    path.write_bytes(data[:-20])


def unreadable_bad_sum(path):
    data = bytearray(gzip.compress("".join([logdata.REQUESTS_BEGIN, *lines(3)]).encode()))
    data[-6] ^= 0xff
    path.write_bytes(data)


def unreadable_gzip_head(path):
    path.write_bytes(b"\x1f\x8b\x08")


def unreadable_gzip_junk_behind(path):
    path.write_bytes(gzip.compress("".join(lines(3)).encode())[:-8] + b"garbage!" * 4)


UNREADABLE = {
    # how it is made, how many of its requests are there at least and at most
    "a loop of links": (unreadable_loop, 0, 0),
    "a dangling link": (unreadable_dangling, 0, 0),
    "a directory": (unreadable_directory, 0, 0),
    "a FIFO": (unreadable_fifo, 0, 0),
    "a device": (unreadable_device, 0, 0),
    "gzip cut short": (unreadable_short_gzip, 0, 3),
    "gzip with a wrong sum": (unreadable_bad_sum, 0, 3),
    "the head of a gzip": (unreadable_gzip_head, 0, 0),
    "gzip with a broken end": (unreadable_gzip_junk_behind, 0, 3),
}


@pytest.mark.parametrize("row", UNREADABLE)
def test_a_file_that_cannot_be_read_does_not_cost_the_others(start, folder, row):
    make, least, most = UNREADABLE[row]
    write(folder / "good.log", logdata.REQUESTS_BEGIN, *lines(2))
    make(folder / "bad.log")
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
    answer = app.summary(DAY)
    assert 2 + least <= answer.json()["totals"]["requests_count_total"] <= 2 + most
    source = answer.source("request-logs")
    assert source["status"] == "partial"
    assert "bad.log" in source["notes"]
    # And again, with whatever has been remembered.
    assert app.summary(DAY).source("request-logs")["status"] == "partial"


def test_what_stands_before_the_cut_of_a_gzip_counts(start, folder):
    filler = "".join(os.urandom(40).hex() + "\n" for _ in range(20000))
    data = gzip.compress("".join([logdata.REQUESTS_BEGIN, *lines(3), filler]).encode())
    (folder / "x.log.gz").write_bytes(data[:len(data) // 2])
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log.gz"})
    assert (count(app), status(app)) == (3, "partial")


def test_a_directory_in_the_way_and_nothing_else_is_missing(start, folder):
    (folder / "x.log").mkdir()
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    assert status(app) == "missing"


# Long lines and many lines.

@pytest.mark.parametrize("length", [65535, 65536, 65537, 200_000, 5_000_000])
def test_a_long_line_does_not_cost_its_neighbours(start, folder, length):
    long = "x" * (length - 1) + "\n"
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T), long, request(T, "/job/yolo"), long, request(T))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    assert count(app) == 3


def test_the_end_of_a_long_line_is_no_line(start, folder):
    # Wherever a reader cuts: what follows the cut must never be taken for the beginning of a line.
    for padding in range(0, 300_000, 16384):
        (folder / f"{padding}.log").write_text("x" * padding + request(T))
    write(folder / "begin.log", logdata.REQUESTS_BEGIN)
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/*.log"})
    assert count(app) == 1, "the one without padding"


def test_a_line_that_the_runtime_cut_is_one_line(start, folder):
    # Container runtimes cut at some 16 KB; all pieces but the last are marked P. Another stream may come between.
    line = request(T, user="u" * 40000).rstrip("\n")
    text = ""
    for at in range(0, len(line), 16384):
        flag = "P" if at + 16384 < len(line) else "F"
        text += f"2026-01-01T10:00:0{at // 16384}Z stderr {flag} {line[at:at + 16384]}\n"
        text += f"2026-01-01T10:00:0{at // 16384}Z stdout F {request(T, '/job/other', 'v')}"
    write(folder / "x.log", logdata.REQUESTS_BEGIN, text)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    items = app.breakdown(DAY + "&group_by=user").json()["items"]
    assert [(item["key"], item["executions_count"]) for item in items] == [("u" * 40000, 1), ("v", 3)]


def test_a_long_user_is_one_user(start, folder):
    user = "u" * 4000
    write(folder / "x.log", logdata.REQUESTS_BEGIN, request(T, user=user))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    assert app.summary(DAY).json()["totals"]["users"] == [user]


def test_lines_across_the_borders_of_reads(start, folder):
    # Lines of odd lengths, so that blocks of any size end in the middle of some.
    text = [request(f"2026-01-01T{n % 24:02}:00:00Z", user="u" * (n % 97)) for n in range(20000)]
    plain = write(folder / "x.log", logdata.REQUESTS_BEGIN, *text)
    write(folder / "x.log.1.gz", *text)
    app = start({"OSCAR_METRICS_LOG_FILES": f"{folder}/x.log*"})
    events = 2 * model.read_requests(plain)
    answer = app.summary(DAY)
    assert answer.json()["totals"] == model.totals(events)
    expect.sources(answer, {"service-inventory": "missing", "prometheus": "missing", "request-logs": "ok",
                            "country-attribution": "ok", "exposed-request-logs": "missing"})


def test_reports_agree_whatever_was_read_before(month):
    """Parts of the files may be remembered: no order of questions changes an answer."""
    spans = ["start=2026-01-05T00:00:00Z&end=2026-01-06T00:00:00Z",
             "start=2026-01-01T00:00:00Z&end=2026-01-31T00:00:00Z",
             "start=2026-01-05T12:34:56.7Z&end=2026-01-05T12:59:59Z",
             "start=2026-01-20T00:00:00Z&end=2026-02-20T00:00:00Z"]
    first = [month.app.summary(query).json()["totals"] for query in spans]
    again = [month.app.summary(query).json()["totals"] for query in reversed(spans)]
    assert first == again[::-1]


def test_a_request_is_counted_as_soon_as_its_line_is_written(app, folder):
    log = folder / "logs" / "manager.log"
    for number in range(1, 6):
        with open(log, "a", encoding="ascii") as file:
            file.write(request(T))
        assert count(app) == 3 + number
    age(log)
    assert count(app) == 8


@pytest.mark.fastcgi
def test_the_operator_is_told_of_lines_that_do_not_count(start, folder):
    path = folder / "app.log"
    write(path, request(T), gin(f"{T} | 200 | 1ms | ::1 | POST /run/a|b | u"), gin(f"{T} | 200"),
          gin(f"{T} | 200 | 1ms | ::1 | POST /run/A | u"), gin("never | 200 | 1ms | ::1 | POST /run/a | u"),
          gin(f"{T} | 200 | 1ms | ::1 | GET /health | u"), "noise\n")
    app = start({"OSCAR_METRICS_LOG_FILES": path})
    told = 'msg="lines that do not count" source=request-logs fields=2 namespace=0 service=1 time=1'
    app.summary(DAY)
    assert app.stderr().count(told) == 1
    app.summary(DAY)
    assert app.stderr().count(told) == 1, "the file was not read again"
