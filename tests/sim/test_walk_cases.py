"""What the walk calls right, and what it calls wrong."""

import pytest

from sim.fault_table import FAULTS
from sim.walk import chosen
from sim.walk_cases import CASES, Row, Seen, judge
from sim.walk_lanes import LANES, SHORT
from sim.walk_show import markdown, plain
from wire.errors import Misconfigured
from wire.failure import COVERAGE_CAUSES

PUK = Seen(("sim/sim_puk",), "uu", ("outage_begin/sim_puk",), boots=("power",))


def wrong(case="sim-puk", phases=(PUK, PUK), whole=PUK, back_s=5.0):
    return judge(CASES[case], phases, whole, back_s=back_s)


def test_what_it_should_be_is_right():
    assert wrong() == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phases": (Seen(("sim/no_sim",), "u"), PUK)}, "no record says sim_puk"),
        ({"phases": (Seen(("sim/sim_puk",), "i"), PUK)}, "no coverage step says 'u'"),
        ({"phases": (PUK, Seen(("sim/no_sim",), "i"))}, "after the power cut: no coverage step says 'u'"),
        (
            {"whole": Seen(events=("outage_begin/sim_puk",), rungs=("modem_restart done",), boots=("power",))},
            "must not",
        ),
        ({"whole": Seen(boots=("power",))}, "no event outage_begin/sim_puk"),
        ({"whole": Seen(events=("outage_begin/sim_puk",))}, "no boot record says power"),
        ({"case": "pdp-lost", "whole": Seen(rungs=("reconnect refused",))}, "cured by none of reconnect"),
        ({"back_s": None}, "no normal work afterwards"),
        ({"case": "gpsd-killed"}, "no good test while it lasted"),
    ],
)
def test_what_it_should_not_be_is_named(changes, words):
    assert any(words in text for text in wrong(**changes))


def test_every_case_is_a_fault_that_can_be_played_and_every_letter_is_one():
    assert {case.second or name for name, case in CASES.items()} <= set(FAULTS)
    for case in CASES.values():
        assert set(case.letters) <= set(COVERAGE_CAUSES)
        assert case.late or {COVERAGE_CAUSES[letter] for letter in case.letters} <= case.causes


def test_all_cases_are_walked_once_and_no_probe_loses_its_power_five_times():
    walked = [fault for lane in LANES for fault in lane.faults]
    assert sorted(walked) == sorted(CASES)
    assert all(len(lane.faults) <= 4 for lane in LANES)
    assert set(SHORT) <= set(walked)


def test_faults_can_be_chosen():
    assert [(lane.name, lane.faults) for lane in chosen(LANES, ["sim-puk", "portal"])] == [
        ("names", ("portal",)),
        ("sim", ("sim-puk",)),
    ]
    with pytest.raises(Misconfigured, match="earthquake"):
        chosen(LANES, ["earthquake"])


def test_the_table_has_a_line_for_each_fault_and_says_what_is_lost():
    row = Row("sim", "sim-puk", 61.0, 5.2, PUK, True, None, ("no normal work afterwards",))
    text = markdown([row], ["p-sim: 2 records are not in the ledger"])
    assert "| 1:01 | sim-puk ⚡ | sim/sim_puk; coverage u x2; outage_begin/sim_puk |" in text
    assert "never | no normal work afterwards |" in text
    assert "0 of 1 right" in text
    assert "- p-sim: 2 records" in text
    assert plain(row)["verdict"] == "no normal work afterwards"
