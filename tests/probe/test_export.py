"""What waits in the spool goes into files, beside the program that owns it, and an export goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from probe import export
from probe.spool import Spool
from probe.spool_read import records
from probe.spool_rows import Kept
from tests.probe.kit import ACK_KEY, KEY, ORIGIN, PROBE, event, make_recorder, read
from wire import bundle, exportfile
from wire.errors import Refused, Unavailable
from wire.keyfile import write_signer

_SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
site = "site-1"
[schedule]
slot_s = 86400
seed = "{seed}"
[engine]
server = "http://127.0.0.1:9"
[[modem]]
id = "m1"
port = "/nowhere"
interface = "lo"
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "state", 64_000_000)
    yield spool
    spool.close()


def fill(spool: Spool, count: int) -> list[bytes]:
    recorder = make_recorder(spool)
    return [recorder.keep(event(recorder, f"number {n}")).raw for n in range(count)]


def written(folder: Path) -> list[bytes]:
    """Every entry of an export, in the order of its files."""
    files = [exportfile.decode(path.read_bytes()) for path in sorted(folder.glob("*.dosong"))]
    return [entry for file in files for message in file.messages for entry in bundle.decode(message)]


def test_what_waits_is_written_whole_and_signed(spool: Spool, tmp_path: Path) -> None:
    raws = fill(spool, 450)
    done = export.write(tmp_path / "usb", PROBE, ORIGIN, records(tmp_path / "state"), 1_795_000_000_000)
    assert (done.records, done.new, done.span) == (450, 450, "1:0 .. 1:449")
    assert written(tmp_path / "usb") == raws
    assert read(written(tmp_path / "usb")[0]).seq == 0
    manifest = (tmp_path / "usb" / export.MANIFEST).read_text()
    assert "p-test" in manifest
    assert "450 (1:0 .. 1:449)" in manifest
    assert "số bản ghi" in manifest
    assert spool.depth().waiting == 450, "an export releases nothing"


def test_an_export_goes_on_where_it_stopped(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exportfile, "MAX_BYTES", 20_000)
    raws, usb = fill(spool, 200), tmp_path / "usb"

    def pulled_out() -> Iterator[Kept]:
        yield from islice(records(tmp_path / "state"), 130)
        raise OSError(5, "Input/output error")

    with pytest.raises(Unavailable, match="Input/output error"):
        export.write(usb, PROBE, ORIGIN, pulled_out(), None)
    whole = len(written(usb))
    assert 0 < whole < 130
    (usb / "p-test-1-000000999-000000999.dosong.partial").write_bytes(b"half")
    first = sorted(usb.glob("*.dosong"))[0]
    first.write_bytes(first.read_bytes()[:-1])  # what the stick did to it
    raws += fill(spool, 3)
    done = export.write(usb, PROBE, ORIGIN, records(tmp_path / "state"), None)
    assert (done.records, done.new < 203) == (203, True)
    assert sorted(written(usb)) == sorted(raws)
    assert not list(usb.glob("*.partial"))
    assert export.write(usb, PROBE, ORIGIN, records(tmp_path / "state"), None).new == 0


def test_acknowledged_records_stay_out_unless_asked_for_and_a_range_is_kept(spool: Spool, tmp_path: Path) -> None:
    fill(spool, 10)
    spool.release(1, 5, 1, 1)
    state = tmp_path / "state"
    assert [kept.seq for kept in records(state)] == [6, 7, 8, 9]
    assert [kept.seq for kept in records(state, (1, 2), (1, 7), with_acknowledged=True)] == [2, 3, 4, 5, 6, 7]


def test_a_folder_of_another_probe_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    fill(spool, 1)
    export.write(tmp_path / "usb", "p-other", ORIGIN, records(tmp_path / "state"), None)
    with pytest.raises(Unavailable, match="holds the export of p-other"):
        export.write(tmp_path / "usb", PROBE, ORIGIN, records(tmp_path / "state"), None)


def test_receipts_travel_before_their_record_in_one_message(spool: Spool, tmp_path: Path) -> None:
    recorder = make_recorder(spool)
    kept = spool.append("event", lambda place: recorder._seal(event(recorder), place), receipts=(b"receipt one",))
    export.write(tmp_path / "usb", PROBE, ORIGIN, records(tmp_path / "state"), None)
    assert written(tmp_path / "usb") == [b"receipt one", kept.raw]


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"x" + b])
def test_any_change_to_a_file_shows(change: object, spool: Spool, tmp_path: Path) -> None:
    raws = fill(spool, 3)
    whole = exportfile.encode(exportfile.ExportFile(PROBE, ORIGIN, (bundle.encode(raws),)))
    assert exportfile.decode(whole).places == ((1, 0), (1, 1), (1, 2))
    with pytest.raises(Refused):
        exportfile.decode(change(whole))  # type: ignore[operator]


def test_the_command_exports_beside_the_program_that_owns_the_spool(spool: Spool, tmp_path: Path) -> None:
    write_signer(tmp_path / "record.key", KEY)
    (tmp_path / "probe.toml").write_text(_SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64))
    raws = fill(spool, 5)
    command = [sys.executable, "-m", "probe", "export", str(tmp_path / "usb"), "--config", str(tmp_path / "probe.toml")]
    with spool._transaction():  # a commit is under way
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 records (1:0 .. 1:4) in 1 files" in done.stdout
    assert written(tmp_path / "usb") == raws
    wrong = subprocess.run([*command, "--from", "x"], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2
    full = subprocess.run(
        [*command[:4], "/proc/nowhere", *command[5:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert full.returncode == 1
    assert "cannot be written" in full.stderr
    assert json.dumps("Traceback") not in full.stderr
