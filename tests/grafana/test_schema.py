"""Boards against Grafana's own TypeScript types: `tsc` over @grafana/schema, where its npm packages are at hand.

Each board becomes one file that assigns the JSON as literals, so that a key that no type knows is an error: the board
as a `Dashboard`, every panel's options and custom fields by the types of its kind. Skipped without the packages:
DOSONG_GRAFANA_DATA as in `test_grafana_data` (`make boards-check`).
"""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana.harness import load_boards
from tests.grafana.test_grafana_data import FOLDERS

Json = dict[str, Any]
pytestmark = pytest.mark.skipif(not FOLDERS, reason="DOSONG_GRAFANA_DATA is not set: see grafana/README.md")
KINDS = {
    "table": "table",
    "timeseries": "timeseries",
    "stat": "stat",
    "text": "text",
    "geomap": "geomap",
    "state-timeline": "statetimeline",
    "xychart": "xychart",
}
"""Kind of panel to its folder among the types; a kind that is new on a board must be named here."""
OPTIONS: Json = {"noEmit": True, "strict": True, "skipLibCheck": True, "types": [], "target": "es2022"}
OPTIONS |= {"module": "esnext", "moduleResolution": "bundler"}
HEAD = """
import type {{ Dashboard, VariableModel }} from "{raw}/dashboard/x/types.gen";
{imports}
// JSON holds an enum's words, not its members; a number must be one of the enum's own.
type Plain<T> = T extends string ? `${{T}}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer U> ? Array<Plain<U>> : T extends object ? {{ [K in keyof T]: Plain<T[K]> }} : T;
// What Grafana's editor saves beside the schema: a variable's query as shown in its list.
type Variable = Plain<VariableModel> & {{ definition?: string }};
// Grafana 10.4 to 11.0 read `dims` and `seriesMapping` of an XY chart, later ones what the types know: both are there.
type Older = {{ dims?: unknown, seriesMapping?: unknown }};
type Board = Omit<Plain<Dashboard>, "templating"> & {{ templating: {{ list: Array<Variable> }} }};
"""


def typed(board: Json, folder: Path) -> str:
    """A board as TypeScript."""
    raw = f"{folder}/node_modules/@grafana/schema/dist/types/raw"
    name = {kind: kind.replace("-", "_") for kind in KINDS}
    imports = "\n".join(
        f'import type * as {name[kind]} from "{raw}/composable/{place}/panelcfg/x/types.gen";'
        for kind, place in KINDS.items()
    )
    parts = [HEAD.format(raw=raw, imports=imports), f"export const board: Board = {json.dumps(board)};"]
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        kind = name[panel["type"]]
        known = f"Partial<Plain<{kind}.Options>>{' & Older' if kind == 'xychart' else ''}"
        parts.append(f"export const o{panel['id']}: {known} = {json.dumps(panel['options'])};")
        custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
        if custom:
            known = f"Partial<Plain<{kind}.FieldConfig>>"
            parts.append(f"export const c{panel['id']}: {known} = {json.dumps(custom)};")
    return "\n".join(parts) + "\n"


def complaints(boards: list[Json], folder: str, tmp_path: Path) -> list[str]:
    """What tsc says of some boards."""
    here = Path(folder).resolve()
    (tmp_path / "node_modules").symlink_to(here / "node_modules")
    for board in boards:
        (tmp_path / f"{board['uid']}.ts").write_text(typed(board, here), encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "include": ["*.ts"]}))
    command = [str(here / "node_modules/.bin/tsc"), "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=110)
    said = [line for line in done.stdout.splitlines() if "error TS" in line]
    assert bool(said) == bool(done.returncode), done.stdout + done.stderr
    return [line.partition("error ")[2] for line in said]


@pytest.mark.parametrize("folder", FOLDERS[:1] or ["-"])
def test_every_board_is_of_grafanas_types(folder: str, tmp_path: Path) -> None:
    assert complaints(load_boards(), folder, tmp_path) == []


@pytest.mark.parametrize("folder", FOLDERS[:1] or ["-"])
def test_a_misspelt_key_a_wrong_word_and_a_wrong_kind_are_seen(folder: str, tmp_path: Path) -> None:
    board = copy.deepcopy(next(b for b in load_boards() if b["uid"] == "dosong-fleet-en"))
    panel = next(p for p in board["panels"] if p["type"] == "timeseries")
    breaks = {
        "titel": lambda: panel.update(titel=panel["title"]),
        '"below"': lambda: panel["options"]["legend"].update(placement="below"),
        "lineWidht": lambda: panel["fieldConfig"]["defaults"]["custom"].update(lineWidht=1),
        "'string' is not assignable to type 'number'": lambda: panel["gridPos"].update(w="12"),
    }
    boards = []
    for number, spoil in enumerate(breaks.values()):
        whole = copy.deepcopy(panel)
        spoil()
        boards.append(copy.deepcopy(board) | {"uid": f"broken-{number}"})
        panel.clear()
        panel.update(whole)
    found = " ".join(complaints(boards, folder, tmp_path))
    assert [word for word in breaks if word not in found] == []
