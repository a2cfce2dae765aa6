"""Anonymous namespaces: made by the process that holds them, gone with it.

A namespace here has no name in the file system. It lives as long as a process is in it, so a SIGKILL of its holder
leaves nothing behind: the kernel drops the namespace and every veth in it. A namespace of mounts goes with the one of
the network, because /sys/class/net shows the interfaces of whoever mounted /sys: the probe reads its counters there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wire.errors import Misconfigured

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000


def require_root(what: str) -> None:
    """Raises Misconfigured, in one sentence, if this process may not make namespaces."""
    if os.geteuid() != 0:
        raise Misconfigured(
            f"{what} needs network namespaces, which only root may make: run it with sudo, "
            "or add `--link loopback` to have modem and GPS without a link of its own"
        )


def require_programs(*packages: tuple[str, str]) -> None:
    """Raises Misconfigured if a (program, Debian package) pair is not installed."""
    missing = [package for program, package in packages if shutil.which(program) is None]
    if missing:
        raise Misconfigured(f"missing programs: run `apt-get install {' '.join(dict.fromkeys(missing))}`")


def unshare(resolv_conf: Path) -> None:
    """Moves this process into a new network and mount namespace: lo is down, /sys shows this network only.

    Names resolve through `resolv_conf` alone. Raises Misconfigured if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise Misconfigured(f"the kernel refuses a new network namespace ({reason}): run outside the container")
    run("mount", "--make-rslave", "/")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    if Path("/etc/resolv.conf").exists():
        run("mount", "--bind", str(resolv_conf), "/etc/resolv.conf")


def bind(what: str, at: str) -> None:
    """Shows `what` at `at` too, in this mount namespace, the path taken as it is. Raises Misconfigured."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(what.encode(), at.encode(), None, ctypes.c_ulong(_MS_BIND), None) != 0:
        raise Misconfigured(f"the kernel refuses to show {what} at {at}: {os.strerror(ctypes.get_errno())}")


def run(*argv: str, stdin: str | None = None) -> None:
    """Runs a command to its end. Raises Misconfigured with the command's own words if it fails."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise Misconfigured(f"`{' '.join(argv)}` failed: {done.stderr.strip() or done.returncode}")


def enter(pid: int | None, argv: Sequence[str], cwd: str | None = None) -> list[str]:
    """The command line that runs `argv` in the namespaces of `pid`; `argv` itself if pid is None (loopback).

    The process id stays the same through to `argv`, and so does the working directory.
    """
    if pid is None:
        return list(argv)
    return ["nsenter", "-t", str(pid), "-n", "-m", "--", "env", "-C", cwd or str(Path.cwd()), *argv]


def popen(pid: int | None, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Starts `argv` in the namespaces of `pid`; the kernel kills it when the calling *thread* ends.

    So call it from a thread that lives as long as the child should. Options are those of subprocess.Popen.
    """
    cwd = options.pop("cwd", None)
    inside = enter(pid, argv, None if cwd is None else os.fspath(cwd))
    if pid is None and cwd is not None:
        options["cwd"] = cwd
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *inside], **options)


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it is gone or a zombie.

    With the pid it is a name that is never used again before the next boot. Source: proc(5), stat fields 3 and 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def kill(pid: int, ticks: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signals the process that started at `ticks`, and never another one that got its pid since."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            if start_ticks(pid) == ticks:
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)
