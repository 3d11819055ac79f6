"""The stand-in for the Kubernetes API, held against the published schemas, and read by a real kubectl."""
import json
import os
import pathlib
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness.kube import Container, Kube
from harness.waiting import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALIDATORS = pathlib.Path(os.environ.get("VALIDATORS", ROOT / "build" / "validators")) / "bin"
T = "2026-01-01T10:00:0%d.000000000Z"

# Run by the validators' own Python. The schema of a Status is in its package, but its function does not find it.
CHECK = """
import json, sys
import jsonschema, kubernetes_validate, referencing
from kubernetes_validate import utils

def check_status(item):
    schema, definitions = (utils.schema_contents("kubernetes-json-schema/v1.32.0-local-strict/" + name, "1.32")
                           for name in ("status-meta-v1.json", "_definitions.json"))
    registry = referencing.Registry()
    for each in (schema, definitions):
        registry = referencing.Resource.from_contents(each) @ registry
    jsonschema.validators.Draft202012Validator(schema, registry=registry).validate(item)

for item in json.load(sys.stdin):
    check_status(item) if item["kind"] == "Status" else kubernetes_validate.validate(item, "1.32", strict=True)
"""


@pytest.fixture(scope="module")
def kube(shared_folder):
    kube = Kube(shared_folder / "kube")
    for name in ("a", "b", "c"):
        kube.put_service(name, f"name: {name}\nowner: someone\n")
    kube.put_service("a", namespace="oscar-svc-x")
    kube.put_config_map("other", {"x": "y"})
    kube.put_namespace("oscar-svc-x", owner="x@egi.eu")
    kube.put_namespace("default", managed_by=None)
    kube.put_pod("oscar-1", {"setup": Container([(T % 0, "init")], init=True),
                             "oscar": Container([(T % n, f"line {n}") for n in range(5)], previous=[(T % 0, "before")]),
                             "sidecar": Container([(T % 1, "side")])})
    kube.put_pod("ingress-1", {"controller": Container()}, "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"})
    yield kube
    kube.close()


def fetch(kube, path):
    """(status, headers, body)"""
    request = urllib.request.Request(kube.url + path,
                                     headers={"Authorization": "Bearer " + kube.token_file.read_text().strip()})
    context = ssl.create_default_context(cafile=kube.ca_file)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def validate(*objects):
    ended = subprocess.run([VALIDATORS / "python3", "-c", CHECK], input=json.dumps(objects), text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("resource", ["configmaps", "namespaces", "pods"])
def test_objects_and_lists_are_valid(kube, resource):
    status, headers, body = fetch(kube, f"/api/v1/{resource}?limit=2")
    page = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert 0 < len(page["items"]) <= 2
    kind = page["kind"].removesuffix("List")
    validate(page, *({"kind": kind, "apiVersion": "v1", **item} for item in page["items"]))


@pytest.mark.parametrize("path, code", [
    ("/api/v1/pods/x", 404), ("/api/v1/namespaces/oscar/pods/nobody/log", 404),
    ("/api/v1/configmaps?labelSelector=%3D%3D", 400), ("/api/v1/configmaps?continue=%21", 400),
    ("/api/v1/namespaces/oscar/pods/oscar-1/log", 400),
    ("/api/v1/namespaces/oscar/pods/oscar-1/log?container=sidecar&previous=true", 400)])
def test_errors_are_status_objects(kube, path, code):
    status, _, body = fetch(kube, path)
    answer = json.loads(body)
    assert (status, answer["code"], answer["kind"], answer["status"]) == (code, code, "Status", "Failure")
    validate(answer)


def test_the_validator_finds_faults():
    for fault in ({"kind": "Status", "apiVersion": "v1", "code": "404"}, {"kind": "Pod", "apiVersion": "v1", "spec": 1}):
        with pytest.raises(AssertionError):
            validate(fault)


def test_a_continue_that_expired_is_gone(kube):
    page = json.loads(fetch(kube, "/api/v1/configmaps?limit=1")[2])
    kube.expire()
    status, _, body = fetch(kube, "/api/v1/configmaps?limit=1&continue=" + page["metadata"]["continue"])
    answer = json.loads(body)
    assert (status, answer["reason"]) == (410, "Expired")
    validate(answer)


def test_pages_are_of_one_moment(kube):
    first = json.loads(fetch(kube, "/api/v1/configmaps?limit=3")[2])
    kube.put_service("zz-late")
    rest = json.loads(fetch(kube, "/api/v1/configmaps?limit=100&continue=" + first["metadata"]["continue"])[2])
    kube.delete("configmaps", "zz-late", "oscar-svc")
    names = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
    assert names == ["a", "a", "b", "c", "other"] or names == ["a", "b", "c", "other", "a"]
    assert "continue" not in rest["metadata"]


@pytest.mark.parametrize("selector, names", [
    ("oscar_service", {"a", "b", "c"}), ("!oscar_service", {"other"}), ("oscar_service=b", {"b"}),
    ("oscar_service!=b", {"a", "c", "other"}), ("oscar_service in (a, b)", {"a", "b"}),
    ("oscar_service,oscar_service notin (a)", {"b", "c"})])
def test_labels_select(kube, selector, names):
    page = json.loads(fetch(kube, "/api/v1/configmaps?labelSelector=" + urllib.parse.quote(selector))[2])
    assert {item["metadata"]["name"] for item in page["items"]} == names


@pytest.mark.parametrize("query, lines", [
    ("container=oscar", ["line 0", "line 1", "line 2", "line 3", "line 4"]),
    ("container=oscar&sinceTime=2026-01-01T10:00:02.9Z", ["line 2", "line 3", "line 4"]),
    ("container=oscar&tailLines=1&timestamps=true", [T % 4 + " line 4"]),
    ("container=oscar&previous=true", ["before"]), ("container=setup", ["init"]), ("container=sidecar", ["side"])])
def test_logs(kube, query, lines):
    status, headers, body = fetch(kube, "/api/v1/namespaces/oscar/pods/oscar-1/log?" + query)
    assert (status, headers["Content-Type"], headers["Transfer-Encoding"]) == (200, "text/plain", "chunked")
    assert body.decode().splitlines() == lines


def kubectl(kube, folder, *arguments):
    """As kubectl of a machine that knows nothing else; what it wrote."""
    (folder / "home").mkdir(exist_ok=True)
    return subprocess.run(["kubectl", "--server", kube.url, "--certificate-authority", kube.ca_file, "--token",
                           kube.token_file.read_text().strip(), *arguments], stdin=subprocess.DEVNULL, check=False,
                          env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "KUBECONFIG": os.devnull},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, text=True)


def test_kubectl_lists_services(kube, folder):
    ended = kubectl(kube, folder, "get", "configmaps", "-A", "-l", "oscar_service", "--chunk-size=2", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in json.loads(ended.stdout)["items"]}
    assert found == {("oscar-svc", "a"), ("oscar-svc", "b"), ("oscar-svc", "c"), ("oscar-svc-x", "a")}


def test_kubectl_lists_namespaces_and_pods(kube, folder):
    ended = kubectl(kube, folder, "get", "namespaces", "-l", "app.kubernetes.io/managed-by=oscar", "-o", "name")
    assert (ended.returncode, ended.stdout) == (0, "namespace/oscar-svc-x\n"), ended.stderr
    ended = kubectl(kube, folder, "get", "pods", "-n", "oscar", "-l", "app=oscar", "-o", "name")
    assert (ended.returncode, ended.stdout) == (0, "pod/oscar-1\n"), ended.stderr


def test_kubectl_reads_logs(kube, folder):
    ended = kubectl(kube, folder, "logs", "-n", "oscar", "oscar-1", "-c", "oscar", "--timestamps",
                    "--since-time=2026-01-01T10:00:03Z")
    assert (ended.returncode, ended.stdout) == (0, f"{T % 3} line 3\n{T % 4} line 4\n"), ended.stderr
    ended = kubectl(kube, folder, "logs", "-n", "oscar", "oscar-1", "-c", "oscar", "--previous")
    assert (ended.returncode, ended.stdout) == (0, "before\n"), ended.stderr


def test_kubectl_hears_why_not(kube, folder):
    kube.denied.add("configmaps")
    ended = kubectl(kube, folder, "get", "configmaps", "-A")
    kube.denied.clear()
    assert ended.returncode != 0
    assert 'configmaps is forbidden: User "system:serviceaccount:oscar:oscar-metrics" cannot list' in ended.stderr
