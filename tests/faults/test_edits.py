"""Random changes over a small ledger: each is found, each can be undone, and a blind sealer is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.seal_audit import LogAudit
from tests.faults import edits


def test_every_change_is_found_and_the_honest_ledger_is_signed(tmp_path: Path) -> None:
    tried, missed, honest = edits.run(tmp_path, 150, 7, 60)
    assert honest
    assert tried
    assert not missed


def test_a_sealer_that_does_not_look_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogAudit, "round", lambda _self: None)
    _tried, missed, honest = edits.run(tmp_path, 150, 7, 60)
    assert missed
    assert not honest
