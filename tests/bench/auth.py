"""What OIDC users cost: requests whose token is remembered, the first look at a token, and the memory for many."""
import contextlib
import statistics

from measure import absolute, by_turns, megabytes, seconds
from program import running

from harness import jose  # noqa: E402 (program.py knows where)
from harness.client import ADMIN
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey, RsaKey

ADDS, VERIFIES = 50e-6, 1e-3
ASKED = 500      # requests in one turn
USERS, USERS_BYTES, WARM = 2_000, 4e6, 300


def microseconds(value):
    return f"{value * 1e6:.0f} µs"


@contextlib.contextmanager
def provider():
    """An issuer whose keys are RSA's and EC's; its users are in some groups."""
    server = HostileOidc()
    try:
        groups = [GROUP] + [f"vo.{n}.example.org" for n in range(9)]
        yield server.issuer("/x", RsaKey(), EcKey(), claims={"group_membership": groups})
    finally:
        server.close()


def users(issuer):
    return {"OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP}


def request_seconds(program, authorization, status):
    """The median of some requests that need no source."""
    def ask():
        answer = program.get("/system/metrics", "end=x", auth=authorization)
        assert answer.status == status, answer

    return statistics.median(seconds(ask) for _ in range(ASKED))


def bearer(program, token, status=400):
    return request_seconds(program, "Bearer " + token, status)


def difference_row(what, more, less, other, limit):
    row = absolute(what, statistics.median(one - another for one, another in zip(more, less)), limit, microseconds,
                   f"{other}: {microseconds(statistics.median(less))}")
    row.bound = f"under {microseconds(limit)} more"
    row.measured = microseconds(statistics.median(more))
    return row


def swapped_signature(issuer):
    """Claims of one token under the signature of another: it takes the whole verification to see that."""
    return ".".join([*issuer.token("a").split(".")[:2], issuer.token("b").split(".")[2]])


def let_in(program, tokens):
    for token in tokens:
        answer = program.get("/system/metrics", "end=x", auth="Bearer " + token)
        assert answer.status == 400, answer


def memory_row():
    with provider() as issuer, running(**users(issuer)) as program:
        tokens = [issuer.token(f"{number:064x}@egi.eu", issuer.keys[1]) for number in range(WARM + USERS)]
        let_in(program, tokens[:WARM])
        before = program.bytes("VmRSS")
        let_in(program, tokens[WARM:])
        after = program.bytes("VmRSS")
        let_in(program, tokens)
        assert issuer.asked("me") == len(tokens), "some were forgotten"
    return absolute(f"resident for {USERS:,} users' tokens", after - before, USERS_BYTES, megabytes,
                    f"before: {megabytes(before)}")


def figures(_month):
    with provider() as issuer, running(**users(issuer)) as program:
        token, wrong = issuer.token(), swapped_signature(issuer)
        expired = issuer.token(lifetime=-60)
        assert len(jose.decode(wrong.split(".")[2])) == 256
        remembered, basic = by_turns(lambda: bearer(program, token), lambda: request_seconds(program, ADMIN, 400))
        verified, refused = by_turns(lambda: bearer(program, wrong, 401), lambda: bearer(program, expired, 401))
    yield difference_row("a request with a remembered token", remembered, basic, "Basic", ADDS)
    yield difference_row("a request whose RS256 is verified", verified, refused, "refused before that", VERIFIES)
    yield memory_row()
