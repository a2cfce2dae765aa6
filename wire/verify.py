"""`dosong-verify`: check records offline, with nothing but their bytes and public keys."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wire import audit, cosign, note, packcheck, recount
from wire.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, Refused

try:  # with msgspec the schema is checked too; without it signatures, form, chains and the log
    from wire.codec import see
except ImportError:
    from wire.plain import see

PROOF_SUFFIX = ".tlog-proof"
MOST_PACK_BYTES = 2_000_000_000
"""A pack whose files would be larger than that together is not unpacked."""
_EPILOG = """\
examples:
  dosong-verify --vkey dosong.example/probe/p-one+1f2e3d4c+AQ... record.note
  dosong-verify --vkeys probes.vkeys export/           every file in a folder, one raw record each
  dosong-verify --vkeys probes.vkeys month.jsonl       lines of {"raw": base64, "proof": text of a .tlog-proof}
  dosong-verify --vkeys probes.vkeys --log-vkey dosong.example/log+... --checkpoint checkpoint entries.bundle
  dosong-verify --vkeys probes.vkeys --since 2026-11-01T00:00 --until 2026-12-01T00:00 november.jsonl
  dosong-verify --vkeys probes.vkeys --log-vkeys vkeys --checkpoint new --old-checkpoint old --consistency proof x.jsonl
  dosong-verify --vkeys probes.vkeys --log-vkeys vkeys --witness-vkeys witnesses --quorum 1 november.jsonl
  dosong-verify --json --vkeys probes.vkeys export/ | jq .chains
  dosong-verify goi-05755-2026-09.zip                  an evidence pack, or the folder that it was unpacked into
  dosong-verify --log-vkeys vkeys goi-05755-2026-09.zip    the same, believing only the log's keys that you have

FILE may be one raw record, an entry bundle of the log (each record behind its length, 16 bits), or JSON lines.
A file NAME.tlog-proof beside the raw record NAME is its proof. With --log-vkey every record must be proved to
stand in the log: by its proof, or because all records together, in order, are the log of --checkpoint.
Entries of a log that are no records (receipts, notes, lines of the audit trail) are held against the log alone.
An evidence pack brings keys with it; keys that you give are believed instead. Its numbers are counted again from
its records, and each that differs is named by file, row and field.

exit status: 0 everything is in order; 1 something is not, and is named; 2 the command cannot be carried out
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    args = _parser().parse_args(argv)
    try:
        files = _pack_files(args.path[0]) if len(args.path) == 1 else None
        return _loose(args) if files is None else _pack(args, files)
    except (OSError, ValueError, Refused) as error:
        return _usage(_said(error))


def _loose(args: argparse.Namespace) -> int:
    """Check records as they come: files, bundles, lines. Raises OSError, ValueError, Refused."""
    keys = audit.read_keys([*args.vkey, *_vkey_lines(args.vkeys)])
    logs = [note.parse_vkey(line) for line in [*args.log_vkey, *_vkey_lines(args.log_vkeys)]]
    witnesses = [cosign.parse_witness(line) for line in [*args.witness_vkey, *_vkey_lines(args.witness_vkeys)]]
    checkpoint = None if args.checkpoint is None else args.checkpoint.read_bytes()
    entries = [entry for path in args.path for entry in _entries(path)]
    if not keys:
        return _usage("no key: give the probes' public keys with --vkey or --vkeys")
    if checkpoint is not None and not logs:
        return _usage("--checkpoint needs --log-vkey, the public key of the log")
    quorum = _quorum(args.quorum, len(witnesses))
    growth = _growth(args, logs, checkpoint)
    period = _period(args.since), _period(args.until)
    if not entries:
        return _usage("no record found in " + ", ".join(str(path) for path in args.path))
    found = audit.audit(entries, keys, {log.name: log for log in logs}, checkpoint, see)
    outcome = audit.add(
        found,
        [*growth, *audit.witnessed(entries, checkpoint, witnesses, quorum), *audit.outside(found.chains, *period)],
    )
    print(json.dumps(_object(outcome), indent=2) if args.json else _table(outcome))
    return EXIT_OK if outcome.ok else EXIT_FAILED


def _pack_files(path: Path) -> dict[str, bytes] | None:
    """The files of an evidence pack, by name; None if it is none. Raises OSError, Refused."""
    if path.is_dir():
        if not (path / packcheck.MANIFEST).is_file():
            return None
        found = {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    elif path.suffix == ".zip" and path.is_file():
        try:
            with zipfile.ZipFile(path) as pack:
                if sum(one.file_size for one in pack.infolist()) > MOST_PACK_BYTES:
                    raise Refused("too_big", f"{path} would unpack to more than {MOST_PACK_BYTES} bytes")
                found = {one.filename: pack.read(one) for one in pack.infolist() if not one.is_dir()}
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise Refused("bad_pack", f"{path} is damaged ({error}); copy it again") from error
    else:
        return None
    return found if packcheck.is_pack(found) or path.suffix == ".zip" else None


def _pack(args: argparse.Namespace, files: dict[str, bytes]) -> int:
    """Check an evidence pack and print what was found. Raises Refused, OSError."""
    pack = packcheck.open_pack(files)
    own_keys = not (args.vkey or args.vkeys)
    own_logs = not (args.log_vkey or args.log_vkeys)
    given = [*args.vkey, *_vkey_lines(args.vkeys)] if not own_keys else _lines(files[packcheck.PROBE_KEYS])
    logs = (
        [*args.log_vkey, *_vkey_lines(args.log_vkeys)] if not own_logs else _lines(files.get(packcheck.LOG_KEYS, b""))
    )
    log_keys = {key.name: key for key in map(note.parse_vkey, logs)}
    witnesses = [cosign.parse_witness(line) for line in [*args.witness_vkey, *_vkey_lines(args.witness_vkeys)]]
    found = audit.audit(pack.entries, audit.read_keys(given), log_keys, None, see)
    counted = packcheck.recheck(pack, found.chains, log_keys)
    quorum = len(witnesses) if args.quorum is None else args.quorum
    more = audit.witnessed(pack.entries, None, witnesses, quorum)
    outcome = audit.add(found, [*counted.findings, *more])
    if args.json:
        total = {name: getattr(counted.total, name) for name in recount.FIGURES}
        said = {"unit": pack.asked.unit, "recounted": total, "stated": counted.stated, "signed": counted.signed}
        print(json.dumps({**_object(outcome), "pack": {**said, "open_ends": counted.open_ends}}, indent=2))
    else:
        print("\n".join([*_pack_lines(pack, counted, own_keys or own_logs, logs), "", _table(outcome)]))
    return EXIT_OK if outcome.ok else EXIT_FAILED


def _lines(raw: bytes) -> list[str]:
    return [line for line in raw.decode("utf-8", "replace").splitlines() if line]


def _pack_lines(
    pack: packcheck.Opened, counted: packcheck.Recounted, own_keys: bool, logs: Sequence[str]
) -> Iterator[str]:
    asked, total = pack.asked, counted.total
    ends = [packcheck.moment(t_ms) for t_ms in (asked.start_ms, asked.end_ms)]
    yield f"evidence pack of {asked.level} {asked.unit}, {ends[0]} to {ends[1]}"
    yield f"counted again from its records: {', '.join(f'{n} {getattr(total, n)}' for n in recount.FIGURES)}"
    yield f"good tests that only the pack's word takes out (suspect, quarantine): {counted.stated}"
    yield f"receipts and notes with good signatures: {counted.signed}"
    for probe in counted.open_ends:
        yield f"{probe}: had sent no later record when the pack was made; whether one came since, only the log can say"
    if own_keys:
        yield "keys: those in the pack, so it is whole in itself; compare the log's with what is published elsewhere:"
        yield from (f"  {line}" for line in logs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dosong-verify",
        description="Check signed records offline: signatures, canonical form, schema, chains, and the log's proofs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, nargs="+", metavar="FILE", help="file or folder of records")
    parser.add_argument("--vkey", action="append", default=[], help="a probe's public key; may be repeated")
    parser.add_argument("--vkeys", type=Path, action="append", default=[], help="file of public keys, one a line")
    parser.add_argument(
        "--log-vkey",
        action="append",
        default=[],
        help="public key of a log: then every record must be proved to stand in one; may be repeated",
    )
    parser.add_argument(
        "--log-vkeys", type=Path, action="append", default=[], help="file of logs' public keys: /log/vkeys of the pages"
    )
    parser.add_argument("--witness-vkey", action="append", default=[], help="public key of a witness; may be repeated")
    parser.add_argument(
        "--witness-vkeys",
        type=Path,
        action="append",
        default=[],
        help="file of witnesses' public keys: then each of them must have cosigned every checkpoint",
    )
    parser.add_argument("--quorum", type=int, help="so many of the witnesses are enough (all)")
    parser.add_argument("--since", help="the chains must reach back to this moment (UTC, as in 2026-11-01T00:00)")
    parser.add_argument("--until", help="the chains must reach up to this moment (UTC)")
    parser.add_argument("--old-checkpoint", type=Path, help="an earlier checkpoint that --checkpoint must follow from")
    parser.add_argument("--consistency", type=Path, help="proof of that: base64 hashes, one a line")
    parser.add_argument("--checkpoint", type=Path, help="signed checkpoint of the log that the records make up")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot read {error.filename} ({error.strerror}); correct the path, or ask for the file"
    return str(error)


def _usage(message: str) -> int:
    print(f"dosong-verify: {message}", file=sys.stderr)
    return EXIT_USAGE


def _quorum(asked: int | None, given: int) -> int:
    """How many of the witnesses must have cosigned: all if it was not asked. Raises ValueError."""
    if asked is not None and not 0 < asked <= given:
        raise ValueError(
            f"--quorum {asked} of {given} witnesses; give their keys with --witness-vkeys, or ask for fewer"
        )
    return given if asked is None else asked


def _period(text: str | None) -> int | None:
    """Read a moment, UTC; milliseconds. Raises ValueError."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _growth(args: argparse.Namespace, logs: Sequence[note.Verifier], newest: bytes | None) -> list[audit.Finding]:
    """Check that the newest checkpoint follows from an older one. Raises OSError, Refused, ValueError."""
    if args.old_checkpoint is None:
        return []
    if newest is None or args.consistency is None:
        raise ValueError("--old-checkpoint needs --checkpoint and --consistency")
    proof = [note.strict_base64(line) for line in args.consistency.read_text().split()]
    return audit.grown(args.old_checkpoint.read_bytes(), newest, proof, {log.name: log for log in logs})


def _vkey_lines(paths: Sequence[Path]) -> list[str]:
    lines = [line.strip() for path in paths for line in path.read_text(errors="replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _entries(path: Path) -> list[audit.Entry]:
    if not path.is_dir():
        return _file(path)
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    return [entry for p in files if p.suffix != PROOF_SUFFIX for entry in _file(p)]


def _file(path: Path) -> list[audit.Entry]:
    beside = path.with_name(path.name + PROOF_SUFFIX)
    proof = beside.read_bytes() if beside.is_file() else None
    return audit.read_entries(str(path), path.read_bytes(), proof)


def _object(outcome: audit.Audit) -> dict[str, Any]:
    log = outcome.checkpoint
    return {
        **asdict(outcome),
        "ok": outcome.ok,
        "checkpoint": None if log is None else {"origin": log.origin, "size": log.size, "root": log.root.hex()},
    }


def _table(outcome: audit.Audit) -> str:
    rows = [("PROBE", "EPOCH", "SEQ", "HELD", "FROM (UTC)", "TO (UTC)", "NOT HERE"), *map(_row, outcome.chains)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", *(f"{f.where}: {f.reason}: {f.detail}" for f in outcome.findings)]
    return "\n".join([*lines, _summary(outcome)])


def _row(chain: audit.Chain) -> tuple[str, ...]:
    holes = [f"{h.first}-{h.last}{' (declared)' if h.declared else ''}" for h in chain.holes]
    return (
        chain.probe,
        str(chain.epoch),
        f"{chain.first_seq}-{chain.last_seq}",
        str(chain.records),
        _time(chain.first_ms),
        _time(chain.last_ms),
        ", ".join(holes) or "-",
    )


def _time(t_ms: int | None) -> str:
    return "-" if t_ms is None else datetime.fromtimestamp(t_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _summary(outcome: audit.Audit) -> str:
    counts = f"{outcome.entries - outcome.others} records, {outcome.authentic} authentic, {outcome.valid} valid"
    counts += f", {outcome.duplicates} twice" if outcome.duplicates else ""
    counts += f", {outcome.others} other leaves (receipts, notes, audit lines)" if outcome.others else ""
    if outcome.checkpoint is not None:
        counts += f", {outcome.included} proved in {outcome.checkpoint.origin} at size {outcome.checkpoint.size}"
    return f"{'OK' if outcome.ok else f'NOT OK ({len(outcome.findings)} findings)'}: {counts}"


if __name__ == "__main__":
    sys.exit(main())
