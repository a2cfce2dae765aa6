"""Our transformations, units, mappings and thresholds against Grafana's own, where its npm packages are at hand.

Skipped without them: DOSONG_GRAFANA_DATA names a folder (`:` between several) whose node_modules hold @grafana/data.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana.fields import config_of, show
from grafana.frames import Frame, frames_of, transform
from grafana.harness import check_panels, load_boards, variable_values, view_of
from grafana.lint import ALLOWED_UNITS
from tests.grafana import seed
from tests.grafana.service import Seeded

Json = dict[str, Any]
FOLDERS = [folder for folder in os.environ.get("DOSONG_GRAFANA_DATA", "").split(":") if folder]
SCRIPT = Path(__file__).with_name("grafana_data.cjs")
LEAST = {
    "campaign": 240,
    "commune": 850,
    "fleet": 1400,
    "hamlet": 9500,
    "operators": 260,
    "province": 560,
    "public": 550,
}
"""Values compared at least; nine tenths of what the seeded month gives, whose days move with the clock."""
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not FOLDERS, reason="DOSONG_GRAFANA_DATA is not set: see grafana/README.md"),
]


def _given(frame: Frame) -> Json:
    fields = [
        {"name": f.name, "type": "number" if f.kind == "null" else f.kind, "values": f.values, "display": f.display}
        for f in frame.fields
    ]
    return {"refId": frame.ref, "fields": fields}


def _jobs(seeded: Seeded, board: Json) -> list[tuple[Json, Json, list[Frame]]]:
    """(panel, job, our frames) of every panel that asks something."""
    view = view_of(board, seeded.now_ms - 30 * 86_400_000, seeded.now_ms, bucket=None, hamlet=[seed.MAIN])
    values, _ = variable_values(seeded.influx, board, view)
    jobs = []
    for panel, _, asked in check_panels(seeded.influx, board, view, values):
        targets = panel.get("targets", ())
        frames = [f for target, a in zip(targets, asked, strict=True) for f in frames_of(target, a.series)]
        steps = panel.get("transformations", [])
        ours = transform(frames, steps)
        configs = {f.display or f.name: config_of(panel, f) for frame in ours for f in frame.fields}
        job = {"frames": [_given(f) for f in frames], "transformations": steps, "configs": configs}
        if frames:
            jobs.append((panel, job | {"timezone": board["timezone"]}, ours))
    return jobs


def _grafana(folder: str, jobs: list[Json]) -> Json:
    version = json.loads((Path(folder) / "node_modules/@grafana/data/package.json").read_text())["version"]
    lazy = "lazy" if int(version.split(".")[0]) >= 13 else "eager"
    done = subprocess.run(
        ["node", str(SCRIPT), folder, lazy], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: Json = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("board", load_boards(), ids=lambda b: b["uid"])
@pytest.mark.parametrize("folder", FOLDERS or ["-"])
def test_grafana_makes_and_shows_the_same(seeded: Seeded, folder: str, board: Json) -> None:
    jobs = _jobs(seeded, board)
    found = _grafana(folder, [job for _, job, _ in jobs])
    compared = 0
    for (panel, _, ours), theirs in zip(jobs, found["answers"], strict=True):
        assert [[f.name for f in frame.fields] for frame in ours] == [[f["name"] for f in fr] for fr in theirs]
        for frame, their in zip(ours, theirs, strict=True):
            for field, other in zip(frame.fields, their, strict=True):
                assert list(field.values) == other["values"], (panel["id"], field.name)
                config = config_of(panel, field)
                if field.kind == "time" and not config.get("unit", "").startswith("time:"):
                    continue  # the axis of a graph writes its times itself
                for value, text in zip(field.values, other["shown"], strict=True):
                    if value is not None:
                        ours_shown = show(config, value)
                        assert ours_shown.text == text["text"].strip(), (panel["id"], field.name, value)
                        by_value = config.get("color", {}).get("mode") == "thresholds" and field.kind == "number"
                        if ours_shown.mapped or by_value:
                            assert ours_shown.color == text["color"], (panel["id"], field.name, value)
                        compared += 1
    assert compared >= LEAST[board["uid"].split("-")[1]]


@pytest.mark.parametrize("folder", FOLDERS or ["-"])
def test_units_and_colour_modes_are_known_there(folder: str) -> None:
    found = _grafana(folder, [])
    plain = {unit for unit in ALLOWED_UNITS if ":" not in unit}
    assert plain <= set(found["units"])
    assert {"fixed", "thresholds"} <= set(found["modes"])
