"""What a month of tests costs, before data is bought."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from probe.core.planner import LADDER
from probe.forecast import Question, lines
from probe.settings import Engine, Modem, Schedule, Settings

SETTINGS = Settings(
    probe="p-one",
    origin="d.example",
    state_dir="state",
    key_file="record.key",
    ack_vkey="x",
    site="s-one",
    engine=Engine(server="http://198.51.100.7:7480"),
    schedule=Schedule(slot_s=3600, seed="0" * 64),
    modem=(Modem(id="m1", port="/dev/null", interface="cell0"),),
    folder=str(Path()),
)
ASKED = Question(300, 95.0, 1, 40_000_000, 15_000_000, 10_000_000_000, 3_000)


def test_every_rung_has_its_bytes_and_its_price() -> None:
    said = lines(SETTINGS, ASKED)
    assert said[0].startswith("326 slots a month make 300 samples with 99 % certainty at 95 % successes")
    assert [line.split()[0] for line in said[1:6]] == [rung.name for rung in LADDER[:5]]
    assert all("đồng" in line and "GB a month" in line for line in said[1:6])
    assert "NOT ENOUGH" not in " ".join(said)


def test_too_little_data_is_said_before_it_is_bought() -> None:
    said = lines(SETTINGS, replace(ASKED, limit_bytes=2_000_000_000, vnd_per_gb=None))
    assert said[-1].startswith("NOT ENOUGH: 0 of 326 slots are complete tests; 0.0 % certain")
    assert not any("đồng" in line for line in said)


def test_what_never_succeeds_needs_no_data_plan() -> None:
    assert "mend the site" in lines(SETTINGS, replace(ASKED, success_percent=0.1))[0]
