"""Requests a second through nginx, beside a program that does nothing but libfcgi."""
import contextlib
import pathlib
import re
import socket
import subprocess
import tempfile

from measure import by_turns, compare, per_second
from program import running

from harness.client import ADMIN  # noqa: E402 (program.py knows where)
from harness.nginx import Nginx  # noqa: E402

CONNECTIONS, SECONDS = 16, 3


@contextlib.contextmanager
def constant(folder):
    """The program of constant.c at work; where it listens."""
    binary, address = str(folder / "constant"), str(folder / "constant.sock")
    source = pathlib.Path(__file__).with_name("constant.c")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", binary, source, "-lfcgi"], check=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(1024)
        process = subprocess.Popen([binary], stdin=listening)
    try:
        yield address
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def nginx(folder, application):
    """nginx in front of it; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Nginx(folder, application, listen=f"127.0.0.1:{port}")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def rate(address, status):
    """Answers a second, as wrk counts them. All must have that status."""
    target = address + "/system/metrics/breakdown"
    said = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", "Authorization: " + ADMIN, target],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    answers = int(re.search(r"(\d+) requests in", said)[1])
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert "Socket errors" not in said and int(refused[1] if refused else 0) == (answers if status == 400 else 0), said
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def figures(_month):
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="om-")))
        program = stack.enter_context(running())
        ours = stack.enter_context(nginx(folder / "ours", program.address))
        theirs = stack.enter_context(nginx(folder / "theirs", stack.enter_context(constant(folder))))
        measured, compared = by_turns(lambda: rate(ours, 400), lambda: rate(theirs, 200))
    yield compare(f"a 400 through nginx, {CONNECTIONS} connections", measured, "libfcgi's constant", compared,
                  per_second, at_least=0.85)
