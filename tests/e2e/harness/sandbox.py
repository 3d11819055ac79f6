"""What a systemd unit allows its program, put in force without systemd: read from the unit, translated as systemd's own
sources and manuals have it, and laid upon a process before it becomes the program.

As a program of its own (`python3 sandbox.py POLICY COMMAND...`) it is the last link of that chain. It knows nothing but
the standard library and libseccomp, so that it can be copied to where an unprivileged user may read it."""
import ctypes
import errno
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
NOBODY = 65534
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
FAMILIES_END = 64  # more than there are
NAMESPACES = {"mnt": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
              "pid": 0x20000000, "net": 0x40000000, "time": 0x00000080}
SET_ID = (0o4000, 0o2000)

# All mounts read-only, but for one folder where there is one. What cannot be reached any more cannot be mounted again.
READ_ONLY = r"""
set -e
writable=$1
shift
[ -z "$writable" ] || mount --bind "$writable" "$writable"
findmnt -rno TARGET | while read -r target; do
    target=$(printf %b "$target")
    [ "$target" = "$writable" ] || mount -o remount,bind,ro "$target" 2>/dev/null || true
done
exec "$@"
"""
# ProtectProc=invisible, ProcSubset=pid
OWN_PROCESSES = 'mount -t proc -o nosuid,nodev,noexec,hidepid=invisible,subset=pid proc /proc && exec "$@"'
OWN_MOUNTS = ["unshare", "--mount", "--ipc", "--uts", "--propagation=private"]
NO_RIGHTS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all",
             "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]


def read_only_as_nobody(writable=""):
    """What stands before a command that is to have a system of which it may write to that folder at most, and no right."""
    return [*OWN_MOUNTS, "sh", "-c", READ_ONLY, "sh", str(writable), *NO_RIGHTS]


def _as_the_unit_has_it():
    return [*OWN_MOUNTS, "sh", "-c", OWN_PROCESSES, "sh", "sh", "-c", READ_ONLY, "sh", "", *NO_RIGHTS]


def why_not_root():
    """Why this machine does not let us mount and change the user; "" when it does."""
    if os.getuid() != 0:
        return "not root"
    result = subprocess.run([*_as_the_unit_has_it(), "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, check=False)
    return result.stderr.strip().splitlines()[0] if result.returncode else ""


# What the unit says.

def read_service(folder, name="oscar-metrics.service"):
    """{directive: [value, ...]} of [Service], with the unit's drop-ins; an empty value forgets those before it."""
    found = {}
    for path in [folder / name, *sorted((folder / f"{name}.d").glob("*.conf"))]:
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                found[key] = [*found.get(key, []), value] if value else []
    return found


def _members(name):
    """The system calls that a name of SystemCallFilter= stands for."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    names = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    assert names, name
    return set().union(*map(_members, names))


def allowed_calls(values):
    """Of SystemCallFilter=: what the first value allows, and @default, less what others take away, and so on."""
    assert values and not values[0].startswith("~"), "a list of what is allowed is expected"
    allowed = _members("@default")
    for value in values:
        change = allowed.difference_update if value.startswith("~") else allowed.update
        for name in value.lstrip("~").split():
            change(_members(name))
    return sorted(allowed)


def policy(service):
    """What main() lays upon itself."""
    last = {name: values[-1] for name, values in service.items() if values}
    families = last["RestrictAddressFamilies"].split()
    assert last["SystemCallArchitectures"] == "native" and last["RestrictNamespaces"] == "yes"
    for name in ("MemoryDenyWriteExecute", "NoNewPrivileges", "LockPersonality", "RestrictRealtime", "RestrictSUIDSGID"):
        assert last[name] == "yes", name
    return {"calls": allowed_calls(service["SystemCallFilter"]), "error": getattr(errno, last["SystemCallErrorNumber"]),
            "families": [FAMILIES[family] for family in families], "files": int(last["LimitNOFILE"]),
            "umask": int(last["UMask"], 8)}


class Sandbox:
    """The unit's, with copies of program and sandbox in `folder`, which anybody may read. `command(...)` is what has to
    be started so that the unit's program, or another one, runs in it."""

    def __init__(self, folder, units, binary, root):
        self.folder = folder
        folder.chmod(0o755)
        self.binary = folder / "oscar-metrics"
        shutil.copy(binary, self.binary)
        self._launcher = shutil.copy(__file__, folder / "sandbox.py")
        self.service = read_service(units)
        self._policy = folder / "policy.json"
        self._policy.write_text(json.dumps(policy(self.service)))
        self._outside = _as_the_unit_has_it() if root else []
        # %d: the folder of LoadCredential=.
        self.settings = dict(line.replace("%d", str(folder)).split("=", 1) for line in self.service["Environment"])
        [start] = self.service["ExecStart"]
        self.program = [str(self.binary) if part == binary else part for part in shlex.split(start)]
        self.processes = int(self.program[self.program.index("-f") + 1]) if "-f" in self.program else 1

    def command(self, *command):
        return [*self._outside, "/usr/bin/python3", "-I", "-B", str(self._launcher), str(self._policy), *command]

    def reload(self, pid):
        """As ExecReload= does it."""
        for line in self.service["ExecReload"]:
            subprocess.run([part.replace("$MAINPID", str(pid)) for part in shlex.split(line)], check=True)


# In force.

def _filters(seccomp, rules):
    """Loads one filter that lets pass what no rule names: (action, call, arguments...)."""
    made = seccomp.SyscallFilter(seccomp.ALLOW)
    for action, call, *arguments in rules:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) >= 0:
            made.add_rule_exactly(action, call, *arguments)
    made.load()


def _restrict(seccomp, families):
    refused, unknown = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.ENOSYS)
    not_supported = seccomp.ERRNO(errno.EAFNOSUPPORT)
    has, eq, ne, gt = seccomp.MASKED_EQ, seccomp.EQ, seccomp.NE, seccomp.GT
    arg = seccomp.Arg
    # RestrictAddressFamilies=
    _filters(seccomp, [(not_supported, "socket", arg(0, eq, family)) for family in range(FAMILIES_END)
                       if family not in families] + [(not_supported, "socket", arg(0, gt, FAMILIES_END - 1))])
    # MemoryDenyWriteExecute=
    _filters(seccomp, [(refused, "mmap", arg(2, has, 6, 6)), (refused, "mprotect", arg(2, has, 4, 4)),
                       (refused, "pkey_mprotect", arg(2, has, 4, 4)), (refused, "shmat", arg(2, has, 0o100000, 0o100000))])
    # RestrictNamespaces=; of clone3 the flags cannot be seen.
    _filters(seccomp, [(unknown, "clone3"), (refused, "setns")]
             + [(refused, call, arg(0, has, flag, flag)) for flag in NAMESPACES.values() for call in ("clone", "unshare")])
    # LockPersonality=, RestrictRealtime=, RestrictSUIDSGID=
    _filters(seccomp, [(refused, "personality", arg(0, ne, ctypes.CDLL(None).personality(0xffffffff)))])
    _filters(seccomp, [(refused, "sched_setscheduler", arg(1, eq, policy)) for policy in (1, 2, 6)])
    _filters(seccomp, [(unknown, "openat2")] + [(refused, call, arg(place, has, bit, bit)) for bit in SET_ID for call, place in
                                               (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2),
                                                ("mknod", 1), ("mknodat", 2), ("creat", 1))])


def _only(seccomp, calls, error):
    """The last: it takes away what filters are loaded by."""
    made = seccomp.SyscallFilter(seccomp.ERRNO(error))
    for call in calls:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) >= 0:
            made.add_rule(seccomp.ALLOW, call)
    made.load()


def main():
    import seccomp  # python3-seccomp

    rules, command = json.loads(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2:]
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    os.umask(rules["umask"])
    files = min(rules["files"], resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    assert prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    # Linux 6.3, and newer versions of systemd; the filter below says the same to all kernels.
    if prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), "PR_SET_MDWE")
    _restrict(seccomp, rules["families"])
    _only(seccomp, rules["calls"], rules["error"])
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
