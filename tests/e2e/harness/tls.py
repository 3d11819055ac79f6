"""An authority of our own, server certificates for loopback, and one that nobody vouches for; by the openssl command."""
import pathlib
import ssl
import subprocess

from .waiting import PATIENCE


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, timeout=PATIENCE)


class Authority:
    """`ca` is its certificate's path; server() a context for servers at 127.0.0.1 (or another name)."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.ca = self.directory / "ca.pem"
        self._key = self.directory / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30,
                 "-subj", "/CN=authority of the tests", "-keyout", self._key, "-out", self.ca)

    def server(self, name="IP:127.0.0.1", days=30):
        """`days`: how long the certificate is good; -1: it has expired."""
        key, request, certificate = (self.directory / file for file in ("server.key", "server.csr", "server.pem"))
        extensions = self.directory / "extensions"
        extensions.write_text(f"subjectAltName={name}\nbasicConstraints=critical,CA:FALSE\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=server",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", days,
                 "-extfile", extensions, "-out", certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def self_signed(directory):
    """For 127.0.0.1, and nobody vouches for it: (path of the certificate, path of its key)."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1,
             "-subj", "/CN=nobody", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    return certificate, key
