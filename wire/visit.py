"""What is read aloud at a technician's visit: the code that says how a check ended, and the code that opens the page.

Both are eight letters of an alphabet of 31 that leaves out 0, O, 1, I and L. Seven carry the message; the eighth is
chosen so that the sum of place (1 to 8) times letter (0 to 30) is a multiple of 31. Since 31 is prime, one wrong letter
or two letters changed round always breaks the sum: a slip is told apart from a wrong code.

The result code is the beginning of a SHA-256 over probe, record and result, so whoever holds the ledger can find by
trying which record and which result was meant; it needs no secret and no connection. It proves nothing by itself: the
record that it names does. The pass code is an HOTP (RFC 4226 §5.3, by SHA-256): each opens the page once.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8
_BASE = len(ALPHABET)
_NUMBERS: int = 31**7
CHECKS = (
    *("power", "card", "modem", "sim", "registration", "signal", "apn", "dns", "portal"),
    *("clock", "gps", "broker", "test", "ack"),
)
"""The checks of a visit, in their order."""
GREEN = "green"
PASS_WINDOW = 20
"""How many codes ahead of the last used one still open the page: the office may give some that are never typed."""
_RESULT_DOMAIN = b"dosong visit result v1\n"
_PASS_DOMAIN = b"dosong visit pass v1\n"


@dataclass(frozen=True, slots=True)
class Named:
    """A record by its place, and the base64 leaf hash of its bytes."""

    epoch: int
    seq: int
    leaf: str


def result_text(not_green: Iterable[str]) -> str:
    """Return what a code says of the checks: "green", or the names that were not, in the order of `CHECKS`."""
    found = set(not_green)
    return ",".join(name for name in CHECKS if name in found) or GREEN


def result_code(probe: str, record: Named, not_green: Iterable[str]) -> str:
    """Return the code of a visit that ended with `record` and with these checks not green."""
    return _code(sha256(_said(probe, record) + result_text(not_green).encode() + b"\n").digest())


def find_result(probe: str, records: Iterable[Named], code: str) -> Iterator[tuple[Named, tuple[str, ...]]]:
    """Yield each record and set of checks that this code can mean, newest record first if they come so.

    All 16,384 sets are tried for each record; the chance that a wrong code fits one record is one in 1.7 million.
    """
    typed = normal(code)
    if typed is None:
        return
    wanted = sum(ALPHABET.index(letter) * _BASE**place for place, letter in enumerate(typed[:-1]))
    subsets = [names for size in range(len(CHECKS) + 1) for names in combinations(CHECKS, size)]
    results = [(names, result_text(names).encode()) for names in subsets]
    for record in records:
        begun = sha256(_said(probe, record))
        for names, text in results:
            whole = begun.copy()
            whole.update(text + b"\n")
            if _number(whole.digest()) == wanted:
                yield record, names


def pass_code(key: bytes, number: int) -> str:
    """Return the pass code with this number (from 1) of a probe whose page has `key`."""
    return _code(hmac.digest(key, _PASS_DOMAIN + number.to_bytes(8, "big"), sha256))


def pass_number(key: bytes, last: int, code: str) -> int | None:
    """Return the number of a pass code that was not used yet; None if this opens nothing.

    `last` is the number of the last one that was used, 0 at first. Takes as long for a wrong code as for a right one.
    """
    typed = (normal(code) or "").encode()
    found = None
    for number in range(last + 1, last + 1 + PASS_WINDOW):
        if hmac.compare_digest(pass_code(key, number).encode(), typed):
            found = number
    return found


def normal(text: str) -> str | None:
    """Return a code as it was meant: upper case, without blanks and hyphens; None if it is none or has a slip."""
    code = "".join(text.upper().split()).replace("-", "")
    if len(code) != LENGTH or any(letter not in ALPHABET for letter in code):
        return None
    return None if _sum(code) else code


def shown(code: str) -> str:
    """Return a code as people read it, in two halves."""
    return f"{code[:4]}-{code[4:]}"


def _said(probe: str, record: Named) -> bytes:
    return _RESULT_DOMAIN + f"{probe}\n{record.epoch}\n{record.seq}\n{record.leaf}\n".encode()


def _number(digest: bytes) -> int:
    """What seven letters carry of a digest."""
    return int.from_bytes(digest[:16], "big") % _NUMBERS


def _code(digest: bytes) -> str:
    number, letters = _number(digest), ""
    for _ in range(LENGTH - 1):
        number, place = divmod(number, _BASE)
        letters += ALPHABET[place]
    return letters + next(letter for letter in ALPHABET if _sum(letters + letter) == 0)


def _sum(code: str) -> int:
    return sum(place * ALPHABET.index(letter) for place, letter in enumerate(code, 1)) % _BASE
