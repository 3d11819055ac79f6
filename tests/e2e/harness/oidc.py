"""A real OpenID provider, npm's certified oidc-provider, and people who sign in there as a browser would."""
import base64
import hashlib
import http.cookiejar
import json
import os
import pathlib
import re
import secrets
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from .app import ROOT
from .waiting import PATIENCE

HERE = pathlib.Path(__file__).with_name("oidc_provider")
# `./dev test` installs it there; by hand: npm ci in a copy of the folder above.
MODULES = pathlib.Path(os.environ.get("OIDC_PROVIDER_MODULES", ROOT / "build" / "oidc-provider" / "node_modules"))

PLAIN, EGI, AI4EOSC = "", "/realms/egi", "/realms/ai4eosc"

_CLIENT, _CALLBACK = "dashboard", "https://dashboard.example.org/callback"


def groups_claim(path, groups):
    """The claim in which an issuer of that path states these groups."""
    if path == EGI:
        return {"entitlements": [f"urn:mace:egi.eu:group:{group}:role=member#aai.egi.eu" for group in groups]}
    if path == AI4EOSC:
        return {"realm_access": {"roles": list(groups)}}
    return {"group_membership": list(groups)}


class _StopAtCallback(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if newurl.startswith(_CALLBACK):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Browser:
    """Cookies, redirects, and the forms of a page."""

    def __init__(self):
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _StopAtCallback, jar)

    def open(self, url, form=None):
        """(the address where it ended, the page)"""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with self.opener.open(url, data, timeout=PATIENCE) as answer:
                return answer.url, answer.read().decode()
        except urllib.error.HTTPError as answer:
            location = answer.headers.get("Location", "")
            assert location.startswith(_CALLBACK), f"{answer.code} {location} {answer.read()[:2000]}"
            return location, ""


class Provider:
    """Issuers at `paths` of one address. `users`: {sub: claims of userinfo}."""

    def __init__(self, directory, users, paths=(PLAIN, EGI, AI4EOSC)):
        assert MODULES.is_dir(), f"{MODULES} is not there: ./dev test installs the provider"
        self.errors = open(pathlib.Path(directory) / "oidc-provider.log", "w+b")
        self.process = subprocess.Popen(["node", str(HERE / "provider.mjs"), str(MODULES)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        try:
            self.origin = self._command("serve", users=users, paths=list(paths))["origin"]
        except BaseException:
            self.stop()
            raise

    def _command(self, name, **rest):
        print(json.dumps({"command": name, **rest}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the provider ended: " + pathlib.Path(self.errors.name).read_text()
        return json.loads(line)

    def issuer(self, path=PLAIN):
        return self.origin + path

    def rotate(self, path=PLAIN, keep=False):
        """New keys for one issuer; `keep`: the old ones stay in its key set."""
        self._command("rotate", path=path, keep=keep)

    def change_users(self, users):
        self._command("users", users=users)

    def sign_in(self, sub, path=PLAIN, algorithm="RS256"):
        """Signs somebody in, by the authorization code flow with PKCE; their access token."""
        verifier, state, resource = secrets.token_urlsafe(48), secrets.token_urlsafe(16), f"urn:oscar:{algorithm}"
        digest = hashlib.sha256(verifier.encode()).digest()
        browser = _Browser()
        where, page = browser.open(self.issuer(path) + "/auth?" + urllib.parse.urlencode({
            "client_id": _CLIENT, "redirect_uri": _CALLBACK, "response_type": "code", "scope": "openid",
            "state": state, "resource": resource, "code_challenge_method": "S256",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}))
        for form in ({"prompt": "login", "login": sub, "password": "x"}, {"prompt": "consent"}):
            action = re.search(r'<form[^>]* action="([^"]+)"', page)
            assert action and f'value="{form["prompt"]}"' in page, f"{where}: {page}"
            where, page = browser.open(action[1], form)
        answered = urllib.parse.parse_qs(urllib.parse.urlsplit(where).query)
        assert answered["state"] == [state], where
        _, body = browser.open(self.issuer(path) + "/token", {
            "grant_type": "authorization_code", "client_id": _CLIENT, "redirect_uri": _CALLBACK,
            "code": answered["code"][0], "code_verifier": verifier, "resource": resource})
        return json.loads(body)["access_token"]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.errors.close()
