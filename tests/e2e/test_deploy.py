"""What is put into a cluster, a container or a systemd: held against the validators that there are, and run as far as a
machine without an engine and a cluster can."""
import base64
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from harness import logdata, sandbox
from harness.app import BINARY, ROOT, environment
from harness.client import PASSWORD, USER, basic
from harness.validators import VALIDATORS, read_yaml
from harness.waiting import PATIENCE, wait_until

NO_ROOT = sandbox.why_not_root()
KUBERNETES = ROOT / "deploy" / "kubernetes"
WAYS_IN = ["ingress", "httproute-traefik", "httproute-nginx"]
# Kinds that are not Kubernetes' own: no published schema is in the validator's package.
WITHOUT_SCHEMA = {"HTTPRoute", "Middleware", "SnippetsFilter"}


def run(*command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=PATIENCE * 3, check=False, **options)


def rendered(folder):
    result = subprocess.run(["kubectl", "kustomize", KUBERNETES / folder], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=PATIENCE * 3, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def documents(folder):
    """Every object, as far as it matters here, read by the validators' own YAML."""
    return read_yaml(rendered(folder))


@pytest.mark.parametrize("folder", ["base", "exposed-logs", *WAYS_IN])
def test_manifests_follow_the_published_schemas(folder, tmp_path):
    manifest = tmp_path / "rendered.yaml"
    manifest.write_text(rendered(folder))
    for version in ("1.25", "1.31"):
        result = run(VALIDATORS / "kubernetes-validate", "--strict", "-k", version, manifest)
        assert result.returncode == 0, result.stdout
        unknown = set(re.findall(r"find schema for kind (\w+)", result.stdout))
        assert unknown <= WITHOUT_SCHEMA, result.stdout
        checked = result.stdout.count(" passed for resource ")
        assert checked == len(re.findall(r"^kind: ", manifest.read_text(), re.M)) - len(unknown)


def by_kind(objects, kind):
    return [thing for thing in objects if thing["kind"] == kind]


@pytest.mark.parametrize("folder", WAYS_IN)
def test_every_way_in_leads_to_the_service_and_repeats_cors(folder):
    objects = documents(folder)
    [service] = by_kind(objects, "Service")
    [deployment] = by_kind(objects, "Deployment")
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    # The manager's pods are found by app=oscar: ours must not be.
    assert pod["metadata"]["labels"].get("app") != "oscar"
    text = rendered(folder)
    for header in ("Authorization", "Content-Disposition", "OSCAR-Metrics-Complete"):
        assert header in text
    if folder == "ingress":
        [ingress] = by_kind(objects, "Ingress")
        [path] = ingress["spec"]["rules"][0]["http"]["paths"]
        assert path["path"] == "/system/metrics" and path["pathType"] == "Prefix"
        assert path["backend"]["service"]["name"] == service["metadata"]["name"]
        assert path["backend"]["service"]["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
        return
    [route] = by_kind(objects, "HTTPRoute")
    [rule] = route["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/system/metrics"}}]
    [backend] = rule["backendRefs"]
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"] in [port["port"] for port in service["spec"]["ports"]]
    reference = rule["filters"][0]["extensionRef"]
    [named] = [thing for thing in by_kind(objects, reference["kind"])
               if thing["metadata"]["name"] == reference["name"]
               and thing["apiVersion"].split("/")[0] == reference["group"]]
    assert named["metadata"]["namespace"] == route["metadata"]["namespace"]


def test_the_deployment_has_no_rights_that_it_does_not_need():
    objects = documents("base")
    [deployment] = by_kind(objects, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for reach in ("hostNetwork", "hostPID", "hostIPC"):
        assert not pod.get(reach)
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    rules = [rule for role in by_kind(objects, "ClusterRole") for rule in role["rules"]]
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [(["configmaps", "namespaces"], ["list"])]
    rules = [rule for role in by_kind(objects, "Role") for rule in role["rules"]]
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [(["pods"], ["list"]), (["pods/log"], ["get"])]


def test_the_container_has_no_rights_that_it_does_not_need():
    service = read_yaml((ROOT / "docker" / "compose.yaml").read_text())[0]["services"]["oscar-metrics"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service and "privileged" not in service
    # Nothing about seccomp: then the engine's own profile holds.
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] in range(1, 513) and service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    # Each image ends as a user that the manifests name, too.
    [deployment] = by_kind(documents("base"), "Deployment")
    user = str(deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"])
    for stage in (ROOT / "docker" / "Dockerfile").read_text().split("\nFROM ")[2:]:
        assert re.findall(r"^USER (.*)$", stage, re.M)[-1] == user


def test_every_variable_of_the_manifests_is_a_setting():
    [config] = by_kind(documents("base"), "ConfigMap")
    [deployment] = by_kind(documents("base"), "Deployment")
    names = set(config["data"]) | {variable["name"] for variable in
                                   deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    described = subprocess.run([BINARY, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in names:
        assert re.search(rf"\b{name.removesuffix('_FILE')}\b", described), name


@pytest.fixture
def container(folder):
    """The image's folder and start script, a folder to write to, and one with the program."""
    image, writable, programs = (folder / name for name in ("etc", "run", "bin"))
    for place in (image, writable, programs):
        place.mkdir()
    for file in [ROOT / "docker" / "nginx.conf", ROOT / "docker" / "start", *(ROOT / "nginx").glob("oscar-metrics*")]:
        shutil.copy(file, image)
    shutil.copy(BINARY, programs)
    return image, writable, programs


def test_nginx_accepts_the_image_s_configuration(container):
    image, run_folder, _ = container
    result = run("nginx", "-t", "-e", "stderr", "-p", run_folder, "-c", image / "nginx.conf", cwd=run_folder)
    assert result.returncode == 0, result.stdout


class Container:
    def __init__(self, image, run_folder, programs, outside=(), settings=None):
        """`outside`: what is started with it as its arguments."""
        # Two free sockets by name instead of two ports that somebody else may have.
        text = (image / "nginx.conf").read_text()
        self.sockets = {}
        for port in ("8080", "8081"):
            self.sockets[port] = str(run_folder / f"{port}.sock")
            assert f"listen {port};" in text
            text = text.replace(f"listen {port};", f"listen unix:{self.sockets[port]};")
        if os.getuid() == 0 and not outside:
            text = "user root;\n" + text
        (image / "nginx.conf").write_text(text)
        settings = environment(settings or {})
        settings["PATH"] = f"{programs}:{settings['PATH']}"
        self.log = open(run_folder / "log", "w+b")
        self.process = subprocess.Popen([*outside, image / "start", image, run_folder], env=settings, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)

    def get(self, port, path, login=None):
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(PATIENCE)
        try:
            connection.sock.connect(self.sockets[port])
            headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def nginx_workers(running):
    [nginx] = [pid for pid in children_of(running.process.pid)
               if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "nginx"]
    return set(children_of(nginx))


@pytest.fixture
def started(container):
    running = Container(*container)
    yield running
    running.end()


def test_the_image_s_start_serves_both_ports_and_ends_by_sigterm(started):
    wait_until(lambda: started.get("8081", "/-/ready") == 200, "the container to be ready")
    assert started.get("8080", "/system/metrics", f"{USER}:{PASSWORD}") == 200
    assert started.get("8080", "/system/metrics") == 401
    # The operator's paths are not on the public port.
    assert started.get("8080", "/-/ready") == 404
    assert started.get("8080", "/-/metrics") == 404
    assert started.get("8081", "/-/metrics") == 200
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(PATIENCE) == 0


HALF_A_REQUEST = b"GET /system/metrics HTTP/1.1\r\nHost: "
NOT_READ = (b"GET /system/metrics/breakdown?group_by=user&start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z HTTP/1.1\r\n"
            b"Host: x\r\nAuthorization: " + basic().encode() + b"\r\n\r\n")


@pytest.mark.parametrize("sent", [HALF_A_REQUEST, NOT_READ], ids=["half a request", "an answer that is not read"])
def test_the_container_s_end_does_not_wait_for_who_does_nothing(container, sent):
    image, writable, _ = container
    logdata.write_many_users(writable / "manager.log", 20000)
    text = (image / "nginx.conf").read_text()
    [deployment] = by_kind(documents("base"), "Deployment")
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    for name in ("worker_shutdown_timeout", "client_header_timeout"):
        [patience] = re.findall(rf"^ *{name} (\d+)s;$", text, re.M)
        assert int(patience) < grace
        text = text.replace(f"{name} {patience}s;", f"{name} 1s;")
    (image / "nginx.conf").write_text(text)
    running = Container(*container, settings={"OSCAR_METRICS_LOG_FILES": writable / "manager.log"})
    try:
        wait_until(lambda: running.get("8081", "/-/ready") == 200, "the container to be ready")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(running.sockets["8080"])
            client.sendall(sent)
            if sent is NOT_READ:
                assert client.recv(12) == b"HTTP/1.1 200"
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(PATIENCE) == 0
    finally:
        running.end()


@pytest.mark.skipif(bool(NO_ROOT), reason=f"a system that can only be read, as nobody: cannot be had here ({NO_ROOT})")
def test_the_image_s_start_needs_no_right_and_one_folder_to_write_to(container):
    """As the manifests have it: another user, no capability, a root that can only be read, and /tmp."""
    image, writable, programs = container
    image.parent.chmod(0o755)
    os.chown(writable, sandbox.NOBODY, sandbox.NOBODY)
    running = Container(image, writable, programs, outside=sandbox.read_only_as_nobody(writable))
    try:
        wait_until(lambda: running.get("8081", "/-/ready") == 200, "the container to be ready")
        assert running.get("8080", "/system/metrics", f"{USER}:{PASSWORD}") == 200
        status = pathlib.Path(f"/proc/{running.process.pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^CapBnd:\t0+$", status, re.M)
        assert re.search(rf"^Uid:\t{sandbox.NOBODY}\t", status, re.M)
        assert " ro," in next(line for line in pathlib.Path(f"/proc/{running.process.pid}/mountinfo").read_text()
                              .splitlines()[::-1] if line.split()[4] == "/")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0, pathlib.Path(running.log.name).read_text()
    finally:
        running.end()


def test_the_image_s_start_passes_sighup_on_to_both(started):
    wait_until(lambda: started.get("8081", "/-/ready") == 200, "the container to be ready")
    log = pathlib.Path(started.log.name)
    for count in (1, 2):
        before = nginx_workers(started)
        started.process.send_signal(signal.SIGHUP)
        wait_until(lambda count=count: log.read_text().count("msg=reloaded") == count, "the program to read its files")
        wait_until(lambda before=before: nginx_workers(started) - before, "new workers of nginx")
        assert started.get("8080", "/system/metrics", f"{USER}:{PASSWORD}") == 200


def test_the_container_ends_when_the_program_does(started):
    wait_until(lambda: started.get("8081", "/-/ready") == 200, "the container to be ready")
    below = children_of(started.process.pid)
    below += [pid for child in below for pid in children_of(child)]
    [program] = [pid for pid in below if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "oscar-metrics"]
    os.kill(int(program), signal.SIGKILL)
    assert started.process.wait(PATIENCE) == 0


# ---- systemd and the manual ----

@pytest.mark.parametrize("name", ["oscar-metrics.service", "multiwatch.conf"])
def test_what_is_installed_names_the_program_where_it_is_installed(name):
    text = (pathlib.Path(BINARY).parent / "deploy" / "systemd" / name).read_text()
    assert re.search(r"^ExecStart=(/\S+ .*)?/\S+/bin/oscar-metrics$", text, re.M), text


def test_systemd_accepts_the_units(units):
    result = run("systemd-analyze", "verify", "--man=no", units / "oscar-metrics.socket", units / "oscar-metrics.service")
    assert result.returncode == 0, result.stdout
    ours = [line for line in result.stdout.splitlines() if "oscar-metrics" in line]
    assert ours == []


def test_the_unit_is_confined(units):
    # In tenths, and what is just as much passes, too: under 2.0.
    result = run("systemd-analyze", "security", "--offline=true", "--threshold=19", units / "oscar-metrics.service")
    assert result.returncode == 0, result.stdout[-600:]


def test_the_unit_s_bounds_hold_what_the_settings_allow(units):
    service = sandbox.read_service(units)
    processes = 2 if "multiwatch" in service["ExecStart"][0] else 1
    described = subprocess.run([BINARY, "--check-config"], env=environment({}), stdout=subprocess.PIPE, text=True,
                               check=True).stdout
    [workers] = re.findall(r"^OSCAR_METRICS_WORKERS=(\d+) ", described, re.M)
    [memory] = re.findall(r"^OSCAR_METRICS_MEMORY=(\d+)MiB ", described, re.M)
    slots = int(workers) * 3 // 4
    assert int(service["MemoryMax"][-1].removesuffix("G")) * 1024 >= processes * (1 + slots) * int(memory)
    # As many workers as the settings allow, and as many names that are being looked up, are still fewer.
    tasks = int(service["TasksMax"][-1])
    too_many = environment({"OSCAR_METRICS_WORKERS": tasks // processes // 2 + 1})
    assert subprocess.run([BINARY, "--check-config"], env=too_many, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False).returncode == 1


def test_the_manual_has_every_option_and_no_warning():
    page = ROOT / "man" / "oscar-metrics.8"
    result = run("man", "--warnings", "-E", "UTF-8", "-l", page, env={**os.environ, "MANPAGER": "cat", "MANROFFOPT": "-ww"})
    assert result.returncode == 0 and "warning" not in result.stdout, result.stdout
    manual = page.read_text().replace("Fl -", "--")
    described = subprocess.run([BINARY, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for option in re.findall(r"^ .*?(--[a-z-]+)", described, re.M):
        assert option in manual or f", {option[1:]}" in page.read_text(), option


def test_python_of_the_tools_is_only_the_standard_library():
    result = run(sys.executable, "-I", "-S", ROOT / "tools" / "oscar-metrics-compare", "--help")
    assert result.returncode == 0, result.stdout
