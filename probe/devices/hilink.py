"""A Huawei HiLink stick, spoken to over HTTP by a child process (`probe.hilink_child`): this process stays small.

Source: design §5 (footprint: libraries of HiLink load only in children); facts/05-hardware.md §2.2.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from probe.core import hilink
from probe.core.radio import RadioReading
from probe.core.sim_card import CardWatch
from probe.devices.modem import ModemGone, ModemMute, ModemRefused
from probe.devices.throughput import start_child
from wire.errors import Misconfigured

log = logging.getLogger(__name__)
DEFAULT_URL = "http://192.168.8.1"
MODULE = "probe.hilink_child"
OPEN_S = 20.0
"""Python and the libraries load for seconds on a Pi; then the stick gets its time."""
LATE_S = 1.0
"""How long past a poll's deadline its last exchange may take."""
LINE_LIMIT_BYTES = 100_000


class HilinkModem:
    """One stick. `interface()`: its network interface now. All raise ModemGone, ModemMute or ModemRefused.

    `password_file`: read at every open, so that a corrected one is taken up; None leaves the login out.
    """

    def __init__(
        self,
        interface: Callable[[], str],
        *,
        url: str | None = None,
        user: str = "admin",
        password_file: Path | None = None,
        card: CardWatch | None = None,
    ) -> None:
        self._interface, self._url = interface, url or DEFAULT_URL
        self._user, self._password_file = user, password_file
        self._card = card or CardWatch()
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """True while a child speaks to the stick."""
        return self._child is not None

    def open(self) -> None:
        """Start the child and hear the stick once."""
        self.close()
        self._card.forget()
        self._rest = b""
        try:
            self._child = start_child(MODULE, is_bare=False)
        except OSError as error:
            raise ModemMute(f"no process can be started for the stick ({error.strerror})") from error
        where = {"url": self._url, "interface": self._interface(), "user": self._user, "password": self._password()}
        self._send(where)
        self._ask({"op": "poll"}, OPEN_S)

    def poll(self, deadline_s: float) -> RadioReading:
        """Read signal, status, operator and SIM within `deadline_s` seconds."""
        wants_card = self._card.wants_numbers()
        request = {"op": "poll", "wants_card": wants_card, "within_s": deadline_s}
        answer = self._ask(request, deadline_s + LATE_S)
        reading = hilink.read(answer["signal"], answer["status"], answer["plmn"], answer["pin"])
        if wants_card:
            told = answer["information"]
            self._card.tell([told.get("Imsi", "")], [told.get("Iccid", "")])
        self._card.see(reading.sim)
        return replace(reading, is_wrong_sim=self._card.is_wrong, card_ref=self._card.ref)

    def restart(self) -> None:
        """Have the stick start anew; it comes back after half a minute."""
        self._ask({"op": "restart"}, OPEN_S)
        self.close()

    def close(self) -> None:
        """End the child. Never raises; closing twice is allowed."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        child.wait()

    def _password(self) -> str | None:
        if self._password_file is None:
            return None
        try:
            return self._password_file.read_text().strip()
        except OSError as error:
            raise Misconfigured(
                f"cannot read {self._password_file}: {error.strerror}; write the password there"
            ) from error

    def _send(self, request: dict[str, Any]) -> None:
        child = self._child
        if child is None:
            raise ModemGone(f"the stick at {self._url} is not open; call open() first")
        try:
            os.write(cast("IO[bytes]", child.stdin).fileno(), json.dumps(request).encode() + b"\n")
        except OSError as error:
            self.close()
            raise ModemMute("the stick's process ended; it is started anew") from error

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        with self._lock:
            self._send(request)
            answer = self._line(time.monotonic() + timeout_s)
        kind, text = answer.get("kind"), str(answer.get("text", ""))
        if kind == "ok":
            return answer
        self.close()
        where = f"the stick at {self._url} by {self._interface()}"
        if kind == "gone":
            raise ModemGone(f"{where}: {text}; check that its interface is up and has an address")
        if kind == "login":
            raise ModemRefused(f"{where}: {text}")
        raise ModemMute(f"{where}: {text or 'no answer'}; restart the stick")

    def _line(self, until_s: float) -> dict[str, Any]:
        """Read one line of the child; an empty answer after the deadline, or from a child that died."""
        child = self._child
        if child is None:
            return {}
        stdout = cast("IO[bytes]", child.stdout).fileno()
        while b"\n" not in self._rest and len(self._rest) < LINE_LIMIT_BYTES:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until_s - time.monotonic()))
            part = os.read(stdout, 65_536) if ready else b""
            if not part:
                return {"text": "no answer in time" if not ready else "its process ended"}
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return answer if isinstance(answer, dict) else {}
