"""One line for each request: whose it was, what was answered, what it asked of backends, and never a credential."""
import base64
import re
import signal
import time
import urllib.parse

import pytest

from harness import expect, logdata
from harness.app import ROOT, run
from harness.client import USER, basic
from harness.fake_prometheus import Cut, Hold, Reply, vector
from harness.figures import scrape
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.kube import Kube
from harness.nginx import Nginx
from harness.waiting import SLOWDOWN, wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
FIELDS = ["time", "level", "msg", "request_id", "method", "path", "route", "status", "bytes", "cut", "ms", "complete",
          *(f"{backend}_{what}" for backend in ("prometheus", "loki", "kubernetes", "oidc")
            for what in ("ms", "requests", "failures")), "reason"]


def lines(app):
    """The lines of requests that are not the operator's, each as a dictionary, in the order of FIELDS."""
    found = []
    for line in app.stderr().splitlines():
        if " request_id=" not in line or " route=/-/" in line:
            continue
        assert expect.LOG_LINE.match(line), line
        pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)', line)
        names = [name for name, _ in pairs]
        assert names == [name for name in FIELDS if name in names], line
        found.append({name: value.strip('"') for name, value in pairs})
    return found


def line_of(app, *args, **how):
    """(answer, line) of one request."""
    before = len(lines(app))
    answer = app.get(*args, **how)
    [line] = wait_until(lambda: lines(app)[before:], "the line")
    assert int(line["bytes"]) == len(answer.body) and int(line["status"]) == answer.status
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"]) and int(line["ms"]) >= 0
    return answer, {name: value for name, value in line.items() if name not in ("time", "request_id", "bytes", "ms")}


def said(method="GET", path="/system/metrics", route=None, status="200", **more):
    return {"level": "info", "msg": "request", "method": method, "path": path, "route": route or path, "status": status,
            **more}


def test_the_page_describes_every_field():
    page = (ROOT / "docs" / "operations.md").read_text().split("## The log\n")[1].split("\n## ")[0]
    for field in FIELDS:
        name = re.sub("^[a-z]+_(requests|failures)$", r"..._\1", field)
        assert f"`{name}`" in page or field in ("time", "level"), field


@pytest.fixture
def app(start, fake):
    """With one worker, so that what one request leaves behind is there for the next."""
    fake.answers(vector("1"))
    return start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_WORKERS": 1})


KINDS = {
    "bad": (("/system/metrics", "end=x"), {}, said(status="400")),
    "nobody": (("/system/metrics", DAY), {"auth": None}, said(status="401")),
    "stranger": (("/system/metrics", DAY), {"auth": "Bearer x"}, said(status="401", reason="OIDC_ENABLE is false")),
    "head": (("/system/metrics", "end=x"), {"method": "HEAD"}, said(method="HEAD", status="400")),
    "method": (("/system/metrics",), {"method": "PUT"}, said(method="PUT", status="405")),
    "other": (("/a b",), {}, said(path="/a b", route="other", status="404")),
    "name": (("/system/metrics/Yolo",), {}, said(path="/system/metrics/Yolo", route="/system/metrics/{serviceName}",
                                                 status="400")),
}


@pytest.mark.parametrize("asked, how, expected", KINDS.values(), ids=KINDS)
def test_what_needs_no_backend(app, asked, how, expected):
    _, line = line_of(app, *asked, **how)
    assert line == expected


def test_a_report_says_what_it_asked_of_whom(app, fake):
    _, line = line_of(app, "/system/metrics", DAY)
    took = int(line.pop("prometheus_ms"))
    assert line == said(complete="false", prometheus_requests="2", prometheus_failures="0")
    assert 0 <= took < 20_000
    fake.answers(Reply("no", 500))
    fake.forget()
    _, line = line_of(app, "/system/metrics/yolo", DAY + "&metric=cpu-hours")
    assert line["prometheus_requests"] == line["prometheus_failures"] == str(len(fake.asked))
    # The next one begins with nothing.
    _, line = line_of(app, "/system/metrics", "end=x")
    assert "prometheus_requests" not in line


def test_the_time_of_a_backend_lies_within_the_request_s(start, fake):
    """And holds the time for which it was waited."""
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url})
    with app.begin("/system/metrics/yolo", DAY + "&metric=cpu-hours") as connection:
        hold.wait_held()
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 0.06, "a moment to pass")
        hold.release()
        assert connection.answer().status == 200
    [line] = wait_until(lambda: lines(app), "the line")
    assert 60 <= int(line["prometheus_ms"]) <= int(line["ms"])


def test_a_client_that_went_away(start, fake):
    hold = Hold()
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url})
    with app.begin("/system/metrics/yolo", DAY + "&metric=cpu-hours"):
        hold.wait_held()
    [line] = wait_until(lambda: lines(app), "the line")
    assert (line["msg"], line["status"], line["bytes"]) == ("client went away", "499", "0")
    assert (line["prometheus_requests"], line["prometheus_failures"]) == ("1", "0")


def test_an_answer_that_is_cut_says_so(start, folder):
    """The client goes away within it. It is no report that was answered, and its bytes are those that were taken."""
    logdata.write_many_users(folder / "x.log", 20000)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "x.log"})
    query = DAY + "&group_by=user&format=csv"
    whole, reports = len(app.breakdown(query).body), scrape(app).all("oscar_metrics_reports_total", "complete")
    with app.begin("/system/metrics/breakdown", query) as connection:
        assert connection.socket.recv(1)
    line = wait_until(lambda: lines(app)[1:], "the line")[0]
    assert (line["msg"], line["status"], line["cut"]) == ("request", "200", "true")
    assert 0 < int(line["bytes"]) < whole and "cut" not in lines(app)[0]
    after = scrape(app)
    assert after.all("oscar_metrics_reports_total", "complete") == reports
    assert after.all("oscar_metrics_http_response_bytes_total", "route")["/system/metrics/breakdown"] \
        == whole + int(line["bytes"])


def test_who_is_turned_away(start, fake):
    hold = Hold(Reply(vector("1")))
    fake.answers(hold)
    app = start({"PROMETHEUS_URL": fake.url, "OSCAR_METRICS_DEADLINE": "1s", "OSCAR_METRICS_WORKERS": 2})
    with app.begin("/system/metrics/first", DAY + "&metric=cpu-hours") as first:
        hold.wait_held()
        with app.begin("/system/metrics/late", DAY + "&metric=cpu-hours") as late:
            assert first.answer().status == 200
            assert late.answer().status == 503, "its time was over when its turn came"
    [line] = [line for line in wait_until(lambda: len(lines(app)) == 2 and lines(app), "both lines")
              if line["path"] == "/system/metrics/late"]
    assert line["status"] == "503" and "prometheus_requests" not in line and int(line["ms"]) >= 800


def test_ids_of_requests(app):
    for given, taken in (("0123456789abcdef" * 4, True), ("A_b.c-9", True), ("0123456789abcdef" * 4 + "0", False),
                         ("a b", False), ('x" level=error msg="y', False), ("x\ny", False), ("", False)):
        before = len(lines(app))
        app.get("/nowhere", REQUEST_ID=given)
        [line] = wait_until(lambda: lines(app)[before:], "the line")
        assert (line["request_id"] == given) is taken
        assert taken or re.fullmatch("[0-9a-f]{32}", line["request_id"])


def test_nginx_gives_its_own_id(app, folder):
    nginx = Nginx(folder / "nginx", app.address)
    try:
        # Nobody outside chooses it: neither by its name in HTTP, nor by that of the parameter.
        for _ in range(2):
            nginx.get("/system/metrics", headers={"X-Request-Id": "mine", "Request-Id": "mine", "REQUEST_ID": "mine"})
    finally:
        nginx.stop()
    ids = [line["request_id"] for line in lines(app)]
    assert len(set(ids)) == len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


# ---- Nothing secret ---------------------------------------------------------------------------------------------------

# Stands in every secret: what is escaped in a URL leaves it as it is.
MARK = "hush-4711"


def secret(name):
    """One of at least 32 bytes, with what URLs escape in it."""
    return f"{name.lower()}/{MARK}+%&=?#@:{'x' * 32}"


def rows_of_the_table():
    """{setting: its row} of the program's own table."""
    table = (ROOT / "src" / "settings_table.c").read_text()
    return {name: row for name, row in re.findall(r'\[(\w+)\] =\s+\{("\1".*?)\},?\n(?=    \[|\};)', table, re.S)}


def named(*flags):
    """The settings whose row has one of these words."""
    return {name for name, row in rows_of_the_table().items() if any(flag in row for flag in flags)}


SECRET = named("SETTING_SECRET")
CREDENTIALS = SECRET | named("SETTING_FROM_FILE")  # names, too
URLS = named("TYPE_URL,")
TOKEN_FILES = {name for name in rows_of_the_table() if name.endswith("_TOKEN_FILE")}
ACCESS = [name for name in CREDENTIALS if name.startswith(("PROMETHEUS_", "LOKI_"))]


def test_the_table_is_read_as_the_program_reads_it():
    """Of every row that is found to be secret, and of no other, --check-config shows no value."""
    rows = rows_of_the_table()
    shown = run("--check-config", settings={name: secret(name) for name in CREDENTIALS - {"OSCAR_USERNAME"}}).stdout
    found = dict(line.split("  # ")[0].split("=", 1) for line in shown.splitlines())
    assert set(found) == set(rows)
    assert {name for name, value in found.items() if value == "********"} == SECRET
    assert MARK in found["LOKI_USERNAME"] and not any(MARK in found[name] for name in SECRET)
    page = (ROOT / "docs" / "settings.md").read_text()
    assert CREDENTIALS == {name for name in rows if f"; or {name}_FILE |" in page}
    assert {name for name in rows if re.search("PASSWORD|SECRET|(TOKEN|KEY)$", name)} <= SECRET
    assert SECRET and ACCESS and {"PROMETHEUS_URL", "LOKI_URL", "OSCAR_METRICS_KUBE_URL"} == URLS


@pytest.mark.parametrize("setting", sorted(URLS))
@pytest.mark.parametrize("form", ["{}", "http://{}@h", "http://u:{}@h/x", "http://u:{}", "ftp://u:{}@h", "http://u:{} @h"])
def test_a_credential_in_a_url_is_not_shown(setting, form):
    """Escaped or not, in a good URL or in one that stops the start."""
    for value in (secret(setting), urllib.parse.quote(secret(setting), safe="")):
        for arguments in (["--check-config"], []):
            if not arguments and form.startswith("http:") and " " not in form:
                continue  # it would start
            done = run(*arguments, settings={setting: form.format(value)})
            if form.endswith("{}") and done.returncode == 0:
                continue  # no credential: a host, in which nobody sees one
            assert MARK not in done.stdout + done.stderr


class Everybody:
    """All backends; through[name](reply): from now on that is their answer; None: what is right."""

    def __init__(self, folder, fake, loki):
        (folder / "kube-token").mkdir()
        self.fake, self.loki, self.kube, self.provider = fake, loki, Kube(folder / "kube", tls=False), HostileOidc()
        self.kube.put_service("yolo", "name: yolo\nvisibility: public\n")
        self.issuer = self.provider.issuer("/x", EcKey())
        self.right = {name: getattr(self.issuer, name) for name in ("discovery", "userinfo")}
        self.secrets = {name: f"token-{MARK}-{name}" if "TOKEN" in name else secret(name)
                        for name in CREDENTIALS | TOKEN_FILES}
        self.token_file = folder / "kube-token" / "token"
        self.token_file.write_text(self.secrets["OSCAR_METRICS_KUBE_TOKEN_FILE"])
        self.kube.tokens = {self.secrets["OSCAR_METRICS_KUBE_TOKEN_FILE"]}

    def answer(self, reply):
        self.fake.answers(reply or vector("1"))
        self.loki.answers((lambda asked, right: reply) if reply else None)
        self.kube.fault = lambda asked, right: reply or right
        self.issuer.discovery = reply or self.right["discovery"]
        self.issuer.userinfo = self.right["userinfo"]

    def settings(self, how):
        """`how` they are told who we are: by a "token", a "password", or in the "url"."""
        ends = {"token": ("_TOKEN",), "password": ("_USERNAME", "_PASSWORD"), "url": ()}[how]
        given = {name: self.secrets[name] for name in ACCESS if name.endswith(ends)} if ends else {}
        given |= {name: self.secrets[name] for name in CREDENTIALS - set(ACCESS)}
        urls = {"PROMETHEUS_URL": self.fake.url, "LOKI_URL": self.loki.url, "OSCAR_METRICS_KUBE_URL": self.kube.url}
        assert set(urls) == URLS
        if how == "url":
            urls = {name: url.replace("://", f"://user-{MARK}:{urllib.parse.quote(secret(name), safe='')}@")
                    for name, url in urls.items()}
        else:
            given["OSCAR_METRICS_KUBE_TOKEN_FILE"] = self.token_file
        return {**given, **urls, "OSCAR_METRICS_PSEUDONYMS": "true", "OIDC_ENABLE": "true", "OIDC_ISSUERS": self.issuer.url,
                "OIDC_GROUPS": GROUP, "OSCAR_USERNAME": USER}

    def close(self):
        self.kube.close()
        self.provider.close()


@pytest.fixture
def everybody(folder, fake, loki):
    made = Everybody(folder, fake, loki)
    yield made
    made.close()


def forms_of(value):
    """A secret as it is, escaped, and within base64, wherever it begins there."""
    data = value.encode()
    for shift in range(3):
        cut = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")[4 if shift else 0:-2]
        yield cut
        yield cut.translate(str.maketrans("+/", "-_"))
    yield from {value, urllib.parse.quote(value), urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value),
                data.hex()}


def at(settings, change):
    """All backends somewhere else, each at a place of its own."""
    places = [name for name in settings if name in URLS or name == "OIDC_ISSUERS"]
    return {**settings, **{name: re.sub(r"^http(://.*)127.0.0.1:(\d+)", change.format(2 + n), settings[name])
                           for n, name in enumerate(places)}}


# A 4xx of these is no failure of theirs: it is about the question, or about a client's token.
ANSWERS_ALL_THE_SAME = {(fault, name) for fault, names in {"not let in": ["oidc"], "forbidden": ["oidc"], "a refusal": [
    "prometheus", "loki", "kubernetes", "oidc"]}.items() for name in names}

# How all of them fail: their answer, what becomes of their URLs, and whether each is told to have failed.
FAILS = {
    "well": (None, None, None),
    "not let in": (Reply("no", 401), None, ""),
    "forbidden": (Reply("no", 403), None, ""),
    "a refusal": (Reply('{"status":"error","errorType":"bad_data","error":"no"}', 400), None, ""),
    "HTML": (Reply("<html>no</html>", 200, "text/html"), None, None),
    "a redirection": (Reply("", 302, headers=[("Location", "http://127.0.0.1:1/")]), None, ""),
    "cut": (Cut(vector("1") + " " * 10_000), None, ""),
    "refused": (None, r"http\g<1>127.0.0.{}:1", ""),
    "no TLS there": (None, r"https\g<1>127.0.0.1:\2", ""),
}


@pytest.mark.parametrize("how", ["token", "password", "url"])
@pytest.mark.parametrize("fault", FAILS)
def test_no_credential_is_ever_seen(start, everybody, how, fault):
    """In the log, the figures, what is said of backends, answers, or the settings in force: ours and the clients', right
    and wrong, whether backends answer or fail."""
    reply, elsewhere, failures = FAILS[fault]
    everybody.answer(reply)
    settings = everybody.settings(how)
    issuer = everybody.issuer
    settings = at(settings, elsewhere) if elsewhere else settings
    if elsewhere:
        issuer.url = settings["OIDC_ISSUERS"]
    # Loki is asked again and again, where it cannot be reached, until then.
    app = start({**settings, "OSCAR_METRICS_DEADLINE": f"{round(2 * SLOWDOWN)}s"})
    admin = basic(password=settings["OSCAR_PASSWORD"])
    tokens = [issuer.token(), issuer.token(key=EcKey()), issuer.token(exp=1), "nonsense-" + MARK]
    sent = ["Bearer " + token for token in tokens] + [admin, basic(password="wrong-" + MARK), "Basic " + MARK,
                                                      "Digest " + MARK, admin]
    said = []
    for auth in sent:
        said.append(app.get("/system/metrics", f"{DAY}&token={MARK}", auth=auth))
    for path, query in (("/system/metrics/yolo", DAY), ("/system/metrics/breakdown", DAY + "&group_by=user&format=csv"),
                        ("/system/metrics/owners", "")):
        said.append(app.get(path, query, auth=admin))
    said += [app.get(path, auth=None) for path in ("/-/metrics", "/-/ready")]
    assert {200, 401} <= {answer.status for answer in said}
    wait_until(lambda: len(lines(app)) == len(sent) + 3, "all lines")
    for name in ("prometheus", "loki", "kubernetes", "oidc"):
        failed = sum(int(line.get(f"{name}_failures", 0)) for line in lines(app))
        asked = sum(int(line.get(f"{name}_requests", 0)) for line in lines(app))
        assert asked and (failures is None or failed or (fault, name) in ANSWERS_ALL_THE_SAME), name
    shown = run("--check-config", settings=app.settings)
    assert shown.returncode == 0, shown
    ours = [*everybody.secrets.values(), *map(secret, URLS), f"user-{MARK}"]
    clients = [*tokens, *(token.split(".")[-1] for token in tokens), *(auth.split(" ")[1] for auth in sent), MARK]
    seen = app.stderr() + "".join(f"{answer.status} {answer.headers} {answer.text}" for answer in said)
    for text in {form for value in ours + clients for form in forms_of(value)}:
        assert text not in seen, text
    # Names are shown there, as other settings are.
    names = {everybody.secrets[name] for name in CREDENTIALS - SECRET}
    for text in {form for value in set(ours) - names for form in forms_of(value)}:
        assert text not in shown.stdout + shown.stderr, text


def test_every_secret_is_in_that_test(everybody):
    given = set().union(*(everybody.settings(how) for how in ("token", "password", "url")))
    assert CREDENTIALS | TOKEN_FILES | URLS <= given
    for name, value in everybody.secrets.items():
        assert MARK in value, name
    assert all(MARK in everybody.settings("url")[name] for name in URLS)


def test_a_secret_in_a_file_is_not_shown_when_the_file_goes_bad(start, folder):
    """The last good one stays, and the log says whose file it is."""
    files = {name: folder / name for name in CREDENTIALS - {"OSCAR_USERNAME"}}
    for name, file in files.items():
        file.write_text(f"{secret(name)}\n")
    app = start({"OSCAR_PASSWORD": None, "OSCAR_METRICS_PSEUDONYMS": "true", **{f"{name}_FILE": file for name, file in
                                                                             files.items()}})
    for name, file in files.items():
        good = file.read_text()
        for bad in (good.encode() + b"\0" + MARK.encode(), MARK.encode() * 10_000):
            before = app.stderr().count("msg=reloaded")
            file.write_bytes(bad)
            app.signal(signal.SIGHUP)
            wait_until(lambda before=before: app.stderr().count("msg=reloaded") > before, "the files to be read")
            assert f"{name}_FILE" in app.stderr().splitlines()[-1]
        file.write_text(good)
    assert MARK not in app.stderr() + app.get("/-/ready", auth=None).text
