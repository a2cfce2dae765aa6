"""Whether the SIM in a modem is the one that the settings mean: by its operator's digits and by a hash of its number.

IMSI and ICCID identify a subscriber. They are read once a SIM, compared here, and forgotten: nothing but the verdict
leaves, neither into a record nor into a log. The hash is salted with the deployment's origin.
Source: ITU-T E.118 (ICCID), E.212 (IMSI); 3GPP TS 31.102 4.2.1 (nibbles of EF-ICCID); facts/05-hardware.md §1.2, §4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

REF_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Expected:
    """What the settings say of a modem's SIM. `plmn`: its operator, MCC and MNC; `ref`: its `sim_ref`; None: any."""

    plmn: str | None = None
    ref: str | None = None
    origin: str = ""


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
