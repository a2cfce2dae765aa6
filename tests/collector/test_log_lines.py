"""Log lines for machines: one object a line, stable names, fields by key, and the names are those of the code."""

from __future__ import annotations

import ast
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from collector.log_lines import EVENTS, JsonLines
from tests.collector.conftest import Bench
from tests.collector.kit import FakeProbe, until

ROOT = Path(__file__).parents[2] / "collector"


def said(name: str, text: str, *values: object) -> dict[str, Any]:
    record = logging.LogRecord(name, logging.WARNING, "x.py", 1, text, values, None)
    line = JsonLines("receive").format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_names_its_event_and_its_values() -> None:
    line = said("collector.receive", "refused records=%d reasons=%s; see dosong-collector refusals", 3, "signature")
    assert (line["event"], line["records"], line["reasons"]) == ("records.refused", 3, "signature")
    assert (line["process"], line["level"]) == ("receive", "warning")
    assert line["t"].endswith("Z")
    assert line["message"].startswith("refused records=3")


def test_what_a_stranger_sends_stays_inside_its_line() -> None:
    line = said("collector.run", "%s started pid=%d", 'a\n{"event":"x"}\x1b[2J', 7)
    assert line["event"] == "process.started"
    assert line["pid"] != 7  # the speaker's own, not what the sentence says
    assert said("collector.new", "event=%s", "forged")["event"] == "collector.new.other"


def logged(path: Path) -> set[tuple[str, str]]:
    """(logger, text) of every LOG call of a module."""
    tree = ast.parse(path.read_text())
    made = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args and isinstance(n.args[0], ast.Constant)]
    names = [n.args[0].value for n in made if ast.unparse(n.func).endswith("getLogger")]
    calls = [n for n in made if ast.unparse(n.func).startswith("LOG.")]
    texts = [n.args[0].value for n in calls if isinstance(n.args[0], ast.Constant)]
    return {(str(name), str(text)) for name in names for text in texts}


def test_every_name_belongs_to_a_line_that_is_logged() -> None:
    found = {pair for path in ROOT.rglob("*.py") for pair in logged(path)}
    assert set(EVENTS) - found == set(), "a sentence was changed: change it in collector/log_lines.py too"
    assert len(set(EVENTS.values())) == len(EVENTS)


@pytest.mark.services
def test_a_running_receive_speaks_in_lines_of_json(tmp_path: Path, one: FakeProbe) -> None:
    bench = Bench(tmp_path, one)
    config = bench.deployment.config
    config.write_text('log_format = "json"\n' + config.read_text())
    try:
        bench.receiving()
        bench.field.send("p-one", b"no record at all")
        until(lambda: "records.refused" in bench.receive.text(), within_s=60, what=bench.receive.text())
    finally:
        bench.close()
    lines = [json.loads(line) for line in bench.receive.text().splitlines()]
    assert {"broker.connected", "records.refused"} <= {line["event"] for line in lines}
    assert {line["process"] for line in lines} == {"receive"}
    assert "0" * 64 not in bench.receive.text()  # the web's secret
