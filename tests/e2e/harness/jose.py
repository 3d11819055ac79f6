"""Keys, and tokens of any kind: right ones, and those that nobody should make."""
import base64
import hashlib
import hmac
import itertools
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "secp256k1": ec.SECP256K1}
_serial = itertools.count(1)


def encode(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def as_json(value):
    """Bytes and text stand for themselves: for what is no JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value, separators=(",", ":")).encode()


def _number(value, length=None):
    return encode(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key of a provider's; `kid` None: it has none."""

    def __init__(self, private, kid):
        self.private = private
        self.kid = kid

    def public_bytes(self, encoding=serialization.Encoding.PEM,
                     form=serialization.PublicFormat.SubjectPublicKeyInfo):
        return self.private.public_key().public_bytes(encoding, form)

    def jwk(self, **more):
        """As a key set shows it; a member None is left out."""
        members = {**self._members(), "use": "sig", "kid": self.kid, **more}
        return {name: value for name, value in members.items() if value is not None}


class RsaKey(Key):
    algorithm = "RS256"

    def __init__(self, bits=2048, kid=""):
        super().__init__(rsa.generate_private_key(65537, bits), f"rsa-{next(_serial)}" if kid == "" else kid)

    def _members(self):
        numbers = self.private.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}

    def sign(self, data, algorithm):
        digest = _HASHES[algorithm[2:]]()
        if algorithm.startswith("PS"):
            return self.private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return self.private.sign(data, padding.PKCS1v15(), digest)


class EcKey(Key):
    def __init__(self, curve="P-256", kid=""):
        super().__init__(ec.generate_private_key(_CURVES[curve]()), f"ec-{next(_serial)}" if kid == "" else kid)
        self.curve = curve
        self.length = (self.private.curve.key_size + 7) // 8
        self.algorithm = {"P-384": "ES384", "P-521": "ES512"}.get(curve, "ES256")

    def _members(self):
        numbers = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": self.curve, "x": _number(numbers.x, self.length),
                "y": _number(numbers.y, self.length)}

    def sign(self, data, algorithm):
        der = self.private.sign(data, ec.ECDSA(_HASHES[algorithm[2:]]()))
        return b"".join(part.to_bytes(self.length, "big") for part in decode_dss_signature(der))


class HmacKey:
    """What a key looks like to a verifier that takes a public key for a secret."""
    algorithm, kid = "HS256", None

    def __init__(self, secret):
        self.secret = secret

    def sign(self, data, algorithm):
        return hmac.new(self.secret, data, {"256": hashlib.sha256, "384": hashlib.sha384,
                                            "512": hashlib.sha512}[algorithm[2:]]).digest()


def claims(issuer, sub="alice@example.org", lifetime=3600, **more):
    """Claims as providers state them; one that is None is left out."""
    now = int(time.time())
    stated = {"iss": issuer, "sub": sub, "iat": now, "exp": now + lifetime, "aud": "oscar", **more}
    return {name: value for name, value in stated.items() if value is not None}


def header(key, **more):
    stated = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid, **more}
    return {name: value for name, value in stated.items() if value is not None}


def pack(head, body, signature):
    """The three parts, whatever they are."""
    return ".".join(encode(as_json(part)) for part in (head, body, signature))


def sign(key, head, body, algorithm=None):
    """`algorithm`: what is signed with, whatever the header says."""
    signed = encode(as_json(head)) + "." + encode(as_json(body))
    return signed + "." + encode(key.sign(signed.encode(), algorithm or key.algorithm))


def token(key, issuer, sub="alice@example.org", head=None, **more):
    """A right token; `head`: members of the header besides, the others are claims."""
    return sign(key, header(key, **(head or {})), claims(issuer, sub, **more), (head or {}).get("alg"))
