"""Numbers and times as people read them: decimal comma, Vietnam time, months as an office counts them.

Pure: no clock and no words, only digits. Every function takes raw integers of the record (units in the names) and
gives text, `NONE` for what is unknown. Source: facts note 01 §6 (numbers, dates); design §7 (time), §8.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")
NONE = "–"
# Vietnam has kept UTC+07:00 without summer time since 1975, so a fixed offset is exact for our records.
ICT = timezone(timedelta(hours=7), "+07")
DAY_MS = 86_400_000


def decimal(value: float | None, digits: int, language: Language) -> str:
    """Write a number: `1.234,5` in Vietnamese, `1,234.5` in English; a real minus sign."""
    if value is None:
        return NONE
    text = f"{abs(value):,.{digits}f}"
    if language == "vi":
        text = text.translate({ord(","): ".", ord("."): ","})
    return f"−{text}" if value < 0 and text.strip("0.,") else text


def mbps(bps: float | None, language: Language) -> str:
    """Data rate in Mbit/s (10^6 bit/s), one decimal."""
    return decimal(None if bps is None else bps / 1e6, 1, language)


def milliseconds(us: float | None, language: Language) -> str:
    """Microseconds as milliseconds: one decimal below 100 ms, none above."""
    if us is None:
        return NONE
    return decimal(us / 1000, 1 if us < 100_000 else 0, language)


def tenths(x10: float | None, language: Language) -> str:
    """A tenth-scaled integer (dBm, dB, degrees Celsius) with one decimal."""
    return decimal(None if x10 is None else x10 / 10, 1, language)


def percent(ppm: float | None, language: Language) -> str:
    """Parts per million as percent, one decimal."""
    return decimal(None if ppm is None else ppm / 10_000, 1, language)


def megabytes(count: float | None, language: Language) -> str:
    """Bytes as MB (10^6)."""
    return decimal(None if count is None else count / 1e6, 1, language)


def degrees(e7: int | None, language: Language) -> str:
    """Degrees with five decimals (about a metre)."""
    return decimal(None if e7 is None else e7 / 1e7, 5, language)


_SCALED: dict[str, tuple[str, float, int]] = {
    "bit/s": ("Mbit/s", 1e6, 3),
    "B": ("MB", 1e6, 3),
    "us": ("ms", 1e3, 3),
    "ms": ("s", 1e3, 3),
    "ppm": ("%", 1e4, 2),
    "dBm/10": ("dBm", 10, 1),
    "dB/10": ("dB", 10, 1),
    "degC/10": ("°C", 10, 1),
    "1e-7 deg": ("°", 1e7, 7),
    "mm": ("m", 1e3, 3),
    "m": ("m", 1, 0),
    "1/100": ("", 100, 2),
}


def quantity(value: int, unit: str, language: Language) -> str:
    """Write an integer of the record with its unit for reading; a count or number without unit stays whole."""
    if unit not in _SCALED:
        return str(value)
    name, scale, digits = _SCALED[unit]
    return f"{decimal(value / scale, digits, language)} {name}".rstrip()


_END_OF_9999_MS = 253_402_300_799_999
_DAY_MS = 86_400_000


def local(t_ms: int) -> datetime:
    """Vietnam time of a UTC instant in milliseconds; what lies behind the year 9999 gets that year's last day.

    A probe may sign any number as its time, and no page may fall over it.
    """
    return datetime.fromtimestamp(min(max(t_ms, 0), _END_OF_9999_MS - _DAY_MS) / 1000, ICT)


def moment(t_ms: int | None) -> str:
    """`HH:MM:SS dd/mm/yyyy`, Vietnam time."""
    return NONE if t_ms is None else f"{local(t_ms):%H:%M:%S %d/%m/%Y}"


def minute(t_ms: int | None) -> str:
    """`HH:MM dd/mm/yyyy`, Vietnam time."""
    return NONE if t_ms is None else f"{local(t_ms):%H:%M %d/%m/%Y}"


def time_of_day(t_ms: int | None) -> str:
    """`HH:MM:SS`, Vietnam time."""
    return NONE if t_ms is None else f"{local(t_ms):%H:%M:%S}"


def day(t_ms: int | None) -> str:
    """`dd/mm/yyyy`, Vietnam time."""
    return NONE if t_ms is None else f"{local(t_ms):%d/%m/%Y}"


def iso(t_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, for machines; what lies behind the year 9999 gets that year's last instant."""
    whole_s, part_ms = divmod(min(max(t_ms, 0), _END_OF_9999_MS), 1000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{part_ms:03d}Z"


_LETTERS = {letter: i for i, letter in enumerate("aăâbcdđeêfghijklmnoôơpqrstuưvwxyz")}
_TONES = {tone: i for i, tone in enumerate("\u0300\u0309\u0303\u0301\u0323", start=1)}


def sort_key(name: str) -> tuple[list[int], list[int], str]:
    """Order of Vietnamese names: Ă and  after A, Đ after D; tones (à ả ã á ạ) decide only between equal letters."""
    letters, tones = [], []
    for character in unicodedata.normalize("NFC", name).lower():
        parts = unicodedata.normalize("NFD", character)
        bare = unicodedata.normalize("NFC", "".join(p for p in parts if p not in _TONES))
        letters.append(_LETTERS.get(bare, -1 if bare == " " else 100 + ord(bare[0])))
        tones.append(next((_TONES[p] for p in parts if p in _TONES), 0))
    return letters, tones, name


def short_code(leaf: bytes) -> str:
    """Eight characters of a record's hash, to be read over the telephone: `9F3A-01BC`."""
    return f"{leaf[:2].hex()}-{leaf[2:4].hex()}".upper()


_AGES = (("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1000))


def age(span_ms: int) -> tuple[int, str]:
    """Round a span down to its largest unit: (12, "min"). A negative span (clock differences) reads 0 s."""
    for unit, length in _AGES:
        if span_ms >= length:
            return span_ms // length, unit
    return 0, "s"


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in Vietnam: first instant, first instant of the next one (both UTC ms)."""

    year: int
    month: int
    start_ms: int
    end_ms: int

    @property
    def code(self) -> str:
        """`2026-11`, as it stands in addresses."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def name(self) -> str:
        """`11/2026`, as it is read."""
        return f"{self.month:02d}/{self.year}"


def month(year: int, number: int) -> Month:
    """The calendar month `number` (1 to 12) of `year`. Raises ValueError outside the calendar."""
    start = datetime(year, number, 1, tzinfo=ICT)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ICT)
    return Month(year, number, round(start.timestamp() * 1000), round(end.timestamp() * 1000))


def month_of(t_ms: int) -> Month:
    """The Vietnamese calendar month of a UTC instant."""
    when = local(t_ms)
    return month(when.year, when.month)


def month_before(this: Month) -> Month:
    """The month before `this`."""
    return month_of(this.start_ms - 1)


def parse_month(text: str) -> Month | None:
    """Read `2026-11`; None if it is no month between 2000 and 2999."""
    parts = text.split("-")
    if len(text) != 7 or len(parts) != 2 or not all(p.isascii() and p.isdigit() for p in parts):
        return None
    year, number = int(parts[0]), int(parts[1])
    return month(year, number) if 2000 <= year < 3000 and 1 <= number <= 12 else None
