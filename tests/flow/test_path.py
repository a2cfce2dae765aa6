"""What a sample says of its way, against what the site really did: rates, wrong route, pulled modem, lost service."""

from __future__ import annotations

from typing import Any

from tests.flow.conftest import PLACE, Whole, eventually

PAYLOAD_SHARE = 1448 / 1514
"""Of what tbf lets through at layer 2, what TCP delivers: 1448 of 1514 bytes of a full segment."""


def _after(whole: Whole, tests: int) -> list[dict[str, Any]]:
    return whole.tests()[tests:]


def _shares(record: Any) -> tuple[float, float]:
    """What the probe reports as a share of what the shaper lets through: downlink, uplink."""
    return (
        record.downlink_bps / (PLACE.downlink_bps * PAYLOAD_SHARE),
        record.uplink_bps / (PLACE.uplink_bps * PAYLOAD_SHARE),
    )


def test_reported_rate_is_within_five_percent_of_the_shaped_one(whole: Whole) -> None:
    """Never above by more; and, as soon as the machine leaves the link's programs alone, not below either.

    A busy machine starves the sender, and a rate that was not sent cannot be measured: so one good test of the
    first twelve must reach the shaped rate, while not one may exceed it.
    """

    def good() -> list[tuple[float, float]]:
        return [_shares(row["record"]) for row in whole.tests() if row["record"].outcome == "ok"]

    def reached() -> bool:
        return any(min(shares) >= 0.95 for shares in good()) or len(good()) >= 12

    eventually("a test reaches the shaped rate", reached, 110)
    assert max(max(shares) for shares in good()) <= 1.05, good()
    assert max(min(shares) for shares in good()) >= 0.95, good()


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


def _restart_probe(whole: Whole, *environment: str) -> None:
    """Start the probe's program anew, with `environment` ("NAME=value") added."""
    programs = whole.world.programs
    program = programs.running[PLACE.probe]
    program.process.terminate()
    program.process.wait(20)
    argv = [word for word in program.argv if not word.startswith("DOSONG_FAIL=") and word != "env"]
    programs.start(PLACE.probe, ["env", *environment, *argv] if environment else argv, program.inside)


def test_a_test_that_leaves_by_wifi_is_invalid_path_and_not_counted(whole: Whole) -> None:
    tests = len(whole.tests())
    whole.control("wifi", on=True)
    # The failpoint leaves the sockets unbound, as speedtest-cli itself would: the route table then decides.
    _restart_probe(whole, "DOSONG_FAIL=unbound")
    try:
        eventually("a test", lambda: any(r["record"].downlink_bytes for r in _after(whole, tests)), 60)
    finally:
        _restart_probe(whole)
        whole.control("wifi", on=False)
    row = next(r for r in _after(whole, tests) if r["record"].downlink_bytes)
    path = row["record"].path
    assert path.verdict == "invalid_path"
    assert path.other_rx_bytes > row["record"].downlink_bytes > path.rx_bytes
    assert not row["counted"]
    assert "invalid_path" in row["not_counted"]


def test_a_pulled_modem_is_a_failed_sample_and_heals(whole: Whole) -> None:
    last = whole.last_seq()
    whole.control("unplug")
    try:
        # The link is gone with the stick: the failed sample waits in the spool until it is back.
        eventually("a test is due without a modem", lambda: last < whole.last_seq("test"), 60)
    finally:
        whole.control("plug")
    eventually("a failed test", lambda: bool(_failed(whole, last)), 60)
    failed = _failed(whole, last)[0]
    assert failed.stage in {"modem", "path"}
    assert failed.cause in {"no_modem", "modem_mute", "no_interface"}
    assert failed.downlink_bps is None
    last = whole.last_seq()
    eventually(
        "a good test again", lambda: any(r["record"].outcome == "ok" for r in whole.tests() if r["seq"] > last), 90
    )


def _failed(whole: Whole, after: int) -> list[Any]:
    return [r["record"] for r in whole.tests() if r["seq"] > after and r["record"].outcome == "failed"]


def test_lost_service_is_evidence(whole: Whole) -> None:
    last = whole.last_seq()
    whole.control("service", on=False)
    try:
        eventually("a test is due without service", lambda: last < whole.last_seq("test"), 60)
        eventually("a whole coverage window passes", lambda: whole.last_seq("coverage") > last + 3, 60)
    finally:
        whole.control("service", on=True)
    eventually("a failed test", lambda: bool(_failed(whole, last)), 60)
    failed = _failed(whole, last)[0]
    assert (failed.stage, failed.cause) == ("registration", "searching")
    states = "".join(r["record"].states for r in whole.ledger() if r["kind"] == "coverage" and r["seq"] > last)
    assert "N" in states
