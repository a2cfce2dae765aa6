"""Tampering with what the collector keeps: each harm is found before anything more is signed, and from outside.

A real collector receives, forwards and seals; a backup is made on the way ("yesterday"); records go on coming and a
last few are not sealed yet. Then, for each harm, a copy of its state is harmed as somebody with all rights on the disk
could, and `dosong-collector seal` is started on it: inside, it must say so before the next checkpoint is signed.
From outside: the same somebody also has the log's key, and makes the whole log again over the harmed ledger, so that
inside all fits; `dosong-verify`, with an export, its proofs and one checkpoint kept from before, must refuse it.
In the end one byte or row is changed at random in records and receipts, many times.
Source: issue 5; facts note 08 §7.2, row 11.
"""

# ruff: noqa: S608 (fixed texts of ours)
from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from collector.blocks import Block, BlockPacker
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_port import DeliveryRow, ReceiptRow, RefusedBytes
from collector.ledger_write import SqliteLedger
from collector.pack import Packer
from collector.seal import Sealer
from collector.seal_audit import Broken
from collector.seal_store import SealReader, SealStore
from tests.collector.harm import raws_of, rewrite
from tests.faults.judge import keep
from tests.faults.world import ORIGIN, ROOT, World, is_sealed, wait_for, worlds
from wire import codec, notes
from wire.errors import Refused, Unavailable
from wire.keyfile import read_signer
from wire.note import Signer, sign

POINT = Signer.from_seed(f"{ORIGIN}/point/hn-1", bytes(range(32)))
BYTE = "CAST(substr({c}, 1, {at}) || x'{x}' || substr({c}, {at} + 2) AS BLOB)"
RAW = BYTE.format(c="raw", at=30, x="55")
FREE = "DROP TRIGGER IF EXISTS {t}_stays; DROP TRIGGER IF EXISTS {t}_is_final;"
SWAP = (
    "DROP INDEX entry_identity; UPDATE entry SET n = -1 WHERE n = 40; UPDATE entry SET n = 40 WHERE n = 41;"
    "UPDATE entry SET n = 41 WHERE n = -1"
)
BLOCK = "(SELECT max(first_n) FROM block WHERE first_n <= 40)"

LEDGER: dict[str, str] = {
    "record: one byte": "record 40",
    "record: another signed record in its place": "record 40 is 41",
    "record: deleted": "DELETE FROM entry WHERE n = 40",
    "records: the newest sealed ones deleted": "DELETE FROM entry WHERE n > {sealed} - 5",
    "block: one byte": f"{FREE.format(t='block')} UPDATE block SET packed ="
    f" {BYTE.format(c='packed', at=30, x='55')} WHERE first_n = {BLOCK}",
    "block: deleted": f"{FREE.format(t='block')} DELETE FROM block WHERE first_n = {BLOCK}",
    "records: two swapped": SWAP,
    "receipt: one byte": f"{FREE.format(t='receipt')} UPDATE receipt SET raw = {RAW} WHERE n = 2",
    "receipt: deleted": f"{FREE.format(t='receipt')} DELETE FROM receipt WHERE n = 2",
}
"""Harms to what the log seals: found inside and outside."""
BESIDE: dict[str, str] = {
    "delivery: one figure": "UPDATE delivery SET bytes = bytes + 1 WHERE n = 3",
    "delivery: deleted": "DELETE FROM delivery WHERE n = 3",
    "refusal: one byte of what was refused": f"UPDATE refusal SET raw = {BYTE.format(c='raw', at=12, x='55')}"
    " WHERE n = 1",
    "refusal: another reason": "UPDATE refusal SET reason = 'too_big' WHERE n = 1",
    "rollup: counted samples of a day": "UPDATE rollup_day SET counted = counted + 9 WHERE day_ms ="
    " (SELECT max(day_ms) FROM rollup_day)",
    "rollup: a commune's month": "UPDATE rollup_total SET counted = counted + 90 WHERE span = 'month'",
    "rollup: a day's packed medians": "UPDATE rollup_day SET hours = (SELECT hours FROM rollup_day ORDER BY day_ms"
    " LIMIT 1) WHERE day_ms = (SELECT max(day_ms) FROM rollup_day)",
}
"""Harms to what stands beside the log: found inside; nothing of it is proof for anybody outside."""
SEAL: dict[str, str] = {
    "seal.db: a root": "UPDATE checkpoint SET root = zeroblob(32) WHERE size = (SELECT min(size) FROM checkpoint)",
    "seal.db: an index": "UPDATE run SET first_n = first_n + 1, count = count - 1 WHERE first_index ="
    " (SELECT max(first_index) FROM run WHERE source = 'record')",
    "seal.db: a checkpoint forgotten": "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One harm: what the sealer said, after how many seconds; what dosong-verify said. "": not found; "-": no case."""

    harm: str
    inside: str
    inside_s: float
    outside: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A collector's state at rest, a backup of an earlier day, and what somebody outside kept."""

    folder: Path
    config: Path
    state: Path
    yesterday: Path
    vkeys: Path
    old: Path
    sealed: int
    size: int


def main(argv: list[str] | None = None) -> int:
    """Harm, look, count; exits 1 if something was not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edits", type=int, default=1000, help="random changes of one byte or row (1000)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-tamper-") as name:
        scene = prepare(Path(name), 600, 1500)
        found = [case() for case in cases(scene)]
        control = outside(scene, scene.state.with_name("honest"), rebuilt=False)
        missed = random_edits(scene, options.edits)
    keep("faults_tamper", {"cases": [asdict(one) for one in found], "edits": options.edits, "missed": missed})
    return tell(found, control, options.edits, missed)


def prepare(folder: Path, before: int, after: int) -> Scene:
    """Let a real collector work; stop it with a few records that are not sealed yet."""
    with worlds(folder, 4) as world:
        fleet = world.fleet("--rate", "40", "--undated-every", "15")
        try:
            keeper = world.keeper()
            wait_for("a first day", lambda: fleet.status()["acked"] >= before and _published(world), 300)
            world.call("backup", str(folder / "yesterday"))
            wait_for("a second day", lambda: fleet.status()["acked"] >= after, 300)
            keeper.close()
            _witnesses(world)
            keeper = world.keeper(0, "--programs", "seal")
            wait_for("all of it is sealed", lambda: is_sealed(world) and _receipts_are(world), 120)
            keeper.close()
            old = (world.settings.log_folder / "checkpoint").read_bytes()
            (folder / "old.checkpoint").write_bytes(old)
            with closing(LedgerLeaves(world.settings.ledger)) as rows:
                sealed = rows.last_n()
            held = fleet.status()["acked"]
            keeper = world.keeper(0, "--programs", "receive")
            wait_for("records behind it", lambda: fleet.status()["acked"] > held + 10, 60)
            fleet.finish()
            keeper.close()
        finally:
            fleet.close()
            keeper.close()
        vkeys = folder / "probes.vkeys"
        vkeys.write_text("".join(f"{_vkey(one)}\n" for one in sorted((world.root / "probes").iterdir())))
        return Scene(
            folder, world.config, world.state, folder / "yesterday", vkeys, folder / "old.checkpoint", sealed,
            int(old.split(b"\n")[1]),
        )  # fmt: skip


def _vkey(folder: Path) -> str:
    return read_signer(folder / "record.key").verifier.vkey


def _published(world: World) -> bool:
    return (world.settings.log_folder / "checkpoint").exists()


def _receipts_are(world: World) -> bool:
    with (
        closing(SealReader(world.settings.seal)) as log,
        closing(LedgerLeaves(world.settings.ledger, "receipt")) as rows,
    ):
        return log.last_n("receipt", rows.generation()) == rows.last_n()


def _witnesses(world: World) -> None:
    """Receipts of a measurement point, and messages that were refused: now, so that `[retention]` lets none go."""
    now_ms = int(time.time() * 1000)
    with closing(SqliteLedger(world.settings.ledger)) as ledger, ledger.transaction():
        for number in range(5):
            receipt = notes.Receipt(
                v=1, signed_ms=now_ms - 1000 + number, ticket=f"{number:022d}", probe="p-00001", point="hn-1",
                direction="downlink", source="198.18.0.1", bytes=1_000_000, duration_us=1_000_000,
            )  # fmt: skip
            raw = notes.seal(receipt, ORIGIN, POINT)
            ledger.keep_receipt(ReceiptRow(codec.leaf_hash(raw), receipt, now_ms, raw))
            refused = RefusedBytes("p-00001", "bad_signature", "made up", sign(b"dosong.example/x/v1\n{}\n", POINT))
            ledger.deliver([DeliveryRow(now_ms, "dosong/v1/up/1/p-00001", "p-00001", 99, 0, 0, (refused,))])


def cases(scene: Scene) -> list[Callable[[], Found]]:
    """Every harm as a call that plays it."""
    found: list[Callable[[], Found]] = []
    for harms, file, is_sealed_too in (
        (LEDGER, "ledger.db", True),
        (BESIDE, "ledger.db", False),
        (SEAL, "seal.db", False),
    ):
        for harm, sql in harms.items():
            text = sql.format(sealed=scene.sealed) if "{sealed}" in sql else sql
            found.append(lambda h=harm, f=file, t=text, o=is_sealed_too: _case(scene, h, lambda s: _harm(s / f, t), o))
    found += [
        lambda: _case(scene, "tile: one hash of the leaves", lambda s: _flip(s, 0, "000"), False),
        lambda: _case(scene, "tile: one hash above the leaves", lambda s: _flip(s, 1, "000*"), False),
        lambda: _case(scene, "tile: deleted", lambda s: _flip(s, 0, "001", delete=True), False),
        lambda: _case(scene, "checkpoint: an older one put back", _old_checkpoint, False),
        lambda: _case(scene, "ledger.db: yesterday's put back", lambda s: _yesterday(scene, s, "ledger.db"), True),
        lambda: _case(scene, "seal.db: yesterday's put back", lambda s: _yesterday(scene, s, "seal.db"), False),
        lambda: _restored(scene),
    ]
    return found


def _case(scene: Scene, harm: str, do: Callable[[Path], None], from_outside: bool) -> Found:
    state = scene.folder / "case"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(scene.state, state, ignore=_files)
    do(state)
    said, seconds = _seal(scene, state)
    again = outside(scene, state, rebuilt=True) if from_outside else "-"
    return Found(harm, said, seconds, again)


def _restored(scene: Scene) -> Found:
    """Yesterday's ledger and the word `restored`: an open act, which everybody can see and follow."""
    state = scene.folder / "case"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(scene.state, state, ignore=_files)
    _yesterday(scene, state, "ledger.db")
    config = _config(scene, state)
    _collector(config, "restored")
    begun_s = time.monotonic()
    _seal(scene, state)
    with closing(SealStore(state / "seal.db")) as log:
        shards = log.shards()
        last = log.last_checkpoint(shards[0].n)
        named = len(shards) == 2 and last is not None and shards[1].first_leaf == last.note
    inside = f"a new log, {shards[-1].name}, whose first entry is the last checkpoint" if named else ""
    seconds = time.monotonic() - begun_s
    return Found("ledger.db: yesterday's, and `restored`", inside, seconds, outside(scene, state, rebuilt=False))


def _files(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith((".sock", ".lock", ".state.json"))}


def _harm(path: Path, text: str) -> None:
    """One harm of LEDGER, BESIDE or SEAL: SQL, or the bytes of record 40, in a block that reads as well as before."""
    if not text.startswith("record 40"):
        return _sql(path, text)
    raws = raws_of(path)
    if text.endswith("41"):
        rewrite(path, {40: raws[41]})
        return _sql(path, "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE n = 41) WHERE n = 40")
    return rewrite(path, {40: raws[40][:30] + b"\x55" + raws[40][31:]})


def _sql(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        before = db.total_changes
        db.executescript(text)
        db.commit()
        assert db.total_changes > before, f"nothing was harmed by {text}"


def _flip(state: Path, level: int, name: str, *, delete: bool = False) -> None:
    found = sorted(one for one in (state / "log").glob(f"2*/tile/{level}/{name}") if one.is_file())
    found += sorted((state / "log").glob(f"2*/tile/{level}/{name}.p/*"), key=lambda one: int(one.name))
    path = found[-1] if "*" in name else found[0]
    raw = bytearray(path.read_bytes())
    raw[5] ^= 1
    path.unlink() if delete else path.write_bytes(bytes(raw))


def _old_checkpoint(state: Path) -> None:
    """Publish the first checkpoint of the log again, with a byte of its root changed."""
    path = next((state / "log").glob("2*/checkpoint"))
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], str(int(lines[1]) - 7), *lines[2:]]))


def _yesterday(scene: Scene, state: Path, name: str) -> None:
    for rest in ("-wal", "-shm", ""):
        (state / f"{name}{rest}").unlink(missing_ok=True)
    shutil.copy(scene.yesterday / name, state / name)


def _config(scene: Scene, state: Path) -> Path:
    """The same collector's settings over another state."""
    path = scene.config.with_name("case.toml")
    path.write_text(scene.config.read_text().replace(f'"{scene.state}"', f'"{state}"'))
    return path


def _collector(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "collector", *words, "--config", str(config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def _seal(scene: Scene, state: Path) -> tuple[str, float]:
    """Start the sealer's program; what it complains of and after how long; "" if it signs instead.

    It signs if a signature is made after its start: a program that goes on names the last one of an earlier run.
    """
    said, begun_s, begun_ms = state / "seal.state.json", time.monotonic(), int(time.time() * 1000)
    said.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "collector", "seal", "--config", str(_config(scene, state))]
    with (scene.folder / "seal.log").open("ab") as log:
        program = subprocess.Popen(argv, stdout=log, stderr=log, cwd=ROOT)
    try:

        def answer() -> tuple[str, bool] | None:
            if program.poll() not in (None, 0):
                return f"the program ends with {program.returncode}", False
            if not said.exists():
                return None
            found = json.loads(said.read_text())
            signed = found["signed_ms"] is not None and found["signed_ms"] >= begun_ms
            return (found["error"] or "", signed) if found["error"] or signed else None

        sentence, signed = wait_for("the sealer says something", answer, 120)
        return ("" if signed else sentence), time.monotonic() - begun_s
    finally:
        program.terminate()
        program.wait(300)


def outside(scene: Scene, state: Path, *, rebuilt: bool) -> str:
    """What dosong-verify says of an export, with the older checkpoint; `rebuilt`: of a log made again. "": in order."""
    if not state.exists():
        shutil.copytree(scene.state, state, ignore=_files)
        refused, _ = _seal(scene, state)
        if refused:
            return f"its own sealer signs no more: {refused}"
    if rebuilt:
        shutil.rmtree(state / "log")
        for rest in ("", "-wal", "-shm"):
            (state / f"seal.db{rest}").unlink(missing_ok=True)
        refused, _ = _seal(scene, state)
        if refused:
            return f"no log can be made over it: {refused[:60]}"
    config, folder = _config(scene, state), scene.folder
    export = _collector(config, "export", "--proofs")
    proof = _collector(config, "consistency", str(scene.size))
    if export.returncode or proof.returncode:
        return f"no answer: {(export.stderr + proof.stderr).strip().splitlines()[-1][:80]}"
    (folder / "export.jsonl").write_text(export.stdout)
    (folder / "proof").write_text(proof.stdout)
    argv = [sys.executable, "-m", "wire.verify", "--json", "--vkeys", scene.vkeys]
    argv += ["--log-vkeys", state / "log" / "vkeys", "--checkpoint", state / "log" / "checkpoint"]
    argv += ["--old-checkpoint", scene.old, "--consistency", folder / "proof", folder / "export.jsonl"]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode == 0:
        return ""
    if done.returncode != 1:
        return f"refused: {done.stderr.strip()[-80:]}"
    reasons = [one["reason"] for one in json.loads(done.stdout)["findings"]]
    return " ".join(dict.fromkeys(reversed(reasons)))


def random_edits(scene: Scene, count: int) -> int:
    """Change one byte, leaf, number or existence of a sealed row at random; return how many a round does not find."""
    missed, draw = 0, random.Random(1)
    state = scene.folder / "edits"
    shutil.copytree(scene.state, state, ignore=_files)
    key = read_signer(scene.config.with_name("log.key"))
    with closing(sqlite3.connect(state / "ledger.db", isolation_level=None)) as db:
        db.executescript(FREE.format(t="receipt") + FREE.format(t="block"))
        rows = [("entry", n) for (n,) in db.execute("SELECT n FROM entry WHERE n <= ?", (scene.sealed,))]
        rows += [("block", n) for (n,) in db.execute("SELECT first_n FROM block WHERE first_n <= ?", (scene.sealed,))]
        rows += [("receipt", n) for (n,) in db.execute("SELECT n FROM receipt")] * 20
        reads = _reads(db)
        store = SealStore(state / "seal.db")
        sources = [LedgerLeaves(state / "ledger.db", name) for name in SOURCES]
        for _ in range(count):
            undo = _edit(db, draw, reads, *draw.choice(rows))
            sealer = Sealer(store, sources, state / "log", key, ORIGIN)
            try:
                signed = sealer.round(int(time.time() * 1000)).signed
                missed += signed is not None
            except (Broken, Unavailable, Refused):
                signed = None
            for sql, values in undo:
                db.execute(sql, values)
            if signed is not None:
                break  # its log is no longer ours
        store.close()
    return missed


COLUMNS = {"entry": ("n", ("leaf",)), "block": ("first_n", ("packed", "signatures")), "receipt": ("n", ("raw", "leaf"))}
Reads = Callable[[str, dict[str, bytes]], object]


def _reads(db: sqlite3.Connection) -> Reads:
    """What the bytes of a row read as: a frame has spare bits, whose change changes nothing."""
    dictionary = db.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0]
    receipts, blocks = Packer(dictionary), BlockPacker(dictionary)

    def reads(table: str, row: dict[str, bytes]) -> object:
        if table == "block":
            return blocks.unpack(Block(row["packed"], row["signatures"]))
        return (row["leaf"], receipts.read(row["raw"]) if table == "receipt" else None)

    return reads


def _edit(
    db: sqlite3.Connection, draw: random.Random, reads: Reads, table: str, n: int
) -> list[tuple[str, tuple[object, ...]]]:
    """Harm one row so that it reads otherwise; returns what puts it back."""
    key, harmed = COLUMNS[table]
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    row = dict(zip(names, db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (n,)).fetchone(), strict=True))
    whole = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    if draw.random() < 0.2:
        db.execute(f"DELETE FROM {table} WHERE {key} = ?", (n,))
        return [(whole, tuple(row.values()))]
    name = draw.choice([one for one in harmed if row[one]])
    was = row[name]
    now = bytearray(was)
    while now == was or reads(table, {**row, name: bytes(now)}) == reads(table, row):
        now = bytearray(was)
        now[draw.randrange(len(now))] ^= 1 << draw.randrange(8)
    db.execute(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", (bytes(now), n))
    return [(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", (was, n))]


def tell(found: list[Found], control: str, edits: int, missed: int) -> int:
    """Print the table and one line for each promise."""
    print(f"{'harm':44}{'inside, s':>10}  inside says / from outside")
    for one in found:
        print(f"{one.harm:44}{one.inside_s:>10.1f}  {one.inside[:90] or 'NOT FOUND: it signed'}")
        if one.outside != "-":
            print(f"{'':56}outside: {one.outside or 'NOT FOUND'}")
    inside = sum(not one.inside for one in found)
    beyond = sum(one.outside == "" for one in found)
    asked = sum(one.outside != "-" for one in found)
    slowest = max(one.inside_s for one in found)
    for name, wrong, of in (
        ("tampering: not found before the next signature", inside, len(found)),
        ("tampering: not found by dosong-verify with an older checkpoint", beyond, asked),
        ("tampering: random changes of one byte or row signed over", missed, edits),
        ("tampering: an honest log refused from outside", int(bool(control)), 1),
    ):
        print(f"goal: {name}: {wrong} of {of} (0): {'short' if wrong else 'met'}")
    print(f"the slowest was said {slowest:.1f} s after the sealer's start")
    return 1 if inside or beyond or missed or control else 0


if __name__ == "__main__":
    sys.exit(main())
