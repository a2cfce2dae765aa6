"""A Debian 12 of its own: debootstrap's files, systemd as process 1 in namespaces (systemd-nspawn), its own network.

It reaches nothing but Debian's packages, through a proxy of ours on the one wire it has. Nothing of it is mounted on
this machine: nspawn keeps its mounts in its own namespace, so that removing the folder removes files, nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("DOSONG_INSTALL_CACHE", ROOT / "build/install"))
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
INCLUDE = "systemd,systemd-sysv,dbus,udev,libpam-systemd,ca-certificates,iproute2,python3,procps"
HOSTS = ("deb.debian.org", "security.debian.org")
NEEDS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux", "ip": "iproute2"}
CHUNK = 1 << 16
PROXY_PORT = 3128


class Failed(Exception):
    """A command did not do what it should; its words are in the message."""


class _Onward(BaseHTTPRequestHandler):
    """Passes questions on to Debian's servers, and to nobody else."""

    def do_GET(self) -> None:
        host = self.path.removeprefix("http://").partition("/")[0]
        if host not in HOSTS:
            self.send_error(403)
            return
        asked = urllib.request.Request(self.path)  # noqa: S310 (the two hosts above, by http)
        for name in ("If-Modified-Since", "Range", "User-Agent"):
            if name in self.headers:
                asked.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
                self.send_response(answer.status)
                for name in ("Content-Length", "Last-Modified", "Content-Range", "ETag"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile, CHUNK)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except OSError:
            with contextlib.suppress(OSError):
                self.send_error(504)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def as_user(user: str, command: str) -> str:
    """The words that run a command as another account, with its groups."""
    return f"setpriv --reuid {user} --regid $(id -g {user}) --init-groups {command}"


def until(true: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until it is true. Raises Failed."""
    deadline_s = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline_s:
            raise Failed(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.25)


def check_needs() -> None:
    """Say what this machine lacks. Exits."""
    if os.geteuid() != 0:
        sys.exit("install-check: root is needed, for namespaces and a chroot")
    missing = [package for program, package in NEEDS.items() if shutil.which(program) is None]
    if missing:
        sys.exit(f"install-check: apt-get install {' '.join(missing)}")


def base() -> Path:
    """A fresh Debian 12, made once."""
    found = CACHE / f"base-{SUITE}"
    if not found.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / "base.partial"
        shutil.rmtree(partial, ignore_errors=True)
        argv = ["debootstrap", "--variant=minbase", f"--include={INCLUDE}", SUITE, str(partial), MIRROR]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"debootstrap: {done.stdout[-1500:]}{done.stderr[-500:]}")
        partial.rename(found)
    return found


class Wire:
    """A bridge for the machines of one run, and the proxy at its end. Use it as a context."""

    def __init__(self, number: int) -> None:
        """`number`: 1 to 250; this run's own place, 198.19.NUMBER.0/24."""
        self.number, self.bridge, self.address = number, f"dosong{number}", f"198.19.{number}.1"
        self._proxy: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        subprocess.run(["ip", "link", "add", self.bridge, "type", "bridge"], check=True)
        try:
            subprocess.run(["ip", "addr", "add", f"{self.address}/24", "dev", self.bridge], check=True)
            subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)
            self._proxy = ThreadingHTTPServer((self.address, PROXY_PORT), _Onward)
            threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._proxy is not None:
            self._proxy.shutdown()
            self._proxy.server_close()
        subprocess.run(["ip", "link", "del", self.bridge], check=True)


class Machine:
    """One booted Debian on a wire."""

    def __init__(self, root: Path, wire: Wire, number: int) -> None:
        """`number`: 2 to 250, the last number of its address. `root` is filled by `create`."""
        self.root, self.wire, self.name = root, wire, f"d{wire.number}-{number}"
        self.address = f"198.19.{wire.number}.{number}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0
        self.rate: str | None = None
        """Both ways, as tc writes it; None: as fast as memory."""

    def create(self) -> None:
        """Lay the files of a fresh Debian, and tell apt the way out."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(base()), str(self.root)], check=True)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        (self.root / "etc/resolv.conf").unlink(missing_ok=True)
        (self.root / "etc/apt/apt.conf.d/01proxy").write_text(
            f'Acquire::http::Proxy "http://{self.wire.address}:{PROXY_PORT}";\n'
        )
        (self.root / "etc/apt/sources.list").write_text(
            f"deb {MIRROR} {SUITE} main\ndeb {MIRROR} {SUITE}-updates main\n"
            f"deb http://deb.debian.org/debian-security {SUITE}-security main\n"
        )

    def start(self) -> None:
        """Boot; returns when systemd has started what it starts."""
        argv = [
            "systemd-nspawn", f"--directory={self.root}", f"--machine={self.name}", "--boot", "--register=no",
            "--keep-unit", f"--network-bridge={self.wire.bridge}", "--resolv-conf=off", "--timezone=off",
            "--link-journal=no", "--console=read-only",
        ]  # fmt: skip
        log = (self.root.parent / f"{self.name}.boot.log").open("ab")
        with log:
            self._nspawn = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(self._is_up, 60, "process 1")
        self._plug_in()
        until(lambda: self._state() in {"running", "degraded"}, 120, "systemd's start")

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise Failed(f"systemd-nspawn ended: {(self.root.parent / f'{self.name}.boot.log').read_text()[-800:]}")
        for pid in _below(self._nspawn.pid):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                inside = next(line.split() for line in status.splitlines() if line.startswith("NSpid:"))
                if inside[-1] == "1" and len(inside) > 2 and status.startswith("Name:\tsystemd\n"):
                    self.leader = pid
                    return True
        return False

    def _plug_in(self) -> None:
        self.run(f"ip addr add {self.address}/24 dev host0; ip link set host0 up; ip link set lo up")
        if self.rate is not None:
            shape = f"qdisc replace dev %s root tbf rate {self.rate} burst 64kb latency 200ms"
            subprocess.run(["tc", *(shape % f"vb-{self.name}").split()], check=True)
            self.run(f"tc {shape % 'host0'}")

    def _state(self) -> str:
        return self.run("systemctl is-system-running", check=False).strip()

    def popen(self, argv: Sequence[str], **more: object) -> subprocess.Popen[bytes]:
        """Start a program in this machine."""
        enter = ["nsenter", f"--target={self.leader}", "--all", "--wdns=/root", "--", "env", "-i"]
        enter += ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        return subprocess.Popen([*enter, *argv], **more)  # type: ignore[call-overload,no-any-return]

    def run(self, text: str, *, check: bool = True, within_s: float = 600, environment: str = "") -> str:
        """Run shell text as root, as a person would paste it; what it printed, both ways. Raises Failed."""
        script = f"set -euo pipefail\n{environment}\n{text}"
        process = self.popen(
            ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            out, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            raise Failed(f"longer than {within_s:.0f} s:\n{text}\n{out.decode(errors='replace')[-3000:]}") from None
        said = out.decode(errors="replace")
        if check and process.returncode != 0:
            raise Failed(f"exit {process.returncode}:\n{text}\n{said[-4000:]}")
        return said

    def refuses(self, text: str) -> None:
        """One command that must not succeed. Raises Failed if it does, or if it could not even be tried."""
        said = self.run(f"if {text}; then echo DONE; else echo REFUSED; fi").strip().splitlines()[-1]
        if said != "REFUSED":
            raise Failed(f"this should have been refused: {text}")

    def good(self, text: str) -> bool:
        """Whether shell text succeeds."""
        try:
            self.run(text)
        except Failed:
            return False
        return True

    def put(self, source: Path, target: str) -> None:
        """Copy a file into the machine."""
        to = self.root / target.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, to)

    def stop(self) -> None:
        """Shut down; nothing of it is left but its files."""
        if self._nspawn is not None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
            self._nspawn = None

    def reboot(self) -> None:
        """Off and on again."""
        self.stop()
        self.start()


@contextlib.contextmanager
def booted(folder: Path, wire: Wire, number: int) -> Iterator[Machine]:
    """A fresh machine, gone afterwards."""
    machine = Machine(folder / f"machine{number}", wire, number)
    machine.create()
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()
        remove(machine.root)


def remove(root: Path) -> None:
    """Remove a machine's files, only if nothing is mounted below them."""
    mounts = Path("/proc/self/mounts").read_text().split()
    if any(word.startswith(f"{root}/") for word in mounts):
        raise Failed(f"something is mounted below {root}; it is left there")
    shutil.rmtree(root)


def _below(pid: int) -> Iterator[int]:
    """All descendants of a process."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for word in (task / "children").read_text().split():
                yield int(word)
                yield from _below(int(word))
