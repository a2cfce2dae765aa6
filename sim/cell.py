"""A site's `cell0` in either make: shaped by the kernel's tbf (no delay), or relayed by a process of our own.

Both are made and changed from within the site's namespace, by its holder's one thread.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

from sim import air, link, ns, truth
from wire.errors import Misconfigured, Unavailable

SHAPERS = ("relay", "tbf")
_ANSWER_S = 10.0
_END_S = 5.0


def best_shaper() -> str:
    """`relay` where this machine has TUN devices, else `tbf`: the default of `site up` and of the demo."""
    return "relay" if link.TUN.exists() else "tbf"


def check(shaper: str, wanted: air.Air) -> None:
    """Raises Misconfigured if this shaper cannot make such a link."""
    if shaper not in SHAPERS:
        raise Misconfigured(f"no shaper {shaper!r}; there are {', '.join(SHAPERS)}")
    air.check(wanted)
    plain = air.Air()
    beyond = [name for name in air.RELAY_ONLY if getattr(wanted, name) != getattr(plain, name)]
    if shaper == "tbf" and beyond:
        raise Misconfigured(f"tbf knows no {', '.join(beyond)}; take the shaper relay")
    if shaper == "relay" and not link.TUN.exists():
        raise Misconfigured(f"{link.TUN} is missing: run `modprobe tun`, or take the shaper tbf")


class Cell(Protocol):
    """What a station asks of its link. `pid` is the process that carries it, None if the kernel does."""

    pid: int | None
    truth: Path | None

    def build(self, wanted: air.Air) -> None:
        """Makes cell0, up and with its route."""

    def change(self, wanted: air.Air, *, service: bool, restart: bool = False) -> None:
        """Makes it another link; without service every packet is dropped in silence."""

    def close(self) -> None:
        """Ends what is not ended by the namespace itself."""


class Shaped:
    """tbf on both ends of a veth pair."""

    def __init__(self, wires: link.Wires) -> None:
        self._wires = wires
        self.pid: int | None = None
        self.truth: Path | None = None

    def build(self, wanted: air.Air) -> None:
        """Makes cell0, up and with its route."""
        link.shaped_cell(self._wires, wanted.downlink_bps, wanted.uplink_bps)

    def change(self, wanted: air.Air, *, service: bool, restart: bool = False) -> None:  # noqa: ARG002 - no traces
        """Sets rates or the black hole."""
        if service:
            link.shape(self._wires, wanted.downlink_bps, wanted.uplink_bps)
        else:
            link.block(self._wires)

    def close(self) -> None:
        """The pair ends with the namespace."""


class Relayed:
    """Two TUN devices and the relay's process between them; it ends with this one."""

    def __init__(self, wires: link.Wires, folder: Path) -> None:
        self._wires, self._folder = wires, folder
        self._process: subprocess.Popen[bytes] | None = None
        self.pid: int | None = None
        self.truth: Path | None = folder / truth.NAME

    def build(self, wanted: air.Air) -> None:
        """Makes the devices and starts the relay. Raises Unavailable if it does not come up."""
        fds = link.relayed_cell(self._wires)
        argv = [sys.executable, "-m", "sim.relay", str(self._folder), *map(str, fds)]
        with (self._folder / "relay.log").open("wb") as log:
            self._process = ns.popen(
                None, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, pass_fds=fds
            )
        link.close(fds)
        self.pid = self._process.pid
        self.change(wanted, service=True)

    def change(self, wanted: air.Air, *, service: bool, restart: bool = False) -> None:
        """Tells the relay, and waits until it has obeyed. Raises Unavailable with its words if it did not."""
        request = {"air": asdict(air.of(wanted)), "service": service, "restart": restart}
        stdin, stdout = self._pipes()
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], _ANSWER_S)
            line = stdout.readline() if ready else b""
        except OSError:
            line = b""
        reply: dict[str, Any] = json.loads(line) if line else {"ok": False, "error": self._last_words()}
        if not reply["ok"]:
            raise Unavailable(f"the relay did not change the link: {reply['error']}")

    def close(self) -> None:
        """Ends the relay by the end of its input, or by force; the devices go with it."""
        if self._process is None:
            return
        stdin, stdout = self._pipes()
        stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise Unavailable("the relay has not been started")
        return process.stdin, process.stdout

    def _last_words(self) -> str:
        log = (self._folder / "relay.log").read_text(encoding="utf-8", errors="replace").strip()
        return log.splitlines()[-1] if log else "it did not answer"


def make(shaper: str, wires: link.Wires, folder: Path) -> Cell:
    """The link of a site, not built yet; what the relay writes goes to `folder`."""
    return Relayed(wires, folder) if shaper == "relay" else Shaped(wires)
