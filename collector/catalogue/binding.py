"""Variables of boards, and filling queries with values where no Grafana does it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.catalogue.parts import REGISTER_WINDOW, Query
from collector.core.view_figures import N_MIN

CHAIN = ("province", "commune", "hamlet", "plmn")
"""Variables that hang on each other, in their order; a board has some of them."""


def variable(name: str, before: Sequence[str]) -> str:
    """Query of a chained variable on a board that has the variables `before` it. Its values are codes, never names."""
    source, bound = ("test", "$timeFilter") if name == "plmn" else ("site", REGISTER_WINDOW)
    chosen = "".join(f' AND "{one}" =~ /^${one}$/' for one in before)
    return f'SHOW TAG VALUES FROM "{source}" WITH KEY = "{name}" WHERE {bound}{chosen}'


VARIABLES: Mapping[str, str] = {name: variable(name, CHAIN[:place]) for place, name in enumerate(CHAIN)}
"""Queries of the chained variables on a board that has all of them."""

_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a page or report asks about: codes (None: all) and a range in UTC ms, both ends included."""

    since_ms: int
    until_ms: int
    province: Sequence[str] | None = None
    commune: Sequence[str] | None = None
    hamlet: Sequence[str] | None = None
    plmn: Sequence[str] | None = None
    bucket: str = "1d"
    n_min: int = N_MIN


def _pattern(codes: Sequence[str] | None) -> str:
    if codes is None:
        return ".*"
    for code in codes:
        if not _CODE.match(code):
            raise ValueError(f"{code!r} is not a code: use letters, digits, '_' and '-', at most 32")
    return f"({'|'.join(codes)})"


def bind(query: Query, scope: Scope) -> str:
    """Fill a query for direct use against InfluxDB. Raises ValueError if a code is none."""
    values = {
        "timeFilter": f"time >= {scope.since_ms}ms and time <= {scope.until_ms}ms",
        "province": _pattern(scope.province),
        "commune": _pattern(scope.commune),
        "hamlet": _pattern(scope.hamlet),
        "plmn": _pattern(scope.plmn),
        "bucket": scope.bucket,
        "__interval": scope.bucket,
        "n_min": str(scope.n_min),
    }
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], query.influxql)
