"""The program under what its unit of systemd allows: the same system calls, address families, namespaces, memory, limits,
and, where the machine lets us, a system that can only be read, with no right and as nobody. There it makes whole reports
from every kind of source, reloads, and ends well."""
import functools
import json
import pathlib
import resource
import signal
import subprocess

import pytest

from harness import expect, logdata, model, sandbox
from harness.app import BINARY, App, Apps
from harness.client import ADMIN, PASSWORD, basic
from harness.fake_prometheus import FakePrometheus, Hold, Reply, vector
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Container, Kube
from harness.loki import HOUR, Loki
from harness.lokidata import Data, nanoseconds, query, rfc3339
from harness.process import looks_after
from harness.tls import Authority
from harness.waiting import PATIENCE, wait_until
from test_countries import NETWORKS, write_database

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
FIRST = nanoseconds("2026-01-01T00:00:00Z")
LAST = FIRST + 24 * HOUR - 1

IN_FORCE = {"SystemCallFilter", "SystemCallErrorNumber", "SystemCallArchitectures", "RestrictAddressFamilies",
            "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
            "NoNewPrivileges", "LimitNOFILE", "UMask", "ExecStart", "ExecReload", "StandardInput", "Environment",
            "LoadCredential"}
# As root only, where it may mount: the summary says so where not.
IN_FORCE_FOR_ROOT = {"DynamicUser", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem", "ProtectProc",
                     "ProcSubset", "PrivateIPC", "ProtectHostname"}
# What systemd does around the program, or hides from it besides (the tests' files may be there).
OUTSIDE = {"StandardOutput", "StandardError", "EnvironmentFile", "Restart", "RestartSec", "TimeoutStopSec", "KillMode",
           "OOMPolicy", "TasksMax", "MemoryMax", "SupplementaryGroups", "RemoveIPC"}
HIDDEN = {"ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateUsers", "DevicePolicy"}
# Calls that the filter does not allow in any case, and files that can only be read.
COVERED = {"ProtectClock", "ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"}

NO_ROOT = sandbox.why_not_root()


def sanitizer():
    program = pathlib.Path(BINARY).read_bytes()
    return next((name for name, mark in (("AddressSanitizer", b"__asan_init"), ("ThreadSanitizer", b"__tsan_init"))
                 if mark in program), "")


pytestmark = pytest.mark.skipif(bool(sanitizer()), reason=f"{sanitizer()} needs system calls and memory that the unit "
                                "forbids; the program without it runs these tests")
with_root = pytest.mark.skipif(bool(NO_ROOT), reason="a system that can only be read, as nobody: cannot be had here "
                               f"({NO_ROOT}); system calls and the rest of the unit are in force all the same")


@pytest.fixture
def box(folder, units):
    return sandbox.Sandbox(folder, units, BINARY, root=not NO_ROOT)


class Confined(App):
    """The unit's program, on the socket that it is given as standard input."""

    def __init__(self, directory, settings, box):
        self.box = box
        super().__init__(directory, {**box.settings, "OSCAR_PASSWORD": None, **settings})
        wait_until(lambda: self.stderr().count("msg=ready") == box.processes, "all processes to be ready")
        assert looks_after(self.process.pid, signal.SIGTERM)

    def _popen(self, command, settings, stdin):
        return super()._popen(self.box.command(*self.box.program), settings, stdin)


@pytest.fixture
def start(folder, box):
    (folder / "apps").mkdir()
    (folder / "password").write_text(PASSWORD)
    apps = Apps(folder / "apps", functools.partial(Confined, box=box))
    yield apps.start
    apps.stop()


def by_name(url):
    """The same address by its name, which has to be looked up."""
    assert "//127.0.0.1:" in url
    return url.replace("//127.0.0.1:", "//localhost:")


def certified(folder):
    """(a context for servers that are called localhost, the file of the authority, certificate and key)"""
    authority = Authority(folder / "authority")
    context = authority.server("DNS:localhost,IP:127.0.0.1")
    return context, authority.ca, (authority.directory / "server.pem", authority.directory / "server.key")


@pytest.fixture
def prometheus():
    server = FakePrometheus()
    server.answers_by_kind(cpu=vector("1.5"), gpu=vector("0.25"))
    yield server
    server.close()


@pytest.fixture
def files(folder):
    """Settings of reports over log files, one of them compressed, with countries: (settings, events)."""
    lines = [logdata.request(f"2026-01-01T{number % 24:02}:00:00Z", client=client, user=f"user{number % 7}@example.org")
             for number, client in enumerate(["192.0.2.1", "192.0.2.128", "2001:db8::1", "8.8.8.8"] * 20)]
    requests = logdata.write(folder / "manager.log.1.gz", logdata.REQUESTS_BEGIN, *lines[:30])
    requests += logdata.write(folder / "manager.log", *lines[30:])
    logdata.write(folder / "ingress.log", logdata.EXPOSED_BEGIN)
    write_database(folder / "countries.mmdb")
    (folder / "services").mkdir()
    (folder / "services" / "yolo.yaml").write_text("name: yolo\nvisibility: public\n")
    return {"OSCAR_METRICS_LOG_FILES": folder / "manager.log*", "OSCAR_METRICS_EXPOSED_LOG_FILES": folder / "ingress.log",
            "OSCAR_METRICS_SERVICES_DIR": folder / "services", "GEOIP_DATABASE": folder / "countries.mmdb"}, \
        model.locate(model.read_requests(requests), NETWORKS)


def check_files(answer, events):
    totals = answer.json()["totals"]
    assert answer.header("OSCAR-Metrics-Complete") == "true", answer.json()["sources"]
    assert totals == {**model.totals(events), "services_count_active": 1, "cpu_hours_total": 1.5, "gpu_hours_total": 0.25}


def ends_well(app):
    app.process.terminate()
    assert app.wait() == 0, app.stderr()


# ---- whole reports -------------------------------------------------------------------------------------------------

def test_reports_over_files_with_countries_and_hours(start, files, prometheus):
    settings, events = files
    app = start({**settings, "PROMETHEUS_URL": by_name(prometheus.url)})
    check_files(app.summary(DAY), events)
    answer = app.breakdown(DAY + "&group_by=country")
    assert answer.json()["items"] == model.by_country(events)
    assert answer.header("OSCAR-Metrics-Complete") == "true"
    ends_well(app)


def test_reports_over_loki_and_the_kubernetes_api_by_tls(start, folder, prometheus):
    context, ca, _ = certified(folder)
    loki, kube = Loki(context=context), Kube(folder / "kube")
    try:
        loki.max_entries = 100
        data = Data(loki)
        data.begin(FIRST)
        data.spread(FIRST, LAST, 500, exposed=50)
        for name in ("yolo", "cowsay", "b"):
            kube.put_service(name)
        app = start({**loki.settings, **kube.settings, "LOKI_URL": by_name(loki.url), "LOKI_CA_FILE": ca})
        answer = app.get("/system/metrics", query(FIRST, LAST))
        assert answer.json()["totals"] == data.totals(FIRST, LAST) | {"services_count_active": 3}
        assert {each["name"]: each["status"] for each in answer.json()["sources"]} == dict.fromkeys(
            ["service-inventory", "loki", "country-attribution", "exposed-request-logs"], "ok") | {"prometheus": "missing"}
        ends_well(app)
    finally:
        loki.close()
        kube.close()


def test_reports_over_the_logs_of_pods_by_tls(start, folder):
    kube = Kube(folder / "kube")
    try:
        times = [rfc3339(FIRST + 24 * HOUR + n * HOUR // 10) for n in range(150)]
        entries = [(time, logdata.request(time).rstrip("\n")) for time in times]
        for number in range(3):
            kube.put_pod(f"oscar-{number}", {"oscar": Container([("2026-01-01T00:00:00.5Z", "it starts"),
                                                                *entries[number::3]])})
        kube.put_service("yolo")
        app = start(kube.settings)
        answer = app.breakdown("start=2026-01-02T00:00:00Z&end=2026-01-03T00:00:00Z&group_by=service")
        expect.check_sources([answer.source("request-logs")], {"request-logs": "ok"})
        assert [(item["key"], item["requests_count_total"]) for item in answer.json()["items"]] == [("yolo", 150)]
        ends_well(app)
    finally:
        kube.close()


def test_people_sign_in_by_tls_at_a_provider_with_a_name(start, folder, files):
    settings, _ = files
    _, ca, pair = certified(folder)
    provider = HostileOidc(tls=pair)
    try:
        provider.url = by_name(provider.url)
        issuer = provider.issuer("/x", EcKey())
        app = start({**settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, "OIDC_CA_FILE": ca})
        token = "Bearer " + issuer.token("user3@example.org")
        answer = app.get("/system/metrics", DAY, auth=token)
        assert answer.status == 200 and answer.json()["totals"]["requests_count_total"] > 0
        assert issuer.asked("discovery") and issuer.asked("jwks") and issuer.asked("me")
        issuer.users["other@example.org"] = {}
        expect.plain(app.get("/system/metrics", DAY, auth="Bearer " + issuer.token("other@example.org")), 403, "access denied")
        ends_well(app)
    finally:
        provider.close()


# ---- operating it --------------------------------------------------------------------------------------------------

def test_it_is_seen_reloads_and_finishes_what_it_is_at(start, folder, files, prometheus, box):
    settings, events = files
    app = start({**settings, "PROMETHEUS_URL": by_name(prometheus.url)})
    expect.plain(app.get("/-/healthy"), 200, "healthy")
    check_files(app.summary(DAY), events)
    (folder / "password").write_text("another-one")
    write_database(folder / "countries.mmdb", {"192.0.2.0/24": "PT"})
    box.reload(app.process.pid)
    wait_until(lambda: app.stderr().count("msg=reloaded settings=read certificates=read countries=read") == box.processes,
               "all processes to have read their files")
    assert app.get("/system/metrics", DAY, auth=ADMIN).status == 401
    answer = app.get("/system/metrics", DAY, auth=basic(password="another-one"))
    assert answer.json()["totals"]["countries"] == [{"country": "PT", "request_count": 40}]
    figures = app.get("/-/metrics").text
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
                 "process_start_time_seconds", "oscar_metrics_workers"):
        [value] = [line.split()[-1] for line in figures.splitlines() if line.startswith(name + " ")]
        assert float(value) > 0, name
    hold = Hold(Reply(vector("1.5")))
    prometheus.answers(hold)
    with app.begin("/system/metrics", DAY, auth=basic(password="another-one")) as connection:
        hold.wait_held(2)
        app.process.terminate()
        wait_until(lambda: app.stderr().count("msg=stopping") == box.processes, "all processes to be told")
        hold.release()
        answer = connection.answer()
    assert answer.status == 200 and answer.header("OSCAR-Metrics-Complete") == "true"
    assert app.wait() == 0, app.stderr()


# ---- it is in force ------------------------------------------------------------------------------------------------

PROBE = """
import ctypes, errno, json, mmap, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p

def tried(function, *arguments):
    try:
        function(*arguments)
        return "done"
    except OSError as fault:
        return errno.errorcode[fault.errno]

def call(name, *arguments):
    failed = getattr(libc, name)(*arguments) in (-1, 2 ** 64 - 1)
    return errno.errorcode[ctypes.get_errno()] if failed else "done"

def write():
    open(os.path.join(FOLDER, "probe"), "w").close()

status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "unix": tried(socket.socket, socket.AF_UNIX), "inet6": tried(socket.socket, socket.AF_INET6),
    "netlink": tried(socket.socket, 16, socket.SOCK_RAW), "packet": tried(socket.socket, 17, socket.SOCK_RAW),
    "vsock": tried(socket.socket, 40, socket.SOCK_STREAM),
    "map": call("mmap", None, 4096, 3, 34, -1, 0), "map to run": call("mmap", None, 4096, 7, 34, -1, 0),
    "user namespace": call("unshare", 0x10000000), "realtime": tried(os.sched_setscheduler, 0, 1, os.sched_param(1)),
    "owner": tried(os.chown, FOLDER, 0, 0), "priority": tried(os.setpriority, 0, 0, 1), "root": tried(os.chroot, "/"),
    "trace": call("ptrace", 0, 0, None, None),
    "privileges": status["NoNewPrivs"].strip(), "filtered": status["Seccomp"].strip(), "gain": libc.prctl(66, 0, 0, 0, 0),
    "umask": status["Umask"].strip(), "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "write": tried(write), "user": os.getuid(), "bounds": status["CapBnd"].strip(), "rights": status["CapEff"].strip(),
    "groups": os.getgroups(), "memory": os.path.exists("/proc/meminfo"), "others": os.path.exists("/proc/1"),
}))
"""


@pytest.fixture
def seen(folder, box):
    """What a stranger in the program's place can do."""
    result = subprocess.run(box.command("/usr/bin/python3", "-I", "-B", "-c", f"FOLDER = {str(folder)!r}\n{PROBE}"),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            timeout=PATIENCE * 3, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_what_the_unit_forbids_is_forbidden_here(seen):
    for name in ("unix", "inet6", "map"):
        assert seen[name] == "done", name
    for name in ("netlink", "packet", "vsock"):
        assert seen[name] == "EAFNOSUPPORT", name
    for name in ("user namespace", "realtime", "owner", "priority", "root", "trace"):
        assert seen[name] == "EPERM", name
    assert seen["map to run"] in ("EPERM", "EACCES")
    assert (seen["privileges"], seen["filtered"], seen["umask"]) == ("1", "2", "0077")
    # The unit's, as far as this machine has as many.
    assert seen["files"] == [min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])] * 2


def test_memory_is_denied_by_the_kernel_s_own_switch(seen):
    """What newer versions of systemd use."""
    if seen["gain"] < 0:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3); a filter of system calls denied it instead")
    assert seen["gain"] == 1


@with_root
def test_nothing_can_be_written_and_nobody_has_no_right(seen):
    assert seen["write"] == "EROFS" and not seen["memory"] and not seen["others"]
    assert seen["user"] == sandbox.NOBODY and seen["groups"] == []
    assert int(seen["bounds"], 16) == int(seen["rights"], 16) == 0


def test_every_directive_is_in_force_or_known(units):
    said = set(sandbox.read_service(units))
    assert said <= IN_FORCE | IN_FORCE_FOR_ROOT | OUTSIDE | HIDDEN | COVERED
    assert IN_FORCE | IN_FORCE_FOR_ROOT <= said, "what is put in force here is what the unit says"
