"""What is remembered of providers and of tokens: how often a provider is asked, what still works without one, and how
much memory strangers can fill."""
import contextlib
import json
import os
import pathlib
import random
import time

import pytest

from harness import expect, jose
from harness.client import ADMIN
from harness.fake_prometheus import Hold, Reply
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey, RsaKey
from harness.together import together
from harness.waiting import wait_until

ALICE, BOB = "alice@example.org", "bob@example.org"
ONCE_IN = 10  # seconds: how often a provider is asked for its keys at most


@pytest.fixture
def server():
    made = HostileOidc()
    yield made
    made.close()


@pytest.fixture
def issuer(server):
    return server.issuer("/x", EcKey())


def settings(folder, *issuers):
    (folder / "services").mkdir()
    return {"OIDC_ENABLE": "true", "OIDC_ISSUERS": ",".join(issuer.url for issuer in issuers), "OIDC_GROUPS": GROUP,
            "OSCAR_METRICS_SERVICES_DIR": folder / "services"}


@pytest.fixture
def app(start, issuer, folder):
    return start(settings(folder, issuer))


def ask(app, token):
    return app.get("/system/metrics", "end=x", auth="Bearer " + token)


def gets_in(app, token):
    answer = ask(app, token)
    assert answer.status == 400, answer


def unavailable(answer):
    expect.plain(answer, 503, "identity provider unavailable")
    assert 0 < int(answer.header("Retry-After")) <= ONCE_IN
    assert answer.header("WWW-Authenticate") is None


def counts(issuer):
    return tuple(issuer.asked(what) for what in ("discovery", "jwks", "me"))


@contextlib.contextmanager
def asking(app, tokens):
    """Requests that are under way; their connections."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(app.begin("/system/metrics", "end=x", auth="Bearer " + token)) for token in tokens]


# How it goes on after a pause of ONCE_IN is begun here for all tests at once, and looked at in the last ones.

@pytest.fixture(scope="module")
def later_server():
    made = HostileOidc()
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def later(later_server, start_shared, shared_folder):
    """(the program, {name: issuer})"""
    issuers = {name: later_server.issuer("/" + name, EcKey()) for name in ("unknown", "stays", "discovery", "jwks")}
    app = start_shared(settings(shared_folder, *issuers.values()))
    for name in ("unknown", "stays"):
        gets_in(app, issuers[name].token(ALICE))
    issuers["unknown"].keys.append(RsaKey())
    expect.plain(ask(app, issuers["unknown"].token(BOB, issuers["unknown"].keys[1])), 401, "invalid credentials")
    assert counts(issuers["unknown"])[:2] == (1, 1)
    issuers["stays"].jwks = Reply("", 500)
    for name in ("discovery", "jwks"):
        issuer = issuers[name]
        issuer.right = getattr(issuer, name)
        setattr(issuer, name, Reply("", 502))
        issuer.began = time.monotonic()
        for _ in range(20):
            unavailable(ask(app, issuer.token(ALICE)))
    return app, issuers


def test_a_token_is_verified_once(app, issuer):
    token = issuer.token(ALICE)
    for _ in range(50):
        gets_in(app, token)
    assert counts(issuer) == (1, 1, 1)
    gets_in(app, issuer.token(BOB))
    assert counts(issuer) == (1, 1, 2)


def test_what_providers_are_sent(app, server, issuer):
    """The token goes to userinfo, in its header, and nowhere else."""
    token = issuer.token(ALICE)
    gets_in(app, token)
    assert [asked.path for asked in server.asked] == ["/x/.well-known/openid-configuration", "/x/jwks", "/x/me"]
    assert [asked.headers.get("Authorization") for asked in server.asked] == [None, None, "Bearer " + token]
    assert all(asked.method == "GET" for asked in server.asked)


@pytest.mark.parametrize("what", ["discovery", "jwks", "userinfo"])
def test_the_same_is_asked_for_once_at_a_time(app, server, issuer, what):
    """One question, however many wait for its answer."""
    hold = Hold(Reply({"discovery": lambda: issuer.discovery(), "jwks": lambda: issuer.jwks(),
                       "userinfo": lambda: json.dumps({"sub": ALICE, **issuer.claims})}[what]()))
    token = issuer.token(ALICE)
    setattr(issuer, what, hold)
    with asking(app, [token] * 5) as waiting:
        hold.wait_held()
        hold.release()
        assert [connection.answer().status for connection in waiting] == [400] * 5
    assert counts(issuer) == (1, 1, 1)


def test_tokens_of_several_people_are_asked_for_side_by_side(app, issuer):
    right, hold = issuer.userinfo, Hold()
    gets_in(app, issuer.token("first"))
    issuer.userinfo = lambda asked: hold
    hold.reply = Reply("{}", 401)
    with asking(app, [issuer.token(f"{n}@example.org") for n in range(4)]) as waiting:
        hold.wait_held(4)
        issuer.userinfo = right
        hold.release()
        assert [connection.answer().status for connection in waiting] == [401] * 4
    assert counts(issuer) == (1, 1, 5)


def test_remembered_tokens_and_the_admin_do_not_wait_for_a_provider(app, issuer):
    token, right, hold = issuer.token(ALICE), issuer.userinfo, Hold(Reply("{}", 401))
    gets_in(app, token)
    issuer.userinfo = lambda asked: hold
    with asking(app, [issuer.token(f"{n}@example.org") for n in range(40)]) as waiting:
        hold.wait_held(4)
        began = time.monotonic()
        for _ in range(20):
            gets_in(app, token)
            assert app.get("/system/metrics", "end=x", auth=ADMIN).status == 400
            assert app.get("/-/healthy", auth=None).status == 200
        # Less than a provider is waited for.
        assert time.monotonic() - began < 5
        issuer.userinfo = right
        hold.release()
        assert {connection.answer().status for connection in waiting} <= {400, 401, 503}


def test_a_remembered_token_is_served_while_its_provider_is_down(app, server, issuer):
    token = issuer.token(ALICE)
    gets_in(app, token)
    server.close()
    for _ in range(3):
        gets_in(app, token)
        unavailable(ask(app, issuer.token(BOB)))
        unavailable(ask(app, issuer.token(ALICE, x=1)))
    assert app.get("/system/metrics", auth="Bearer " + token).status == 200
    assert app.get("/system/metrics", auth=ADMIN).status == 200


def test_userinfo_that_comes_back(app, issuer):
    right = issuer.userinfo
    issuer.userinfo = Reply("", 502)
    token = issuer.token(ALICE)
    for _ in range(20):
        unavailable(ask(app, token))
    assert issuer.asked("me") < 10
    issuer.userinfo = right
    wait_until(lambda: ask(app, token).status == 400, "the provider to be asked again")


def test_a_remembered_token_expires(app, issuer):
    token = issuer.token(ALICE, lifetime=3)
    gets_in(app, token)
    wait_until(lambda: ask(app, token).status == 401, "the token to expire")
    assert json.loads(jose.decode(token.split(".")[1]))["exp"] <= time.time()


def test_a_refused_token_is_not_remembered_as_a_right_one(app, issuer):
    """Nor is a right one forgotten over it."""
    right = issuer.token(ALICE)
    head, claims, signature = right.split(".")
    wrong = ".".join((head, claims, jose.encode(bytes([jose.decode(signature)[0] ^ 1]) + jose.decode(signature)[1:])))
    for _ in range(3):
        assert ask(app, wrong).status == 401
        gets_in(app, right)


def test_groups_are_judged_by_the_settings_of_now(app, issuer, start, folder):
    """The user is remembered, not that they got in: another program with other groups says otherwise."""
    other = start({**app.settings, "OIDC_GROUPS": "another"})
    token = issuer.token(ALICE)
    gets_in(app, token)
    expect.plain(ask(other, token), 403, "access denied")
    asked = issuer.asked("me")
    expect.plain(ask(other, token), 403, "access denied")
    assert issuer.asked("me") == asked


# What strangers can fill.

def resident(app):
    """Bytes; of a program under a sanitizer 0, for that keeps much that was freed."""
    status = pathlib.Path(f"/proc/{app.process.pid}/status").read_text()
    return 0 if "ASAN_OPTIONS" in os.environ else int(status.split("VmRSS:")[1].split()[0]) * 1024


def bad_token(random_, issuer, number):
    """One of many kinds, no two alike."""
    key, kind = issuer.keys[0], number % 5
    claims = jose.claims(issuer.url, f"{number}@example.org", jti=str(number))
    if kind == 0:
        return jose.pack(jose.header(key, kid=f"unknown-{number}"), claims, random_.randbytes(64))
    if kind == 1:
        return jose.pack(jose.header(key), claims, random_.randbytes(64))
    if kind == 2:
        return jose.pack(jose.header(key, kid=None), claims, random_.randbytes(64))
    if kind == 3:
        return jose.pack(jose.header(key, alg="none"), claims, b"")
    return jose.pack(jose.header(key), {**claims, "iss": f"{issuer.url}/{number}"}, random_.randbytes(64))


def test_ten_thousand_bad_tokens(app, issuer):
    gets_in(app, issuer.token(ALICE))

    def send(number):
        random_ = random.Random(number)
        for n in range(1250):
            answer = ask(app, bad_token(random_, issuer, number * 1250 + n))
            assert answer.status == 401, answer

    # Each worker has seen its first one before the memory is looked at.
    together(8, lambda number: [ask(app, bad_token(random.Random(-number), issuer, -n)) for n in range(1, 100)])
    before, began, asked = resident(app), time.monotonic(), issuer.asked("jwks")
    together(8, send)
    took = time.monotonic() - began
    assert issuer.asked("jwks") - asked <= 1 + took / ONCE_IN
    assert (issuer.asked("discovery"), issuer.asked("me")) == (1, 1)
    assert resident(app) - before < 4_000_000
    gets_in(app, issuer.token(BOB))


def test_a_flood_of_right_tokens_is_bounded(app, issuer):
    """The least recently used are forgotten; nobody is kept out."""
    issuer.claims = {"group_membership": [GROUP] + [f"{n:040}" for n in range(180)]}
    mine = issuer.token(ALICE)
    gets_in(app, mine)

    def send(number):
        for n in range(150):
            gets_in(app, issuer.token(f"{number}-{n}@example.org"))

    # 600 of them are 4.3 MB of groups alone: twice as many would be 4.3 MB more.
    together(4, send)
    before = resident(app)
    together(4, lambda number: send(number + 4))
    assert resident(app) - before < 2_000_000
    asked = issuer.asked("me")
    gets_in(app, mine)
    assert issuer.asked("me") == asked + 1, "the first one was forgotten long ago"


# After the pause.

@pytest.mark.parametrize("what", ["discovery", "jwks"])
def test_a_provider_that_comes_back(later, what):
    """Nobody asks it all the time meanwhile."""
    app, issuer = later[0], later[1][what]
    assert issuer.asked(what) <= 1 + (time.monotonic() - issuer.began) / ONCE_IN
    setattr(issuer, what, issuer.right)
    wait_until(lambda: ask(app, issuer.token(ALICE)).status == 400, "the provider to be asked again")


def test_an_unknown_key_has_the_key_set_read_again_but_not_at_once(later):
    app, issuer = later[0], later[1]["unknown"]
    token = issuer.token(BOB, issuer.keys[1])
    wait_until(lambda: ask(app, token).status == 400, "the key set to be read again")
    assert counts(issuer)[:2] == (1, 2)
    gets_in(app, issuer.token(BOB, issuer.keys[0]))


def test_a_key_set_that_cannot_be_read_again_stays(later):
    app, issuer = later[0], later[1]["stays"]
    unknown = RsaKey()

    def refused_and_read_again():
        assert ask(app, issuer.token(BOB, unknown)).status in (401, 503)
        return issuer.asked("jwks") > 1

    wait_until(refused_and_read_again, "the key set to be asked for again")
    gets_in(app, issuer.token(BOB))
