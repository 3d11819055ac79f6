"""A stand-in for the Kubernetes API: ConfigMaps, namespaces, pods and their logs, answered as an API server answers,
with TLS, bearer tokens and permissions; and every fault that a test wants.

What it says is held against Kubernetes' published schemas, and a real kubectl reads from it (test_kube_standin.py)."""
import base64
import copy
import datetime
import json
import re
import secrets
import ssl
import threading
import urllib.parse

from .fake_prometheus import Asked, Handler, Hold, Reply, Server
from .tls import Authority
from .waiting import PATIENCE

ACCOUNT = "system:serviceaccount:oscar:oscar-metrics"
KINDS = {"configmaps": "ConfigMap", "namespaces": "Namespace", "pods": "Pod"}
LOG_PIECE = 32 * 1024
SERVICE_LABEL = "oscar_service"
DEFINITION = "function_config.yaml"


class Refused(Exception):
    """Answered by a Status object."""

    def __init__(self, code, reason, message, **more):
        super().__init__(message)
        self.reply = status(code, reason, message, **more)


def status(code, reason, message, details=None, metadata=None, headers=()):
    """A Status object as an API server's errors are one."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {}, "status": "Failure", "message": message,
            "reason": reason, **({"details": details} if details else {}), "code": code}
    return Reply(json.dumps(body), code, headers=headers)


def expired(token=""):
    return Refused(410, "Expired", "The provided continue parameter is too old to display a consistent list result. "
                   "You can start a new list without the continue parameter, or use the continue token in this "
                   "response to retrieve the remainder of the results.", metadata={"continue": token} if token else {})


def internal_error():
    return status(500, "InternalError", "Internal error occurred: etcdserver: leader changed",
                  details={"causes": [{"message": "etcdserver: leader changed"}]})


def too_busy(seconds=1):
    return status(429, "TooManyRequests", "too many requests, please try again later",
                  details={"retryAfterSeconds": seconds}, headers=[("Retry-After", str(seconds))])


def selects(selector, labels):
    """Equality, sets and existence, as labelSelector has them."""
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        match = re.fullmatch(r"\s*(!?)\s*([\w./-]+)\s*(?:(==|!=|=)\s*([\w.-]*)|\s+(in|notin)\s+\(([^)]*)\))?\s*", part)
        if not match:
            raise Refused(400, "BadRequest", f'unable to parse requirement: found \'{part}\', expected: identifier')
        negated, key, operator, value, among, values = match.groups()
        if operator:
            fits = (labels.get(key) == value) == (operator != "!=")
        elif among:
            listed = [each.strip() for each in values.split(",")]
            fits = (key in labels and labels[key] in listed) if among == "in" else labels.get(key) not in listed
        else:
            fits = (key in labels) != bool(negated)
        if not fits:
            return False
    return True


def _key(item):
    """The order of a list: as etcd has its keys."""
    return (item["metadata"].get("namespace", "") + "/" + item["metadata"]["name"]).encode()


def parse_time(text):
    """(whole seconds, nanoseconds)"""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", text)
    if not match:
        raise Refused(400, "BadRequest", f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    moment = datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return int(moment.timestamp()), int((match[2] or "").ljust(9, "0"))


BEGIN = "2026-01-01T00:00:00Z"


class Container:
    """Lines are (time, text): RFC 3339 with nine digits, as a runtime writes them. `previous` is the instance before
    the last restart; None: there is none (any more). `started`: of the present instance; `ran`: the time from which
    and until which the one before ran."""

    def __init__(self, lines=(), previous=None, restarts=None, init=False, waiting=False, started=BEGIN,
                 ran=(BEGIN, "2026-01-01T00:00:01Z")):
        self.lines, self.previous, self.init, self.waiting = list(lines), previous, init, waiting
        self.started, self.ran = started, ran
        self.restarts = (1 if previous is not None else 0) if restarts is None else restarts


class KubeAsked(Asked):
    def __init__(self, handler):
        super().__init__(handler, {})
        target = urllib.parse.urlsplit(handler.path)
        self.path = target.path
        self.form = {name: values[0] for name, values in
                     urllib.parse.parse_qs(target.query, keep_blank_values=True).items()}
        match = re.fullmatch(r"/api/v1(?:/namespaces/([^/]+))?/(configmaps|pods)(?:/([^/]+)(/log)?)?", self.path)
        if match:
            self.namespace, self.resource, self.name, log = match.groups()
            self.resource += log or ""
        else:
            match = re.fullmatch(r"/api/v1/(namespaces)(?:/([^/]+))?", self.path)
            self.namespace, self.resource, self.name = None, *(match.groups() if match else (None, None))

    def __repr__(self):
        return f"<{self.path} {self.form}>"


class _Handler(Handler):
    def do_GET(self):
        asked = KubeAsked(self)
        try:
            self.reply(self.server.kube.reply_to(asked))
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def do_POST(self):
        self.reply(status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"))

    do_PUT = do_PATCH = do_DELETE = do_POST

    def reply(self, reply):
        if isinstance(reply, Log):
            self._send_log(reply)
        else:
            super().reply(reply)

    def _send_log(self, log):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(log.body), LOG_PIECE):
            piece = log.body[at:at + LOG_PIECE]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if log.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


class Log:
    """The bytes of a log, in chunks; `cut`: the connection ends where the last chunk should come."""

    def __init__(self, body, cut=False):
        self.body, self.cut, self.status = body, cut, 200


class _Listener(Server):
    def __init__(self, kube, context):
        self.kube, self.context, self.lock, self.holds = kube, context, threading.Lock(), set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request, client_address):
        if self.context:
            request.settimeout(PATIENCE)
            request = self.context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        try:
            super().finish_request(request, client_address)
        finally:
            if self.context:
                request.close()


class Kube:
    """`tokens` are those that get in now. `fault(asked, reply)` may put another answer in the place of what would be
    right. Everything may be changed at any time."""

    def __init__(self, folder, tls=True):
        folder.mkdir()
        self.lock = threading.Lock()
        self.objects = {resource: {} for resource in KINDS}
        self.containers = {}
        self.version = 1000
        self.denied = set()  # resources: "configmaps", "pods/log", ...
        self.max_limit = None  # pages are no larger than that
        self._asked, self._pages, self._rendered = [], {}, {}
        self.fault = lambda asked, reply: reply
        self.authority = Authority(folder / "ca") if tls else None
        self.ca_file = self.authority.ca if tls else None
        self.token_file = folder / "token"
        self.tokens = set()
        self.rotate()
        self._listener = _Listener(self, self.authority.server() if tls else None)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.server_address[1]}"
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def settings(self):
        """The program's own, to read from here."""
        files = {"OSCAR_METRICS_KUBE_CA_FILE": self.ca_file} if self.ca_file else {}
        return {"OSCAR_METRICS_KUBE_URL": self.url, "OSCAR_METRICS_KUBE_TOKEN_FILE": self.token_file, **files}

    def close(self):
        with self._listener.lock:
            for hold in self._listener.holds:
                hold.release()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    # What gets in.

    def rotate(self):
        """A new token in the file; the old ones are not accepted any more. As the kubelet does it: a new file takes the
        place of the old."""
        token = "eyJ." + secrets.token_urlsafe(32)
        new = self.token_file.with_suffix(".new")
        new.write_text(token + "\n")
        self.tokens = {token}
        new.rename(self.token_file)
        return token

    # What there is.

    def put(self, resource, item):
        """Creates or replaces an object."""
        with self.lock:
            self.version += 1
            metadata = item["metadata"]
            old = self.objects[resource].get(_key(item))
            metadata["uid"] = old["metadata"]["uid"] if old else "%08x-0000-4000-8000-000000000000" % self.version
            metadata["resourceVersion"] = str(self.version)
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            self.objects[resource][_key(item)] = item
            self._rendered.clear()
        return item

    def delete(self, resource, name, namespace=""):
        with self.lock:
            self.version += 1
            del self.objects[resource][f"{namespace}/{name}".encode()]
            self._rendered.clear()

    def put_config_map(self, name, data, namespace="oscar-svc", labels=None):
        return self.put("configmaps", {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
                                       **({} if data is None else {"data": data})})

    def put_service(self, name, definition=None, namespace="oscar-svc", labels=None, script="#!/bin/sh\n"):
        """A service as OSCAR stores it."""
        text = f"name: {name}\n" if definition is None else definition
        return self.put_config_map(name, {DEFINITION: text, "script.sh": script}, namespace,
                                   {SERVICE_LABEL: name, **(labels or {})})

    def put_namespace(self, name, owner=None, managed_by="oscar"):
        labels = {"kubernetes.io/metadata.name": name}
        if managed_by:
            labels["app.kubernetes.io/managed-by"] = managed_by
        annotations = {} if owner is None else {"annotations": {"oscar.grycap.upv.es/owner": owner}}
        return self.put("namespaces", {"metadata": {"name": name, "labels": labels, **annotations},
                                       "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})

    def put_pod(self, name, containers, namespace="oscar", labels=None, phase="Running", created=BEGIN):
        """`containers`: {name: Container}."""
        self.containers[(namespace, name)] = containers
        return self.put("pods", {
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {"app": "oscar"},
                         "creationTimestamp": created},
            "spec": {**{field: [{"name": each, "image": "images.example.org/grycap/oscar", "resources": {}}
                                for each, container in containers.items() if container.init is init]
                        for field, init in (("containers", False), ("initContainers", True))},
                     "nodeName": "node-1", "restartPolicy": "Always"},
            "status": {"phase": phase, "startTime": created,
                       **{field: [_container_status(each, container) for each, container in containers.items()
                                  if container.init is init]
                          for field, init in (("containerStatuses", False), ("initContainerStatuses", True))}}})

    # What has been asked.

    @property
    def asked(self):
        with self.lock:
            return list(self._asked)

    def lists(self, resource):
        """The requests for a list of that, page by page."""
        return [asked for asked in self.asked if asked.resource == resource and asked.name is None]

    def forget(self):
        with self.lock:
            self._asked.clear()

    def expire(self):
        """No list that has begun can be continued."""
        with self.lock:
            self._pages.clear()

    # What is answered.

    def fails(self, resource, *faults):
        """The next requests for that are answered by these, one each; None: by what is right; the last stays."""
        left, lock = list(faults), threading.Lock()

        def choose(asked, reply):
            if asked.resource != resource:
                return reply
            with lock:
                fault = left.pop(0) if len(left) > 1 else left[0]
            return reply if fault is None else fault(reply) if callable(fault) else fault

        self.fault = choose

    def works(self):
        self.fault = lambda asked, reply: reply

    def reply_to(self, asked):
        with self.lock:
            self._asked.append(asked)
        try:
            right = self._right(asked)
        except Refused as refused:
            right = refused.reply
        reply = self.fault(asked, right)
        if isinstance(reply, Refused):
            reply = reply.reply
        if isinstance(reply, Hold):
            with self._listener.lock:
                self._listener.holds.add(reply)
        return reply

    def _right(self, asked):
        self._let_in(asked)
        if asked.path in DISCOVERY:
            return Reply(json.dumps(DISCOVERY[asked.path]))
        if asked.resource is None:
            return Reply("404 page not found\n", 404, "text/plain")
        self._permit(asked)
        if asked.resource == "pods/log":
            return self._log(asked)
        if asked.name is None:
            return self._list(asked)
        return Reply(json.dumps({"kind": KINDS[asked.resource], "apiVersion": "v1",
                                 **self._find(asked.resource, asked.namespace, asked.name)}))

    def _let_in(self, asked):
        header = asked.headers.get("Authorization")
        if header is None:
            if asked.resource:
                raise Refused(*_forbidden_words(asked, "system:anonymous"))
        elif header.removeprefix("Bearer ") not in self.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")

    def _permit(self, asked):
        if asked.resource in self.denied:
            raise Refused(*_forbidden_words(asked, ACCOUNT))

    def _find(self, resource, namespace, name):
        with self.lock:
            item = self.objects[resource].get(f"{namespace or ''}/{name}".encode())
        if item is None:
            raise Refused(404, "NotFound", f'{resource} "{name}" not found', details={"name": name, "kind": resource})
        return copy.deepcopy(item)

    def _list(self, asked):
        selector, limit = asked.form.get("labelSelector", ""), int(asked.form.get("limit", "0"))
        if self.max_limit:
            limit = min(limit or self.max_limit, self.max_limit)
        with self.lock:
            version, items, start = self._begin(asked, selector)
            end = min(start + limit, len(items)) if limit else len(items)
            metadata = {"resourceVersion": str(version)}
            if end < len(items):
                metadata["continue"] = _token({"v": "meta.k8s.io/v1", "rv": version, "at": end})
                if not selector:
                    metadata["remainingItemCount"] = len(items) - end
            head = json.dumps({"kind": KINDS[asked.resource] + "List", "apiVersion": "v1", "metadata": metadata})
            texts = [self._render(item) for item in items[start:end]]
        return Reply(head[:-1].encode() + b',"items":[' + b",".join(texts) + b"]}")

    def _begin(self, asked, selector):
        """(resource version, all items, the place where this page begins): pages of one list are of one moment."""
        token, key = asked.form.get("continue"), (asked.resource, asked.namespace, selector)
        if not token:
            items = [item for _, item in sorted(self.objects[asked.resource].items())
                     if asked.namespace in (None, item["metadata"].get("namespace"))
                     and selects(selector, item["metadata"].get("labels") or {})]
            self._pages[(self.version, *key)] = items
            return self.version, items, 0
        try:
            place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except ValueError:
            raise Refused(400, "BadRequest", "continue key is not valid: illegal base64 data") from None
        if (place["rv"], *key) not in self._pages:
            raise expired(_token({**place, "rv": -1}))
        return place["rv"], self._pages[(place["rv"], *key)], place["at"]

    def _render(self, item):
        """Remembered until anything changes: lists of ten thousand are asked for."""
        if id(item) not in self._rendered:
            self._rendered[id(item)] = json.dumps(item).encode()
        return self._rendered[id(item)]

    def prerender(self, resource, selector, limit):
        """Renders what a list in such pages will be made of, so that nobody measures that; the number of pages."""
        with self.lock:
            items = [item for item in self.objects[resource].values() if selects(selector, item["metadata"]["labels"])]
            for item in items:
                self._render(item)
        return -(-len(items) // limit)

    def _log(self, asked):
        self._find("pods", asked.namespace, asked.name)
        containers = self.containers[(asked.namespace, asked.name)]
        name = asked.form.get("container", "")
        if not name:
            if len(containers) > 1:
                raise Refused(400, "BadRequest", f"a container name must be specified for pod {asked.name}, choose "
                              f"one of: [{' '.join(containers)}]")
            name, = containers
        if name not in containers:
            raise Refused(400, "BadRequest", f"container {name} is not valid for pod {asked.name}")
        container = containers[name]
        if container.waiting:
            raise Refused(400, "BadRequest", f'container "{name}" in pod "{asked.name}" is waiting to start: '
                          "ContainerCreating")
        lines = container.lines
        if asked.form.get("previous") in ("true", "1"):
            if container.previous is None:
                raise Refused(400, "BadRequest",
                              f'previous terminated container "{name}" in pod "{asked.name}" not found')
            lines = container.previous
        return Log(_log_bytes(lines, asked.form))


def _forbidden_words(asked, account):
    resource = asked.resource
    verb = "get" if asked.name else "list"
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    named = f' "{asked.name}"' if asked.name else ""
    return (403, "Forbidden", f'{resource.split("/")[0]}{named} is forbidden: User "{account}" cannot {verb} resource '
            f'"{resource}" in API group "" {where}')


def _log_bytes(lines, form):
    if "sinceTime" in form:
        # Kept to whole seconds on its way to the kubelet, which leaves out what is before it.
        since, _ = parse_time(form["sinceTime"])
        lines = [(when, text) for when, text in lines if parse_time(when)[0] >= since]
    if "tailLines" in form:
        lines = lines[len(lines) - min(int(form["tailLines"]), len(lines)):]
    stamped = form.get("timestamps") in ("true", "1")
    text = "".join((f"{when} {text}\n" if stamped else f"{text}\n") for when, text in lines)
    data = text.encode("utf-8", "surrogateescape")
    return data[:int(form["limitBytes"])] if "limitBytes" in form else data


def _container_status(name, container):
    running = {"running": {"startedAt": container.started}}
    code, reason = (0, "Completed") if container.init else (137, "Error")
    ended = {"terminated": {"exitCode": code, "reason": reason, "startedAt": container.ran[0],
                            "finishedAt": container.ran[1], "containerID": f"containerd://{container.restarts - 1}"}}
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    state = waiting if container.waiting else ended if container.init else running
    identity = {} if container.waiting else {"containerID": f"containerd://{container.restarts}"}
    return {"name": name, "image": "images.example.org/grycap/oscar", "imageID": "", **identity, "ready": not container.waiting,
            "restartCount": container.restarts, "state": state,
            "lastState": ended if container.restarts else {}}


def _token(place):
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _resource(name, kind, namespaced):
    return {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}


# What kubectl asks before it asks for anything.
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"],
             "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1",
                "resources": [_resource("configmaps", "ConfigMap", True), _resource("namespaces", "Namespace", False),
                              _resource("pods", "Pod", True), _resource("pods/log", "Pod", True)]},
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "gitCommit": "", "gitTreeState": "clean",
                 "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.23", "compiler": "gc",
                 "platform": "linux/amd64"},
}
