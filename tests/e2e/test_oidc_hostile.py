"""Section 3 against everything that a good provider and an honest client would never do. Each row is one such thing.

A refusal is held to be one: its text, no challenge of Basic, its reason in the log and nothing of the token there,
and no question to a provider that the token had not earned."""
import base64
import copy
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization

from harness import expect, jose, tls
from harness.cluster import write_definition
from harness.fake_prometheus import Cut, Endless, Hold, Reply
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey, HmacKey, RsaKey
from harness.model import Definition
from harness.nginx import Nginx
from harness.waiting import wait_until

ALICE, BOB = "alice@example.org", "bob@example.org"


class World:
    """Two providers that are configured, a third server that nobody should ever ask, and the program."""

    def __init__(self):
        self.server, self.stranger = HostileOidc(), HostileOidc()
        self.keys = {"RS": RsaKey(), "ES256": EcKey("P-256"), "ES384": EcKey("P-384"), "ES512": EcKey("P-521")}
        self.key = self.keys["RS"]
        self.issuer = self.server.issuer("/good", *self.keys.values())
        self.second = self.server.issuer("/second", RsaKey())
        self.elsewhere = self.stranger.issuer("/good", RsaKey())
        self.url = self.issuer.url

    def claims(self, **more):
        return jose.claims(self.url, ALICE, **more)

    def token(self, head=None, sub=ALICE, **claims):
        return self.issuer.token(sub, head=head, **claims)

    def settings(self, folder):
        for definition in (Definition("of-alice", owner=ALICE), Definition("of-bob", owner=BOB)):
            write_definition(folder / "services", definition)
        return {"OIDC_ENABLE": "true", "OIDC_ISSUERS": f"{self.url},{self.second.url}", "OIDC_GROUPS": GROUP,
                "OSCAR_METRICS_SERVICES_DIR": folder / "services"}

    def close(self):
        self.server.close()
        self.stranger.close()


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(world, start_shared, shared_folder):
    program = start_shared(world.settings(shared_folder))
    # From here on the key set is known, and is not read again for a key that is not there.
    assert ask(program, world.token()).status == 400
    return program


@pytest.fixture
def fresh(world, folder, start):
    """fresh(issuer, ...): a program that knows nothing yet, with only these issuers."""
    return lambda *issuers, **more: start({**world.settings(folder), **more,
                                           "OIDC_ISSUERS": ",".join(issuer.url for issuer in issuers)})


def ask(app, token):
    """A request that is a 400 for whoever gets in."""
    return app.get("/system/metrics", "end=x", auth=b"Bearer " + (token if isinstance(token, bytes) else
                                                                  token.encode()))


def gets_in(app, token):
    answer = ask(app, token)
    assert answer.status == 400, answer


def refusal(app, token, status, text, reason=True):
    """Asks, and holds the answer and the log to a refusal; the answer."""
    before = len(app.stderr())
    answer = ask(app, token)
    expect.plain(answer, status, text)
    assert answer.all("WWW-Authenticate") == (['Bearer error="invalid_token"'] if status == 401 else []), answer
    log = wait_until(lambda: "msg=request" in app.stderr()[before:] and app.stderr()[before:], "the log")
    expect.logfmt(log)
    assert not reason or " reason=" in log, log
    shown = token.decode("latin-1") if isinstance(token, bytes) else token
    for part in shown.split("."):
        assert len(part) < 9 or part[:16] not in log and part[-16:] not in log, log
    return answer


def refused(app, token):
    return refusal(app, token, 401, "invalid credentials")


def test_a_right_token_gets_in(app, world):
    """Or the other tests would say nothing."""
    gets_in(app, world.token())
    assert app.get("/system/metrics/of-alice", auth="Bearer " + world.token()).status == 200
    assert app.get("/system/metrics/of-bob", auth="Bearer " + world.token()).status == 403


RIGHT = {
    "typ at+jwt": lambda w: w.token({"typ": "at+jwt"}),
    "typ at+jwt in full": lambda w: w.token({"typ": "application/at+jwt"}),
    "no typ": lambda w: w.token({"typ": None}),
    "ES256": lambda w: w.issuer.token(ALICE, w.keys["ES256"]),
    "ES384": lambda w: w.issuer.token(ALICE, w.keys["ES384"]),
    "ES512": lambda w: w.issuer.token(ALICE, w.keys["ES512"]),
    **{name: lambda w, name=name: w.token({"alg": name}) for name in ("RS384", "RS512", "PS256", "PS384", "PS512")},
    "exp with a fraction": lambda w: w.token(exp=time.time() + 60.5),
    "exp as 1e30": lambda w: w.token(exp=1e30),
    "exp that no integer holds": lambda w: w.token(exp=10 ** 30),
    "nbf now": lambda w: w.token(nbf=int(time.time())),
    "nbf a little ahead": lambda w: w.token(nbf=int(time.time()) + 240),
    "nbf with a fraction": lambda w: w.token(nbf=time.time() - 0.5),
    "nbf long ago": lambda w: w.token(nbf=-(10 ** 12)),
    "another audience": lambda w: w.token(aud=["somebody", "else"]),
    "no audience": lambda w: w.token(aud=None),
    "members that nobody knows": lambda w: w.token({"zip": "x", "x": [1]}, x={"y": [None, True]}),
    "8 KB": lambda w: w.token(more="x" * 5700),
    "the keys that it brings along are its own": lambda w: w.token({"jwk": w.key.jwk()}),
}


@pytest.mark.parametrize("row", RIGHT)
def test_odd_but_right(app, world, row):
    gets_in(app, RIGHT[row](world))


def test_a_token_of_8_kb_comes_through_nginx(app, world, folder):
    token = RIGHT["8 KB"](world)
    assert len(token) > 8000
    server = Nginx(folder / "nginx", app.address)
    try:
        assert server.get("/system/metrics?end=x", auth="Bearer " + token).status == 400
    finally:
        server.stop()


# Tokens.

def none(algorithm, signature=b""):
    """Not signed at all."""
    return lambda w: jose.pack(jose.header(w.key, alg=algorithm), w.claims(), signature)


def hmac(secret, algorithm="HS256", **head):
    """Signed with what everybody knows."""
    def make(w):
        return jose.sign(HmacKey(secret(w)), jose.header(w.key, alg=algorithm, **head), w.claims(), algorithm)
    return make


def body(**claims):
    return lambda w: w.token(**claims)


def raw(change):
    """The claims as text, changed, and then signed."""
    return lambda w: jose.sign(w.key, jose.header(w.key), change(json.dumps(w.claims(), separators=(",", ":"))))


def head(**members):
    return lambda w: w.token(members)


def raw_head(change):
    return lambda w: jose.sign(w.key, change(json.dumps(jose.header(w.key))), w.claims())


def spelled(change):
    """A right token whose text is changed: its parts as a list."""
    def make(w):
        return ".".join(change(w.token().split(".")))
    return make


def at(number, change):
    def make(parts):
        parts[number] = change(parts[number])
        return parts
    return spelled(make)


def spare_bits(part):
    """Another last character with the same bytes; parts whose length is no multiple of four have one."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
    assert jose.decode(other) == jose.decode(part)
    return other


def forged(kid=None, **members):
    """By a stranger's key, which the header brings along or points to."""
    def make(w):
        key = w.elsewhere.keys[0]
        given = {name: value(w, key) if callable(value) else value for name, value in members.items()}
        return jose.sign(key, jose.header(key, kid=kid(w) if kid else key.kid, **given), w.claims())
    return make


def der(key):
    return key.public_bytes(serialization.Encoding.DER)


def another_issuer(change):
    return lambda w: w.token(iss=change(w.url))


NOW = int(time.time())
WRONG = {
    # Not signed.
    **{f"alg {name!r}": none(name) for name in ("none", "None", "NONE", "nOnE", "none ", "", " ", "null")},
    "no alg": none(None), "alg null": lambda w: jose.pack('{"typ":"JWT","alg":null}', w.claims(), b""),
    "alg none with a signature": none("none", b"x" * 256), "RS256 without a signature": none("RS256"),
    "alg true": none(True), "alg a number": none(256), "alg a list": none(["RS256"]),
    # A public key taken for a secret.
    "HS256 with the PEM": hmac(lambda w: w.key.public_bytes()),
    "HS256 with the PEM cut": hmac(lambda w: w.key.public_bytes().strip()),
    "HS256 with the DER": hmac(lambda w: der(w.key)),
    "HS256 with the modulus": hmac(lambda w: jose.decode(w.key.jwk()["n"])),
    "HS256 with the JWK": hmac(lambda w: json.dumps(w.key.jwk()).encode()),
    "HS256 with PKCS1": hmac(lambda w: w.key.public_bytes(form=serialization.PublicFormat.PKCS1)),
    "HS384 with the PEM": hmac(lambda w: w.key.public_bytes(), "HS384"),
    "HS512 with the PEM": hmac(lambda w: w.key.public_bytes(), "HS512"),
    "HS256 with nothing": hmac(lambda w: b""),
    "HS256 with a kid of an EC key": hmac(lambda w: w.keys["ES256"].public_bytes(), kid="ec-1"),
    "HS256 said to be RS256": lambda w: jose.sign(HmacKey(w.key.public_bytes()), jose.header(w.key), w.claims(),
                                                  "HS256"),
    # Other algorithms.
    "alg in lower case": lambda w: jose.sign(w.key, jose.header(w.key, alg="rs256"), w.claims(), "RS256"),
    "alg in mixed case": lambda w: jose.sign(w.key, jose.header(w.key, alg="Rs256"), w.claims(), "RS256"),
    "alg with more behind": lambda w: jose.sign(w.key, jose.header(w.key, alg="RS256 "), w.claims(), "RS256"),
    "alg with a NUL": lambda w: jose.sign(w.key, jose.header(w.key, alg="RS256\0"), w.claims(), "RS256"),
    "alg nobody knows": lambda w: jose.sign(w.key, jose.header(w.key, alg="RS1"), w.claims(), "RS256"),
    "EdDSA": lambda w: jose.sign(w.key, jose.header(w.key, alg="EdDSA"), w.claims(), "RS256"),
    "ES256K": lambda w: jose.sign(w.keys["ES256"], jose.header(w.keys["ES256"], alg="ES256K"), w.claims(), "ES256"),
    "RS256 signed as PS256": lambda w: jose.sign(w.key, jose.header(w.key), w.claims(), "PS256"),
    "PS256 signed as RS256": lambda w: jose.sign(w.key, jose.header(w.key, alg="PS256"), w.claims(), "RS256"),
    "RS256 signed as RS512": lambda w: jose.sign(w.key, jose.header(w.key), w.claims(), "RS512"),
    "ES256 with a P-384 key": lambda w: w.issuer.token(ALICE, w.keys["ES384"], {"alg": "ES256"}),
    "ES384 with a P-256 key": lambda w: w.issuer.token(ALICE, w.keys["ES256"], {"alg": "ES384"}),
    "ES512 with a P-256 key": lambda w: w.issuer.token(ALICE, w.keys["ES256"], {"alg": "ES512"}),
    "ES256 with an RSA key": lambda w: jose.sign(w.key, jose.header(w.key, alg="ES256"), w.claims(), "RS256"),
    "RS256 with an EC key": lambda w: jose.sign(w.keys["ES256"], jose.header(w.keys["ES256"], alg="RS256"), w.claims(),
                                                "ES256"),
    "ES256 as DER": lambda w: ".".join([*w.issuer.token(ALICE, w.keys["ES256"]).split(".")[:2],
                                        jose.encode(bytes.fromhex("3006020101020101"))]),
    "ES256 of zeros": lambda w: jose.pack(jose.header(w.keys["ES256"]), w.claims(), b"\0" * 64),
    "RS256 of zeros": lambda w: jose.pack(jose.header(w.key), w.claims(), b"\0" * 256),
    "RS256 of ones": lambda w: jose.pack(jose.header(w.key), w.claims(), b"\xff" * 256),
    # Which key.
    **{f"kid {kid[:24]!a}": head(kid=kid) for kid in (
        "../../../../etc/passwd", "/dev/null", "file:///etc/passwd", "' OR '1'='1", "x' UNION SELECT 'k'--", "$(id)",
        "", " ", "a\0b", "\n", "kid\r\nmsg=forged", "\U0001f511", "x" * 4000, "*", "%s%n", "http://127.0.0.1:1/jwks")},
    "kid a number": head(kid=1), "kid a list": head(kid=["rsa-1"]), "kid an object": head(kid={}),
    "kid null": raw_head(lambda text: text.replace(json.dumps("JWT"), '"JWT","kid":null')),
    "kid of another key": lambda w: jose.sign(w.key, jose.header(w.key, kid=w.keys["ES256"].kid), w.claims()),
    "no kid and a stranger's key": lambda w: jose.sign(w.elsewhere.keys[0], jose.header(w.key, kid=None), w.claims()),
    "a stranger's key": forged(), "a stranger's key with our kid": forged(lambda w: w.key.kid),
    "of the other issuer's key": lambda w: jose.token(w.second.keys[0], w.url, ALICE),
    "of the other issuer's key with our kid": lambda w: jose.token(w.second.keys[0], w.url, ALICE, {"kid": w.key.kid}),
    "jwk": forged(jwk=lambda w, key: key.jwk()), "jwk with our kid": forged(lambda w: w.key.kid,
                                                                          jwk=lambda w, key: key.jwk()),
    "jku": forged(jku=lambda w, key: w.elsewhere.url + "/jwks"),
    "jku with our kid": forged(lambda w: w.key.kid, jku=lambda w, key: w.elsewhere.url + "/jwks"),
    "x5u": forged(x5u=lambda w, key: w.elsewhere.url + "/jwks"),
    "x5c": forged(x5c=lambda w, key: [base64.b64encode(der(key)).decode()]),
    # Of whom.
    "no iss": body(iss=None), "iss a number": body(iss=1), "iss a list": lambda w: w.token(iss=[w.url]),
    "iss empty": body(iss=""), "iss null": raw(lambda text: text.replace('"iss":', '"iss":null,"x":')),
    "iss a prefix": another_issuer(lambda url: url[:-1]), "iss with more behind": another_issuer(lambda url: url + "x"),
    "iss the parent": another_issuer(lambda url: url.rsplit("/", 1)[0]),
    "iss below": another_issuer(lambda url: url + "/below"), "iss a suffix": another_issuer(lambda url: url[1:]),
    "iss without the scheme": another_issuer(lambda url: url.removeprefix("http://")),
    "iss with a slash": another_issuer(lambda url: url + "/"), "iss with two slashes": another_issuer(
        lambda url: url.replace("/good", "//good")),
    "iss with another port": lambda w: w.token(iss=w.elsewhere.url),
    "iss with another port, signed there": lambda w: w.elsewhere.token(ALICE),
    "iss by https": another_issuer(lambda url: url.replace("http:", "https:")),
    "iss in capitals": another_issuer(str.upper), "iss by name": another_issuer(
        lambda url: url.replace("127.0.0.1", "localhost")),
    "iss with a user": another_issuer(lambda url: url.replace("http://", "http://x@")),
    "iss with a query": another_issuer(lambda url: url + "?x"), "iss with a fragment": another_issuer(
        lambda url: url + "#x"),
    "iss with dots": another_issuer(lambda url: url.replace("/good", "/x/../good")),
    "iss with an escape": another_issuer(lambda url: url.replace("good", "g%6fod")),
    "iss with a blank": another_issuer(lambda url: url + " "), "iss with a NUL": another_issuer(
        lambda url: url + "\0"),
    "iss both": lambda w: w.token(iss=f"{w.url},{w.second.url}"),
    "iss that is no URL": body(iss="good"), "iss of the file system": body(iss="file:///etc"),
    # When.
    "expired": body(exp=NOW - 1), "expired long ago": body(exp=0), "exp this second": lambda w: w.token(
        exp=int(time.time())),
    "no exp": body(exp=None), "exp a string": lambda w: w.token(exp=str(NOW + 3600)), "exp true": body(exp=True),
    "exp a list": body(exp=[NOW + 3600]), "exp an object": body(exp={"x": NOW + 3600}), "exp negative": body(exp=-1),
    "exp very negative": body(exp=-10 ** 30), "exp a fraction that has passed": body(exp=NOW - 0.5),
    "exp null": raw(lambda text: text.replace('"exp":', '"exp":null,"x":')),
    "exp no number of doubles": raw(lambda text: text.replace('"exp":', '"exp":1e999,"x":')),
    "exp minus infinity": raw(lambda text: text.replace('"exp":', '"exp":-1e999,"x":')),
    "exp NaN": raw(lambda text: text.replace('"exp":', '"exp":NaN,"x":')),
    "exp Infinity": raw(lambda text: text.replace('"exp":', '"exp":Infinity,"x":')),
    "exp in hexadecimal": raw(lambda text: text.replace('"exp":', '"exp":0x7fffffff,"x":')),
    "nbf too far ahead": lambda w: w.token(nbf=int(time.time()) + 360), "nbf a string": body(nbf="0"),
    "nbf far ahead with a fraction": body(nbf=NOW + 4000.5), "nbf huge": body(nbf=10 ** 30), "nbf true": body(nbf=True),
    "nbf 1e308": body(nbf=1e308), "nbf a list": body(nbf=[0]), "nbf infinite": raw(
        lambda text: text.replace('"exp":', '"nbf":1e999,"exp":')),
    # Who.
    "the administrator's sub": body(sub="cluster_admin"),
    "no sub": body(sub=None), "sub a number": body(sub=7), "sub a list": body(sub=[ALICE]), "sub true": body(sub=True),
    "sub empty": body(sub=""), "sub of 10 KB": body(sub="x" * 10240), "sub with a newline": body(sub="a\nb"),
    "sub with a pipe": body(sub="a|b"), "sub with a NUL": body(sub=ALICE + "\0x"), "sub with an escape": body(
        sub="\x1b[31m"),
    # The form.
    "nothing": lambda w: "", "one part": spelled(lambda parts: parts[:1]), "two parts": spelled(
        lambda parts: parts[:2]),
    "three dots": spelled(lambda parts: parts + [""]), "four parts": spelled(lambda parts: parts + ["e30"]),
    "five parts": spelled(lambda parts: parts + ["e30", "e30"]), "dots alone": lambda w: "..",
    "four dots alone": lambda w: "....", "a dot before": spelled(lambda parts: [""] + parts),
    "an encrypted one": lambda w: jose.pack({"alg": "RSA-OAEP", "enc": "A256GCM"}, b"x" * 256, b"x" * 12) + ".eA.eA",
    "padding behind the header": at(0, lambda part: part + "="), "padding behind the claims": at(
        1, lambda part: part + "=="),
    "padding behind the signature": at(2, lambda part: part + "=="),
    "a blank in the claims": at(1, lambda part: part[:9] + " " + part[9:]),
    "a newline in the signature": at(2, lambda part: part[:9] + "\n" + part[9:]),
    "junk in the header": at(0, lambda part: part[:4] + "*" + part[4:]),
    "junk in the signature": at(2, lambda part: part + "!"), "a byte that is no ASCII": at(
        2, lambda part: part + "\xe9"),
    "the other alphabet": lambda w: w.token(x="???>>>~~~\xff\xfe").replace("-", "+").replace("_", "/"),
    "another last character": at(2, spare_bits), "one byte less": at(2, lambda part: jose.encode(
        jose.decode(part)[:-1])),
    "one byte more": at(2, lambda part: jose.encode(jose.decode(part) + b"\0")),
    "a zero before the signature": at(2, lambda part: jose.encode(b"\0" + jose.decode(part))),
    "one bit of the signature": at(2, lambda part: jose.encode(bytes([jose.decode(part)[0] ^ 1]) +
                                                               jose.decode(part)[1:])),
    "claims changed after signing": at(1, lambda part: jose.encode(jose.decode(part).replace(b"alice", b"alicf"))),
    "header changed after signing": at(0, lambda part: jose.encode(jose.decode(part).replace(b"JWT", b"jwt"))),
    "of two tokens": lambda w: ".".join([*w.token().split(".")[:2], w.token(x=1).split(".")[2]]),
    "crit with exp": head(crit=["exp"]), "crit empty": head(crit=[]), "crit null": raw_head(
        lambda text: text.replace('"typ"', '"crit":null,"typ"')),
    "crit with b64": head(crit=["b64"], b64=False), "crit a text": head(crit="x"),
    "typ of another thing": head(typ="logout+jwt"), "typ a number": head(typ=1),
    "60 KB": body(x="x" * 45000), "60 KB of dots": lambda w: "." * 60_000, "60 KB of nothing": lambda w: "x" * 60000,
    "20 KB": body(x="x" * 15000),
    "deep claims": raw(lambda text: text[:-1] + ',"x":' + "[" * 4000 + "]" * 4000 + "}"),
    "deep objects": raw(lambda text: text[:-1] + ',"x":' + '{"x":' * 1500 + "1" + "}" * 1500 + "}"),
    "a deep header": raw_head(lambda text: text[:-1] + ',"x":' + "[" * 4000 + "]" * 4000 + "}"),
    "claims that are a list": raw(lambda text: f"[{text}]"), "claims that are a text": raw(json.dumps),
    "claims that are null": raw(lambda text: "null"), "no claims": raw(lambda text: ""),
    "claims twice": raw(lambda text: text + text), "something behind the claims": raw(lambda text: text + "x"),
    "claims cut short": raw(lambda text: text[:-1]), "claims in single quotes": raw(
        lambda text: text.replace('"', "'")),
    "a comment": raw(lambda text: "/**/" + text), "a byte order mark": raw(lambda text: "\ufeff" + text),
    "no UTF-8": lambda w: jose.sign(w.key, jose.header(w.key), json.dumps(w.claims(x="?")).encode().replace(
        b'"?"', b'"\xff\xfe"')),
    "half of a pair": raw(lambda text: text.replace(ALICE, "\\ud800")),
    "sub twice": raw(lambda text: text.replace('"sub"', f'"sub":"{BOB}","sub"')),
    "exp twice": raw(lambda text: text.replace('"exp"', '"exp":99999999999,"exp"')),
    "iss twice": raw(lambda text: '{"iss":"http://x",' + text[1:]), "alg twice": raw_head(
        lambda text: '{"alg":"none",' + text[1:]),
    "sub with a NUL in its name": raw(lambda text: text.replace('"sub"', '"x":1,"sub\\u0000"')),
    "the header is a list": raw_head(lambda text: f"[{text}]"), "the header is empty": raw_head(lambda text: "{}"),
    "no header": raw_head(lambda text: ""),
}


@pytest.mark.parametrize("row", WRONG)
def test_a_wrong_token_is_refused(app, world, row):
    token = WRONG[row](world)
    before = {what: world.issuer.asked(what) for what in ("discovery", "me")}
    refused(app, token)
    # A token is shown to no provider before it was verified, and what it says leads nowhere.
    assert {what: world.issuer.asked(what) for what in before} == before
    assert world.stranger.asked == []


def test_what_a_right_token_points_to_is_not_followed(app, world):
    gets_in(app, world.token({"jku": world.elsewhere.url + "/jwks", "x5u": world.elsewhere.url + "/me"}))
    assert world.stranger.asked == []


@pytest.mark.parametrize("auth", ["Bearer", "Bearer ", "Bearer .", "Bearer\t", "BearerX", "Bearer a b", "Bearer Bearer x"])
def test_a_scheme_and_little_more(app, auth):
    answer = app.get("/system/metrics", auth=auth)
    assert answer.status == 401 and answer.text in ("invalid credentials", "authentication required")


def test_a_token_between_blanks_and_others(app, world):
    for text in (f"{world.token()} x", f"{world.token()},{world.token()}", f'"{world.token()}"', f"<{world.token()}>"):
        refused(app, text)


def test_a_token_elsewhere_is_not_looked_at(app, world):
    answer = app.get("/system/metrics", f"access_token={world.token()}", auth=None)
    expect.plain(answer, 401, "authentication required")
    for more in ({"HTTP_X_FORWARDED_ACCESS_TOKEN": world.token()}, {"HTTP_COOKIE": "access_token=" + world.token()},
                 {"REMOTE_USER": ALICE, "AUTH_TYPE": "Bearer"}):
        expect.plain(app.get("/system/metrics", auth=None, **more), 401, "authentication required")


# Algorithms that the provider does not have.

LISTS = {
    # list of discovery: (algorithm that gets in, algorithms that do not)
    "one": (["ES256"], "ES256", ["RS256", "PS256", "ES384"]),
    "none and HS256 beside": (["none", "HS256", "RS256"], "RS256", ["RS512", "ES256"]),
    "none of ours": (["none", "HS256"], "RS256", ["ES256", "RS512"]),
    "no list": (None, "RS256", ["ES256", "PS256", "RS512"]),
    "empty": ([], "RS256", ["ES256"]),
    "a text": ("ES256", "RS256", ["ES256"]),
    "odd members": ([None, 1, ["RS256"], {"RS256": 1}, "rs256", "RS256 ", "ES256"], "ES256", ["RS256"]),
}


@pytest.mark.parametrize("row", LISTS)
def test_only_algorithms_that_the_provider_lists(world, fresh, row):
    listed, right, wrong = LISTS[row]
    issuer = world.server.issuer("/list-" + row.replace(" ", "-"), *world.keys.values())
    issuer.discovers(id_token_signing_alg_values_supported=listed)
    app = fresh(issuer)

    def token(algorithm):
        return issuer.token(ALICE, world.keys["RS" if algorithm[0] in "RP" else algorithm], {"alg": algorithm})

    for algorithm in wrong:
        refused(app, token(algorithm))
    gets_in(app, token(right))
    key = world.key.public_bytes()
    for algorithm in ("HS256", "none"):
        forged_head = jose.header(world.key, alg=algorithm)
        claims = jose.claims(issuer.url)
        refused(app, jose.sign(HmacKey(key), forged_head, claims, "HS256"))
        refused(app, jose.pack(forged_head, claims, b""))


# Key sets.

def key_sets(w):
    """row: (the key set, token's key, its header's members, gets in?)"""
    rsa, other, ec = w.key, RsaKey(), w.keys["ES256"]
    bare, bare_ec = copy.copy(rsa), copy.copy(ec)
    bare.kid = bare_ec.kid = None
    small = RsaKey(1024)
    point = {**ec.jwk(), "x": ec.jwk()["y"], "y": ec.jwk()["x"]}
    oct_key = {"kty": "oct", "k": jose.encode(b"secret"), "kid": "oct", "alg": "HS256"}
    return {
        "no kid in the token, one key": ([rsa.jwk()], rsa, {"kid": None}, True),
        "no kid in the token, one that fits": ([ec.jwk(), rsa.jwk()], rsa, {"kid": None}, True),
        "no kid in the token, the first of two": ([rsa.jwk(), other.jwk()], rsa, {"kid": None}, False),
        "no kid in the token, the last of two": ([other.jwk(), rsa.jwk()], rsa, {"kid": None}, False),
        "no kid in the token, one of two is for encryption": ([other.jwk(use="enc"), rsa.jwk()], rsa, {"kid": None},
                                                              True),
        "no kid anywhere": ([bare.jwk()], bare, {}, True),
        "no kid anywhere, two types": ([bare.jwk(), bare_ec.jwk()], bare_ec, {}, True),
        "no alg and no use": ([rsa.jwk(use=None)], rsa, {}, True),
        "for encryption": ([rsa.jwk(use="enc")], rsa, {}, False),
        "for encryption by key_ops": ([rsa.jwk(use=None, key_ops=["encrypt"])], rsa, {}, False),
        "for verifying by key_ops": ([rsa.jwk(use=None, key_ops=["verify"])], rsa, {}, True),
        "for that algorithm": ([rsa.jwk(alg="RS256")], rsa, {}, True),
        "for another algorithm": ([rsa.jwk(alg="RS512")], rsa, {}, False),
        "RSA of 1024 bits": ([small.jwk()], small, {}, False),
        "RSA of 3072 bits": ([w.rsa3072.jwk()], w.rsa3072, {}, True),
        "RSA of 4096 bits": ([w.rsa4096.jwk()], w.rsa4096, {}, True),
        "with what is private": ([rsa.jwk(d="AQAB", p="AQAB", q="AQAB")], rsa, {}, True),
        "a point that is not on its curve": ([point], ec, {}, False),
        "beside a broken one": ([point, {**rsa.jwk(), "kid": "x", "n": "!"}, None, 1, "x", [], {}, oct_key,
                                 w.koblitz.jwk(), {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, rsa.jwk()], rsa, {}, True),
        "a symmetric one": ([oct_key], HmacKey(b"secret"), {"kid": "oct"}, False),
        "another curve": ([w.koblitz.jwk()], w.koblitz, {}, False),
        "another curve said to be P-256": ([w.koblitz.jwk(crv="P-256")], w.koblitz, {}, False),
        "n of zero": ([rsa.jwk(n="AA")], rsa, {}, False),
        "n with padding": ([rsa.jwk(n=rsa.jwk()["n"] + "==")], rsa, {}, False),
        "e of one": ([rsa.jwk(e="AQ")], rsa, {}, False),
        "e even": ([rsa.jwk(e="Ag")], rsa, {}, False),
        "n a number": ([rsa.jwk(n=3)], rsa, {}, False),
        "no n": ([rsa.jwk(n=None)], rsa, {}, False),
        "the same kid for both types": ([rsa.jwk(kid="x"), ec.jwk(kid="x")], ec, {"kid": "x"}, True),
        "no keys": ([], rsa, {}, False),
        "ten thousand keys": ([{"kty": "EC", "kid": str(n)} for n in range(10_000)] + [rsa.jwk()], rsa, {}, None),
    }


KEY_SETS = list(key_sets(type("Names", (), {"key": RsaKey(), "keys": {"ES256": EcKey()}, "rsa3072": RsaKey(),
                                            "rsa4096": RsaKey(), "koblitz": EcKey("secp256k1")})))


@pytest.fixture(scope="module")
def sets(world):
    world.rsa3072, world.rsa4096, world.koblitz = RsaKey(3072), RsaKey(4096), EcKey("secp256k1")
    return key_sets(world)


@pytest.mark.parametrize("row", KEY_SETS)
def test_key_sets(world, sets, fresh, row):
    keys, key, members, right = sets[row]
    issuer = world.server.issuer(f"/keys-{KEY_SETS.index(row)}", key)
    issuer.jwks = lambda: json.dumps({"keys": keys})
    app = fresh(issuer)
    answer = ask(app, issuer.token(ALICE, head=members))
    if right is None:
        # A limit, whichever side of it this is on.
        assert answer.status in (400, 401, 503)
    else:
        assert answer.status == (400 if right else 401), answer
        assert right or " reason=" in app.stderr()


# Providers that say wrong things, or nothing. Such a provider is one that cannot be reached.

def replies(what, answer):
    return lambda issuer, w: setattr(issuer, what, answer)


def redirects(what, status):
    def change(issuer, w):
        where = {"discovery": "/.well-known/openid-configuration", "userinfo": "/me"}.get(what, "/" + what)
        target = w.stranger.issuer(issuer.path, *issuer.keys)
        target.discovers(issuer=issuer.url)
        setattr(issuer, what, lambda *_: Reply("", status, headers=[("Location", target.url + where)]))
    return change


def discovers(**members):
    """Members may be functions of (issuer, world)."""
    def change(issuer, w):
        issuer.discovers(**{name: value(issuer, w) if callable(value) else value for name, value in members.items()})
    return change


def at_strangers(rest):
    """By name: another host, though it is the same machine."""
    return lambda issuer, w: w.stranger.url.replace("127.0.0.1", "localhost") + issuer.path + rest


BAD_BODIES = {"nothing": "", "no JSON": "<html>", "a list": "[]", "a text": '"x"', "null": "null", "cut short": '{"a":',
              "more behind": "{} {}", "no UTF-8": b'{"issuer":"\xff"}', "deep": "[" * 100_000,
              "larger than it may be": "{" + " " * 2_000_000 + "}", "endless": Endless(),
              "a status of 404": Reply("{}", 404), "a status of 500": Reply("{}", 500),
              "a status of 204": Reply("", 204)}

UNREACHABLE = {
    **{f"discovery: {name}": replies("discovery", answer) for name, answer in BAD_BODIES.items()},
    **{f"jwks: {name}": replies("jwks", answer) for name, answer in BAD_BODIES.items()},
    **{f"userinfo: {name}": replies("userinfo", answer) for name, answer in BAD_BODIES.items()},
    **{f"{what}: a redirect with {status}": redirects(what, status) for what in ("discovery", "jwks", "userinfo")
       for status in (301, 302, 303, 307, 308)},
    "discovery: cut": lambda issuer, w: replies("discovery", Cut(json.dumps(issuer.document())))(issuer, w),
    "discovery: another issuer": discovers(issuer=lambda issuer, w: w.issuer.url),
    "discovery: the issuer with a slash": discovers(issuer=lambda issuer, w: issuer.url + "/"),
    "discovery: the issuer in capitals": discovers(issuer=lambda issuer, w: issuer.url.upper()),
    "discovery: no issuer": discovers(issuer=None), "discovery: the issuer in a list": discovers(
        issuer=lambda issuer, w: [issuer.url]),
    "discovery: no jwks_uri": discovers(jwks_uri=None), "discovery: jwks_uri a number": discovers(jwks_uri=1),
    "discovery: jwks_uri empty": discovers(jwks_uri=""),
    "discovery: jwks_uri on another host": discovers(jwks_uri=at_strangers("/jwks")),
    "discovery: jwks_uri with a user before another host": discovers(
        jwks_uri=lambda issuer, w: "http://127.0.0.1:80@localhost:%s/jwks" % w.stranger.url.rsplit(":", 1)[1]),
    "discovery: jwks_uri of a file": discovers(jwks_uri="file:///etc/passwd"),
    "discovery: jwks_uri by ftp": discovers(jwks_uri="ftp://127.0.0.1/jwks"),
    "discovery: jwks_uri by gopher": discovers(jwks_uri="gopher://127.0.0.1:1/_x"),
    "discovery: jwks_uri without a host": discovers(jwks_uri="/jwks"),
    "discovery: jwks_uri with a line end": discovers(jwks_uri=lambda issuer, w: issuer.url + "/jwks\r\nX: y"),
    "discovery: no userinfo_endpoint": discovers(userinfo_endpoint=None),
    "discovery: userinfo on another host": discovers(userinfo_endpoint=at_strangers("/me")),
    "discovery: userinfo of a file": discovers(userinfo_endpoint="file:///etc/passwd"),
    "jwks: no keys": replies("jwks", "{}"), "jwks: keys are an object": replies("jwks", '{"keys":{}}'),
    "userinfo: a status of 403": replies("userinfo", Reply("{}", 403)),
}
NOT_SURE = {"userinfo: a status of 403"}


@pytest.mark.parametrize("row", UNREACHABLE)
def test_a_provider_that_is_no_help(world, fresh, row):
    issuer = world.server.issuer(f"/bad-{list(UNREACHABLE).index(row)}", world.key)
    UNREACHABLE[row](issuer, world)
    app = fresh(issuer, OSCAR_METRICS_DEADLINE="10s")
    asked = len(world.stranger.asked)
    token = issuer.token(ALICE)
    if row in NOT_SURE:
        assert ask(app, token).status in (401, 403, 503)
        return
    answer = refusal(app, token, 503, "identity provider unavailable")
    assert int(answer.header("Retry-After")) > 0
    # Whatever it said led nowhere else.
    assert len(world.stranger.asked) == asked


def test_keys_on_another_host_are_read_by_https_alone(world, fresh, folder):
    """A certificate that nobody vouches for: the connection is made, and goes no further."""
    other = HostileOidc(tls=tls.self_signed(folder))
    try:
        issuer = world.server.issuer("/https-keys", world.key)
        issuer.discovers(jwks_uri=other.url + "/https-keys/jwks")
        other.issuer("/https-keys", world.key)
        refusal(fresh(issuer), issuer.token(ALICE), 503, "identity provider unavailable")
        assert other.asked == [] and issuer.asked("me") == 0
    finally:
        other.close()


def test_a_provider_whose_certificate_nobody_vouches_for(world, fresh, folder):
    other = HostileOidc(tls=tls.self_signed(folder))
    try:
        issuer = other.issuer("/x", world.key)
        refusal(fresh(issuer), issuer.token(ALICE), 503, "identity provider unavailable")
        assert other.asked == []
    finally:
        other.close()


def test_a_provider_that_is_down(world, fresh):
    gone = HostileOidc()
    gone.close()
    issuer = gone.issuer("/x", world.key)
    answer = refusal(fresh(issuer), issuer.token(ALICE), 503, "identity provider unavailable")
    assert int(answer.header("Retry-After")) > 0


@pytest.mark.parametrize("what", ["discovery", "jwks", "userinfo"])
def test_a_provider_that_does_not_answer(world, fresh, what):
    """The request's deadline holds."""
    issuer = world.server.issuer("/silent-" + what, world.key)
    setattr(issuer, what, Hold())
    app = fresh(issuer, OSCAR_METRICS_DEADLINE="1s")
    began = time.monotonic()
    refusal(app, issuer.token(ALICE), 503, "identity provider unavailable")
    assert time.monotonic() - began < 8


def test_a_provider_that_says_no(world, fresh):
    """Revoked, or never its own."""
    issuer = world.server.issuer("/no", world.key)
    issuer.userinfo = Reply("", 401)
    refused(fresh(issuer), issuer.token(ALICE))


# Userinfo.

SUBS = {
    "another": BOB, "missing": None, "a number": 7, "null": ..., "true": True, "a list": [ALICE], "an object": {},
    "empty": "", "10 KB": "x" * 10240, "with a newline": ALICE + "\n", "with a pipe": ALICE + "|" + BOB,
    "with a NUL": ALICE + "\0", "with a blank": ALICE + " ", "in capitals": ALICE.upper(), "a prefix": ALICE[:-1],
    "with more behind": ALICE + "x",
}


@pytest.mark.parametrize("row", SUBS)
def test_userinfo_of_somebody_else(world, fresh, row):
    issuer = world.server.issuer(f"/sub-{list(SUBS).index(row)}", world.key)
    stated = {**issuer.claims, "sub": None if SUBS[row] is ... else SUBS[row]}
    if SUBS[row] is None:
        del stated["sub"]
    issuer.userinfo = json.dumps(stated)
    refused(fresh(issuer), issuer.token(ALICE))


def test_userinfo_that_names_two(world, fresh):
    issuer = world.server.issuer("/sub-twice", world.key)
    issuer.userinfo = '{"sub":"%s","group_membership":["%s"],"sub":"%s"}' % (BOB, GROUP, ALICE)
    assert ask(fresh(issuer), issuer.token(ALICE)).status in (401, 503)


def test_userinfo_of_someone_whose_token_is_remembered(world, fresh):
    """Bob's token, for which the provider answers with Alice, makes nobody of Bob's holder, and nothing else of
    Alice."""
    issuer = world.server.issuer("/mixed-up", world.key)
    app = fresh(issuer)
    alice, bob, bobs_other = issuer.token(ALICE), issuer.token(BOB), issuer.token(BOB, x=1)
    gets_in(app, alice)
    right = issuer.userinfo
    issuer.userinfo = json.dumps({"sub": ALICE, **issuer.claims})
    refused(app, bob)
    issuer.userinfo = right
    gets_in(app, bobs_other)
    for token, name, status in ((alice, "of-alice", 200), (alice, "of-bob", 403), (bobs_other, "of-bob", 200),
                                (bobs_other, "of-alice", 403)):
        assert app.get("/system/metrics/" + name, auth="Bearer " + token).status == status


EGI_PREFIX = "urn:mace:egi.eu:group:"
GROUPS = {
    # path of the authorization endpoint: rows of (claims, gets in?)
    "/auth": {
        "the group": ({"group_membership": [GROUP]}, True),
        "among others": ({"group_membership": ["x", "", GROUP, "y"]}, True),
        "among things": ({"group_membership": [None, 1, {"x": GROUP}, [GROUP], GROUP]}, True),
        "a text": ({"group_membership": GROUP}, False), "an object": ({"group_membership": {GROUP: GROUP}}, False),
        "null": ({"group_membership": None}, False), "missing": ({}, False), "empty": ({"group_membership": []}, False),
        "a number": ({"group_membership": 1}, False), "in a list": ({"group_membership": [[GROUP]]}, False),
        "with more behind": ({"group_membership": [GROUP + "x"]}, False),
        "with a NUL": ({"group_membership": [GROUP + "\0"]}, False),
        "with a blank": ({"group_membership": [GROUP + " "]}, False), "joined": (
            {"group_membership": ["x," + GROUP]}, False),
        "empty texts": ({"group_membership": ["", " "]}, False),
        "100,000 others": ({"group_membership": ["x"] * 100_000}, False),
        "EGI's": ({"entitlements": [EGI_PREFIX + GROUP + ":role=m#x"]}, False),
        "AI4EOSC's": ({"realm_access": {"roles": [GROUP]}}, False),
    },
    "/realms/egi/auth": {
        "the group": ({"entitlements": [EGI_PREFIX + GROUP + ":role=member#aai.egi.eu"]}, True),
        "without a role": ({"entitlements": [EGI_PREFIX + GROUP]}, True),
        "in capitals": ({"entitlements": [(EGI_PREFIX + GROUP).upper() + ":x"]}, True),
        "alone": ({"entitlements": [GROUP]}, False), "another URN": (
            {"entitlements": [f"urn:mace:example.org:group:{GROUP}:x"]}, False),
        "another organisation": ({"entitlements": [f"urn:mace:egj.eu:group:{GROUP}:x"]}, False),
        "another kind": ({"entitlements": [f"urn:mace:egi.eu:gruop:{GROUP}:x"]}, False),
        "not at the beginning": ({"entitlements": ["x" + EGI_PREFIX + GROUP + ":x"]}, False),
        "as a role": ({"entitlements": [EGI_PREFIX + "x:" + GROUP]}, False),
        "of four fields": ({"entitlements": ["urn:mace:egi.eu:group"]}, False),
        "empty": ({"entitlements": [EGI_PREFIX + ":x"]}, False), "a text": (
            {"entitlements": EGI_PREFIX + GROUP + ":x"}, False),
        "another claim": ({"group_membership": [GROUP]}, False),
    },
    "/realms/ai4eosc/auth": {
        "the group": ({"realm_access": {"roles": [GROUP]}}, True), "a text": ({"realm_access": {"roles": GROUP}}, False),
        "a list": ({"realm_access": [GROUP]}, False), "null": ({"realm_access": None}, False),
        "one level up": ({"roles": [GROUP]}, False), "another claim": ({"group_membership": [GROUP]}, False),
        "a dotted name": ({"realm_access.roles": [GROUP]}, False),
    },
}


@pytest.mark.parametrize("path,row", [(path, row) for path, rows in GROUPS.items() for row in rows])
def test_groups(world, fresh, path, row):
    claims, right = GROUPS[path][row]
    issuer = world.server.issuer(f"/groups{path}-{list(GROUPS[path]).index(row)}", world.key, claims=claims)
    issuer.discovers(authorization_endpoint=world.server.url + path)
    app = fresh(issuer)
    if right:
        gets_in(app, issuer.token(ALICE))
    else:
        refusal(app, issuer.token(ALICE), 403, "access denied")


def test_the_kind_of_provider_is_not_the_issuers_to_say(world, fresh):
    """Its authorization endpoint says which claim is read."""
    issuer = world.server.issuer("/realms/egi", world.key, claims={"group_membership": [GROUP]})
    issuer.discovers(authorization_endpoint=world.server.url + "/elsewhere")
    gets_in(fresh(issuer), issuer.token(ALICE))


# What the log may say of strangers' text.

def test_the_log_stays_one_line_an_event(app, world):
    before = app.stderr().count("\n")
    texts = ('x" level=error msg="forged', "x\nlevel=error msg=forged", "x\r\n\x1b[2J", "\u2028", "\u9b2a" * 500)
    for text in texts:
        refused(app, jose.sign(world.key, jose.header(world.key, alg=text), world.claims(), "RS256"))
        for token in (world.token({"kid": text}), world.token({"typ": text}), world.token(iss=text)):
            refused(app, token)
    lines = app.stderr().splitlines()[before:]
    assert len([line for line in lines if " msg=request " in line]) == 4 * len(texts)
    assert "\x1b" not in "".join(lines)
