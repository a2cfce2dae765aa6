"""What boards are given at which pace: a figure that somebody has just entered does not wait ten minutes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from collector.board_lines import BoardLines
from collector.core.clock import month_of
from collector.forward_store import ForwardStore
from collector.health import now_ms
from collector.unit_lines import UnitLines
from tests.collector.door import Door
from tests.collector.kit import FakeProbe, until


def test_a_figure_that_was_just_entered_is_given_soon_and_an_absent_one_is_no_0(tmp_path: Path) -> None:
    door = Door(tmp_path, FakeProbe("p-one"))
    campaign = {"code": "c", "name": "C", "document": "1", "counter": "portal", "starts_ms": 0}
    line = {"campaign": "c", "line": "xa", "level": "commune", "what": "samples", "minimum": 300, "period": "month"}
    door.registry.load({"campaigns": [campaign], "campaign_quotas": [line]}, now_ms())
    with closing(ForwardStore(tmp_path / "forward.db")) as store:
        units = UnitLines(door.reader, door.registry, store, lambda *_: None)
        boards = BoardLines(tmp_path, door.reader, door.registry, units, list)

        def given() -> list[str]:
            return [text for group in boards.lines(now_ms()) for text in group if text.startswith("quota,")]

        first = [text for text in given() if "campaign=c" in text]
        assert first
        assert not any("counted=" in text for text in first)
        assert given() == []
        start_ms, end_ms = month_of(now_ms())
        read = {"counter": "portal", "unit": "05755", "value": 128, "starts_ms": start_ms, "ends_ms": end_ms}
        door.registry.load({"counts": [{**read, "valid_from_ms": now_ms()}]}, now_ms())
        assert "counted=128i" in "".join(until(given))
    door.close()
