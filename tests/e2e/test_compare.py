"""The tool that holds OSCAR's manager against this program: every difference is printed, with its reason or without."""
import copy
import http.server
import json
import subprocess
import sys
import threading
import urllib.parse

import pytest

from harness.app import ROOT
from harness.waiting import PATIENCE

TOOL = ROOT / "tools" / "oscar-metrics-compare"

TOTALS = {"services_count_active": 2, "services_count_total": 2, "cpu_hours_total": 2.5, "gpu_hours_total": 0,
          "requests_count_total": 8000, "requests_count_sync": 3000, "requests_count_async": 5000,
          "requests_count_exposed": 0, "countries_count": 1, "countries": [{"country": "ES", "request_count": 8000}],
          "users_count": 1, "users": ["a"]}
ANSWERS = {
    "": {"totals": TOTALS, "sources": [{"name": "loki", "status": "ok"}]},
    "service": {"items": [{"key": "yolo", "requests_count_total": 8000}, {"key": "zoo", "requests_count_total": 0}]},
    "user": {"items": [{"key": "a", "membership": "member", "executions_count": 8000}]},
    "country": {"items": [{"key": "ES", "executions_count": 8000}]},
}


class Answers:
    """A server of canned answers."""

    def __init__(self, answers):
        outer = self
        self.answers = answers
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                parameters = dict(urllib.parse.parse_qsl(url.query))
                outer.asked.append((url.path, parameters, self.headers["Authorization"]))
                answer = outer.answers.get(parameters.get("group_by", ""))
                body = json.dumps(answer).encode()
                self.send_response(200 if answer is not None else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def compare(tmp_path):
    (tmp_path / "password").write_text("secret\n")
    servers = []

    def run(theirs, ours):
        servers.extend([Answers(theirs), Answers(ours)])
        return subprocess.run([sys.executable, TOOL, "--manager", servers[0].url, "--metrics", servers[1].url,
                               "--password-file", tmp_path / "password", "--start", "2026-05-01T00:00:00Z",
                               "--end", "2026-05-31T23:59:59Z"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=PATIENCE, check=False)

    run.servers = servers
    yield run
    for server in servers:
        server.close()


def changed(question, change):
    answers = copy.deepcopy(ANSWERS)
    change(answers[question])
    return answers


def test_the_same_answers_have_no_difference(compare):
    result = compare(ANSWERS, ANSWERS)
    assert result.returncode == 0 and result.stdout.count(": no differences") == 4, result.stdout
    theirs, ours = (server.asked for server in compare.servers)
    assert theirs == ours and len(theirs) == 4
    assert {parameters["start"] for _, parameters, _ in theirs} == {"2026-05-01T00:00:00Z"}
    assert {login for _, _, login in theirs} == {"Basic b3NjYXI6c2VjcmV0"}


def test_the_order_of_rows_is_no_difference(compare):
    result = compare(changed("service", lambda answer: answer["items"].reverse()), ANSWERS)
    assert result.returncode == 0 and result.stdout.count(": no differences") == 4, result.stdout


@pytest.mark.parametrize("question, change, reason", [
    ("", lambda answer: answer["totals"].update(users=None), "null"),
    ("", lambda answer: answer["totals"].update(requests_count_total=5000), "5000 lines, once"),
    ("", lambda answer: answer["totals"].update(cpu_hours_total=0), "throws the value away"),
    ("", lambda answer: answer.pop("sources"), "said in other words"),
    ("user", lambda answer: answer["items"][0].update(membership="unknown"), "unknown for everybody"),
    ("country", lambda answer: answer["items"].clear(), "5000 lines, once"),
])
def test_a_known_fault_of_the_manager_is_named(compare, question, change, reason):
    ours = ANSWERS
    if reason == "null":
        ours = changed(question, lambda answer: answer["totals"].update(users=[]))
    result = compare(changed(question, change), ours)
    assert result.returncode == 0 and reason in result.stdout, result.stdout


@pytest.mark.parametrize("question, change", [
    ("", lambda answer: answer["totals"].update(requests_count_total=8001)),
    ("user", lambda answer: answer["items"].append({"key": "b", "membership": "member", "executions_count": 1})),
    ("service", lambda answer: answer["items"][0].update(key="other")),
])
def test_what_nobody_can_explain_is_said_to_be_so(compare, question, change):
    result = compare(changed(question, change), ANSWERS)
    assert result.returncode == 1 and "NO KNOWN REASON" in result.stdout, result.stdout


def test_an_answer_that_cannot_be_had_is_an_error(compare):
    result = compare({}, ANSWERS)
    assert result.returncode == 2 and "500" in result.stdout and "secret" not in result.stdout, result.stdout
