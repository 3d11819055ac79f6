"""OpenID providers that do what a good one never would, and count what they are asked.

One server has any number of issuers, each at a path of its own. An issuer is right in everything until a test
changes it: `discovery`, `jwks` and `userinfo` are what it answers there, any answer of fake_prometheus, or a function
that gives one."""
import json
import ssl

from . import jose
from .fake_prometheus import FakePrometheus, Reply

GROUP = "vo.example.org"


class Issuer:
    def __init__(self, server, path, keys, claims=None):
        self.server = server
        self.path = path
        self.url = server.url + path
        self.keys = list(keys)
        self.users = {}  # sub -> claims of userinfo; who is not here is in the right group
        self.claims = {"group_membership": [GROUP]} if claims is None else claims
        self.discovery = lambda: json.dumps(self.document())
        self.jwks = lambda: json.dumps({"keys": [key.jwk() for key in self.keys]})
        self.userinfo = lambda asked: json.dumps(self.userinfo_of(asked))

    def document(self, **more):
        """What discovery says; a member None is left out."""
        members = {"issuer": self.url, "authorization_endpoint": self.url + "/auth", "jwks_uri": self.url + "/jwks",
                   "userinfo_endpoint": self.url + "/me", "id_token_signing_alg_values_supported":
                   ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"], **more}
        return {name: value for name, value in members.items() if value is not None}

    def discovers(self, **more):
        """From now on, with these members of discovery."""
        self.discovery = lambda: json.dumps(self.document(**more))

    def userinfo_of(self, asked):
        token = asked.headers["Authorization"].removeprefix("Bearer ")
        sub = json.loads(jose.decode(token.split(".")[1]))["sub"]
        return {"sub": sub, **self.users.get(sub, self.claims)}

    def token(self, sub="alice@example.org", key=None, head=None, **claims):
        """A right token of this issuer's."""
        return jose.token(key or self.keys[0], self.url, sub, head, **claims)

    def asked(self, what=""):
        """How often it was asked for "discovery", "jwks" or "me"; for anything, without a name."""
        end = {"": "", "discovery": "/.well-known/openid-configuration"}.get(what, "/" + what)
        return sum(asked.path.startswith(self.path + "/") and asked.path.endswith(end) for asked in self.server.asked)


class HostileOidc(FakePrometheus):
    """`tls`: (file of the certificate, file of its key)."""

    def __init__(self, tls=None):
        super().__init__()
        self.issuers = {}
        self.answers(self._answer)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = self.url.replace("http:", "https:")

    def issuer(self, path, *keys, claims=None):
        self.issuers[path] = Issuer(self, path, keys, claims)
        return self.issuers[path]

    def _answer(self, asked):
        for path, issuer in self.issuers.items():
            rest = asked.path.removeprefix(path)
            kind = {"/.well-known/openid-configuration": "discovery", "/jwks": "jwks", "/me": "userinfo"}.get(rest)
            if asked.path.startswith(path + "/") and kind:
                answer = getattr(issuer, kind)
                if not callable(answer):
                    return answer
                return answer(asked) if kind == "userinfo" else answer()
        return Reply("", status=404)
