"""A run of kills always ends in a verdict, and one that did not finish never in a good one."""

from __future__ import annotations

import pytest

from tests.faults import cluster, cluster_demo
from tests.faults.judge import Verdict


def _goals(text: str) -> tuple[int, int]:
    lines = [line for line in text.splitlines() if line.startswith("goal:")]
    return sum(line.endswith(": met") for line in lines), sum(line.endswith(": short") for line in lines)


def test_all_kills_and_nothing_amiss_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    done = cluster.Done(2, {"mq1": 2}, [0.4, 9.0], minutes=3, verdict=Verdict(records=9, acknowledged=9))
    assert cluster.tell(done) == 0
    assert _goals(capsys.readouterr().out)[1] == 0
    demo = cluster_demo.Done(1, {"mq1": 1}, [9.0], records=9, slots=3, longest_hole_s=0.0, agree=True)
    assert cluster_demo.tell(demo) == 0
    assert _goals(capsys.readouterr().out) == (8, 0)


def test_a_wait_in_vain_ends_in_a_verdict_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    done = cluster.Done(2, {"mq1": 2}, [0.4], minutes=3, stuck="after 120 s still not: records are acknowledged")
    assert cluster.tell(done) == 1
    said = capsys.readouterr().out
    assert "stuck: after 120 s" in said
    assert _goals(said)[1] == 2
    assert cluster.tell(cluster.Done(1)) == 1


@pytest.mark.parametrize(
    "worse", [{"lost": 1}, {"twice": 1}, {"unsent": 1}, {"empty_slots": 1}, {"longest_hole_s": 2.0}, {"agree": False}]
)
def test_each_broken_promise_of_the_demonstration_counts(
    worse: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"records": 9, "slots": 3, "longest_hole_s": 0.0, "agree": True}
    done = cluster_demo.Done(1, {"mq1": 1}, [9.0], **{**whole, **worse})  # type: ignore[arg-type]
    assert cluster_demo.tell(done) == 1
    assert _goals(capsys.readouterr().out)[1] == 1
