"""Backups of what cannot be made again, checked by the sealed log: a backup that does not verify is no backup.

Order matters: the log's public files first, then `seal.db`, then the ledger, so that whatever a checkpoint covers is in
the copy. The running processes go on; each copy is one consistent moment of its file.
Source: design §7 (ACK, `gen`, restore); issue 5, operations.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from collector.core import tiles
from collector.health import now_ms
from collector.leaves import LedgerLeaves
from collector.ledger_place import LedgerPlace
from collector.ledger_write import SqliteLedger
from collector.seal_store import SealReader, Shard
from collector.sqlite import open_reader
from wire import tlog
from wire.errors import Misconfigured, Refused, Unavailable

FILES = ("seal.db", "ledger.db", "registry.db", "dispute.db", "forward.db", "reports.db")
"""In the order in which they are copied. `forward.db` only spares InfluxDB a second writing."""
BESIDE = ("iccid.secret",)
"""Small files that no program can make again: without this one, a SIM's number is no longer told from another's."""
FOLDERS = ("photos", "reports")
"""Folders of files that are named by the SHA-256 of their bytes: what the registry holds is only that name."""
BATCH = 20_000
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """A log whose root was computed again from the ledger's bytes. `lost`: entries that a restore is known to lack."""

    name: str
    size: int
    root: bytes
    lost: int = 0


def make(state: Path, target: Path, tell: Tell) -> list[Verified]:
    """Copy a collector's state into a new folder and verify it there. Raises Unavailable, Misconfigured, Refused."""
    new_folder(target)
    copy_log(state, target)
    copy_databases(state, target, FILES, tell)
    copy_beside(state, target)
    return verify(target, tell)


def restore(source: Path, state: Path, tell: Tell, at_ms: int | None = None) -> int:
    """Put a backup into an empty state folder and raise the ledger's generation; return it. `at_ms` None: now.

    Verifies first. Raises Misconfigured if there is something in the way, Refused if the backup does not verify.
    """
    must_be_empty(state)
    verify(source, tell)
    with _writing():
        state.mkdir(parents=True, exist_ok=True)
    copy_databases(source, state, (*FILES[2:], "seal.db", "ledger.db"), tell)
    put_log_back(source, state)
    copy_beside(source, state)
    with contextlib.closing(SqliteLedger(state / "ledger.db")) as ledger:
        return ledger.raise_generation(now_ms() if at_ms is None else at_ms)


def new_folder(target: Path) -> None:
    """Make the folder of a backup. Raises Misconfigured if there is something in it, Unavailable."""
    if target.exists() and any(target.iterdir()):
        raise Misconfigured(f"{target} is not empty; name a new folder for each backup")
    with _writing():
        target.mkdir(parents=True, exist_ok=True)


def must_be_empty(state: Path) -> None:
    """Raises Misconfigured if a state folder holds what a backup would bring."""
    there = [name for name in (*FILES, *BESIDE, *FOLDERS, "log") if (state / name).exists()]
    if there:
        raise Misconfigured(f"{state} holds {', '.join(there)}; move them to another place first, never delete them")


def copy_log(source: Path, target: Path) -> None:
    """The log's public files. Raises Unavailable."""
    with _writing():
        if (source / "log").is_dir():
            shutil.copytree(source / "log", target / "log", ignore=shutil.ignore_patterns(".*.new"))


def put_log_back(source: Path, state: Path) -> None:
    """The log's public files as a backup has them, but none that says what the newest checkpoint is.

    Probes may have heard a newer one and would tell that the log went back; the new log's first comes with the sealer.
    """
    copy_log(source, state)
    hold_checkpoint(state / "log")


def hold_checkpoint(folder: Path) -> None:
    """Say of no checkpoint that it is the newest until the next is signed. Raises Unavailable."""
    with _writing():
        (folder / "checkpoint").unlink(missing_ok=True)


def copy_databases(source: Path, target: Path, names: Iterable[str], tell: Tell) -> None:
    """Those of these files that are there, in this order, each at one moment. Raises Unavailable."""
    for name in names:
        if (source / name).exists():
            tell(f"copying {name}")
            _copy(source / name, target / name)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write {error.filename} ({error.strerror}); free the disk or mend it") from error


def verify(folder: Path, tell: Tell, place: LedgerPlace | None = None) -> list[Verified]:
    """Compute every log's root again from the ledger's bytes, and the name of every photo from its own.

    `place`: the ledger, if it is not the folder's own file. Raises Refused if one differs from what was signed or
    named, Misconfigured if this is no collector's folder.
    """
    place = place or folder / "ledger.db"
    if isinstance(place, Path) and not place.exists():
        raise Misconfigured(f"{folder} holds no ledger.db; name the state_dir of a collector, or a backup of one")
    _verify_named(folder)
    if not (folder / "seal.db").exists():
        tell("there is no seal.db: nothing was sealed, so there is no root to check")
        return []
    store = SealReader(folder / "seal.db")
    try:
        shards = store.shards()
        found = [_verify(place, store, shard, shards) for shard in shards]
    finally:
        store.close()
    done = [one for one in found if one is not None]
    for one in done:
        tell(f"log {one.name}: {one.size} entries, root {one.root.hex()[:16]} as signed" + _lost_text(one))
    return done


def _lost_text(one: Verified) -> str:
    return f"; {one.lost} of them were lost before a restore, and are not in this ledger" if one.lost else ""


def _verify(place: LedgerPlace, store: SealReader, shard: Shard, shards: list[Shard]) -> Verified | None:
    signed = store.last_checkpoint(shard.n)
    if signed is None:
        return None
    kept = _kept(store, shard, shards)
    edge, lost = tiles.Edge(), 0
    for run in store.runs(shard.n):
        count = min(run.count, signed.size - run.first_index)
        if count <= 0:
            break
        held = max(0, min(count, kept(run.source) - run.first_n + 1)) if run.source != "note" else count
        lost += count - held
        if lost:
            continue  # a root over what is lost cannot be computed; what is left of it was compared below
        for leaves in _leaves(place, shard, run.source, run.first_n, held):
            edge, _ = tiles.grow(edge, leaves)
    if not lost and tiles.root(edge) != signed.root:
        said = f"{shard.name}: the ledger's bytes are not those that checkpoint {signed.size} was signed over"
        raise Refused("root_differs", said)
    return Verified(shard.name, signed.size, signed.root, lost)


def _kept(store: SealReader, shard: Shard, shards: list[Shard]) -> Callable[[str], int]:
    """Up to which row a log's tables are still in the ledger: a restore lost what came after it."""
    later = sorted({one.gen for one in shards if one.gen > shard.gen})

    def kept(source: str) -> int:
        return min((store.base(source, gen) or 0 for gen in later), default=2**63 - 1)

    return kept


def _leaves(place: LedgerPlace, shard: Shard, source: str, first_n: int, count: int) -> Iterator[list[bytes]]:
    """Leaf hashes computed from the bytes as they read now. Raises Refused if a row is missing."""
    if source == "note":
        yield [tlog.leaf_hash(shard.first_leaf)]
        return
    with contextlib.closing(LedgerLeaves(place, source)) as table:
        done = 0
        while done < count:
            rows = table.rows(first_n + done - 1, min(BATCH, count - done))
            wanted = range(first_n + done, first_n + done + len(rows))
            if not rows or [row.n for row in rows] != list(wanted):
                raise Refused("row_missing", f"{shard.name}: {source} {first_n + done} and following are not all there")
            yield [tlog.leaf_hash(row.raw) for row in rows]
            done += len(rows)


def _copy(source: Path, target: Path) -> None:
    """One consistent moment of a database, written anew: row numbers stay, the write-ahead log is in it."""
    with contextlib.closing(open_reader(source)) as db:
        db.execute("PRAGMA query_only=OFF")
        try:
            db.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.Error as error:
            raise Unavailable(f"cannot copy {source} to {target}: {error}; free the disk or mend it") from error


def copy_beside(source: Path, target: Path) -> None:
    """What stands beside the databases, with its mode; all of the folder is on the disk when this returns."""
    with _writing():
        for name in BESIDE:
            if (source / name).exists():
                shutil.copy2(source / name, target / name)
        for name in FOLDERS:
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns(".*"))
                _sync(target / name)
        _sync(target)


def _verify_named(folder: Path) -> None:
    for path in sorted(path for name in FOLDERS for path in (folder / name).glob("[!.]*")):
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != path.stem:
                raise Refused("file_differs", f"{path.parent.name}/{path.name}: its bytes are not those it is named by")


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
