"""The evidence pack: made from a real ledger and log, checked offline, and every lie in it named."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cryptography
import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings, strategies

from collector.__main__ import main
from collector.core import coverage
from collector.core.clock import DAY_MS, HOUR_MS, day_of, month_of
from collector.core.period import Period
from collector.evidence import hamlet_evidence
from collector.evidence_pack import Packer, Wanted, zipped
from collector.leaves import LedgerLeaves
from collector.pack_reports import kept_reports
from collector.proofs import Prover
from collector.reports.desk import open_desk
from collector.rollups import Rollups
from collector.seal import Sealer
from collector.seal_store import SealStore
from collector.settings import LogSettings, Settings
from collector.tile_files import TileFiles
from tests.collector.kit import ORIGIN, T0_MS
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import recount, verify
from wire.errors import Refused, Unavailable
from wire.note import Signer

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))
START_MS = day_of(T0_MS)[0] + DAY_MS
DAY = Period(START_MS, START_MS + DAY_MS)
Files = dict[str, bytes]


class Sealed:
    """A world whose ledger is sealed on demand."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.settings: Settings = msgspec.structs.replace(made.settings, log=LogSettings(key_file="log.key"))
        self._store = SealStore(self.settings.seal)
        self._leaves = LedgerLeaves(self.settings.ledger)

    def seal(self) -> None:
        folder = self.settings.log_folder
        Sealer(self._store, [self._leaves], folder, KEY, ORIGIN).round(self.world.now_ms)
        TileFiles(folder).put("vkeys", "\n".join(Prover(self._store, folder).vkeys(KEY.verifier)).encode() + b"\n")

    def make(
        self, *reports: tuple[str, bytes], unit: str = "05755", period: Period = DAY, at: int | None = None
    ) -> bytes:
        packer = Packer(self.settings, self.world.reader, self.world.registry, at)
        return packer.make(Wanted(unit, period, reports)).raw

    def close(self) -> None:
        self._store.close()
        self._leaves.close()


def fill(here: World) -> None:
    """A day with everything in it: good tests, failed ones, a wrong way, two in a slot, an outage, a clock set late."""
    probe = here.probe
    here.now_ms = DAY.end_ms + 2 * DAY_MS

    def hour(number: int, states: str, **changes: Any) -> bytes:
        return probe.coverage(states, "".join("." if s == "C" else "s" for s in states),
                              t_ms=START_MS + number * HOUR_MS, **changes)  # fmt: skip

    def run(minute: int, **changes: Any) -> bytes:
        t_ms = START_MS + minute * 60_000
        return probe.test(**{"t_ms": t_ms, "slot_ms": t_ms // 600_000 * 600_000, **changes})

    undated: dict[str, Any] = {"t_ms": None, "clock": "unsynced", "boot": "f" * 32}
    astray = {"verdict": "invalid_path", "iface": "cell0", "rx_bytes": 1, "tx_bytes": 1, "other_rx_bytes": 9,
              "other_tx_bytes": 9, "ifindex_changed": False}  # fmt: skip
    elsewhere = {"source": "gps", "lat_e7": 210_000_000, "lon_e7": 1_058_000_000}
    no_rates = {"downlink_bps": None, "uplink_bps": None}
    raws = [
        hour(-2, "C" * 60), run(-90), hour(0, "C" * 50 + "N" * 10), run(65), run(67),
        run(90, outcome="failed", stage="dns", cause="timeout", **no_rates),
        hour(1, "N" * 20 + "D" * 20 + "U" * 20, plmn=None), run(130, path=astray), run(200, referral="XX9"),
        run(240, clock="suspect"), run(260, position=elsewhere), run(300, slot_ms=None),
        run(0, mono_ms=5_000, slot_ms=START_MS + 330 * 60_000, **undated),
        run(345, outcome="partial", stage="uplink", cause="timeout"),
        probe.event("clock_set", boot="f" * 32, mono_ms=9_000, t_ms=START_MS + 400 * 60_000, set_mono_ms=9_000,
                    set_t_ms=START_MS + 400 * 60_000, set_err_ms=20),
        hour(23, "C" * 60), hour(24, "C" * 60),
    ]  # fmt: skip
    for raw in raws:
        here.take(raw)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Sealed]:
    with world(tmp_path) as made:
        fill(made)
        sealed = Sealed(made)
        sealed.seal()
        yield sealed
        sealed.close()


def unzip(raw: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(raw)) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def check(folder: Path, raw: bytes, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    path = folder / "pack.zip"
    path.write_bytes(raw)
    status = verify.main([*words, str(path)])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_a_pack_verifies_and_tells_what_ledger_and_pages_tell(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = here.make(("bao-cao.pdf", b"%PDF-1.7 thu"))
    status, said = check(tmp_path, raw, capsys)
    assert status == 0, said
    head = json.loads(unzip(raw)["manifest.json"])["headline"]
    counts = Rollups(here.world.reader).hamlet_counts(DAY.start_ms, DAY.end_ms)[HAMLET]
    for name in ("tests", "ok", "partial", "failed", "skipped", "counted"):
        assert head[name] == getattr(counts, name), name
    (evidence,) = hamlet_evidence(here.world.reader, here.world.registry, HAMLET, DAY)
    tally = coverage.tally(evidence.minutes)
    known = (tally.covered, tally.degraded, tally.no_service, tally.unknown)
    assert tuple(head[name] for name in ("covered", "degraded", "no_service", "unknown")) == known
    assert head["counted"] == 2
    assert f"counted {head['counted']}" in said
    assert "report/bao-cao.pdf" in unzip(raw)


def test_the_same_state_gives_the_same_bytes_and_an_older_checkpoint_gives_them_again(here: Sealed) -> None:
    first = here.make()
    assert here.make() == first
    size = int(unzip(first)["checkpoint"].splitlines()[1])
    probe = here.world.probe
    here.world.take(probe.coverage("C" * 60, "." * 60, t_ms=DAY.end_ms + DAY_MS))
    here.seal()
    assert here.make() != first, "another checkpoint"
    assert here.make(at=size) == first


def edited(files: Files, name: str, change: Callable[[list[dict[str, str]]], None], *, hide: bool = True) -> bytes:
    """A pack with a table changed; `hide`: its digest in the manifest is made to fit."""
    rows = list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"))))
    columns = list(rows[0])
    change(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return zipped(_hidden({**files, name: ("\ufeff" + out.getvalue()).encode()}) if hide else
                  {**files, name: ("\ufeff" + out.getvalue()).encode()})  # fmt: skip


def _hidden(files: Files) -> Files:
    from hashlib import sha256  # noqa: PLC0415

    manifest = json.loads(files["manifest.json"])
    manifest["files"] = [
        {"name": name, "bytes": len(raw), "sha256": sha256(raw).hexdigest()}
        for name, raw in sorted(files.items())
        if name != "manifest.json"
    ]
    return {**files, "manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize(
    ("name", "line", "field", "value"),
    [
        ("samples.csv", 0, "downlink_bps", "99000000"),
        ("samples.csv", 2, "outcome", "ok"),
        ("samples.csv", 2, "counted", "1"),
        ("samples.csv", 3, "not_counted", ""),
        ("samples.csv", 1, "begun", "2026-09-22T08:00:00+07:00"),
        ("figures.csv", 0, "counted", "300"),
        ("figures.csv", 0, "covered", "1440"),
        ("minutes.csv", 0, "no_service", "0"),
    ],
)
def test_an_edited_number_is_named_with_file_row_field_and_what_the_records_give(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, line: int, field: str, value: str
) -> None:
    files = unzip(here.make())
    was = list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"))))[line][field]
    raw = edited(files, name, lambda rows: rows[line].__setitem__(field, value))
    status, said = check(tmp_path, raw, capsys)
    assert status == 1
    assert f"{name} row {line + 2} field {field}: differs: says {value!r}; the records give {was!r}" in said
    status, said = check(tmp_path, edited(files, name, lambda rows: rows[line].__setitem__(field, value), hide=False),
                         capsys)  # fmt: skip
    assert f"{name}: changed_file" in said


def test_an_edited_headline_is_named(here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = unzip(here.make())
    manifest = json.loads(files["manifest.json"])
    manifest["headline"]["failed"] = 0
    status, said = check(tmp_path, zipped({**files, "manifest.json": json.dumps(manifest).encode()}), capsys)
    assert (status, "manifest.json headline field failed: differs: says 0; the records give 1" in said) == (1, True)


def test_a_failed_sample_that_was_taken_out_is_a_hole_with_its_place(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = unzip(here.make())
    failed = next(r for r in csv.DictReader(io.StringIO(files["samples.csv"].decode("utf-8-sig")))
                  if r["outcome"] == "failed")  # fmt: skip
    kept = [line for line in files["records.jsonl"].splitlines() if f'"seq":{failed["seq"]},'.encode()
            not in base64.b64decode(json.loads(line)["raw"])]  # fmt: skip
    assert len(kept) == len(files["records.jsonl"].splitlines()) - 1
    files["records.jsonl"] = b"".join(line + b"\n" for line in kept)
    raw = edited(files, "samples.csv", lambda rows: rows.remove(next(r for r in rows if r["outcome"] == "failed")))
    status, said = check(tmp_path, raw, capsys)
    assert status == 1
    assert f"gap: p-one epoch 1: seq {failed['seq']} to {failed['seq']} missing" in said
    assert "manifest.json headline field failed: differs: says 1; the records give 0" in said


def test_records_cut_off_at_the_end_do_not_reach_over_the_period(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = unzip(here.make())
    lines = files["records.jsonl"].splitlines(keepends=True)
    for cut, word in ((lines[:-3], "end before the period"), (lines[3:], "begin after the period")):
        status, said = check(tmp_path, zipped(_hidden({**files, "records.jsonl": b"".join(cut)})), capsys)
        assert (status, word in said) == (1, True), said


def test_a_file_changed_taken_out_or_put_in_is_named(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = unzip(here.make(("bao-cao.pdf", b"%PDF-1.7 thu")))
    for changed, word in (
        ({**files, "report/bao-cao.pdf": b"%PDF-1.7 khac"}, "report/bao-cao.pdf: changed_file"),
        ({k: v for k, v in files.items() if not k.startswith("report/")}, "report/bao-cao.pdf: missing_file"),
        ({**files, "report/khac.pdf": b""}, "report/khac.pdf: strange_file"),
    ):
        status, said = check(tmp_path, zipped(changed), capsys)
        assert (status, word in said) == (1, True), said


def test_another_logs_key_or_a_record_outside_the_log_is_named(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Signer.from_seed(f"{ORIGIN}/log/2026", bytes(range(1, 33))).verifier.vkey
    raw = here.make()
    assert check(tmp_path, raw, capsys, "--log-vkey", other)[0] == 1
    files = unzip(raw)
    rows = [json.loads(line) for line in files["records.jsonl"].splitlines()]
    rows[2]["proof"], rows[3]["proof"] = rows[3]["proof"], rows[2]["proof"]
    files["records.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    status, said = check(tmp_path, zipped(_hidden(files)), capsys)
    assert (status, "bad_proof" in said) == (1, True)


def test_what_is_not_sealed_yet_is_not_handed_out(here: Sealed) -> None:
    here.world.take(here.world.probe.coverage("C", ".", t_ms=DAY.end_ms - 60_000))
    with pytest.raises(Unavailable, match="not sealed yet"):
        here.make()


def test_a_unit_that_is_none_is_refused(here: Sealed) -> None:
    with pytest.raises(Refused, match="no province, commune or hamlet"):
        here.make(unit="nowhere")


def test_damaged_zips_are_told_in_a_sentence(tmp_path: Path, here: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    raw = here.make()
    for broken in (raw[: len(raw) // 2], b"PK\x03\x04", b""):
        status, said = check(tmp_path, broken, capsys)
        assert (status, "copy it again" in said) == (2, True), said
    files = unzip(raw)
    del files["samples.csv"]
    status, said = check(tmp_path, zipped(files), capsys)
    assert (status, "samples.csv is missing" in said) == (2, True)


def test_an_official_and_an_auditor_download_a_month_and_a_visitor_does_not(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = here.world
    path = f"/packs/{HAMLET}/2026-09.zip"
    assert get(made.client(), path).status_code in {302, 303}
    assert get(made.client("technician"), path).status_code == 403
    assert check(tmp_path, get(made.client("auditor"), path).data, capsys)[0] == 0
    official = made.client("official")
    assert "/packs/05755/2026-09.zip" in get(official, "/official").text
    assert check(tmp_path, get(official, "/packs/05755/2026-09.zip").data, capsys)[0] == 0
    for nowhere in ("/packs/19/2026-09.zip", "/packs/05755/2026-13.zip", "/packs/no/2026-09.zip"):
        assert get(official, nowhere).status_code == 404
    made.take(made.probe.coverage("C", ".", t_ms=DAY.end_ms - 60_000))
    later = get(official, path)
    assert (later.status_code, "niêm phong" in later.text) == (503, True)


def test_a_kept_report_goes_along(here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = here.world
    month = Period(*month_of(T0_MS))
    desk = open_desk(here.settings, made.reader, made.registry)
    kept = desk.make("month", "05755", month, made.now_ms, by="official")
    drawn = {f"report/month-vi-{kept.id}.{d.format}": desk.store.drawn(kept.id, d.format)
             for d in desk.store.drawings(kept.id)}  # fmt: skip
    desk.store.close()
    raw = get(made.client("official"), "/packs/05755/2026-09.zip").data
    assert {name: body for name, body in unzip(raw).items() if name.startswith("report/")} == drawn
    assert any(name.endswith(".pdf") for name in drawn)
    status, said = check(tmp_path, raw, capsys)
    assert status == 0, said
    assert kept_reports(here.settings.state, HAMLET, month) == ()


@pytest.mark.netns
def test_the_pack_is_verified_in_an_empty_environment_without_a_network(here: Sealed, tmp_path: Path) -> None:
    """A fresh environment with `cryptography` and nothing else, in a namespace with no way out."""
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False, symlinks=True)
    inside = next((empty / "lib").glob("python3*")) / "site-packages"
    here_are = Path(cryptography.__file__).parents[1]
    for name in ("cryptography", "cffi", *(p.name for p in here_are.glob("_cffi_backend*"))):
        (inside / name).symlink_to(here_are / name)
    raw = here.make()
    (tmp_path / "pack.zip").write_bytes(raw)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(io.BytesIO(raw)) as pack:
        pack.extractall(folder)
    alone = ["unshare", "-n", str(empty / "bin" / "python"), "-I", str(folder / "dosong-verify.py")]
    for path in (tmp_path / "pack.zip", folder):
        done = subprocess.run([*alone, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "counted 2" in done.stdout
    told = subprocess.run(
        [*alone[:-2], "-I", "-c", "import msgspec"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "ModuleNotFoundError" in told.stderr, "the environment is not empty"


@settings(max_examples=100, deadline=None)
@given(strategies.data())
def test_minutes_counted_twice_by_two_programs_are_the_same(data: strategies.DataObject) -> None:
    """The pack's own counting of minutes against the pages', over windows that overlap, change operator and edges."""
    asked = recount.Asked("commune", "05755", START_MS, START_MS + 3 * HOUR_MS)
    period = Period(asked.start_ms, asked.end_ms)
    place = {"from_ms": 0, "until_ms": None, "site": "s", "hamlet": HAMLET, "commune": "05755", "province": "19",
             "lat_e7": None, "lon_e7": None}  # fmt: skip
    drawn = data.draw(strategies.lists(strategies.tuples(
        strategies.integers(-60, 60), strategies.sampled_from([20_000, 60_000, 61_000]),
        strategies.text("CDNU", min_size=1, max_size=60), strategies.sampled_from(["m1", "m2"]),
    ), max_size=8))  # fmt: skip
    records = [
        recount.Given(f"{n}", n, {"kind": "coverage", "probe": "p", "boot": "b", "mono_ms": 0, "modem": modem,
                      "plmn": "45204", "t_ms": START_MS + at * 60_000, "step_ms": step_ms, "states": states})
        for n, (at, step_ms, states, modem) in enumerate(drawn)
    ]  # fmt: skip
    found = recount.minutes(records, recount.Known({"p": [place]}, {}, frozenset()), asked).get((HAMLET, "45204"), {})
    witnesses = [
        coverage.seen_by(coverage.Witness("p", modem, (), 0, tuple(
            coverage.Window(START_MS + at * 60_000, step_ms, states, "." * len(states))
            for at, step_ms, states, of in drawn if of == modem and at >= -60
        )), period)
        for modem in ("m1", "m2")
    ]  # fmt: skip
    tally = coverage.tally(coverage.merged(witnesses))
    ranks = list(found.values())
    assert tuple(ranks.count(rank) for rank in (0, 1, 2)) == (tally.covered, tally.degraded, tally.no_service)


def test_the_command_writes_what_the_verifier_takes(
    here: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "collector.toml", tmp_path / "out.zip"
    (tmp_path / "ghi-chu.txt").write_text("một tệp gửi kèm")

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["pack", "--config", str(config), "--unit", "05755", *words, str(out)])

    done = run("--from", "2026-09-22", "--to", "2026-09-22", "--report", str(tmp_path / "ghi-chu.txt"))
    assert done.exit_code == 0, done.output
    assert "counted 2" in done.output
    assert out.read_bytes() == here.make(("ghi-chu.txt", "một tệp gửi kèm".encode()))
    assert verify.main([str(out)]) == 0
    capsys.readouterr()
    for wrong in (("--month", "2026-13"), ("--from", "2026-09-22"), ("--month", "2026-09", "--to", "2026-09-02"), ()):
        assert run(*wrong).exit_code == 1, wrong
