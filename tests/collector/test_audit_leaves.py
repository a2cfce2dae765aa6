"""Logins are leaves of the log without a signature: everything that reads the log or the notes must take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from collector import backup, ledger_notes
from collector.__main__ import main
from collector.core import audit
from collector.ingest import Message
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_port import ReceiptRow
from collector.proofs import Prover
from collector.registry_identity import Identities
from collector.seal import Sealer
from collector.seal_store import SealReader, SealStore
from collector.settings import LogSettings
from collector.statements import NOTES, Statements
from collector.tile_files import TileFiles
from tests.collector.kit import ORIGIN, T0_MS
from tests.collector.test_evidence_pack import KEY, fill, unzip
from tests.collector.test_web_world import World, get
from wire import codec, note, notes, tlog, verify
from wire.note import Signer

REGISTRY = Signer.from_seed(f"{ORIGIN}/registry", bytes(range(32)))


class Seen(World):
    """A world whose logins and registry notes reach ledger and log as `receive` and `seal` bring them there."""

    def settle(self) -> None:
        """Everything that waits becomes rows, and every row a leaf."""
        with closing(Identities(self.settings.registry)) as identities:
            trail = self.entrance.trail
            statements = self._ingest.statements = Statements(ORIGIN, identities, REGISTRY.verifier, None, trail)
            for upto, raws in statements.due():
                done = self._ingest.take([Message(NOTES, raw) for raw in raws], self.now_ms)
                assert not done.refused_as
                statements.done(upto)
            self._ingest.statements = None
        folder = self.settings.log_folder
        with ExitStack() as held:
            store = held.enter_context(closing(SealStore(self.settings.seal)))
            tables = [held.enter_context(closing(LedgerLeaves(self.settings.ledger, one))) for one in SOURCES]
            Sealer(store, tables, folder, KEY, ORIGIN).round(self.now_ms)
            TileFiles(folder).put("vkeys", "\n".join(Prover(store, folder).vkeys(KEY.verifier)).encode() + b"\n")

    def revoked(self, subject: str) -> None:
        """A note of the registry that speaks of a probe."""
        said = notes.Revoke(v=1, signed_ms=T0_MS, key_name=f"{ORIGIN}/probe/{subject}", key="y", reason="lost",
                            actor="tester")  # fmt: skip
        with closing(Identities(self.settings.registry)) as identities, identities.transaction():
            identities.add_note("revoke", notes.seal(said, ORIGIN, REGISTRY), self.now_ms)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Seen]:
    with closing(Seen(tmp_path)) as made:
        made.settings = msgspec.structs.replace(made.settings, log=LogSettings(key_file="log.key"))
        fill(made)
        made.revoked("p-one")
        made.client("official")  # logs in by the login page
        made.settle()
        yield made


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, [words[0], "--config", str(folder / "collector.toml"), *words[1:]])


def kinds(here: Seen) -> list[str]:
    return [kind for _, _, kind, _, _ in ledger_notes.read(here.settings.ledger)]


def test_a_pack_is_made_after_a_login_and_holds_no_line_of_the_trail(
    here: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.TYPE in kinds(here)
    out = tmp_path / "pack.zip"
    done = run(tmp_path, "pack", "--unit", "05755", "--from", "2026-09-22", "--to", "2026-09-22", str(out))
    assert done.exit_code == 0, done.output
    assert verify.main([str(out)]) == 0, capsys.readouterr().out
    assert f"{ORIGIN}/audit/" not in str(unzip(out.read_bytes())), "names of accounts are no evidence of a unit"


def test_notes_tells_every_leaf_and_proves_it(here: Seen, tmp_path: Path) -> None:
    done = run(tmp_path, "notes", "--proofs")
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["type"] for row in rows} == {"audit", "revoke"}
    key = note.parse_vkey((here.settings.log_folder / "vkeys").read_text().splitlines()[0])
    for row in rows:
        raw = note.strict_base64(row["raw"])
        assert tlog.check_proof(raw, tlog.parse_proof(row["proof"].encode()), key) is not None, row["type"]
    assert {row["signer"] for row in rows if row["type"] == "audit"} == {""}
    only = run(tmp_path, "notes", "--type", "revoke")
    assert [json.loads(line)["type"] for line in only.stdout.splitlines()] == ["revoke"]


def _probe_keys(here: Seen, folder: Path) -> str:
    path = folder / "probes.vkeys"
    path.write_text(here.probe.signer.verifier.vkey + "\n")
    return str(path)


def test_the_whole_log_from_its_entries_is_taken_by_the_verifier(
    here: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, log_keys = _probe_keys(here, tmp_path), str(here.settings.log_folder / "vkeys")
    checkpoint = next(here.settings.log_folder.glob("2*/checkpoint"))
    size = int(checkpoint.read_bytes().splitlines()[1])
    year = checkpoint.parent.name
    found = get(here.client("auditor"), f"/log/{year}/tile/entries/000.p/{size}")
    assert found.status_code == 200
    entries = tmp_path / "entries.bundle"
    entries.write_bytes(found.data)
    words = ["--vkeys", keys, "--log-vkeys", log_keys, "--checkpoint", str(checkpoint)]
    assert verify.main([*words, str(entries)]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert f"{size} proved" in said
    assert "17 records, 17 authentic" in said
    assert f"{size - 17} other leaves" in said
    changed = found.data.replace(b'"actor":"official"', b'"actor":"offizial"')
    assert changed != found.data
    entries.write_bytes(changed)
    assert verify.main([*words, str(entries)]) == 1
    assert "not_in_log" in capsys.readouterr().out


def test_a_receipt_has_a_proof_of_its_own(here: Seen) -> None:
    """Receipts are leaves: whoever holds one proves by its `.tlog-proof` alone when the log had it."""
    point = Signer.from_seed(f"{ORIGIN}/point/hn-1", bytes(range(1, 33)))
    raws = []
    for number in range(3):
        said = notes.Receipt(
            v=1, signed_ms=T0_MS + number, ticket=f"{number:022d}", probe="p-one", point="hn-1", direction="downlink",
            source="198.18.0.1", bytes=1_000_000, duration_us=1_000_000,
        )  # fmt: skip
        raws.append(notes.seal(said, ORIGIN, point))
        with here._ledger.transaction():
            here._ledger.keep_receipt(ReceiptRow(codec.leaf_hash(raws[-1]), said, T0_MS, raws[-1]))
    with closing(SealReader(here.settings.seal)) as store:
        assert Prover(store, here.settings.log_folder).proof(2, "receipt") is None, "not sealed yet"
    here.settle()
    key = note.parse_vkey((here.settings.log_folder / "vkeys").read_text().splitlines()[0])
    with closing(SealReader(here.settings.seal)) as store:
        prover = Prover(store, here.settings.log_folder)
        for n, raw in enumerate(raws, 1):
            text = prover.proof(n, "receipt")
            assert text is not None
            assert text.startswith(b"c2sp.org/tlog-proof@v1\n")
            proof = tlog.parse_proof(text)
            assert tlog.check_proof(raw, proof, key) is not None
            assert tlog.check_proof(raws[n % 3], proof, key) is None, "the proof of another receipt"
            assert tlog.check_proof(raw.replace(b"1000000", b"9000000"), proof, key) is None


def test_an_export_has_records_alone_and_verifies(
    here: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(tmp_path, "export", "--proofs")
    assert done.exit_code == 0, done.output
    path = tmp_path / "export.jsonl"
    path.write_text(done.stdout)
    words = ["--vkeys", _probe_keys(here, tmp_path), "--log-vkeys", str(here.settings.log_folder / "vkeys")]
    verify.main([*words, "--json", str(path)])
    found = json.loads(capsys.readouterr().out)
    assert found["included"] == found["authentic"] == here.reader.rows("SELECT count(*) FROM record")[0][0]


def test_backup_check_and_restore_keep_the_trail(here: Seen, tmp_path: Path) -> None:
    lines: list[str] = []
    before = kinds(here)
    (made,) = backup.make(here.settings.state, tmp_path / "copy", lines.append)
    assert backup.verify(tmp_path / "copy", lines.append) == [made]
    assert backup.restore(tmp_path / "copy", tmp_path / "again", lines.append, 0) == 1
    with closing(SealReader(tmp_path / "again" / "seal.db")) as store:
        signed = store.last_checkpoint(store.shards()[-1].n)
        assert signed is not None
        assert (made.size, made.root) == (signed.size, signed.root)
    assert [row[2] for row in ledger_notes.read(tmp_path / "again" / "ledger.db")] == before


def test_a_line_that_was_lost_with_a_ledger_comes_again_once(here: Seen) -> None:
    held = kinds(here)
    here.client("operator")
    here.settle()
    assert len(kinds(here)) > len(held)
    here.settle()
    assert len({raw for *_, raw in ledger_notes.read(here.settings.ledger)}) == len(kinds(here))
