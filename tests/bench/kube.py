"""The inventory of 10,000 services from the Kubernetes API: pages that were rendered before, over TLS."""
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.kube import Kube  # noqa: E402

from measure import PAIRS, absolute, megabytes, milliseconds  # noqa: E402
from program import running  # noqa: E402

SERVICES, PAGE = 10_000, 500
FIRST, AGAIN, RESIDENT = 1.5, 0.02, 64e6

DEFINITION = """\
name: {name}
cluster_id: oscar-cluster
image: images.example.org/grycap/{name}:latest
memory: 256Mi
cpu: '1.0'
total_memory: ''
total_cpu: ''
enable_gpu: false
alpine: false
log_level: INFO
environment:
  variables: {{INPUT: "1", OUTPUT: 'two'}}
  secrets: {{PASSWORD: not-to-be-shown}}
labels: {{owner_name: Some_Body_Else}}
input:
- storage_provider: minio.default
  path: {name}/in
  suffix: [jpg, png]
output:
- storage_provider: minio.default
  path: {name}/out
storage_providers:
  minio:
    default: {{endpoint: https://minio.example.org, region: us-east-1, access_key: not-to-be-shown}}
owner: 62bb11b40398f73778b66f344d282242debb8ee3ebb106717a123ca213162926@egi.eu
visibility: restricted
allowed_users:
- 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef@egi.eu
- fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210@egi.eu
"""
SCRIPT = "#!/bin/sh\n" + "python3 /opt/process.py \"$INPUT_FILE_PATH\" --output \"$TMP_OUTPUT_DIR\"\n" * 20


def services(_folder, _lines):
    """They are made anew each time."""


def filled(folder):
    kube = Kube(folder / "kube")
    for number in range(SERVICES):
        name = f"service-{number:05}"
        kube.put_service(name, DEFINITION.format(name=name), f"oscar-svc-{number % 500:03}", script=SCRIPT)
    kube.prerender("configmaps", "oscar_service", PAGE)
    return kube


def timed(program, **headers):
    """Seconds of one summary."""
    began = time.perf_counter()
    answer = program.get("/system/metrics", "start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z", **headers)
    taken = time.perf_counter() - began
    assert answer.json()["totals"]["services_count_active"] == SERVICES, answer
    return taken


def figures(_services):
    with tempfile.TemporaryDirectory(prefix="om-") as folder:
        kube = filled(pathlib.Path(folder))
        try:
            taken = [one(kube) for _ in range(PAIRS)]
        finally:
            kube.close()
    first, again, anew, resident = (statistics.median(column) for column in zip(*taken))
    yield absolute(f"{SERVICES:,} services from the API, first", first, FIRST, milliseconds)
    yield absolute("the same, read anew, nothing changed", anew, FIRST, milliseconds)
    yield absolute("the same, shared", again, AGAIN, milliseconds)
    yield absolute("resident after that", resident, RESIDENT, megabytes)


def one(kube):
    """(first, shared, read anew, the most that was resident)"""
    with running(**kube.settings) as program:
        first = timed(program)
        again = timed(program)
        anew = timed(program, HTTP_CACHE_CONTROL="no-cache")
        return first, again, anew, program.bytes("VmHWM")
