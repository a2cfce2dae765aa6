"""`[[modem]]` of the settings: where each modem is, how it is spoken to, whose SIM it holds, and that SIM's plan."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from probe.core.dialects import DIALECTS
from wire.errors import Misconfigured
from wire.records import ModemId, Plmn

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Interface = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@-]{1,15}\Z")]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table."""


class SimPlan(Table, frozen=True, kw_only=True):
    """`[modem.plan]`: what is known of the SIM's plan, so that its end is not taken for the network's fault.

    `ends`: the last paid day in Vietnam. `limit_bytes`: what it holds in a billing period. `throttle_bps`: the rate
    that is left once that is used.
    """

    ends: datetime.date | None = None
    limit_bytes: Annotated[int, Meta(ge=1_000_000)] | None = None
    throttle_bps: Annotated[int, Meta(ge=1_000)] | None = None


class Modem(Table, frozen=True, kw_only=True):
    """One `[[modem]]`: where it is plugged in (`usb`, or `port` and `interface`), how it is spoken to, whose SIM.

    `usb`: its path such as "1-1.2", or "auto" if it is the only one: port and interface are then found, and found again
    when the stick comes back under other names. `backend`: "auto" speaks AT, or HTTP to sticks that know nothing else;
    "mm" leaves the modem to ModemManager. `url`, `user`, `password_file`: of a stick that is spoken to over HTTP.
    `plmn`: the SIM's operator, MCC and MNC; with another one's SIM nothing is measured (`wrong_sim`). `sim`: the SIM's
    hash (`probe.core.sim_card.sim_ref`), where the very card matters.
    """

    id: ModemId
    port: Name | None = None
    interface: Interface | None = None
    usb: Annotated[str, Meta(pattern=r"^(auto|\d{1,2}-\d{1,2}(\.\d{1,2}){0,5})\Z")] | None = None
    backend: Literal["auto", "at", "hilink", "zte", "mm"] = "auto"
    url: Annotated[str, Meta(pattern=r"^http://[^/?#\s]+/?\Z")] | None = None
    user: Name = "admin"
    password_file: Name | None = None
    plmn: Plmn | None = None
    sim: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")] | None = None
    family: Name = "auto"
    plan: SimPlan = SimPlan()


def check_modems(path: Path, modems: tuple[Modem, ...]) -> None:
    """Rules that no single field can state. Raises Misconfigured."""
    known = ("auto", *DIALECTS)
    for modem in modems:
        where = f"{path}: [[modem]] {modem.id}"
        if modem.family not in known:
            raise Misconfigured(f"{where}: family = {modem.family!r} is not one of {', '.join(known)}; correct it")
        if modem.usb is not None and modem.port is not None:
            raise Misconfigured(f"{where} has usb and port; keep usb, which finds the port")
        if modem.usb is None and modem.interface is None:
            raise Misconfigured(f'{where} has neither usb nor interface; add usb, for example usb = "1-1.2"')
        if modem.usb is None and modem.port is None and modem.backend in ("auto", "at"):
            raise Misconfigured(f"{where} has neither usb nor port; add usb, or the path of its AT port")
        if modem.usb == "auto" and len(modems) > 1:
            raise Misconfigured(f'{where}: usb = "auto" is for a probe with one modem; give each its path, "1-1.2"')
    if sum(modem.backend in ("hilink", "zte") for modem in modems) > 1:
        raise Misconfigured(f"{path}: two modems over HTTP have the same address; use one such stick a probe")
