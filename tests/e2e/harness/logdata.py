"""Log lines for the tests: single ones, and a month's archive of all formats that is the same in every run."""
import datetime
import gzip
import os
import random

PREFIX = "[GIN-EXECUTIONS-LOGGER]"

# Far before every range that the tests ask for: with it the logs reach back far enough to be complete.
REQUESTS_BEGIN = "2020-01-01T00:00:00Z stderr F the manager starts\n"
EXPOSED_BEGIN = '10.0.0.1 - - [01/Jan/2020:00:00:00 +0000] "GET /healthz HTTP/1.1" 200 2 "-" "probe" 1 0.001 [-]\n'


def request(time, path="/run/yolo", user="a1@egi.eu", service=None, namespace=None, status=200,
            client="172.25.0.1"):
    """One line of the manager's; `time` as it stands in the line."""
    line = f"{PREFIX} {time} | {status} |  347.805334ms | {client} | POST    {path} | {user}"
    if service is not None:
        line += f" | {service} | {namespace}"
    return line + "\n"


def nginx_line(time, path, referrer="-"):
    return (f'172.18.0.1 - - [{time}] "GET {path} HTTP/1.1" 200 612 "{referrer}" "curl/8.5" 431 0.003 '
            "[oscar-svc-nb-svc-80] [] 10.244.0.223:80 612 0.003 200 0123456789abcdef\n")


def traefik_line(time, path):
    start = f',"StartUTC":"{time}"' if time is not None else ""
    return f'{{"ClientHost":"10.0.0.7","RequestMethod":"GET","RequestPath":"{path}","DownstreamStatus":200{start}}}\n'


def age(path, seconds=3600):
    """Makes a file look as if nobody had written to it lately."""
    info = os.stat(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns - seconds * 1_000_000_000))


def write(path, *parts, aged=True):
    """Writes text or bytes, as gzip when the name says so; the bytes before compression come back."""
    data = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    if aged:
        age(path)
    return data


def write_many_users(path, count):
    """So many users with long names and a request each: a breakdown by user is much more than a socket's buffer takes."""
    write(path, *(request("2026-01-01T10:00:00Z", user="u" * 90 + str(number)) for number in range(count)))
    return path


# The archive: January 2026.

START, END = "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"
_BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
_SERVICES = ["yolo", "cowsay", "grayify", "yolo-v8", "deleted-svc", "nb", "a.b", "0", "z" * 253]
_USERS = ["a1@egi.eu", "b2@egi.eu", "oscar", "nil", "minio", "", "Zoë", "ZZ", "62bb11b40398f73778b66f@egi.eu"]


def _rfc3339(when, random_):
    fraction = random_.choice(["", ".1", ".12345", ".123456789"])
    return when.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def _noise(when, random_):
    rfc = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    return random_.choice([
        "", "a line of nothing", f"[GIN] {when:%Y/%m/%d - %H:%M:%S} | 200 | 1ms | 10.0.0.1 | POST /job/yolo | x",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | GET     /health | oscar",
        f"{PREFIX} {rfc} | 200 | 1ms | POST /job/yolo",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/ | a1@egi.eu",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/../../etc/passwd | a1@egi.eu",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/Yolo | a1@egi.eu",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/yolo|x | a1@egi.eu",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/yolo | forged | victim | x | a1@egi.eu",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/yolo | forged | victim | kube-system",
        f"{PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/yolo | forged | victim | oscar-svcx",
        f"{PREFIX} never | 200 | 1ms | 10.0.0.1 | POST    /run/yolo | a1@egi.eu",
        f"echo {PREFIX} {rfc} | 200 | 1ms | 10.0.0.1 | POST    /run/yolo | a1@egi.eu",
    ]) + "\n"


def _manager_line(when, form, random_):
    path = random_.choice(["/run/", "/job/"]) + random_.choice(_SERVICES) + random_.choice(["", "?x=/job/cowsay"])
    user = random_.choice(_USERS)
    if form == "older":
        line = request(when.strftime("%Y/%m/%d - %H:%M:%S"), path, user, status=201)
    elif form == "newer":
        service = random_.choice(_SERVICES)
        namespace = random_.choice(["oscar-svc", "oscar-svc-a1", "oscar-svc-b2"])
        line = request(_rfc3339(when, random_), "/job/by-path", user, service, namespace)
    else:
        line = request(_rfc3339(when, random_), path, user, status=random_.choice([200, 401, 500]))
    if form == "container" or random_.random() < 0.2:
        # The runtime writes a moment later: its time is the one that decides.
        later = when + datetime.timedelta(seconds=random_.randrange(5))
        line = f"{_rfc3339(later, random_)} {random_.choice(['stdout F ', 'stderr F ', ''])}{line}"
    return line


def _exposed_line(when, random_):
    service = random_.choice(["nb", "nb-2", "jupyter", "exposed-only", "Bad_Name"])
    rest = random_.choice(["", "/", "/lab?next=/system/services/other/exposed", "?x=1", "d", "-not"])
    path = f"/system/services/{service}/exposed{rest}"
    clf = when.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return random_.choice([
        lambda: nginx_line(clf, path, "https://x/system/services/referer/exposed"),
        lambda: traefik_line(_rfc3339(when, random_), path),
        lambda: traefik_line(clf, path),
        lambda: _rfc3339(when, random_) + " stdout F " + traefik_line(None, path),
        lambda: traefik_line(None, path),
        lambda: nginx_line(clf, "/other?x=" + path),
        lambda: nginx_line("yesterday", path),
        lambda: '{"RequestPath":"/system/services/nb/exposed/","StartUTC":\n',
        lambda: "[1,2]\n",
    ])()


class Archive:
    """Writes its files below `directory`; `requests` and `exposed` are all their bytes."""

    def __init__(self, directory, lines=3000):
        random_ = random.Random(20260101)
        files = {"manager.log.2.gz": "older", "manager.log.1": "plain", "manager.log.1.extra.gz": "container",
                 "manager.log": "newer"}
        (directory / "requests").mkdir(parents=True)
        (directory / "exposed").mkdir()
        step = 31 * 86400 // lines
        text = {name: [REQUESTS_BEGIN] for name in files}
        exposed = {"ingress.log.1.gz": [EXPOSED_BEGIN], "ingress.log": []}
        for number in range(lines):
            # Also some before and after the month.
            when = _BEGIN + datetime.timedelta(seconds=number * step * 1.1 - 86400)
            name = sorted(files)[number * len(files) // lines]
            text[name].append(_manager_line(when, files[name], random_))
            if random_.random() < 0.3:
                text[name].append(_noise(when, random_))
            if random_.random() < 0.5:
                exposed[random_.choice(sorted(exposed))].append(_exposed_line(when, random_))
        self.requests = b"".join(write(directory / "requests" / name, *part) for name, part in text.items())
        self.exposed = b"".join(write(directory / "exposed" / name, *part) for name, part in exposed.items())
        self.settings = {"OSCAR_METRICS_LOG_FILES": f"{directory}/requests/manager.log*",
                         "OSCAR_METRICS_EXPOSED_LOG_FILES": f"{directory}/exposed/*"}
