"""What the answers must say, computed a second time: from the same bytes of the logs, in plain Python.

Nothing here is shared with the program. Written from the rules for log lines: which lines count, when they were
written, and how the answers add them up. Times are whole nanoseconds since 1970. Lines come as bytes of files, or as
entries of Loki, which have a time and labels of their own."""
import datetime
import ipaddress
import json
import re
import typing
import zoneinfo

SECOND = 1_000_000_000
PREFIX = b"[GIN-EXECUTIONS-LOGGER]"
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

_RFC3339 = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z")
_GIN = re.compile(rb"(\d{4})/(\d\d)/(\d\d) - (\d\d):(\d\d):(\d\d)\Z")
_CLF = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\Z")
_RUNTIME = re.compile(rb"(\S+) (?:(?:stdout|stderr) [FP] )?")
_NAME = re.compile(rb"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_UPSTREAM = re.compile(rb'(?:[^"]*"){6} \S+ \S+ \[([^\]]*)\]')
_NGINX = re.compile(rb'\S+ - .*? \[([^\]]*)\] "[A-Z]+ (\S+) HTTP/[0-9.]+" \d+ ')
_EXPOSED = re.compile(rb"/system/services/([^/?]*)/exposed(?:[/?]|\Z)")


def _nanoseconds(year, month, day, hour, minute, second, zone):
    try:
        when = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (when - epoch) // datetime.timedelta(seconds=1) * SECOND


def _offset(sign, hours, minutes):
    if hours > 23 or minutes > 59:
        return None
    delta = datetime.timedelta(hours=hours, minutes=minutes)
    return datetime.timezone(-delta if sign == b"-" else delta)


def rfc3339(text):
    """Nanoseconds, or None when it is no RFC 3339 time."""
    if isinstance(text, str):
        text = text.encode()
    match = _RFC3339.match(text)
    if not match:
        return None
    *numbers, fraction, zone = match.groups()
    zone = datetime.timezone.utc if zone == b"Z" else _offset(zone[:1], int(zone[1:3]), int(zone[4:]))
    if zone is None:
        return None
    base = _nanoseconds(*map(int, numbers), zone)
    return None if base is None else base + int((fraction or b"").ljust(9, b"0"))


def _gin(text, zone):
    match = _GIN.match(text)
    return _nanoseconds(*map(int, match.groups()), zone) if match else None


def _clf(text):
    match = _CLF.match(text)
    if not match or match[2] not in MONTHS:
        return None
    zone = _offset(match[7], int(match[8]), int(match[9]))
    if zone is None:
        return None
    return _nanoseconds(int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]), int(match[4]), int(match[5]),
                        int(match[6]), zone)


def text_of(data):
    """Text as an answer carries it: one U+FFFD for each byte that is not UTF-8."""
    out = []
    while data:
        for length in (1, 2, 3, 4):
            try:
                out.append(data[:length].decode("utf-8"))
                data = data[length:]
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append("\ufffd")
            data = data[1:]
    return "".join(out)


class Event:
    def __init__(self, kind, service, time, user="", namespace="", client=""):
        self.kind = kind  # "sync", "async", "exposed"
        self.service = service
        self.time = time
        self.user = user
        self.namespace = namespace
        self.client = client
        self.country = ""  # not known: locate()


def _cut_runtime_prefix(line):
    """(time or None, the line without the prefix)"""
    match = _RUNTIME.match(line)
    time = rfc3339(match[1]) if match else None
    return (None, line) if time is None else (time, line[match.end():])


def _request(line, zone, services_namespace, written=None):
    time, line = _cut_runtime_prefix(line)
    time = time if written is None else written
    if not line.startswith(PREFIX):
        return None
    fields = [field.strip() for field in line[len(PREFIX):].split(b"|")]
    if len(fields) not in (6, 8):
        return None
    if time is None:
        time = rfc3339(fields[0])
    if time is None:
        time = _gin(fields[0], zone)
    _, *path = re.split(rb"[ \t]", fields[4], maxsplit=1)
    path = b"".join(path).strip().split(b"?")[0]
    kind = {b"/run/": "sync", b"/job/": "async"}.get(path[:5])
    service, namespace = path[5:], b""
    if time is None or kind is None or not service:
        return None
    if len(fields) == 8:
        service, namespace = fields[6], fields[7]
        own = services_namespace.encode()
        if namespace != own and not namespace.startswith(own + b"-"):
            return None
    if not _NAME.match(service):
        return None
    return Event(kind, service.decode(), time, text_of(fields[5]), namespace.decode(), text_of(fields[3]))


def _namespace(service, upstream):
    """Of "<namespace>-<service>-svc-<port>"."""
    match = re.match(rf"(oscar-svc(?:-[a-z0-9-]+)?)-{re.escape(service)}-svc-\w+(?:@|\Z)", upstream)
    return match[1] if match else ""


def _exposed(line, written=None):
    time, line = _cut_runtime_prefix(line)
    time = time if written is None else written
    upstream = ""
    if line.startswith(b"{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        path, upstream = entry.get("RequestPath", "").encode(), entry.get("ServiceName", "")
        written = entry.get("StartUTC", "").encode()
        own = rfc3339(written)
        own = _clf(written) if own is None else own
    else:
        match = _NGINX.match(line)
        if not match:
            return None
        path, own = match[2], _clf(match[1])
        brackets = _UPSTREAM.match(line)
        upstream = brackets[1].decode() if brackets else ""
    time = own if time is None else time
    service = _EXPOSED.match(path)
    if time is None or not service or not _NAME.match(service[1]):
        return None
    name = service[1].decode()
    return Event("exposed", name, time, namespace=_namespace(name, upstream))


def _lines(data):
    """NULs in front of a line are a hole in its file."""
    return (line.lstrip(b"\0") for line in data.split(b"\n"))


def read_requests(data, timezone="UTC", services_namespace="oscar-svc"):
    zone = zoneinfo.ZoneInfo(timezone)
    events = (_request(line, zone, services_namespace) for line in _lines(data))
    return [event for event in events if event]


def read_exposed(data):
    return [event for event in map(_exposed, _lines(data)) if event]


_COUNTRY_LABELS = ("geoip_country_code", "geoip_country_name", "country", "country_code")


def _label_country(labels):
    country = next((labels[name] for name in _COUNTRY_LABELS if labels.get(name)), "")
    return "" if country == "unknown" else country


def read_entries(entries, exposed_app="ingress-nginx"):
    """The events of Loki's entries, (labels, time, line), that the templates ask for when nobody sets them. The same
    line at the same time stands once in a stream, and once in each stream."""
    events, seen = [], set()
    for labels, time, line in entries:
        key = (tuple(sorted(labels.items())), time, line)
        if key in seen:
            continue
        seen.add(key)
        if labels.get("app") == labels.get("namespace") == "oscar":
            event = _request(line.encode(), datetime.timezone.utc, "oscar-svc", time)
        elif labels.get("app") == labels.get("namespace") == exposed_app:
            event = _exposed(line.encode(), time)
        else:
            continue
        if event and event.kind != "exposed":
            event.country = _label_country(labels)
        if event:
            events.append(event)
    return events


def between(events, start, end):
    """Both inclusive. Times as RFC 3339."""
    first, last = rfc3339(start), rfc3339(end)
    assert first is not None and last is not None
    return [event for event in events if first <= event.time <= last]


# Nobody's: RFC 1918, RFC 4193, loopback, link-local, unspecified, and what once spelled IPv4 in IPv6.
_PRIVATE = [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "::/96", "fc00::/7", "fe80::/10")]
_WITH_PORT = re.compile(r"(?:\[([^]]*)\]|([0-9.]+))(?::[0-9]{1,5})?\Z")


def _address(text):
    """The address of a client, or None."""
    match = _WITH_PORT.match(text)
    if match:
        text = match[1] if match[1] is not None else match[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if "%" in text:
        return None
    if match and match[1] is not None and address.version == 4:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def locate(events, networks):
    """Gives the requests their countries. `networks`: {"192.0.2.0/24": "ES", ...}, the narrowest counts. Exposed
    requests have none."""
    known = sorted(((ipaddress.ip_network(text), code) for text, code in networks.items()),
                   key=lambda item: item[0].prefixlen, reverse=True)
    for event in events:
        address = _address(event.client.strip())
        if event.kind == "exposed" or address is None or any(address in network for network in _PRIVATE):
            continue
        event.country = next((code for network, code in known if address in network), "")
    return events


class Definition(typing.NamedTuple):
    """A service that is deployed; `broken`: its definition cannot be read."""
    name: str
    namespace: str = "oscar-svc"
    owner: str = ""
    visibility: str = ""
    allowed_users: tuple = ()
    broken: bool = False


def visible(definitions, user, owned=False):
    """The definitions that an OIDC user may see; `owned`: their own alone."""
    broken = {definition.name for definition in definitions if definition.broken}

    def may_see(definition):
        if definition.name in broken:
            return False
        if definition.owner == user:
            return True
        return not owned and (definition.visibility == "public" or
                              definition.visibility == "restricted" and user in definition.allowed_users)

    return [definition for definition in definitions if may_see(definition)]


def _own_namespaces(definitions, user, shared):
    """Those in which everything is the user's: what was deleted there was theirs, too."""
    mine = set(visible(definitions, user, owned=True))
    everywhere = {definition.namespace for definition in definitions} - {shared}
    return {namespace for namespace in everywhere
            if all(definition in mine for definition in definitions if definition.namespace == namespace)}


def in_scope(events, definitions, user, owned=False, shared="oscar-svc"):
    """The events that a report of an OIDC user's counts."""
    seen = visible(definitions, user, owned)
    there = {(definition.namespace, definition.name) for definition in seen}
    hidden = {definition.name for definition in definitions if definition not in seen}
    everywhere = {definition.name for definition in seen} - hidden
    own = _own_namespaces(definitions, user, shared) if owned else set()
    return [event for event in events
            if (event.namespace in own or (event.namespace, event.service) in there if event.namespace
                else event.service in everywhere)]


def countries(events):
    """The list of an answer: the known ones with their requests."""
    found = [event.country for event in events if event.country]
    return [{"country": code, "request_count": found.count(code)} for code in sorted(set(found))]


def _byte_order(texts):
    return sorted(texts, key=lambda text: text.encode("utf-8"))


def _count(events, kind):
    return sum(event.kind == kind for event in events)


def _users(events):
    return _byte_order({event.user for event in events if event.user})


def totals(events, active=0, cpu=0, gpu=0):
    """The summary's totals."""
    sync, asynchronous = _count(events, "sync"), _count(events, "async")
    users, known = _users(events), countries(events)
    return {
        "services_count_active": active,
        "services_count_total": len({event.service for event in events}),
        "cpu_hours_total": cpu,
        "gpu_hours_total": gpu,
        "requests_count_total": sync + asynchronous,
        "requests_count_sync": sync,
        "requests_count_async": asynchronous,
        "requests_count_exposed": _count(events, "exposed"),
        "countries_count": len(known),
        "countries": known,
        "users_count": len(users),
        "users": users,
    }


def membership(user):
    return {"oscar": "external", "nil": "external", "minio": "unknown", "": "unknown"}.get(user, "member")


def by_service(events, include_users=False):
    items = []
    for name in _byte_order({event.service for event in events}):
        own = [event for event in events if event.service == name]
        sync, asynchronous = _count(own, "sync"), _count(own, "async")
        users = _users(own)
        item = {
            "key": name,
            "requests_count_total": sync + asynchronous,
            "requests_count_sync": sync,
            "requests_count_async": asynchronous,
            "requests_count_exposed": _count(own, "exposed"),
            "unique_users_count": len(users),
        }
        if include_users:
            item["users"] = users
        item["countries"] = countries(own)
        items.append(item)
    return items


def _not_exposed(events):
    return [event for event in events if event.kind != "exposed"]


def by_user(events):
    events = _not_exposed(events)
    items = []
    for user in _byte_order({event.user for event in events}):
        own = [event for event in events if event.user == user]
        items.append({"key": user, "membership": membership(user), "executions_count": len(own),
                      "countries": countries(own)})
    return items


def by_country(events):
    events = _not_exposed(events)
    items = []
    for key in sorted({event.country or "unknown" for event in events}):
        own = [event for event in events if (event.country or "unknown") == key]
        items.append({"key": key, "executions_count": len(own), "unique_users_count": len(_users(own)),
                      "countries": [{"country": key, "request_count": len(own)}]})
    return items


def values_of(events, service, cpu=0, gpu=0):
    """The values of one service's metrics, in the order in which they are answered."""
    own = [event for event in events if event.service == service]
    return [("cpu-hours", cpu), ("gpu-hours", gpu), ("requests-sync-per-service", _count(own, "sync")),
            ("requests-async-per-service", _count(own, "async")),
            ("requests-exposed-per-service", _count(own, "exposed")), ("users-per-service", len(_users(own)))]


def _csv_cell(text):
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        text = "'" + text
    if any(char in text for char in '",\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text


_CSV_COLUMNS = {
    "service": ["key", "membership", "requests_count_total", "requests_count_sync", "requests_count_async",
                "requests_count_exposed", "unique_users_count", "countries"],
    "user": ["key", "membership", "executions_count", "countries"],
    "country": ["key", "membership", "executions_count", "unique_users_count", "countries"],
}


def to_csv(group_by, items):
    """The text of a breakdown's CSV."""
    columns = _CSV_COLUMNS[group_by]
    lines = [",".join(columns)]
    for item in items:
        cells = {**item, "membership": item.get("membership", "")}
        cells["countries"] = "|".join(f"{entry['country']}:{entry['request_count']}" for entry in item["countries"])
        lines.append(",".join(_csv_cell(str(cells[column])) for column in columns))
    return "".join(line + "\n" for line in lines)
