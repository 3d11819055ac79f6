"""One line for each request: whose it was, what was answered, what it asked of backends, and never a credential."""
import re
import time

import pytest

from harness import expect
from harness.app import ROOT
from harness.client import ADMIN, PASSWORD, basic
from harness.fake_prometheus import Hold, Reply, vector
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.nginx import Nginx
from harness.waiting import wait_until

DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
FIELDS = ["time", "level", "msg", "request_id", "method", "path", "route", "status", "bytes", "ms", "complete",
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


def test_no_credential_is_ever_seen(start, folder, fake, loki):
    """In the log, the figures, or what is said of backends: ours and the clients', right and wrong, of backends that
    answer and that fail."""
    (folder / "services").mkdir()
    provider = HostileOidc()
    try:
        issuer = provider.issuer("/x", EcKey())
        secrets = {name: f"{name.lower()}-hush-4711" for name in
                   ("PROMETHEUS_USERNAME", "PROMETHEUS_PASSWORD", "LOKI_TOKEN", "URL_PASSWORD", "URL_USER", "QUERY")}
        url = fake.url.replace("://", f"://{secrets['URL_USER']}:{secrets['URL_PASSWORD']}@")
        common = {"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP, **loki.settings,
                  "LOKI_TOKEN": secrets["LOKI_TOKEN"], "OSCAR_METRICS_SERVICES_DIR": folder / "services"}
        variants = [{"PROMETHEUS_URL": url},
                    {"PROMETHEUS_URL": fake.url, "PROMETHEUS_USERNAME": secrets["PROMETHEUS_USERNAME"],
                     "PROMETHEUS_PASSWORD": secrets["PROMETHEUS_PASSWORD"]},
                    {"PROMETHEUS_URL": url.replace("http://", "https://")},
                    {"PROMETHEUS_URL": re.sub(r":\d+$", ":1", url)}]
        tokens = [issuer.token(), issuer.token(key=EcKey()), issuer.token(exp=1), "nonsense-hush-4711"]
        sent = ["Bearer " + token for token in tokens] + [ADMIN, basic(password="wrong-hush-4711"), "Basic hush-4711",
                                                           "Digest hush-4711"]
        forbidden = {PASSWORD, *secrets.values(), *tokens, *(auth.split(" ")[1] for auth in sent), "hush-4711"}
        for variant in variants:
            for answer in (vector("1"), Reply("no", 500)):
                fake.answers(answer)
                app = start({**common, **variant})
                for auth in sent:
                    app.get("/system/metrics", DAY + "&token=" + secrets["QUERY"], auth=auth)
                seen = app.stderr() + "".join(app.get(path, auth=None).text for path in ("/-/metrics", "/-/ready"))
                assert len(lines(app)) == len(sent) and "prometheus_requests" in seen
                for secret in forbidden:
                    assert secret not in seen, secret
    finally:
        provider.close()
