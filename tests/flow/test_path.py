"""What a sample says of its way, against what the site really did: rates, wrong route, pulled modem, lost service."""

from __future__ import annotations

import json
from typing import Any

from sim import ns, state
from sim.programs import module
from tests.flow.conftest import PLACE, Whole, eventually

PAYLOAD_SHARE = 1448 / 1514
"""Of what tbf lets through at layer 2, what TCP delivers: 1448 of 1514 bytes of a full segment."""


def _after(whole: Whole, tests: int) -> list[dict[str, Any]]:
    return whole.tests()[tests:]


def test_reported_rate_is_within_five_percent_of_the_shaped_one(whole: Whole) -> None:
    eventually("three tests are in the ledger", lambda: len(whole.tests()) >= 3, 120)
    good = [row["record"] for row in whole.tests() if row["record"].outcome == "ok"][:3]
    for rate, truth in (("downlink_bps", PLACE.downlink_bps), ("uplink_bps", PLACE.uplink_bps)):
        for record in good:
            share = getattr(record, rate) / (truth * PAYLOAD_SHARE)
            assert 0.95 <= share <= 1.05, f"{rate} {getattr(record, rate)} of {truth * PAYLOAD_SHARE:.0f}"


def test_a_counted_sample_has_radio_position_and_proof_of_path(whole: Whole) -> None:
    eventually("a counted test", lambda: any(row["counted"] for row in whole.tests()), 120)
    record = next(row["record"] for row in whole.tests() if row["counted"])
    assert record.simulated
    assert record.referral == PLACE.referral
    assert record.path.verdict == "ok"
    assert record.path.iface == "cell0"
    assert record.path.rx_bytes > record.downlink_bytes
    assert abs(record.radio.before.rsrp_dbm_x10 - PLACE.rsrp_dbm * 10) <= 60
    assert record.radio.before.plmn == PLACE.plmn
    assert record.position.source == "surveyed"
    assert record.position.surveyed_offset_m < 30


def test_a_test_that_leaves_by_wifi_is_invalid_path_and_not_counted(whole: Whole) -> None:
    whole.control("wifi", on=True)
    try:
        found = state.site(whole.world.directory, PLACE.name)
        assert found is not None
        # The failpoint leaves the sockets unbound, as speedtest-cli itself would: the route table then decides.
        once = module("probe", "once", "--config", str(_copy_of_settings(whole)), "--json")
        inside = ns.enter(found.netns_pid, ["env", "DOSONG_FAIL=unbound", *once])
        record = json.loads(_output(inside))
    finally:
        whole.control("wifi", on=False)
    assert record["path"]["verdict"] == "invalid_path"


def _copy_of_settings(whole: Whole) -> Any:
    """The running probe owns its spool, so the second one gets a state folder of its own."""
    text = whole.settings.read_text()
    copy = whole.settings.with_name("wrong-way.toml")
    own = str(whole.settings.parent / "state")
    copy.write_text(text.replace(f'state_dir = "{own}"', f'state_dir = "{own}-wrong-way"'))
    return copy


def _output(argv: list[str]) -> str:
    import subprocess  # noqa: PLC0415 (only here)

    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.stdout


def test_a_pulled_modem_is_a_failed_sample_and_heals(whole: Whole) -> None:
    tests = len(whole.tests())
    whole.control("unplug")
    try:
        eventually("a failed test", lambda: any(r["record"].outcome == "failed" for r in _after(whole, tests)), 60)
        failed = next(r["record"] for r in _after(whole, tests) if r["record"].outcome == "failed")
        assert failed.stage in {"modem", "path"}
        assert failed.cause in {"no_modem", "modem_mute", "no_interface"}
        assert failed.downlink_bps is None
    finally:
        whole.control("plug")
    tests = len(whole.tests())
    eventually("a good test again", lambda: any(r["record"].outcome == "ok" for r in _after(whole, tests)), 90)


def test_lost_service_is_evidence(whole: Whole) -> None:
    tests = len(whole.tests())
    whole.control("service", on=False)
    spooled = max(seq for seq, _, _ in whole.spooled())
    try:
        eventually("records are made without service", lambda: len(whole.spooled()) > spooled + 8, 90)
    finally:
        whole.control("service", on=True)
    eventually("a failed test", lambda: any(r["record"].outcome == "failed" for r in _after(whole, tests)), 90)
    failed = next(r["record"] for r in _after(whole, tests) if r["record"].outcome == "failed")
    assert (failed.stage, failed.cause) == ("registration", "searching")
    states = "".join(r["record"].states for r in whole.ledger() if r["kind"] == "coverage" and r["seq"] > spooled)
    assert "N" in states
