"""One cell of a table to one value of the registry, and back; nothing is guessed, every mistake has a word.

A cell is what a spreadsheet or CSV file gave: text, a number, a date, a time, a formula, or nothing. `read` raises
`Wrong`; what its words mean to a person stands in `provisioning.core.problems`.
Source: facts note 01 §4 (codes are strings), §6 (numbers and dates are declared).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from wire.fold import deceptive, fold
from wire.slots import VIETNAM

Mark = Literal["comma", "dot"]
ALWAYS = ("từ đầu", "always")
MOST_TEXT, MOST_CODES = 500, 20


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell that computes; what it would show is nobody's word."""

    text: str


Cell = str | int | float | bool | date | datetime | time | Formula | None


class Wrong(Exception):
    """A cell that cannot be taken; `word` is the kind of mistake, `hint` what was probably meant ("" for nothing)."""

    def __init__(self, word: str, hint: str = "") -> None:
        super().__init__(word)
        self.word = word
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Kind:
    """How a column's cells are read and written. `is_text`: a spreadsheet must keep the cells as text."""

    read: Callable[[Cell, Mark | None], Any]
    write: Callable[[Any, Mark], Cell]
    is_text: bool = False
    choices: tuple[str, ...] = ()


def text_of(cell: Cell, most: int = MOST_TEXT) -> str:
    """The text of a cell, NFC, without blanks around it. Raises Wrong for what could deceive a reader."""
    if isinstance(cell, Formula):
        raise Wrong("formula")
    if isinstance(cell, bool | int | float | date | time):
        raise Wrong("not_text")
    text = unicodedata.normalize("NFC", cell or "").strip()
    found = deceptive(text)
    if found is not None:
        raise Wrong(*found)
    if len(text) > most:
        raise Wrong("long", str(most))
    return text


def _number_free(cell: Cell) -> str:
    """The text of a code's cell; a number has lost its leading zeros, if it had any."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        raise Wrong("number_code", str(cell))
    return text_of(cell)


def _code(cell: Cell, _mark: Mark | None) -> str:
    return _fits(_number_free(cell), r"[A-Za-z0-9_-]{1,32}", "code")


def _codes(cell: Cell, mark: Mark | None) -> str:
    found = [_code(one, mark) for one in re.split(r"[\s,;]+", _number_free(cell)) if one]
    if len(found) > MOST_CODES:
        raise Wrong("range", f"1 – {MOST_CODES}")
    return " ".join(found)


def _unit(cell: Cell, _mark: Mark | None) -> str:
    """A province, commune or hamlet code: digits are 2 or 5 of them."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = str(cell)
    text = _fits(text_of(cell), r"[A-Za-z0-9_-]{1,32}", "code")
    if text.isdigit() and len(text) not in (2, 5):
        raise Wrong("lost_zero", text.zfill(2 if len(text) < 2 else 5) if len(text) < 5 else "")
    return text


def _probe(cell: Cell, _mark: Mark | None) -> str:
    return _fits(_number_free(cell), r"[a-z0-9][a-z0-9-]{2,31}", "probe")


def _plmn(cell: Cell, _mark: Mark | None) -> str:
    text = str(int(cell)) if isinstance(cell, int | float) and not isinstance(cell, bool) else text_of(cell)
    return _fits(text.replace("-", "").replace(" ", ""), r"[0-9]{5,6}", "plmn")


def _iccid(cell: Cell, _mark: Mark | None) -> str:
    """All digits, or the masked form of an export."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        raise Wrong("number_iccid")
    return _fits(text_of(cell).replace(" ", ""), r"[0-9]{18,22}|\*{4}[0-9]{4}", "iccid")


def _fits(text: str, pattern: str, word: str) -> str:
    if re.fullmatch(pattern, text) is None:
        raise Wrong(word)
    return text


def decimal_of(cell: Cell, mark: Mark | None) -> Decimal:
    """A number. In text its decimal mark must have been declared, and thousands stand in groups of three."""
    if isinstance(cell, bool | date | time | Formula):
        raise Wrong("formula" if isinstance(cell, Formula) else "number")
    if isinstance(cell, int | float):
        return Decimal(repr(cell))
    text = text_of(cell).replace("\u00a0", "").replace("−", "-")
    if "," in text or "." in text:
        if mark is None:
            raise Wrong("undeclared")
        point, group = (",", ".") if mark == "comma" else (".", ",")
        if re.fullmatch(rf"-?(\d+|\d{{1,3}}(\{group}\d{{3}})+)(\{point}\d+)?", text) is None:
            raise Wrong("number")
        text = text.replace(group, "").replace(point, ".")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Wrong("number") from None


def _scaled(scale: int, least: int, most: int) -> Callable[[Cell, Mark | None], int]:
    """A reader of numbers that are kept as whole multiples of 1/`scale`; limits in what is kept."""

    def read(cell: Cell, mark: Mark | None) -> int:
        value = decimal_of(cell, mark) * scale
        if not value.is_finite():
            raise Wrong("number")
        whole = int(value.to_integral_value())
        if scale == 1 and value != whole:
            raise Wrong("not_whole")
        if not least <= whole <= most:
            raise Wrong("range", f"{_short(least, scale)} – {_short(most, scale)}")
        return whole

    return read


def _short(value: int, scale: int) -> str:
    return f"{Decimal(value) / scale:f}"


def _unscaled(scale: int) -> Callable[[Any, Mark], Cell]:
    def write(value: Any, _mark: Mark) -> Cell:
        return int(value) if scale == 1 else float(Decimal(int(value)) / scale)

    return write


_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})|(\d{4})-(\d{2})-(\d{2})")


def _day(cell: Cell, _mark: Mark | None) -> int:
    """A day's first moment in Vietnam (UTC ms); an ISO moment with its zone stays as exact as it is."""
    if isinstance(cell, datetime):
        return _ms(cell if cell.tzinfo else cell.replace(tzinfo=VIETNAM))
    if isinstance(cell, date):
        return _ms(datetime(cell.year, cell.month, cell.day, tzinfo=VIETNAM))
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        raise Wrong("day_number")
    text = text_of(cell)
    if text.lower() in ALWAYS:
        return 0
    found = _DAY.fullmatch(text)
    try:
        if found is None:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise Wrong("day")
            return _ms(moment)
        day, month, year = (found[1], found[2], found[3]) if found[3] else (found[6], found[5], found[4])
        return _ms(datetime(int(year), int(month), int(day), tzinfo=VIETNAM))
    except ValueError:
        raise Wrong("day") from None


def _ms(moment: datetime) -> int:
    ms = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    if not 0 <= ms < 4_102_444_800_000:
        raise Wrong("day")
    return ms


def _write_day(value: Any, _mark: Mark) -> Cell:
    if value == 0:
        return ALWAYS[0]
    moment = datetime(1970, 1, 1, tzinfo=UTC).astimezone(VIETNAM) + timedelta(milliseconds=int(value))
    if (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        return moment.strftime("%d/%m/%Y")
    return moment.isoformat(timespec="milliseconds")


def _last_day(cell: Cell, mark: Mark | None) -> int:
    """The end of a day that still belongs ("đến hết ngày"), as the first moment that does not."""
    moment_ms = _day(cell, mark)
    is_day = (moment_ms + 25_200_000) % 86_400_000 == 0
    return moment_ms + 86_400_000 if is_day else moment_ms


def _write_last_day(value: Any, mark: Mark) -> Cell:
    is_day = (int(value) + 25_200_000) % 86_400_000 == 0
    return _write_day(int(value) - 86_400_000 if is_day else value, mark)


def _minute(cell: Cell, _mark: Mark | None) -> int:
    if isinstance(cell, time):
        return cell.hour * 60 + cell.minute
    found = re.fullmatch(r"(\d{1,2})(?::|h| giờ ?)(\d{2})?(?: phút)?", text_of(cell))
    if found is None or int(found[1]) > 24 or int(found[2] or 0) > 59:
        raise Wrong("minute")
    minutes = int(found[1]) * 60 + int(found[2] or 0)
    if minutes > 1440:
        raise Wrong("minute")
    return minutes


def _text(most: int) -> Kind:
    return Kind(lambda cell, _mark: text_of(_as_text(cell), most), lambda value, _mark: str(value), is_text=True)


def _as_text(cell: Cell) -> Cell:
    """A name may look like a number ("Thôn 5" typed as 5): whole numbers are taken as they are shown."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def choice(**words: tuple[str, str]) -> Kind:
    """A column of fixed words: value=(Vietnamese, English); all three are understood, the first is written."""
    known = {fold(word): value for value, both in words.items() for word in (value, *both)}

    def read(cell: Cell, _mark: Mark | None) -> str:
        found = known.get(fold(text_of(cell)))
        if found is None:
            raise Wrong("choice", ", ".join(both[0] for both in words.values()))
        return found

    return Kind(read, lambda value, _mark: words[value][0], choices=tuple(both[0] for both in words.values()))


def symbols(*words: str) -> Kind:
    """A column of fixed signs, such as >= and >; ≥ and ≤ are understood."""

    def read(cell: Cell, _mark: Mark | None) -> str:
        text = cell.text if isinstance(cell, Formula) and cell.text in words else text_of(cell)
        text = text.replace("≥", ">=").replace("≤", "<=")
        if text not in words:
            raise Wrong("choice", ", ".join(words))
        return text

    return Kind(read, lambda value, _mark: str(value), is_text=True, choices=words)


def _plain(value: Any, _mark: Mark) -> Cell:
    return str(value)


KINDS: dict[str, Kind] = {
    "code": Kind(_code, _plain, is_text=True),
    "codes": Kind(_codes, _plain, is_text=True),
    "unit": Kind(_unit, _plain, is_text=True),
    "probe": Kind(_probe, _plain, is_text=True),
    "plmn": Kind(_plmn, _plain, is_text=True),
    "iccid": Kind(_iccid, _plain, is_text=True),
    "short": _text(20),
    "name": _text(80),
    "note": _text(200),
    "long": _text(500),
    "lat": Kind(_scaled(10**7, 8 * 10**7, 24 * 10**7), _unscaled(10**7)),
    "lon": Kind(_scaled(10**7, 102 * 10**7, 118 * 10**7), _unscaled(10**7)),
    "count": Kind(_scaled(1, 1, 1_000_000), _unscaled(1)),
    "days": Kind(_scaled(1, 1, 730), _unscaled(1)),
    "month_day": Kind(_scaled(1, 1, 28), _unscaled(1)),
    "vnd": Kind(_scaled(1, 0, 10**12), _unscaled(1)),
    "gb": Kind(_scaled(10**9, 1, 10**14), _unscaled(10**9)),
    "scaled": Kind(_scaled(1000, -(10**12), 10**12), _unscaled(1000)),
    "metres": Kind(_scaled(1, 0, 100_000), _unscaled(1)),
    "day": Kind(_day, _write_day, is_text=True),
    "last_day": Kind(_last_day, _write_last_day, is_text=True),
    "minute": Kind(_minute, lambda value, _mark: f"{value // 60:02d}:{value % 60:02d}", is_text=True),
}
