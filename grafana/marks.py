"""What boards print that is dated or local: limits with their sources, operators' names; and the classes of rates."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from grafana.panels import Json, override, plain_words, steps
from grafana.words import BAD, GOOD, MIDDLE, Language, Pair

HAMLET_PAGE = "${web_url}/hamlets/"
TOO_FEW: Pair = ("Không đủ số mẫu để đánh giá", "Not enough samples to assess")
# Sequential, light to dark; the classes are those of the drawing, not a verdict.
RATE_STEPS = steps("#DCE9F5", (5, "#B3D3EA"), (10, "#7DB8DA"), (20, "#4292C6"), (40, "#1F6BAA"), (80, "#08376B"))
OPERATOR_COLOURS = {
    "45204": "#D55E00",
    "45202": "#0072B2",
    "45201": "#009E73",
    "45205": "#E69F00",
    "45207": "#CC79A7",
}
"""Each operator keeps its colour on every board."""


@cache
def settings() -> dict[str, Any]:
    """Dated limits and operators of `settings.toml`."""
    found: dict[str, Any] = tomllib.loads(Path(__file__).with_name("settings.toml").read_text(encoding="utf-8"))
    return found


def limit(figure: str, on: date = date.max) -> dict[str, Any] | None:
    """The limit of a figure that is in force on a day: the newest that began by then; None if there is none."""
    begun = [entry for entry in settings()["limit"] if entry["figure"] == figure and entry["valid_from"] <= on]
    return max(begun, key=lambda entry: entry["valid_from"], default=None)


def rate_bins() -> Json:
    """Thresholds of a median downlink by the marks in force; Wong's colours, always beside the number."""
    mark = limit("downlink") or {"low": 10.0, "high": 40.0}
    return steps(BAD, (mark["low"], MIDDLE), (mark["high"], GOOD))


def operator_words(language: Language) -> list[Json]:
    """Value mapping from PLMN codes to names."""
    names: dict[str, Pair] = {o["plmn"]: (o["name"], o["name"]) for o in settings()["operator"]}
    return plain_words(names, language)


def operator_names() -> list[Json]:
    """Overrides that name columns whose heads are operators' codes, and leave their colours to the values."""
    return [override(o["plmn"], displayName=o["name"]) for o in settings()["operator"]]


def operator_series(suffix: str = "") -> list[Json]:
    """Overrides that name and colour each operator's series, whose alias is its code and `suffix`."""
    return [
        override(
            o["plmn"] + suffix,
            displayName=o["name"],
            color={"mode": "fixed", "fixedColor": OPERATOR_COLOURS.get(o["plmn"], "#999999")},
        )
        for o in settings()["operator"]
    ]
