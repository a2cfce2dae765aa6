"""Interpolation as Grafana does it: facts note 06 §3.3, rules 1 to 8."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grafana.interpolate import Choice, duration_ms, duration_text, expand, interval_ms, rounded_ms, substitute

IN_REGEX = "SELECT x FROM y WHERE h =~ /^$v$/"
PLAIN = "SELECT x FROM y WHERE h = '$v'"


def test_rounding_is_that_of_grafana_data() -> None:
    """Recorded from rangeUtil.roundInterval of @grafana/data 10.4.19 and 13.2.1 (equal), at and beside every edge."""
    recorded = json.loads(Path(__file__).with_name("round_interval.json").read_text())
    assert len(recorded) > 100
    assert [(given, rounded_ms(given)) for given, _ in recorded] == [tuple(pair) for pair in recorded]


@pytest.mark.parametrize(
    ("query", "choice", "written"),
    [
        (IN_REGEX, Choice((), all_value=".*"), "/^.*$/"),
        (IN_REGEX, Choice(("bm-01",)), "/^bm-01$/"),
        (IN_REGEX, Choice(("a.b",)), "/^a\\.b$/"),
        (IN_REGEX, Choice(("a.b", "c")), "/^(a\\.b|c)$/"),
        (IN_REGEX, Choice(("3 (cũ)",)), "/^3 (cũ)$/"),
        (IN_REGEX, Choice(("a.b",), multi=False), "/^a\\.b$/"),
        (PLAIN, Choice(("a.b",), multi=False), "'a.b'"),
        (PLAIN, Choice(("a.b", "c")), "'(a\\.b|c)'"),
        (PLAIN, Choice(("M'lớt",), multi=False), "'M'lớt'"),
    ],
)
def test_variable_is_written_as_grafana_writes_it(query: str, choice: Choice, written: str) -> None:
    assert substitute(query, {"v": choice}).endswith(written)


@pytest.mark.parametrize("form", ["$v", "${v}", "${v:regex}", "[[v]]"])
def test_every_spelling_of_a_variable_is_replaced(form: str) -> None:
    assert substitute(f"a {form} b", {"v": Choice(("x",))}) == "a x b"


def test_macros_are_left_to_the_back_end() -> None:
    text = "$timeFilter $__interval $__interval_ms $interval"
    assert substitute(text, {"v": Choice(("x",))}) == text
    assert expand(text, 1, 2, 900_000) == "time >= 1ms and time <= 2ms 15m 900000 15m"


@pytest.mark.parametrize(("days", "expected"), [(1, "15m"), (30, "30m"), (90, "2h")])
def test_interval_at_fifteen_minutes_minimum(days: int, expected: str) -> None:
    assert duration_text(interval_ms(0, days * 86_400_000, 1000, 900_000)) == expected


def test_duration_refuses_what_it_cannot_read() -> None:
    assert duration_ms("6h") == 21_600_000
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ms("six hours")
