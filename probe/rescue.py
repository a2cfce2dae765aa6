"""The few things that need root, behind a socket with a fixed list of words: USB power and reboot.

systemd starts `dosong-probe rescue` for each request (`dosong-rescue.socket`), with the socket as its standard input
and output: one line in ("usb_power 1-1.2"), one line out ("done", or why not). The daemon itself has no privilege.
Source: facts note 05 §5 (probe-rescue.service).
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Sequence

from probe.core.recovery import Rung
from probe.devices.usb_power import Impossible, UsbPower
from wire.errors import Unavailable

ASK_TIMEOUT_S = 30.0
REBOOT_TIMEOUT_S = 20.0
LINE_BYTES = 256
Power = Callable[[Rung, str | None], None]
"""Carry out one rung on the device at a USB path. Raises Impossible or Unavailable."""


def act(rung: Rung, path: str | None, usb: UsbPower, reboot: Sequence[str]) -> None:
    """Carry out one rung here. `reboot`: the command to run, empty if this machine may not be rebooted."""
    if rung is Rung.REBOOT:
        _reboot(reboot)
        return
    doers = {Rung.USB_REAUTHORISE: usb.reauthorise, Rung.USB_POWER: usb.cut, Rung.USB_CONTROLLER: usb.rebind}
    if rung not in doers:
        raise Impossible(f"{rung.value} is nothing that needs root")
    if path is None:
        raise Impossible("where the modem is plugged in is not known; set usb of its [[modem]]")
    doers[rung](path)


def _reboot(command: Sequence[str]) -> None:
    if not command:
        raise Impossible("reboot is not permitted here; set reboot of [recovery]")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=REBOOT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]} did not reboot: {error}") from error
    if done.returncode != 0:
        raise Unavailable(f"{command[0]} did not reboot: {done.stderr.strip()[:100]}")


def answer(line: str, usb: UsbPower, reboot: Sequence[str]) -> str:
    """Carry out one request line; returns the answer's line. Nothing raises."""
    word, _, path = line.strip().partition(" ")
    if word not in {rung.value for rung in Rung}:
        return "impossible: no such word"
    try:
        act(Rung(word), path or None, usb, reboot)
    except Impossible as error:
        return f"impossible: {error}"
    except Unavailable as error:
        return f"refused: {error}"
    return "done"


def ask(address: str, rung: Rung, path: str | None) -> None:
    """Have the rescue service at a socket carry out a rung. Raises Impossible or Unavailable."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ASK_TIMEOUT_S)
            sock.connect(address)
            sock.sendall(f"{rung.value} {path or ''}".strip().encode() + b"\n")
            said = _line(sock)
    except OSError as error:
        raise Impossible(f"the rescue service at {address} does not answer ({error})") from error
    word, _, why = said.partition(": ")
    if word == "impossible":
        raise Impossible(why)
    if word != "done":
        raise Unavailable(why or "the rescue service said nothing")


def _line(sock: socket.socket) -> str:
    octets = b""
    while not octets.endswith(b"\n") and len(octets) < 4 * LINE_BYTES:
        more = sock.recv(LINE_BYTES)
        if not more:
            break
        octets += more
    return octets.decode("utf-8", "replace").strip()
