"""Whether the SIM in a modem is the one that the settings mean: by its operator's digits and by a hash of its number.

IMSI and ICCID identify a subscriber. They are read once a SIM, compared here, and forgotten: nothing leaves but the
verdict and a hash by which a changed card is told, which stays on the probe. It is salted with the deployment's origin.
Source: ITU-T E.118 (ICCID), E.212 (IMSI); 3GPP TS 31.102 4.2.1 (nibbles of EF-ICCID); facts/05-hardware.md §1.2, §4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from probe.core.radio import Sim

REF_DIGITS = 16
TRIES = 3
"""A modem that hides its SIM's numbers is not asked for ever."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the settings say of a modem's SIM. `plmn`: its operator, MCC and MNC; `ref`: its `sim_ref`; None: any."""

    plmn: str | None = None
    ref: str | None = None
    origin: str = ""

    @property
    def says_nothing(self) -> bool:
        """True if any SIM is as good as another."""
        return self.plmn is None and self.ref is None


def sim_ref(origin: str, iccid: str) -> str:
    """Return the name by which settings know a SIM: 16 hexadecimal digits that do not show its number."""
    return sha256(f"dosong sim\n{origin}\n{iccid}".encode()).hexdigest()[:REF_DIGITS]


def read_imsi(lines: Iterable[str]) -> str | None:
    """Return the IMSI among the lines of +CIMI, 14 or 15 digits; None if there is none."""
    return next((found for line in lines if re.fullmatch(r"\d{14,15}", found := _payload(line))), None)


def read_iccid(lines: Iterable[str]) -> str | None:
    """Return the ICCID among the lines of an answer, 18 to 20 digits without filler; None if there is none.

    Some modems print the file as it lies on the SIM: two digits of each byte swapped, so that it begins with 98.
    """
    for line in lines:
        digits = _payload(line).upper()
        if digits.startswith("98") and len(digits) % 2 == 0:
            digits = "".join(b + a for a, b in zip(digits[::2], digits[1::2], strict=True))
        if re.fullmatch(r"89\d{16,18}F{0,2}", digits):
            return digits.rstrip("F")
    return None


def _payload(line: str) -> str:
    return line.rpartition(":")[2].strip().strip('"').strip()


def is_wrong(expected: Expected, imsi: str | None, iccid: str | None) -> bool | None:
    """Say whether another SIM is in the modem; None if what is known does not tell, or nothing is expected."""
    verdicts = []
    if expected.plmn is not None and imsi is not None:
        verdicts.append(not imsi.startswith(expected.plmn))
    if expected.ref is not None and iccid is not None:
        verdicts.append(sim_ref(expected.origin, iccid) != expected.ref)
    return any(verdicts) if verdicts else None


class CardWatch:
    """The verdict on the SIM in one modem: asked for once a card, and again when another one is expected.

    `expected()`: what belongs there now; a signed configuration may change it. `ref`: the card's `sim_ref`, None while
    it is not known. Holds no number.
    """

    def __init__(self, expected: Callable[[], Expected] = Expected) -> None:
        self._expected = expected
        self._judged_by = expected()
        self._tries = 0
        self.is_wrong: bool | None = None
        self.ref: str | None = None

    def forget(self) -> None:
        """Judge anew: the card may be another one."""
        self.is_wrong, self.ref, self._tries, self._judged_by = None, None, 0, self._expected()

    def see(self, sim: Sim | None) -> None:
        """Hear of the SIM's state: a card that is away, or asks for its code, may come back as another one."""
        if sim not in (None, "ready"):
            self.forget()

    def wants_numbers(self) -> bool:
        """True if the numbers are to be asked for now."""
        if self._expected() != self._judged_by:
            self.forget()
        is_judged = self.is_wrong is not None or self._judged_by.says_nothing
        return self._tries < TRIES and not (is_judged and self.ref is not None)

    def tell(self, imsi: Iterable[str], iccid: Iterable[str]) -> None:
        """Judge by the lines that the modem answered; nothing of them is kept."""
        self._tries += 1
        number = read_iccid(iccid)
        verdict = is_wrong(self._judged_by, read_imsi(imsi), number)
        self.is_wrong = self.is_wrong if verdict is None else verdict
        self.ref = self.ref if number is None else sim_ref(self._judged_by.origin, number)
