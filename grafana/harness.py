"""Run every query of a board against a real InfluxDB, with the text that Grafana would send.

A misspelt field is no error for InfluxDB but an empty column; so an error, an empty answer, a missing column and a
column without any value all fail. Source: facts note 06 §3.2, §3.3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from collector.catalogue import ALL, Query
from grafana.interpolate import Choice, duration_ms, expand, interval_ms, substitute
from wire.errors import Refused

Json = dict[str, Any]
BOARDS = Path(__file__).with_name("boards")
MAX_POINTS = 1000
"""Points of a panel of full width: Grafana asks for as many as it has pixels."""

_BY_TEXT: Mapping[str, Query] = {query.influxql: query for query in ALL}


class Database(Protocol):
    """What the harness needs of InfluxDB."""

    def query(self, influxql: str) -> list[dict[str, Any]]:
        """Run one statement and give its series. Raises Refused if it is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at a board: the range in UTC ms and what is chosen in each variable."""

    from_ms: int
    to_ms: int
    choices: Mapping[str, Choice]
    min_interval_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """One query that was run: where it stands in the board, its text as sent, its series or its fault."""

    board: str
    place: str
    sent: str
    series: tuple[dict[str, Any], ...] = ()
    fault: str | None = None
    name: str | None = None


def load_boards(folder: Path = BOARDS) -> list[Json]:
    """The committed boards, in order of their file names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.json"))]


def panels_of(board: Json) -> Iterator[tuple[Json, str | None]]:
    """Each panel that draws something, with the variable that repeats it (its row's or its own), or None."""
    repeat = None
    for panel in board["panels"]:
        if panel["type"] == "row":
            repeat = panel.get("repeat")
        else:
            yield panel, panel.get("repeat", repeat)


def _constant_choices(board: Json) -> dict[str, Choice]:
    kinds = {"constant", "custom"}
    return {
        v["name"]: Choice((v["current"]["value"],), multi=False)
        for v in board["templating"]["list"]
        if v["type"] in kinds
    }


def _faults(query: Query | None, series: Sequence[Mapping[str, Any]]) -> str | None:
    """Why an answer cannot stand: a column missing, or present without any value; None if it can."""
    if query is None:
        return "query is not in collector/catalogue.py"
    for column in query.columns:
        values = [
            row[s["columns"].index(column.name)] for s in series if column.name in s["columns"] for row in s["values"]
        ]
        if not any(column.name in s["columns"] for s in series):
            return f"column {column.name!r} is missing"
        if not column.maybe and all(value is None for value in values):
            return f"column {column.name!r} has no value: is the field written under that name?"
    missing = [tag for tag in query.tags if any(tag not in s.get("tags", {}) for s in series)]
    return f"tag {missing[0]!r} is missing" if missing else None


def ask(database: Database, board: str, place: str, text: str, view: View, minimum_ms: int = 0) -> Asked:
    """Send one query as Grafana would and judge its answer."""
    step = interval_ms(view.from_ms, view.to_ms, MAX_POINTS, max(minimum_ms, view.min_interval_ms))
    sent = expand(substitute(text, view.choices), view.from_ms, view.to_ms, step)
    query = _BY_TEXT.get(text)
    asked = Asked(board, place, sent, name=query.name if query else None)
    try:
        series = database.query(sent)
    except Refused as refusal:
        return replace(asked, fault=str(refusal))
    if not any(s["values"] for s in series):
        return replace(asked, fault="empty result")
    fault = None if text.startswith("SHOW") else _faults(query, series)
    return replace(asked, series=tuple(series), fault=fault)


def variable_values(database: Database, board: Json, view: View) -> tuple[dict[str, tuple[str, ...]], list[Asked]]:
    """Fill the chained variables in their order; each one sees what `view` chose in those before it."""
    values: dict[str, tuple[str, ...]] = {}
    asked = []
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = ask(database, board["uid"], f"variable {variable['name']}", variable["query"]["query"], view)
        asked.append(found)
        values[variable["name"]] = tuple(sorted({row[1] for s in found.series for row in s["values"]}))
    return values, asked


def _scopes(view: View, repeat: str | None, values: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, View]]:
    """The view itself, or one for each chosen value of the variable that repeats the panel."""
    if repeat is None:
        yield "", view
        return
    chosen = view.choices[repeat]
    for value in values[repeat] if chosen.all_value is not None else chosen.values:
        yield f" [{repeat}={value}]", replace(view, choices={**view.choices, repeat: Choice((value,))})


def _forgive(asked: Sequence[Asked]) -> list[Asked]:
    """Take the fault from empty answers that are meant to be empty: optional ones, and figures with too few values."""
    full = {a.name for a in asked if a.fault is None}
    empty = {a.name: next(q for q in ALL if q.name == a.name) for a in asked if a.fault == "empty result" and a.name}
    forgiven = {name for name, query in empty.items() if query.optional or query.otherwise in full}
    return [replace(a, fault=None) if a.fault == "empty result" and a.name in forgiven else a for a in asked]


def ranged(panel: Mapping[str, Any], view: View) -> View:
    """The view of one panel: `timeFrom` puts its own range, up to the end, in the place of the board's."""
    own = panel.get("timeFrom")
    return view if own is None else replace(view, from_ms=view.to_ms - duration_ms(own))


def check_panels(
    database: Database, board: Json, view: View, values: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[Json, str, list[Asked]]]:
    """Each panel with its scope (" [plmn=45204]" or "") and its judged queries."""
    for panel, repeat in panels_of(board):
        for scope, scoped in _scopes(ranged(panel, view), repeat, values):
            minimum = duration_ms(panel.get("interval", "1s"))
            asked = [
                ask(database, board["uid"], f"panel {panel['id']} {t['refId']}{scope}", t["query"], scoped, minimum)
                for t in panel.get("targets", ())
            ]
            yield panel, scope, _forgive(asked)


def view_of(board: Json, from_ms: int, to_ms: int, *, bucket: str | None = None, **chosen: Sequence[str]) -> View:
    """A view with All in every chained variable but those given (code lists); `bucket` None is the board's.

    Where a board has no All it is asked all the same: right answers are wanted there too.
    """
    choices = _constant_choices(board)
    if bucket is not None:
        duration_ms(bucket)
        choices["bucket"] = Choice((bucket,), multi=False)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            codes = tuple(chosen.get(variable["name"], ()))
            choices[variable["name"]] = Choice(codes, all_value=None if codes else variable.get("allValue", ".*"))
    return View(from_ms, to_ms, choices)


def check(database: Database, board: Json, view: View) -> list[Asked]:
    """Run every variable and panel query of a board; what failed has `fault` set."""
    values, asked = variable_values(database, board, view)
    for _, _, judged in check_panels(database, board, view, values):
        asked += judged
    return asked
