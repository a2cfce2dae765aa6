"""What rows of the catalogue are made of: a query, its columns, their units and words, and the pieces of InfluxQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["Mbit/s", "ms", "%", "dBm", "dB", "1", "state", "word", "time", "s", "GB", "°C", "deg", "days"]
Shape = Literal["table", "time_series"]

TIME_ZONE = "Asia/Ho_Chi_Minh"

REGISTER_WINDOW = "time > now() - 31d"
"""Time bound of queries on `site`: the register is rewritten daily and has nothing to do with the board's range."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer, `time` and tags left out: its name in the query, its unit, what it means.

    `maybe`: it may be without any value in a good answer (the stage of a failure where nothing failed).
    """

    name: str
    unit: Unit
    vi: str
    en: str
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One row of the catalogue.

    `tags` are the tags grouped by (columns of a table answer, labels of a series answer). `otherwise` names the query
    that answers when this one is empty by design, `optional` marks one that may rightly be empty (nothing failed).
    """

    name: str
    influxql: str
    shape: Shape
    columns: tuple[Column, ...]
    vi: str
    en: str
    tags: tuple[str, ...] = ()
    otherwise: str | None = None
    optional: bool = False


MEDIAN, MEAN = ("Trung vị", "Median"), ("Trung bình", "Mean")
N = Column("n", "1", "n", "n")
FEW = Column("few", "word", "Đánh giá", "Assessment")
TZ = f"tz('{TIME_ZONE}')"
MBIT, MILLI = "1000000.0", "1000.0"


def of(*variables: str) -> str:
    """The range, and what is chosen in some variables."""
    return " AND ".join(["$timeFilter", *(f'"{name}" =~ /^${name}$/' for name in variables)])


def grouped(*tags: str) -> str:
    """GROUP BY some tags."""
    return "GROUP BY " + ", ".join(f'"{tag}"' for tag in tags)


def select(parts: Sequence[str], measurement: str, where: str, rest: str = "") -> str:
    """One statement; measurement and aliases in double quotes."""
    return f'SELECT {", ".join(parts)} FROM "{measurement}" WHERE {where} {rest}'.rstrip()  # noqa: S608
