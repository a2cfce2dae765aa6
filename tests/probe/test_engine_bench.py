"""The measuring engine's bench: a run that was cut goes on with what is missing, and a recording replays as it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from bench import engine, engine_replay, engine_table
from bench.engine_bed import Link, Row, window_of
from bench.engine_rows import Rows
from probe.core.engine_sample import Flow, Sample

FLOW = Flow(80_000, 50_000, 0, 8_000_000)
RATE_BPS = 24_000_000


def _row(link: Link, tool: str, direction: str, error: float | None = 0.1) -> Row:
    figures = {"link_mb": 1.0, "wall_s": 2.0, "whole_s": 3.0, "cpu_s": 0.1, "rss_mb": 20.0}
    return Row(tool, link.words(), link.mbit, "static", direction, window_of(link), error, stop="time", **figures)


def test_a_run_that_was_cut_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "results" / "engine.json"
    jobs = engine.variable("static", tmp_path, 6, tune=False)
    assert [tool for _kind, _link, tool in jobs].count("dosong") == 6
    rows = Rows(path, is_kept=True)
    assert rows.missing(jobs) == jobs
    for _kind, link, tool in jobs[:3]:
        rows.add([_row(link, tool, "downlink"), _row(link, tool, "uplink")])
    again = Rows(path, is_kept=True)
    assert again.all == rows.all, "on disk as soon as it was measured"
    assert again.missing(jobs) == jobs[3:]
    assert again.missing([jobs[0], *jobs]) == [jobs[0], *jobs[3:]], "a run that is wanted twice"
    assert again.forget(jobs) == jobs
    assert not again.all
    assert not Rows(path, is_kept=False).all


def test_seeds_that_rules_are_made_on_are_never_reported(tmp_path: Path) -> None:
    reported, tuned = (
        {window_of(link) for _kind, link, _tool in engine.variable("static", tmp_path, 60, tune=tune)}
        for tune in (False, True)
    )
    assert len(reported) == len(tuned) == 60
    assert not reported & tuned


def test_a_tool_that_failed_has_no_ratio() -> None:
    link = Link(5)
    rows = [_row(link, "iperf3", "downlink", None), _row(link, "speedtest-cli", "downlink")]
    failed = next(line for line in engine_table.table(rows) if "iperf3" in line)
    assert "(1 failed)" in failed
    assert "x" not in failed.partition("failed")[2]


@pytest.mark.parametrize(("way", "shift_ns"), [("downlink", 0), ("uplink", 25_000_000)])
def test_a_recording_replays_against_the_links_own_truth(way: str, shift_ns: int) -> None:
    """A link whose rate jumps each half second, and of which only 90 % are used at the end."""

    def capacity(bin_: int) -> int:
        return RATE_BPS // 160 // (2 if bin_ // 10 % 2 else 1)

    zero_ns, samples, link = 1_000_000_000, [Sample(0, 0, 0)], 0
    bins = []
    for number in range(130):
        used = capacity(number) * (9 if number >= 80 else 10) // 10
        bins.append(
            {"t_ns": zero_ns + number * 50_000_000 - shift_ns, way: {"capacity": capacity(number), "delivered": used}}
        )
        link += used
        payload = link * 1448 // 1500
        samples.append(Sample((number + 1) * 50_000, payload, link, (FLOW,) * 4, payload))
    said = {way: {"zero_ns": zero_ns, "samples": [asdict(sample) for sample in samples]}}
    found = engine_replay.replay({"link": {"rtt_ms": 50}, "said": said, "bins": bins}, is_saver=False)
    assert found is not None
    assert found.own_error == pytest.approx(0, abs=0.05)
    assert -3 < found.error < -1.5, "a fifth of the window at nine tenths"
    assert found.end_ms == pytest.approx(5_000, abs=100)
    assert 0 < found.before < 0.1 < found.after < 0.3
