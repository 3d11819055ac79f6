"""Waits that are longer than other tests want to take: each is bounded long before the request's deadline."""
import time

from harness import fcgi
from harness.fake_prometheus import Hold, Reply
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.loki import DAY, HOUR, refusal
from harness.lokidata import nanoseconds, query

T = nanoseconds("2025-03-10T12:00:00Z")
END = T + 2 * DAY - 1


def test_a_window_without_an_answer_is_asked_again_with_less(start_loki, loki, data):
    """After 15 s; a third of the time that is left would be 38 s here."""
    data.begin(T)
    data.spread(T, END, 1000, exposed=50)
    loki.max_entries = 100
    hold, asked_at = Hold(), []

    def choose(asked, reply):
        if asked.what != "query_range":
            return reply
        asked_at.append(time.monotonic())
        return hold if asked.window[1] - asked.window[0] > 25 * HOUR else reply

    loki.answers(choose)
    app = start_loki({"OSCAR_METRICS_DEADLINE": "120s", "LOKI_PARALLEL": 1})
    assert fcgi.ask(app.address, app.params("/system/metrics", query(T, END)), patience=60).status == 200
    data.check(app, T, END)
    hold.wait_gone()
    longest = max(after - before for before, after in zip(asked_at, asked_at[1:]))
    assert 14.5 <= longest < 30


def test_pauses_before_loki_is_asked_again_stop_growing(start_loki, loki, data):
    """Doubled from a tenth of a second they would be of 6.4 and 12.8 s after the first seven."""
    data.begin(T)
    data.spread(T, END, 10)
    refused = []

    def choose(asked, reply):
        if asked.what != "query_range" or "ingress" in asked.query:
            return reply
        refused.append(time.monotonic())
        return refusal("wait", 429)

    loki.answers(choose)
    app = start_loki({"OSCAR_METRICS_DEADLINE": "26s", "LOKI_PARALLEL": 1})
    answer = fcgi.ask(app.address, app.params("/system/metrics", query(T, END)), patience=60)
    assert answer.source("loki")["status"] == "missing"
    pauses = [after - before for before, after in zip(refused, refused[1:])]
    assert len(pauses) >= 8, pauses
    assert 3.3 <= max(pauses) < 6, pauses


def test_a_provider_is_waited_for_ten_seconds(start):
    server = HostileOidc()
    hold = Hold(Reply("", 500))
    try:
        issuer = server.issuer("/x", EcKey())
        app = start({"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP})
        issuer.userinfo = hold
        began = time.monotonic()
        answer = app.get("/system/metrics", auth="Bearer " + issuer.token("somebody@example.org"))
        took = time.monotonic() - began
        assert answer.status == 503 and answer.text == "identity provider unavailable", answer
        assert answer.header("Retry-After")
        assert 9.5 <= took < 25
    finally:
        hold.release()
        server.close()
