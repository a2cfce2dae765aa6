"""Our own engine on the whole way: its receipts reach the ledger beside their record, and the page shows them."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from typing import Any

from sim import demo_world
from tests.flow.conftest import PLACE, Whole, eventually


def _measure_with(whole: Whole, engine: str) -> None:
    """Start the probe's program anew with another engine."""
    program = whole.world.programs.running[PLACE.probe]
    program.process.terminate()
    program.process.wait(20)
    demo_world.start_probe(whole.world, replace(PLACE, engine=engine))


def _proved(whole: Whole, after: int) -> list[dict[str, Any]]:
    """Rows of our engine's good tests with both receipts."""
    rows = (row for row in whole.tests()[after:] if row["record"].engine == "dosong")
    return [row for row in rows if row["record"].outcome == "ok" and len(row["receipts"]) == 2]


def test_a_test_of_our_engine_is_counted_and_its_receipts_stand_beside_it(whole: Whole) -> None:
    tests = len(whole.tests())
    _measure_with(whole, "dosong")
    try:
        eventually("a test with both receipts", lambda: bool(_proved(whole, tests)), 150)
    finally:
        _measure_with(whole, PLACE.engine)
    row = _proved(whole, tests)[0]
    record = row["record"]
    assert row["counted"]
    assert record.ticket
    assert record.path.verdict == "ok"
    assert record.downlink_bps <= PLACE.downlink_bps
    assert record.path.rx_bytes > record.downlink_bytes
    url = f"{whole.world.web_url}/samples/{PLACE.probe}/{record.epoch}/{record.seq}?lang=en"
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (our own loopback address)
        page = answer.read().decode()
    assert "What the measurement server saw" in page
    assert page.count("figures agree") == 2
