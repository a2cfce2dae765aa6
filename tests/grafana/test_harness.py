# ruff: noqa: S608 (queries of constants)
"""Every query of every board on a real influxd: All, one, many; a day, a month; and what must be found wrong."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import Any

import pytest

from collector.catalogue import QUERIES, Scope, bind
from grafana import harness
from grafana.__main__ import main
from grafana.frames import frames_of, transform
from grafana.harness import Asked, check, load_boards, panels_of, variable_values, view_of
from tests.grafana import seed, service
from tests.grafana.service import Seeded
from wire.failure import COVERAGE_CAUSES, Cause, Stage

pytestmark = pytest.mark.services
Json = dict[str, Any]
DAY_MS = 86_400_000
BOARDS = [board for board in load_boards() if board["uid"].endswith("-en")]
"""In one language: that the other asks the same is a test of its own."""
HAMLET = next(board for board in BOARDS if board["uid"] == "dosong-hamlet-en")
CHOICES: dict[str, dict[str, list[str]]] = {
    "all": {},
    "one": {"hamlet": [seed.MAIN]},
    "one-hostile": {"hamlet": [seed.HOSTILE]},
    "many": {"hamlet": [seed.MAIN, seed.HOSTILE], "province": ["19", "66"]},
    "one-operator": {"hamlet": [seed.MAIN], "plmn": ["45202"]},
    "too-few": {"hamlet": [seed.FEW]},
}


def _run(seeded: Seeded, board: Json, days: int, **chosen: list[str]) -> list[Asked]:
    view = view_of(board, seeded.now_ms - days * DAY_MS, seeded.now_ms, bucket=None, **chosen)
    return check(seeded.influx, board, view)


def _faults(asked: list[Asked]) -> list[tuple[str, str | None]]:
    return [(a.place, a.fault) for a in asked if a.fault]


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b["uid"])
@pytest.mark.parametrize("days", [1, 30, 400])
@pytest.mark.parametrize("choice", CHOICES)
def test_every_query_answers(seeded: Seeded, board: Json, days: int, choice: str) -> None:
    asked = _run(seeded, board, days, **CHOICES[choice])
    assert _faults(asked) == []
    assert len(asked) >= len(board["panels"]) - 2


def test_silent_hamlet_is_registered_but_fails_for_want_of_data(seeded: Seeded) -> None:
    board = HAMLET
    asked = _run(seeded, board, 30, hamlet=[seed.SILENT])
    places = {place for place, fault in _faults(asked) if fault == "empty result"}
    assert {"variable plmn", "panel 27 A", "panel 21 A"} <= places
    assert "panel 2 A" not in places


def _with_query(board: Json, ident: int, old: str, new: str) -> Json:
    changed = copy.deepcopy(board)
    target = next(p for p in changed["panels"] if p["id"] == ident)["targets"][0]
    target["query"] = target["query"].replace(old, new)
    return changed


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"rtt_us_median"', '"rtt_us_medium"', "has no value"),
        ('AS "loss"', 'AS "lost"', "is missing"),
        ('"test"', '"tests"', "empty result"),
        ("LIMIT 20", "LIMIT many", "influxql"),
    ],
)
def test_harness_finds_what_is_wrong(
    seeded: Seeded, monkeypatch: pytest.MonkeyPatch, old: str, new: str, fault: str
) -> None:
    board = _with_query(HAMLET, 27, old, new)
    text = next(p for p in board["panels"] if p["id"] == 27)["targets"][0]["query"]
    # The changed text stands for a mistake in the catalogue itself, so the catalogue must know it.
    monkeypatch.setitem(_catalogue(), text, replace(QUERIES["latest"], influxql=text))
    assert [f for place, f in _faults(_run(seeded, board, 30)) if place == "panel 27 A" and fault in (f or "")]


def _catalogue() -> dict[str, Any]:
    table: dict[str, Any] = harness._BY_TEXT  # type: ignore[assignment]
    return table


def test_query_outside_the_catalogue_fails(seeded: Seeded) -> None:
    board = _with_query(HAMLET, 27, "LIMIT 20", "LIMIT 21")
    assert ("panel 27 A", "query is not in collector/catalogue.py") in _faults(_run(seeded, board, 30))


def test_chained_variables_narrow(seeded: Seeded) -> None:
    board = HAMLET
    begin = seeded.now_ms - 30 * DAY_MS
    every, _ = variable_values(seeded.influx, board, view_of(board, begin, seeded.now_ms))
    narrow, _ = variable_values(seeded.influx, board, view_of(board, begin, seeded.now_ms, province=["66"]))
    assert set(every["hamlet"]) == set(seed.NAMES)
    assert narrow["commune"] == ("24001",)
    assert narrow["hamlet"] == (seed.HOSTILE,)
    assert narrow["plmn"] == ("45204",)


def _downlinks(seeded: Seeded) -> list[float]:
    text = (
        f'SELECT "downlink_bps" FROM "test" WHERE "hamlet" = \'{seed.MAIN}\' AND "plmn" = \'45204\' AND "counted" = 1'
    )
    return sorted(row[1] / 1e6 for row in seeded.influx.query(text)[0]["values"])


def test_figures_are_those_computed_from_the_samples(seeded: Seeded) -> None:
    """Nearest-rank median, mean and n, as a page computes them from the ledger."""
    scope = Scope(seeded.now_ms - 31 * DAY_MS, seeded.now_ms, hamlet=[seed.MAIN], plmn=["45204"])
    row = seeded.influx.query(bind(QUERIES["downlink"], scope))[0]["values"][0]
    values = _downlinks(seeded)
    median = values[floor(len(values) * 0.5 + 0.5) - 1]
    assert row[1:] == [pytest.approx(median), pytest.approx(sum(values) / len(values)), len(values)]


def test_too_few_samples_give_no_figure(seeded: Seeded) -> None:
    scope = Scope(seeded.now_ms - 31 * DAY_MS, seeded.now_ms, hamlet=[seed.FEW])
    assert seeded.influx.query(bind(QUERIES["downlink"], scope)) == []
    few = seeded.influx.query(bind(QUERIES["downlink_few"], scope))[0]
    assert few["columns"] == ["time", "few", "n"]
    assert 0 < few["values"][0][1] < 5


def test_unknown_steps_are_never_weak_coverage(seeded: Seeded) -> None:
    text = 'SELECT count("state") FROM "coverage" WHERE "hamlet" = \'{}\' AND "state" {}'
    known, covered = (seeded.influx.query(text.format(seed.MAIN, state))[0]["values"][0][1] for state in ("> 0", "= 3"))
    scope = Scope(seeded.now_ms - 31 * DAY_MS, seeded.now_ms, hamlet=[seed.MAIN])
    row = seeded.influx.query(bind(QUERIES["covered"], scope))[0]["values"][0]
    assert row[1:3] == [pytest.approx(100 * covered / known), known]


def test_timeline_state_is_the_worst_known_one(seeded: Seeded) -> None:
    """No service, else degraded, else covered, else unknown; an interval without a step is a gap, never covered."""
    seeded.influx.query("CREATE DATABASE worst")
    lines, expected = [], []
    for place, held in enumerate([(3,), (3, 2), (3, 2, 1), (0,), (0, 3), (0, 1), (), (2, 0)]):
        expected.append(min((s for s in held if s), default=0) if held else None)
        for step, state in enumerate(held):
            flags = ",".join(f"{w}={int(state == n)}i" for n, w in enumerate(seed._STATES))
            tags = "province=1,commune=2,hamlet=h,probe=p,modem=m1,plmn=45204"
            lines.append(f"coverage,{tags} state={state}i,{flags} {(place * 3600 + step * 60) * 10**9}")
    service.write(seeded.influx.url, "worst", lines)
    text = bind(QUERIES["coverage_state"], Scope(0, 8 * 3_600_000 - 1, bucket="1h"))
    rows = replace(seeded.influx, database="worst").query(text)[0]["values"]
    assert [row[1] for row in rows] == expected


def _panel_frames(seeded: Seeded, ident: int) -> list[Any]:
    board = HAMLET
    panel = next(p for p, _ in panels_of(board) if p["id"] == ident)
    view = view_of(board, seeded.now_ms - 30 * DAY_MS, seeded.now_ms, hamlet=[seed.MAIN])
    place = f"panel {ident} A"
    series = next(a for a in check(seeded.influx, board, view) if a.place == place).series
    return transform(frames_of(panel["targets"][0], series), panel.get("transformations", ()))


def test_hours_become_columns_in_order_and_newest_day_stands_on_top(seeded: Seeded) -> None:
    (frame,) = _panel_frames(seeded, 24)
    names = [f.name for f in frame.fields]
    assert names == ["Time\\hour", *sorted(names[1:])]
    assert len(names) == 25
    # A label of the data source on a cell's column would be written over all 24 of them.
    assert {f.display for f in frame.fields} == {""}
    scope = Scope(seeded.now_ms - 30 * DAY_MS, seeded.now_ms, hamlet=[seed.MAIN])
    answered = seeded.influx.query(bind(QUERIES["hourly"], scope))[0]["values"]
    cells = sum(value is not None for f in frame.fields[1:] for value in f.values)
    assert cells == len(answered)
    assert frame.fields[0].values[0] >= frame.fields[0].values[1] or frame.fields[0].values[0].startswith("01/")


def test_columns_of_tables_follow_the_board_not_the_back_end(seeded: Seeded) -> None:
    (frame,) = _panel_frames(seeded, 2)
    order = ["hamlet_name", "commune_name", "province_name", "simulated", "probes", "hamlet"]
    assert [f.name for f in frame.fields] == order
    (scatter,) = _panel_frames(seeded, 25)
    assert [f.name for f in scatter.fields] == ["rsrp", "downlink"]


def test_seed_writes_words_of_the_contract(seeded: Seeded) -> None:
    for field, allowed in (("stage", {str(s) for s in Stage}), ("cause", {str(c) for c in Cause})):
        rows = seeded.influx.query(f'SELECT DISTINCT("{field}") FROM "test"')[0]["values"]
        assert {row[1] for row in rows} <= allowed
    causes = seeded.influx.query('SELECT DISTINCT("cause") FROM "coverage"')[0]["values"]
    assert {row[1] for row in causes} <= {str(c or "none") for c in COVERAGE_CAUSES.values()}


def test_check_command_lists_what_fails(seeded: Seeded, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--url", seeded.influx.url, "--database", "dosong", "--from", "-30d", "--json"]
    assert main(["check", *where, "--hamlet", seed.MAIN]) == 0
    assert json.loads(capsys.readouterr().out)["failing"] == []
    assert main(["check", *where, "--hamlet", seed.SILENT]) == 1
    failing = json.loads(capsys.readouterr().out)["failing"]
    assert {"board", "place", "fault", "query"} == set(failing[0])


def test_check_command_says_what_to_do_when_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--url", "http://127.0.0.1:9", "--hamlet", "x"]) == 78
    assert "does not answer" in capsys.readouterr().err
    assert main(["check", "--url", "http://127.0.0.1:9", "--from", "soon"]) == 2


def test_preview_shows_names_units_and_n(seeded: Seeded, tmp_path: Path) -> None:
    out = tmp_path / "board.html"
    where = ["--url", seeded.influx.url, "--database", "dosong"]
    assert main(["preview", *where, "--hamlet", seed.HOSTILE, "--lang", "vi", "--out", str(out)]) == 0
    html = out.read_text()
    for wanted in ("Buôn M&#x27;lớt", "MÔ PHỎNG", "Mbit/s", "không phải ảnh chụp Grafana", "Chỉ 4G", "Viettel"):
        assert wanted in html
    assert "<script" not in html
    assert main(["preview", *where, "--hamlet", seed.FEW, "--lang", "en", "--out", str(out)]) == 0
    assert "Not enough samples to assess" in out.read_text()
