"""A ZTE stick without an AT port, spoken to over HTTP by its goform page; the standard library does.

Without a Referer the page answers 200 and blanks; so it does where it wants a login, which this backend has not.
Source: recording zte-mf79u-goform; facts/05-hardware.md §2.2 (login and served answers: not seen).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from probe.core import goform
from probe.core.engine_http import NotOurs
from probe.core.radio import RadioReading
from probe.core.sim_card import CardWatch
from probe.devices.ask import ask
from probe.devices.modem import ModemGone, ModemMute, ModemRefused

DEFAULT_URL = "http://192.168.0.1"


class GoformModem:
    """One stick. `interface()`: its network interface now. All raise ModemGone, ModemMute or ModemRefused."""

    def __init__(self, interface: Callable[[], str], *, url: str | None = None, card: CardWatch | None = None) -> None:
        parts = urlsplit(url or DEFAULT_URL)
        self._interface = interface
        self._address = (parts.hostname or "", parts.port or 80)
        self._card = card or CardWatch()
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """True since the stick last answered."""
        return self._is_open

    def open(self) -> None:
        """Hear the stick once."""
        self._card.forget()
        self._get(goform.STATE_KEYS)
        self._is_open = True

    def poll(self, deadline_s: float) -> RadioReading:  # noqa: ARG002 (each exchange has a deadline of its own)
        """Read state and radio: two short exchanges, since a long list of elements can hang the stick."""
        answer = self._get(goform.STATE_KEYS) | self._maybe(goform.RADIO_KEYS)
        reading = goform.read(answer)
        self._card.see(reading.sim)
        if reading.sim in (None, "ready") and self._card.wants_numbers():
            told = self._maybe(goform.CARD_KEYS)
            self._card.tell([str(told.get("sim_imsi", ""))], [str(told.get(key, "")) for key in ("sim_iccid", "iccid")])
        return replace(reading, is_wrong_sim=self._card.is_wrong, card_ref=self._card.ref)

    def restart(self) -> None:
        """Say no: the command needs a login."""
        raise ModemRefused("this stick takes no restart without a login; restart it by USB power")

    def close(self) -> None:
        """Nothing is held between two exchanges."""
        self._is_open = False

    def _maybe(self, keys: Sequence[str]) -> dict[str, Any]:
        """What may be blank altogether: no signal, or no SIM."""
        try:
            return self._get(keys)
        except ModemRefused:
            self._is_open = True
            return {}

    def _get(self, keys: Sequence[str]) -> dict[str, Any]:
        """Ask for elements by name. Raises ModemRefused if all are blank."""
        host = f"{self._address[0]}:{self._address[1]}" if self._address[1] != 80 else self._address[0]
        path = f"/goform/goform_get_cmd_process?isTest=false&multi_data=1&cmd={'%2C'.join(keys)}"
        interface = self._interface()
        self._is_open = False
        try:
            answer = ask(interface, self._address, path, host, fields=f"Referer: http://{host}/index.html\r\n")
        except TimeoutError as error:
            raise ModemMute(f"the stick at {host} does not answer; restart it by USB power") from error
        except (OSError, NotOurs) as error:
            raise ModemGone(f"no connection to the stick at {host} by {interface} ({error})") from error
        told = _decoded(answer.body) if answer.reply.status == 200 else None
        if told is None:
            raise ModemMute(f"the stick at {host} answers no goform page (status {answer.reply.status})")
        if goform.is_refused(told):
            raise ModemRefused(f"the stick at {host} tells nothing; it may want a login, which is not supported")
        self._is_open = True
        return told


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
