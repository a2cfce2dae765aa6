"""A modem that ModemManager owns, read by `mmcli --output-json`: one short process a question, nothing stays in memory.

Source: mmcli(1); facts/05-hardware.md §2.1. `--command` is refused outside debug mode, so AT is not spoken here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from probe.core import mmcli
from probe.core.radio import RadioReading
from probe.core.sim_card import CardWatch
from probe.devices.modem import ModemGone, ModemMute, ModemRefused

RATE_S = 5
"""How often ModemManager asks the modem for its levels."""
CALL_S = 5.0
RESTART_S = 30.0


class MmModem:
    """One modem. `usb`: where it is plugged in; else `names`, of its port and link, tell which one it is."""

    def __init__(
        self, usb: str | None, names: Sequence[str], *, card: CardWatch | None = None, program: str = "mmcli"
    ) -> None:
        self._usb, self._names, self._program = usb, tuple(names), program
        self._card = card or CardWatch()
        self._path: str | None = None
        self._link: str | None = None

    @property
    def is_open(self) -> bool:
        """True while the modem is known to ModemManager."""
        return self._path is not None

    @property
    def link(self) -> str | None:
        """Its network interface, as ModemManager names it; None while that is not known."""
        return self._link

    def open(self) -> None:
        """Find the modem, and have its levels read. Raises ModemGone, ModemMute."""
        self.close()
        for path in mmcli.paths(self._json("-L", until_s=time.monotonic() + CALL_S)):
            modem = self._json("-m", path, until_s=time.monotonic() + CALL_S)
            if mmcli.is_at(modem, usb=self._usb, names=self._names):
                self._path, self._link = path, mmcli.link(modem)
                self._card.forget()
                self._call("-m", path, f"--signal-setup={RATE_S}", until_s=time.monotonic() + CALL_S)
                return
        where = self._usb or ", ".join(self._names)
        raise ModemGone(f"ModemManager knows no modem at {where}; see mmcli -L, and that no rule has it ignored")

    def poll(self, deadline_s: float) -> RadioReading:
        """Read state, levels and cell within `deadline_s` seconds. A modem that is gone from the list is ModemGone."""
        until_s = time.monotonic() + deadline_s
        path = self._path
        if path is None:
            raise ModemGone("the modem is not open; call open() first")
        try:
            modem = self._json("-m", path, until_s=until_s)
        except ModemRefused as error:
            self.close()
            raise ModemGone(f"ModemManager has lost the modem: {error}") from error
        self._link = mmcli.link(modem)
        signal = self._optional("-m", path, "--signal-get", until_s=until_s)
        location = self._optional("-m", path, "--location-get", until_s=until_s)
        reading = mmcli.read(modem, signal, location)
        self._look_at_card(modem, reading, until_s)
        return replace(reading, is_wrong_sim=self._card.is_wrong, card_ref=self._card.ref)

    def restart(self) -> None:
        """Have the modem start anew; it comes back under another number."""
        if self._path is None:
            raise ModemGone("the modem is not open; call open() first")
        self._call("-m", self._path, "--reset", until_s=time.monotonic() + RESTART_S)
        self.close()

    def close(self) -> None:
        """Nothing is held; the modem stays ModemManager's."""
        self._path = None

    def _look_at_card(self, modem: dict[str, Any], reading: RadioReading, until_s: float) -> None:
        self._card.see(reading.sim)
        path = mmcli.card_path(modem)
        if path is not None and reading.sim in (None, "ready") and self._card.wants_numbers():
            imsi, iccid = mmcli.card(self._optional("-i", path, until_s=until_s))
            self._card.tell([imsi], [iccid])

    def _optional(self, *words: str, until_s: float) -> dict[str, Any]:
        """What not every modem tells: empty if it does not."""
        try:
            return self._json(*words, until_s=until_s)
        except (ModemRefused, ModemMute):
            return {}

    def _json(self, *words: str, until_s: float) -> dict[str, Any]:
        text = self._call("-J", *words, until_s=until_s)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModemMute("mmcli answers no JSON; its version is too old (1.10 or later)") from error
        if not isinstance(answer, dict):
            raise ModemMute("mmcli answers no JSON object")
        return answer

    def _call(self, *words: str, until_s: float) -> bytes:
        program = shutil.which(self._program)
        if program is None:
            raise ModemGone("mmcli is not installed; install modemmanager, or set another backend")
        try:
            done = subprocess.run(
                [program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(0.1, until_s - time.monotonic()),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModemMute("ModemManager does not answer; restart ModemManager.service") from error
        except OSError as error:
            raise ModemMute(f"mmcli cannot be started ({error.strerror})") from error
        if done.returncode:
            raise ModemRefused(_first_line(done.stderr) or f"mmcli ended with status {done.returncode}")
        return done.stdout


def _first_line(octets: bytes) -> str:
    """The reason, without what might name a subscriber."""
    line = octets.decode("utf-8", "replace").strip().partition("\n")[0]
    return "".join("#" if character.isdigit() else character for character in line)[:200]
