"""What the kernel says about a process and its signals."""
import pathlib


def _masks(pid, names):
    """The signal masks of that name of all threads; none when the process is gone."""
    masks = []
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            lines = status.read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        masks += [int(line.split()[1], 16) for line in lines if line.startswith(names)]
    return masks


def is_pending(pid, number):
    """True while a signal that was sent has not been taken."""
    return any(mask >> (number - 1) & 1 for mask in _masks(pid, ("SigPnd", "ShdPnd")))


def looks_after(pid, number):
    """True when a process handles or holds back a signal; the default would just end it."""
    return any(mask >> (number - 1) & 1 for mask in _masks(pid, ("SigCgt", "SigBlk")))


def has_open(pid, path):
    """True while a process holds this file open."""
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.readlink() == path:
                return True
        except FileNotFoundError:
            continue  # closed meanwhile
    return False


def watches(pid, descriptor):
    """True while a process waits for a descriptor of its own by epoll."""
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = info.read_text().splitlines()
        except FileNotFoundError:
            continue  # closed meanwhile
        if any(line.split()[:2] == ["tfd:", str(descriptor)] for line in lines):
            return True
    return False


def children(pid):
    """The processes that a process has started; none when it is gone."""
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_bytes(pid):
    """VmRSS; None when the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def threads(pid):
    """How many there are; 0 when the process is gone."""
    try:
        return len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return 0
