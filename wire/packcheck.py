"""Checks an evidence pack: every file as its manifest names it, every number as the records give it.

Pure: the files' bytes in, findings out; `wire.verify` reads zip or folder and prints. A number that was edited is named
by file, row and field with what the records give; a record that was taken out shows as a hole in its probe's chain.
What cannot be found again from records (a written report) is held by its SHA-256. Source: decision 0031.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from wire import audit, note, plain, recount, tlog
from wire.errors import Refused
from wire.recount import Asked, Figures, Given, Known

FORMAT = "dosong-pack/1"
MANIFEST = "manifest.json"
RECORDS, RECEIPTS, NOTES = "records.jsonl", "receipts.jsonl", "notes.jsonl"
REGISTRY = "registry.json"
SAMPLES, FIGURES, MINUTES = "samples.csv", "figures.csv", "minutes.csv"
PROBE_KEYS, LOG_KEYS, OTHER_KEYS, CHECKPOINT = "keys/probes.vkeys", "keys/log.vkeys", "keys/others.vkeys", "checkpoint"
NEEDED = (RECORDS, REGISTRY, SAMPLES, FIGURES, MINUTES, PROBE_KEYS)
SAMPLE_COLUMNS = (
    *("probe", "epoch", "seq", "begun", "hamlet", "modem", "plmn", "outcome", "stage", "cause"),
    *("downlink_bps", "uplink_bps", "rtt_us_median", "counted", "not_counted"),
)
FIGURE_COLUMNS = ("hamlet", "plmn", *recount.FIGURES)
MINUTE_COLUMNS = ("hamlet", "plmn", "day", "covered", "degraded", "no_service")
BOM = "\ufeff"
_VIETNAM = timedelta(hours=7)
Finding = audit.Finding
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A pack taken apart: its manifest, what it asks about, and its records in order of arrival."""

    files: Mapping[str, bytes]
    manifest: dict[str, Any]
    asked: Asked
    known: Known
    entries: list[audit.Entry]
    records: list[Given]


@dataclass(frozen=True, slots=True)
class Recounted:
    """What the records give: the headline; `stated`: good tests that only the pack's word takes out; `open_ends`:
    probes that sent no more when the pack was made; `signed`: receipts and notes whose signatures hold."""

    total: Figures
    findings: tuple[Finding, ...]
    stated: int
    open_ends: tuple[str, ...]
    signed: int = 0


def is_pack(files: Mapping[str, bytes]) -> bool:
    """Whether these files call themselves a pack."""
    return FORMAT.encode() in files.get(MANIFEST, b"")[:4096]


def open_pack(files: Mapping[str, bytes]) -> Opened:
    """Read what must be there. Raises Refused("bad_pack") with the file that is missing or cannot be read."""
    missing = [name for name in (MANIFEST, *NEEDED) if name not in files]
    if missing:
        raise Refused("bad_pack", f"{missing[0]} is missing from the pack; ask for it again")
    try:
        manifest, registry = json.loads(files[MANIFEST]), json.loads(files[REGISTRY])
        asked = Asked(manifest["level"], manifest["unit"], manifest["start_ms"], manifest["end_ms"])
        known = Known(registry["places"], registry["referrals"], frozenset(registry["simulated"]))
        entries = _entries(files[RECORDS])
        records = list(_records(entries, files[RECORDS]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("bad_pack", f"a file of the pack cannot be read: {error}") from error
    return Opened(files, manifest, asked, known, entries, records)


def _entries(raw: bytes) -> list[audit.Entry]:
    """The pack's records: lines of JSON, not the other forms that an audit reads. Raises Refused, ValueError."""
    if raw and not raw.startswith(b"{"):
        raise ValueError(f"{RECORDS} holds lines of JSON, and begins with another sign")
    return audit.read_entries(RECORDS, raw) if raw else []


def _records(entries: Sequence[audit.Entry], raw: bytes) -> Iterator[Given]:
    """Records that can be read; whatever is not authentic or not in form is told by the audit.

    A line with `unread` is one whose form the collector could not read: it is no sample there, and none here.
    """
    for number, (entry, line) in enumerate(zip(entries, raw.splitlines(), strict=True), 1):
        said = json.loads(line)
        if said.get("unread"):
            continue
        try:
            obj = json.loads(plain.body_of(entry.raw))
        except (Refused, ValueError, RecursionError):
            continue
        if isinstance(obj, dict) and {"probe", "epoch", "seq", "kind", "boot", "mono_ms"} <= obj.keys():
            yield Given(entry.where, number, obj, bool(said.get("fault")))


def recheck(pack: Opened, chains: Sequence[audit.Chain], log_keys: audit.LogKeys) -> Recounted:
    """Hold every file against its digest and every number against the records.

    Raises Refused("bad_pack") if the registry's extract or a record has another form than a pack's.
    """
    try:
        return _rechecked(pack, chains, log_keys)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, csv.Error) as error:
        raise Refused("bad_pack", f"its numbers cannot be counted again, a file has another form: {error}") from error


def _rechecked(pack: Opened, chains: Sequence[audit.Chain], log_keys: audit.LogKeys) -> Recounted:
    tests = recount.samples(pack.records, pack.known, pack.asked)
    rows, findings = _table(pack, SAMPLES, SAMPLE_COLUMNS)
    counted, more, stated = _counted(tests, rows)
    states = recount.minutes(pack.records, pack.known, pack.asked)
    found = recount.figures(counted, states, pack.asked)
    total = Figures()
    for one in found.values():
        total = total.plus(one)
    findings += [*_digests(pack), *more]
    findings += _compared(pack, FIGURES, FIGURE_COLUMNS, 2, figure_rows(found))
    findings += _compared(pack, MINUTES, MINUTE_COLUMNS, 3, minute_rows(states))
    findings += _headline(pack, total)
    open_ends, cut = _ends(pack, chains)
    signed, unsigned = _signed(pack, log_keys)
    return Recounted(total, (*findings, *cut, *unsigned), stated, open_ends, signed)


def sample_row(sample: recount.Sample, is_counted: bool, reasons: Sequence[str]) -> dict[str, str]:
    """A test as it stands in samples.csv."""
    obj = sample.given.obj
    names = ("modem", "plmn", "outcome", "stage", "cause", "downlink_bps", "uplink_bps", "rtt_us_median")
    own = {name: "" if obj.get(name) is None else str(obj[name]) for name in names}
    place = {"probe": obj["probe"], "epoch": str(obj["epoch"]), "seq": str(obj["seq"])}
    verdict = {"counted": str(int(is_counted)), "not_counted": " ".join(reasons)}
    return {**place, "begun": moment(sample.t_ms), "hamlet": sample.hamlet, **own, **verdict}


def figure_rows(found: Mapping[tuple[str, str], Figures]) -> list[dict[str, str]]:
    """The rows of figures.csv."""
    return [
        {"hamlet": hamlet, "plmn": plmn, **{name: str(getattr(one, name)) for name in recount.FIGURES}}
        for (hamlet, plmn), one in found.items()
    ]


def minute_rows(states: Mapping[tuple[str, str], Mapping[int, int]]) -> list[dict[str, str]]:
    """The rows of minutes.csv: known minutes of each day."""
    return [
        dict(zip(MINUTE_COLUMNS, (hamlet, plmn, moment(day_ms)[:10], *map(str, held)), strict=True))
        for (hamlet, plmn, day_ms), held in recount.by_day(states).items()
    ]


def moment(t_ms: int | None) -> str:
    """A moment of Vietnam with its zone, to the second; "" for none."""
    if t_ms is None:
        return ""
    return (datetime.fromtimestamp(t_ms // 1000, UTC) + _VIETNAM).strftime("%Y-%m-%dT%H:%M:%S+07:00")


def _counted(
    tests: Sequence[recount.Sample], rows: Mapping[tuple[str, ...], tuple[int, Row]]
) -> tuple[list[tuple[recount.Sample, bool]], list[Finding], int]:
    """Each test with whether it counts, by its own bytes and the reasons that only take out; what differs is named."""
    findings: list[Finding] = []
    taken: dict[tuple[str, str, int], str] = {}
    counted: list[tuple[recount.Sample, bool]] = []
    stated, left = 0, dict(rows)
    for sample in _winners_first(tests, rows):
        key = tuple(str(part) for part in sample.given.place)
        line, row = left.pop(key, (0, None))
        said = set((row or {}).get("not_counted", "").split()) & recount.STATED
        said |= {"fault"} if sample.given.fault and not said else set()
        reasons = [*sample.reasons, *sorted(said)]
        if not reasons and sample.slot is not None and taken.setdefault(sample.slot, key[2]) != key[2]:
            reasons = ["same_slot"]
        counted.append((sample, not reasons))
        stated += bool(said) and not sample.reasons and sample.is_of_unit
        if row is not None:
            findings += _differences(SAMPLES, line, row, _expected(sample, reasons, row))
        elif sample.is_of_unit:
            findings.append(Finding(SAMPLES, "missing_row", f"no row for {' '.join(key)}, which {RECORDS} holds"))
    findings += [
        Finding(f"{SAMPLES} row {line}", "no_record", f"{' '.join(key)} is not in {RECORDS}")
        for key, (line, _) in left.items()
    ]
    return counted, findings, stated


def _winners_first(
    tests: Sequence[recount.Sample], rows: Mapping[tuple[str, ...], tuple[int, Row]]
) -> list[recount.Sample]:
    """Of two good tests in one slot either may count: the one that the pack names goes first."""

    def order(sample: recount.Sample) -> tuple[bool, int]:
        row = rows.get(tuple(str(part) for part in sample.given.place))
        return row is None or row[1].get("counted") != "1", sample.given.number

    return sorted(tests, key=order)


def _expected(sample: recount.Sample, reasons: Sequence[str], row: Row) -> dict[str, str]:
    """What the row should say. A reason that was told beside others is no contradiction if its slot was taken."""
    said = row.get("not_counted", "").split()
    listed = [*reasons, *(["same_slot"] if reasons and "same_slot" in said and "same_slot" not in reasons else [])]
    ordered = sorted(listed, key=lambda word: said.index(word) if word in said else len(said))
    return sample_row(sample, not reasons, ordered)


def _table(
    pack: Opened, name: str, columns: Sequence[str]
) -> tuple[dict[tuple[str, ...], tuple[int, Row]], list[Finding]]:
    """Rows of samples.csv by (probe, epoch, seq), each with its line in the file."""
    found: dict[tuple[str, ...], tuple[int, Row]] = {}
    findings: list[Finding] = []
    for line, row in read_csv(pack.files[name]):
        key = tuple(row.get(column) or "" for column in columns[:3])
        if key in found:
            findings.append(
                Finding(f"{name} row {line}", "twice", f"{' '.join(key)} stands in row {found[key][0]} too")
            )
        found[key] = line, row
    return found, findings


def read_csv(raw: bytes) -> list[tuple[int, Row]]:
    """Rows of a CSV file with their line, the header being line 1. Cells that are missing are empty."""
    reader = csv.DictReader(io.StringIO(raw.decode("utf-8", "replace").removeprefix(BOM)), restval="")
    return [(line, {str(k): str(v) for k, v in row.items()}) for line, row in enumerate(reader, 2)]


def _compared(
    pack: Opened, name: str, columns: Sequence[str], key_width: int, expected: Sequence[Row]
) -> Iterator[Finding]:
    wanted = {tuple(row[column] for column in columns[:key_width]): row for row in expected}
    for line, row in read_csv(pack.files[name]):
        key = tuple(row.get(column, "") for column in columns[:key_width])
        right = wanted.pop(key, None)
        if right is None:
            yield Finding(f"{name} row {line}", "no_record", f"{' '.join(key)}: no record in the pack gives such a row")
        else:
            yield from _differences(name, line, row, right)
    for key in wanted:
        yield Finding(name, "missing_row", f"no row for {' '.join(key)}, which the records give")


def _differences(name: str, line: int, row: Row, right: Row) -> Iterator[Finding]:
    for column, value in right.items():
        if row.get(column, "") != value:
            detail = f"says {row.get(column, '')!r}; the records give {value!r}"
            yield Finding(f"{name} row {line} field {column}", "differs", detail)


def _headline(pack: Opened, total: Figures) -> Iterator[Finding]:
    said = pack.manifest.get("headline")
    for name in recount.FIGURES:
        value = said.get(name) if isinstance(said, dict) else None
        if value != getattr(total, name):
            detail = f"says {value!r}; the records give {getattr(total, name)}"
            yield Finding(f"{MANIFEST} headline field {name}", "differs", detail)


def _digests(pack: Opened) -> Iterator[Finding]:
    """Files that changed, are gone, or came in: each as the manifest names it."""
    listed = {str(one.get("name")): one for one in pack.manifest.get("files", []) if isinstance(one, dict)}
    for name, one in listed.items():
        raw = pack.files.get(name)
        if raw is None:
            yield Finding(name, "missing_file", f"{MANIFEST} lists it and the pack does not hold it")
        elif sha256(raw).hexdigest() != one.get("sha256"):
            yield Finding(name, "changed_file", f"its SHA-256 is not the one in {MANIFEST}: it was changed or damaged")
    for name in sorted(set(pack.files) - set(listed) - {MANIFEST}):
        yield Finding(name, "strange_file", f"{MANIFEST} does not list it: it was put in afterwards")


def _ends(pack: Opened, chains: Sequence[audit.Chain]) -> tuple[tuple[str, ...], list[Finding]]:
    """Whether each probe's records reach over the period. The pack may say that a station sent no more."""
    declared = {str(one) for one in pack.manifest.get("open_ends", [])}
    begun = {chain.probe for chain in chains if chain.first_seq == 0}
    findings = [
        one
        for one in audit.outside(chains, pack.asked.start_ms, pack.asked.end_ms)
        if not (one.where in begun and "begin" in one.detail) and not (one.where in declared and "end" in one.detail)
    ]
    return tuple(sorted(declared & {chain.probe for chain in chains})), findings


def _signed(pack: Opened, log_keys: audit.LogKeys) -> tuple[int, list[Finding]]:
    """Receipts of measurement points and notes of the registry: each one's signature, and its proof if it has one."""
    held: dict[tuple[str, bytes], note.Verifier] = {}
    for name in (OTHER_KEYS, PROBE_KEYS):
        for line in pack.files.get(name, b"").decode("utf-8", "replace").split():
            key = note.parse_vkey(line)
            held[key.name, key.key_id] = key
    good, findings = 0, list[Finding]()
    for name in (RECEIPTS, NOTES):
        raw = pack.files.get(name, b"")
        for entry in audit.read_entries(name, raw) if raw else ():
            try:
                _check_signed(entry, held, log_keys)
                good += 1
            except Refused as refusal:
                findings.append(Finding(entry.where, refusal.reason, refusal.detail))
    return good, findings


def _check_signed(entry: audit.Entry, held: Mapping[tuple[str, bytes], note.Verifier], logs: audit.LogKeys) -> None:
    """Raises Refused."""
    taken = note.split(entry.raw)
    line = taken.signatures[0]
    if (line.name, line.key_id) not in held:
        raise Refused("unknown_key", f"the pack holds no key of {line.name}+{line.key_id.hex()}")
    note.verify(taken, held[line.name, line.key_id])
    if entry.proof is None or not logs:
        return
    proof = tlog.parse_proof(entry.proof)
    name = proof.checkpoint.partition(b"\n")[0].decode("utf-8", "replace")
    if name not in logs:
        raise Refused("unknown_key", f"no key given for the log {name[:80]!r}")
    if tlog.check_proof(entry.raw, proof, logs[name]) is None:
        raise Refused("bad_proof", "its path does not lead to the checkpoint's root")
