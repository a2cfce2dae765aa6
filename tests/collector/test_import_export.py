"""A probe's export comes in by the local door of a running receive: each record once, whatever else brings it."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from collector.ingest import Message, Taken
from collector.submit import Door, submit
from tests.collector.conftest import Bench
from tests.collector.kit import ORIGIN, FakeProbe, until
from wire import bundle, exportfile, topics
from wire.errors import EXIT_FAILED, EXIT_OK, Unavailable

pytestmark = pytest.mark.services


def write(folder: Path, probe: str, *groups: list[bytes], origin: str = ORIGIN, name: str = "1") -> Path:
    """An export file with one message a group."""
    folder.mkdir(exist_ok=True)
    file = exportfile.ExportFile(probe, origin, tuple(bundle.encode(group) for group in groups))
    path = folder / f"{name}.dosong"
    path.write_bytes(exportfile.encode(file))
    return path


def load(bench: Bench, *paths: Path) -> subprocess.CompletedProcess[str]:
    return bench.deployment.call("import-export", *map(str, paths))


def test_an_export_is_stored_once_and_what_comes_live_afterwards_is_acknowledged(
    bench: Bench, one: FakeProbe, tmp_path: Path
) -> None:
    raws = [one.test() for _ in range(70)]
    folder = write(tmp_path / "usb", "p-one", raws[:40], raws[40:60]).parent
    bench.receiving()
    done = load(bench, folder)
    assert (done.returncode, done.stdout.split("\n")[0]) == (
        EXIT_OK,
        "files: 1, accepted: 60, duplicate: 0, refused: 0",
    )
    assert [s.raw for s in bench.reader.samples(limit=100, newest_first=False)] == raws[:60]
    until(lambda: bench.field.upto("p-one") == 59, what="the import is acknowledged like any delivery")
    bench.field.send("p-one", *raws[50:64])
    until(lambda: bench.field.upto("p-one") == 63)
    assert "accepted: 0, duplicate: 60" in load(bench, folder).stdout
    delivered = bench.reader.deliveries()
    assert (delivered.accepted, delivered.duplicate, delivered.refused) == (64, 70, 0)


def test_files_that_are_no_good_are_told_and_the_good_ones_go_on(bench: Bench, one: FakeProbe, tmp_path: Path) -> None:
    raws = [one.test() for _ in range(9)]
    good = write(tmp_path, "p-one", raws[:3], name="good")
    cut = write(tmp_path, "p-one", raws[3:6], name="cut")
    cut.write_bytes(cut.read_bytes()[:-400])
    flipped = write(tmp_path, "p-one", raws[3:6], name="flipped")
    content = bytearray(flipped.read_bytes())
    content[-300] ^= 1
    flipped.write_bytes(content)
    foreign = write(tmp_path, "p-one", raws[3:6], origin="other.example", name="foreign")
    photo = tmp_path / "IMG_0001.jpg"
    photo.write_bytes(bytes(5000))
    bench.receiving()
    done = load(bench, photo, cut, flipped, foreign, good)
    assert done.returncode == EXIT_FAILED
    assert "files: 1, accepted: 3" in done.stdout
    said = done.stderr.splitlines()
    assert [line.split(": ")[1].rpartition("/")[2] for line in said] == [
        *("IMG_0001.jpg", "cut.dosong", "flipped.dosong", "foreign.dosong")
    ]
    assert "no export" in said[0]
    assert "damaged or cut short" in said[1]
    assert "deployment other.example" in said[3]
    assert "Traceback" not in done.stderr
    again = write(tmp_path, "p-one", raws[3:], name="again")
    assert "accepted: 6" in load(bench, again).stdout, "nothing was lost by the bad ones"


def test_forged_records_are_refused_by_the_same_door(bench: Bench, one: FakeProbe, tmp_path: Path) -> None:
    stranger = FakeProbe("p-nobody")
    impostor = FakeProbe("p-one")
    bench.receiving()
    write(tmp_path / "usb", "p-nobody", [stranger.test()], name="a")
    write(tmp_path / "usb", "p-one", [impostor.test(), one.test()], name="b")
    done = load(bench, tmp_path / "usb")
    assert done.returncode == EXIT_FAILED
    assert "accepted: 1, duplicate: 0, refused: 2" in done.stdout
    assert "unknown_probe" in done.stderr


def test_without_receive_it_says_so_and_the_file_stays_good(bench: Bench, one: FakeProbe, tmp_path: Path) -> None:
    path = write(tmp_path / "usb", "p-one", [one.test()])
    done = load(bench, path)
    assert done.returncode == EXIT_FAILED
    assert "start it, then do this again" in done.stderr
    bench.receiving()
    assert "accepted: 1" in load(bench, path).stdout


def test_receive_takes_imports_while_the_broker_is_away(bench: Bench, one: FakeProbe, tmp_path: Path) -> None:
    bench.receiving()
    bench.broker.kill()
    until(lambda: "trying again for ever" in bench.receive.text())
    assert "accepted: 1" in load(bench, write(tmp_path / "usb", "p-one", [one.test()])).stdout
    bench.broker.start()
    until(lambda: bench.field.upto("p-one") == 0, what="acknowledged once the broker is back")


def test_a_submission_is_answered_after_its_commit_and_a_ledger_that_fails_holds_nothing(tmp_path: Path) -> None:
    door, seen = Door(tmp_path), []

    def fails(messages: object) -> Taken:
        raise Unavailable("the disk is full")

    def commits(messages: object) -> Taken:
        seen.append(messages)
        return Taken({}, (), 1, 0, 0, ())

    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(submit(tmp_path, [(topics.up("p-one"), b"x")]))
        except Unavailable as error:
            answers.append(str(error))

    for commit in (fails, commits):
        asking = threading.Thread(target=ask)
        asking.start()
        deadline_s = time.monotonic() + 30
        while asking.is_alive() and time.monotonic() < deadline_s:
            door.take(commit, len)
            asking.join(0.02)
    door.close()
    assert answers[0] == "nothing of it was stored: the disk is full"
    assert getattr(answers[1], "accepted", None) == 1
    assert seen == [[Message(topics.up("p-one"), b"x")]]
