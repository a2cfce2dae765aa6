"""The spool: on disk before it is sent, released only by what the ledger has, and honest about what it dropped."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probe.recorder import Recorder
from probe.spool import Kept, Place, Spool
from tests.probe.kit import event, make_recorder, read
from wire.codec import leaf_hash, leaf_text
from wire.errors import Unavailable
from wire.records import BootRecord, GapRecord

MB = 1_000_000


def opened(folder: Path, limit_bytes: int = MB) -> tuple[Spool, Recorder]:
    spool = Spool(folder, limit_bytes)
    return spool, make_recorder(spool)


def fill(recorder: Recorder, count: int, note: str = "x") -> list[Kept]:
    return [recorder.keep(event(recorder, note)) for _ in range(count)]


def check_chain(records: list[Kept]) -> None:
    for before, after in itertools.pairwise(records):
        if before.epoch == after.epoch:
            assert after.seq == before.seq + 1
            assert read(after.raw).prev == leaf_text(leaf_hash(before.raw))


def test_records_are_chained_and_signed_across_a_restart(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 3)
    spool.close()
    spool, recorder = opened(tmp_path)
    fill(recorder, 2)
    kept = spool.waiting(100)
    assert [(k.epoch, k.seq) for k in kept] == [(1, i) for i in range(5)]
    assert read(kept[0].raw).prev == ""
    check_chain(kept)
    assert spool.origin_of_file == "ok"


def test_release_ends_the_wait_up_to_its_head_and_of_its_epoch_only(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 4)
    assert spool.release(2, 99, 5, 5) == 0
    assert spool.release(1, 1, 5, 5) == 2
    assert [k.seq for k in spool.waiting(9)] == [2, 3]
    assert spool.depth().records == 4
    assert spool.leaf(1, 1) is not None
    assert spool.leaf(1, 4) is None


def test_restored_ledger_gets_again_what_is_still_held(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 5)
    spool.release(1, 4, 5, 5)
    assert recorder.reinstate(1, 2, gen=1) == 2
    assert [k.seq for k in spool.waiting(9)] == [3, 4]
    assert spool.mark("gen") == "1"
    assert recorder.reinstate(1, None, gen=2) == 3


def test_acknowledged_records_are_forgotten_after_the_days_they_are_kept(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 3)
    spool.release(1, 1, 5, 1_000)
    day_ms = 86_400_000
    assert spool.purge(1_000 + 7 * day_ms, 7) == 0
    assert spool.purge(1_001 + 7 * day_ms, 7) == 2
    assert [k.seq for k in spool.waiting(9)] == [2]
    fill(recorder, 1)
    assert spool.place().seq == 4


def test_a_clock_that_jumps_makes_nothing_old(tmp_path: Path) -> None:
    """Found by tests.years: a jump of years forgot at once what a restored ledger then asked for."""
    spool, recorder = opened(tmp_path)
    fill(recorder, 3)
    day_ms, year_2036_ms = 86_400_000, 2_082_758_400_000
    spool.release(1, 0, year_2036_ms, 1_000)
    spool.release(1, 1, 0, 2_000)
    assert spool.purge(2_000, 7) == 0
    assert spool.mark("life_ms") == "2000"
    assert recorder.reinstate(1, None, gen=1) == 2
    spool.release(1, 2, 5, year_2036_ms)  # as an older program wrote it, by the wall clock
    assert [spool.purge(3_000 + days * day_ms, 7) for days in (0, 7, 8)] == [0, 0, 3]


def test_what_a_restored_ledger_lacks_and_nobody_holds_is_declared(tmp_path: Path) -> None:
    """Found by tests.years: it waited for those places for ever, and acknowledged nothing behind them."""
    spool, recorder = opened(tmp_path)
    records = fill(recorder, 6)
    spool.release(1, 3, 5, 0)
    assert spool.purge(8 * 86_400_000, 7) == 4
    assert recorder.reinstate(1, 1, gen=1) == 0
    gap, *rest = spool.waiting(9)
    told = read(gap.raw)
    assert isinstance(told, GapRecord)
    assert (told.gap_epoch, told.from_seq, told.to_seq) == (1, 2, 3)
    assert told.last_leaf == leaf_text(leaf_hash(records[3].raw))
    assert [kept.seq for kept in rest] == [4, 5]
    assert recorder.reinstate(1, 1, gen=2) == 0
    assert len(spool.waiting(9)) == 3, "declared once"
    assert recorder.reinstate(1, None, gen=3) == 0
    assert [(g.from_seq, g.to_seq) for g in gaps(spool)] == [(2, 3), (0, 3)], "told with what was declared before"


def test_a_spool_that_forgot_everything_declares_up_to_its_next_place(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    records = fill(recorder, 3)
    spool.release(1, 2, 5, 0)
    spool.purge(8 * 86_400_000, 7)
    recorder.reinstate(1, None, gen=1)
    (gap,) = gaps(spool)
    assert (gap.from_seq, gap.to_seq, gap.last_leaf) == (0, 2, leaf_text(leaf_hash(records[2].raw)))


def gaps(spool: Spool) -> list[GapRecord]:
    told = [read(kept.raw) for kept in spool.waiting(99)]
    return [one for one in told if isinstance(one, GapRecord)]


def test_what_the_ledger_knows_otherwise_waits_behind_all_else(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 2)
    assert (spool.dispute(1), spool.dispute(1), spool.waiting(9)) == (2, 0, [])
    assert [kept.seq for kept in spool.disputed((0, -1), 9)] == [0, 1]


def test_new_epoch_disputes_what_still_waits(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 2)
    boot = BootRecord(**recorder.head(), reason="new_epoch", spool="rolled_back", head_epoch=1, head_seq=9)
    recorder.begin_epoch(4, boot)
    fill(recorder, 1)
    assert [(k.epoch, k.seq) for k in spool.waiting(9)] == [(4, 0), (4, 1)]
    assert [(k.epoch, k.seq) for k in spool.disputed((0, -1), 9)] == [(1, 0), (1, 1)]
    assert (tmp_path / "epoch").read_text() == "4\n"
    check_chain(spool.waiting(9))


def test_new_epoch_and_its_boot_record_are_one_commit(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 2)

    def fails(_place: Place) -> bytes:
        raise RuntimeError("killed while it signed")

    with pytest.raises(RuntimeError, match="killed"):
        spool.begin_epoch(2, fails)
    assert spool.place().epoch == 1
    assert [k.seq for k in spool.waiting(9)] == [0, 1]
    assert spool.depth().bytes == spool._bytes


def test_damage_that_is_read_while_running_asks_for_a_restart(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 200, "y" * 100)
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._db.execute("PRAGMA shrink_memory")
    size = (tmp_path / "spool.db").stat().st_size
    with (tmp_path / "spool.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"x" * (size - 8192))
    with pytest.raises(Unavailable, match="is damaged"):
        spool.waiting(1000)
    assert spool.is_broken
    spool.close()
    spool, _ = opened(tmp_path)
    assert (spool.origin_of_file, spool.place()) == ("damaged", Place(2, 0, ""))


def test_damaged_files_do_not_fill_the_card(tmp_path: Path) -> None:
    for number in range(8):
        opened(tmp_path)[0].close()
        (tmp_path / "spool.db").write_bytes(b"%d" % number * 5000)
    spool, _ = opened(tmp_path)
    assert spool.place().epoch == 9
    assert sorted(found.name[-1] for found in tmp_path.glob("spool.db.damaged-*")) == ["1", "6", "7", "8"]


def test_leaf_of_a_dropped_record_goes_once_a_later_ack_came(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path, 120_000)
    fill(recorder, 400, "y" * 100)
    spool.release(1, spool.place().seq - 1, 5, 5)
    assert spool._db.execute("SELECT count(*) FROM record WHERE raw IS NULL").fetchone() == (0,)


def test_full_spool_drops_acknowledged_records_first_and_silently(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path, 120_000)
    fill(recorder, 60, "y" * 100)
    spool.release(1, 39, 5, 5)
    fill(recorder, 110, "y" * 100)
    kept = spool.waiting(1000)
    assert not any(k.kind == "gap" for k in kept)
    assert kept[0].seq == 40
    assert spool.depth().bytes <= 120_000


def test_dropping_what_was_never_acknowledged_is_a_signed_gap_that_goes_first(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path, 120_000)
    made = fill(recorder, 400, "y" * 100)
    kept = spool.waiting(1000)
    gaps = [read(k.raw) for k in kept if k.kind == "gap"]
    assert gaps
    assert [k.kind for k in kept[: len(gaps)]] == ["gap"] * len(gaps)
    assert spool.depth().bytes <= 120_000
    covered: set[int] = {k.seq for k in kept}
    by_seq = {k.seq: k for k in made}
    for gap in gaps:
        assert isinstance(gap, GapRecord)
        covered |= set(range(gap.from_seq, gap.to_seq + 1))
        assert gap.last_leaf == leaf_text(leaf_hash(by_seq[gap.to_seq].raw)) == spool.leaf(1, gap.to_seq)
    assert covered == set(range(spool.place().seq)), "every place is held or declared dropped"
    assert not any(isinstance(read(k.raw), GapRecord) for k in kept[len(gaps) :])


def test_failed_signing_changes_nothing(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 1)
    before = spool.place()

    def refuse(_place: Place) -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        spool.append("event", refuse)
    assert spool.place() == before
    check_chain([*spool.waiting(9), *fill(recorder, 1)])


def test_marks_are_committed_with_their_record(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    recorder.keep(event(recorder), {"slot m1": "7"})
    spool.close()
    assert opened(tmp_path)[0].mark("slot m1") == "7"


def test_record_whose_marks_cannot_be_kept_is_not_kept_either(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    with pytest.raises(Unavailable):
        recorder.keep(event(recorder), {"slot m1": object()})  # type: ignore[dict-item]
    assert spool.place().seq == 0
    assert spool.depth().records == 0
    fill(recorder, 1)
    assert spool.depth().bytes == len(spool.waiting(1)[0].raw)


@pytest.mark.parametrize("damage", ["garbage", "torn", "flipped"])
def test_damaged_file_is_set_aside_and_a_new_epoch_begins(tmp_path: Path, damage: str) -> None:
    spool, recorder = opened(tmp_path)
    fill(recorder, 200, "z" * 100)
    spool.close()
    path = tmp_path / "spool.db"
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"no database at all" * 1000)
    elif damage == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.write_bytes(whole[:4096] + bytes(b ^ 0xFF for b in whole[4096:8192]) + whole[8192:])
    spool, recorder = opened(tmp_path)
    assert spool.origin_of_file == "damaged"
    assert (spool.place().epoch, spool.place().seq) == (2, 0)
    assert (tmp_path / "spool.db.damaged-1").exists()
    fill(recorder, 1)
    assert spool.waiting(9)[0].epoch == 2


def test_lost_file_begins_a_new_epoch_too(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    spool.close()
    for part in tmp_path.glob("spool.db*"):
        part.unlink()
    spool, _ = opened(tmp_path)
    assert (spool.origin_of_file, spool.place().epoch) == ("new", 2)


def test_full_disk_is_one_clear_sentence_and_costs_nothing_acknowledged(tmp_path: Path) -> None:
    """The disk is filled for real: a file-size limit that the kernel enforces on a process of our own."""
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.probe.test_spool import opened, fill\n"
        "from wire.errors import Unavailable\n"
        "spool, recorder = opened(Path(sys.argv[1])); fill(recorder, 5)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "size = (Path(sys.argv[1]) / 'spool.db-wal').stat().st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9000, size + 9000))\n"
        "try:\n"
        "    for number in range(50): fill(recorder, 1); print(spool.place().seq, flush=True)\n"
        "except Unavailable as error: print(error)\n"
        "print(len(spool.waiting(1000)))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *kept, sentence, waiting = done.stdout.splitlines()
    assert "disk" in sentence
    assert sentence.count(";") == 1
    assert int(waiting) == 5 + len(kept)
    check_chain(opened(tmp_path)[0].waiting(1000))


def test_second_program_cannot_write_but_read(tmp_path: Path) -> None:
    _spool, recorder = opened(tmp_path)
    fill(recorder, 2)
    reader = sqlite3.connect(f"file:{tmp_path / 'spool.db'}?mode=ro", uri=True)
    assert reader.execute("SELECT count(*) FROM record").fetchone() == (2,)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM record")
    reader.close()


def test_unwritable_folder_says_what_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="mend that folder"):
        Spool(tmp_path / "file" / "state", MB)


_APPENDING = """
import os, sys; from pathlib import Path
from tests.probe.test_spool import opened, fill
spool, recorder = opened(Path(sys.argv[1]), 200_000)
while True:
    (kept,) = fill(recorder, 1, "k" * 60)
    os.write(1, f"{kept.epoch} {kept.seq}\\n".encode())
    if len(sys.argv) > 2 and kept.seq >= int(sys.argv[2]): break
"""


def test_twenty_kills_lose_nothing_that_was_appended(tmp_path: Path) -> None:
    dice = random.Random(7)
    promised: list[tuple[int, int]] = []
    for _ in range(20):
        command = [sys.executable, "-c", _APPENDING, str(tmp_path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child.stdout:
            promised.append(parse(child.stdout.readline()))
            time.sleep(dice.random() * 0.05)
            child.send_signal(signal.SIGKILL)
            promised += [parse(line) for line in child.stdout if line.endswith("\n")]
        child.wait()
    spool, _ = opened(tmp_path, 200_000)
    assert spool.origin_of_file == "ok"
    kept = spool.waiting(100_000)
    held = {(k.epoch, k.seq) for k in kept}
    for gap in (read(k.raw) for k in kept if k.kind == "gap"):
        assert isinstance(gap, GapRecord)
        held |= {(gap.gap_epoch, seq) for seq in range(gap.from_seq, gap.to_seq + 1)}
    assert len(promised) > 40
    assert set(promised) <= held
    last_gap = max((k.seq for k in kept if k.kind == "gap"), default=-1)
    check_chain([k for k in kept if k.seq > last_gap])


def parse(line: str) -> tuple[int, int]:
    epoch, seq = line.split()
    return int(epoch), int(seq)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_record_is_synced_before_append_returns(tmp_path: Path) -> None:
    """What the kernel saw: between two promises there is a sync of the write-ahead log. No sync, no promise."""
    log = tmp_path / "trace"
    trace = ["strace", "-f", "-y", "-e", "trace=fdatasync,fsync,write", "-o", str(log)]
    command = [*trace, sys.executable, "-c", _APPENDING, str(tmp_path / "state"), "12"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, capture_output=True, check=True, timeout=60, env=environment)
    is_synced, promises = False, 0
    for line in log.read_text().splitlines():
        if "sync(" in line and "spool.db-wal" in line:
            is_synced = True
        elif "write(1<" in line and '"1 ' in line:
            assert is_synced, f"promised without a sync: {line}"
            is_synced, promises = False, promises + 1
    assert promises == 13
