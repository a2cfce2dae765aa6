"""Which backend speaks to a modem, and where it finds it: one line of settings to a `ModemPort`.

Source: design §5 (modems); facts/05-hardware.md §2.1.
"""

from __future__ import annotations

from probe.core.sim_card import Expected
from probe.devices.modem import AtModem
from probe.owner import ModemPort
from probe.settings import Modem, Settings


def make(modem: Modem, settings: Settings) -> ModemPort:
    """Make the backend of one modem; nothing is opened yet."""
    expected = Expected(modem.plmn, modem.sim, settings.origin)
    return AtModem(modem.port, family=None if modem.family == "auto" else modem.family, expected=expected)
