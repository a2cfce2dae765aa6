"""A GPS receiver on a pty, read by a real gpsd that runs in the site's namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from sim import nmea, ns, pty
from wire.errors import Misconfigured, Unavailable

GPSD_PORT = 2947
_START_DEADLINE_S = 10.0


def gpsd_program() -> str:
    """Path of gpsd, which Debian keeps out of a user's PATH. Raises Misconfigured if it is not installed."""
    found = shutil.which("gpsd") or shutil.which("gpsd", path="/usr/sbin:/sbin")
    if found is None:
        raise Misconfigured("gpsd is missing: run `apt-get install gpsd`")
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Receiver:
    """The receiver and its gpsd. All methods are called on the event loop's thread; position in degrees, WGS 84."""

    def __init__(self, lat: float, lon: float, *, port: int, log: Path, hz: float = 1.0, seed: int = 1) -> None:
        self.lat, self.lon, self.port = lat, lon, port
        self._hz, self._seed, self._log = hz, seed, log
        self._count = 0
        self._tty: pty.Port | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> str:
        """`on`, `off` (the receiver is silent, gpsd repeats its last fix) or `stopped` (no gpsd)."""
        if self._daemon is None or self._daemon.poll() is not None:
            return "stopped"
        return "on" if self._timer else "off"

    async def start(self) -> None:
        """Starts gpsd and the stream of sentences; returns once gpsd listens.

        Raises Unavailable if gpsd does not listen within 10 s.
        """
        if self._tty is None:
            self._tty = pty.open_port()
        if self.state == "stopped":
            argv = [gpsd_program(), "-N", "-n", "-b", "-S", str(self.port), self._tty.path]
            if os.geteuid() == 0:
                # A gpsd that changes its user is no longer tied to us (prctl(2), PR_SET_PDEATHSIG): it stays root.
                argv = ["setpriv", "--bounding-set=-setuid,-setgid", "--", *argv]
            with self._log.open("ab") as log:
                self._daemon = ns.popen(None, argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.on()
        await self._listening()

    def stop(self) -> None:
        """Ends gpsd and silences the receiver."""
        self.off()
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
            self._daemon = None

    def kill(self) -> None:
        """Kills gpsd, as a crash of its own does; the receiver speaks on to nobody."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def close(self) -> None:
        """Ends gpsd and removes the receiver's port."""
        self.stop()
        if self._tty is not None:
            self._tty.close()
            self._tty = None

    def on(self) -> None:
        """Lets the receiver speak."""
        if self._timer is None:
            self._speak()

    def off(self) -> None:
        """Silences the receiver: the pty stays open, as with an antenna cable cut or a hung receiver."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def move(self, lat: float, lon: float) -> None:
        """Puts the receiver elsewhere; the next sentences say so."""
        self.lat, self.lon = lat, lon

    def _speak(self) -> None:
        if self._tty is not None:
            self._tty.write(nmea.burst(self.lat, self.lon, datetime.now(UTC), self._seed, self._count))
        self._count += 1
        self._timer = asyncio.get_running_loop().call_later(1 / self._hz, self._speak)

    async def _listening(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_DEADLINE_S
        while loop.time() < deadline and self.state != "stopped":
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)
        raise Unavailable(f"gpsd does not listen on port {self.port}: see {self._log}")
