"""The slate: what was synced is there after anything, and one torn or flipped place leaves the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.slate import PLACE_BYTES, Slate
from tests.probe.disks import fill_up, make_image, memory_disk, mounted, needs_disks


def test_values_are_there_after_sync_and_only_then(tmp_path: Path) -> None:
    slate = Slate(tmp_path)
    slate.note({"a": "1"})
    assert slate.recall("a") == "1"
    assert Slate(tmp_path).recall("a") is None, "a note alone is no promise"
    assert slate.sync({"b": "2"})
    again = Slate(tmp_path)
    assert (again.recall("a"), again.recall("b")) == ("1", "2")


def test_note_is_on_disk_within_its_time(tmp_path: Path) -> None:
    slate = Slate(tmp_path, every_s=0.0)
    slate.note({"a": "1"})
    assert Slate(tmp_path).recall("a") == "1"


def test_copy_in_memory_survives_the_program_and_the_newer_of_two_counts(tmp_path: Path) -> None:
    volatile = tmp_path / "run"
    volatile.mkdir()
    slate = Slate(tmp_path, volatile)
    slate.sync({"a": "1"})
    slate.note({"a": "2"})
    assert Slate(tmp_path, volatile).recall("a") == "2", "the program was killed"
    assert Slate(tmp_path).recall("a") == "1", "the power was cut"
    after_cut = Slate(tmp_path)
    after_cut.sync({"a": "3"})
    after_cut.sync({"a": "4"})
    assert Slate(tmp_path, volatile).recall("a") == "4"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("damage", ["torn", "flipped", "zeroed"])
def test_damage_to_one_place_costs_at_most_the_last_sync(tmp_path: Path, place: int, damage: str) -> None:
    slate = Slate(tmp_path)
    for number in range(5):
        slate.sync({"n": str(number), "pad": "x" * 3000})
    path = tmp_path / "slate"
    octets = bytearray(path.read_bytes())
    start = place * PLACE_BYTES
    if damage == "torn":
        octets[start + 30 : start + PLACE_BYTES] = bytes(PLACE_BYTES - 30)
    elif damage == "flipped":
        octets[start + 40] ^= 1
    else:
        octets[start : start + PLACE_BYTES] = bytes(PLACE_BYTES)
    path.write_bytes(octets)
    assert Slate(tmp_path).recall("n") in ("3", "4")
    later = Slate(tmp_path)
    later.sync({"n": "9"})
    assert Slate(tmp_path).recall("n") == "9"


def test_places_alternate_whatever_is_noted_between(tmp_path: Path) -> None:
    """A write that tears must hit the older place, even if an odd number of notes lay between two syncs."""
    slate = Slate(tmp_path)
    slate.sync({"n": "1"})
    before = (tmp_path / "slate").read_bytes()
    slate.note({"n": "2"})
    slate.sync({"n": "3"})
    after = (tmp_path / "slate").read_bytes()
    changed = {at // PLACE_BYTES for at in range(len(after)) if after[at] != before[at]}
    kept = 1 - changed.pop()
    assert not changed
    assert before[kept * PLACE_BYTES : (kept + 1) * PLACE_BYTES].strip(b"\0"), "the newest values were not touched"


def test_values_that_do_not_fit_or_have_no_disk_stay_in_memory(tmp_path: Path) -> None:
    slate = Slate(tmp_path / "none")
    assert not slate.sync({"a": "1"})
    assert slate.recall("a") == "1"
    big = Slate(tmp_path)
    assert not big.sync({"a": "".join(json.dumps(number) for number in range(100_000))})


class TestDisks:
    pytestmark = needs_disks

    def test_full_disk_still_takes_values(self, tmp_path: Path) -> None:
        with mounted(make_image(tmp_path / "disk.img"), tmp_path / "disk") as disk:
            slate = Slate(disk)
            slate.sync({"a": "1"})
            fill_up(disk)
            assert slate.sync({"a": "2"})
            slate.close()
            assert Slate(disk).recall("a") == "2"

    def test_disk_that_was_full_from_the_start_takes_them_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("probe.slate._RETRY_S", 0.0)
        with memory_disk(tmp_path / "disk", 400_000) as disk:
            ballast = fill_up(disk)
            slate = Slate(disk)
            assert not slate.sync({"a": "1"})
            ballast.unlink()
            assert slate.sync({"a": "1"})
            assert Slate(disk).recall("a") == "1"
            slate.close()
