"""`[recovery]` of the settings: what the probe may do by itself to bring a modem back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from probe.core.recovery import Rung

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Recovery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[recovery]`: what the probe may do by itself to bring a modem back.

    `rungs`: which steps of the ladder. `rescue`: socket of the service that has the privilege for USB power and reboot;
    without it the probe tries itself, which takes root. `reboot`: the command of the last rung; empty: never.
    """

    enabled: bool = True
    rungs: tuple[Rung, ...] = tuple(Rung)
    rescue: Name | None = None
    reboot: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
