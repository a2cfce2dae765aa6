"""What a third party checks offline: signatures, form, schema, chains with their holes, and the log's proofs.

Pure: bytes in, an `Audit` out. `wire.verify` reads the files and prints. Nothing is repaired and nothing is
skipped silently: whatever is not in order is a `Finding`.
Source: facts note 08 §3.1, §3.2; SPEC.md, "Order of checks" and "Chain".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from wire import bundle, cosign, note, plain, tlog
from wire.errors import Refused
from wire.plain import GapRange, Seen
from wire.topics import PROBE_PATTERN

_KEY_NAME = re.compile(r"(?P<origin>[a-z0-9][a-z0-9.-]{0,63})/probe/(?P<probe>" + PROBE_PATTERN + ")")

Keys = Mapping[tuple[str, bytes], note.Verifier]
"""Known record keys by (name, key id): a probe's keys of several epochs may stand side by side."""

See = Callable[[bytes, str, str, note.Verifier], Seen]
"""Verify and read one record: `wire.plain.see` by its form alone, `wire.codec.see` by the schema too."""

LogKeys = Mapping[str, note.Verifier]
"""Keys of logs by name: one a year, and one after each restore of the ledger."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record's bytes, where they were found, and the proof file that came with them (None: none)."""

    where: str
    raw: bytes
    proof: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not in order."""

    where: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Records `first` to `last` are not here; `declared` if the probe itself signed a gap over them."""

    first: int
    last: int
    declared: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """One probe's records of one epoch; times are UTC milliseconds, None if no record is dated."""

    probe: str
    epoch: int
    first_seq: int
    last_seq: int
    kinds: dict[str, int]
    first_ms: int | None
    last_ms: int | None
    holes: tuple[Hole, ...]

    @property
    def records(self) -> int:
        """Number of different places of the chain that are held."""
        return sum(self.kinds.values())


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome. `included` counts entries proved to stand in the log, `others` those that are no records (receipts,
    notes, lines of the audit trail: of them only that is checked); `checkpoint` is the largest one seen."""

    entries: int
    authentic: int
    valid: int
    duplicates: int
    chains: tuple[Chain, ...]
    findings: tuple[Finding, ...]
    included: int = 0
    others: int = 0
    checkpoint: tlog.Checkpoint | None = None

    @property
    def ok(self) -> bool:
        """True if there was something to check and nothing was found."""
        return self.entries > 0 and not self.findings


def read_entries(where: str, payload: bytes, proof: bytes | None = None) -> list[Entry]:
    """Take one file apart: JSON lines (`{"raw": base64, "proof": text}`), an entry bundle, or one raw record.

    The first byte tells: `{`, a control character (a frame's length), anything else.
    Raises Refused("not_json" | "bad_bundle").
    """
    if payload[:1] == b"{":
        return list(_json_lines(where, payload))
    if payload[:1] < b" ":
        return [Entry(f"{where}[{i}]", raw) for i, raw in enumerate(bundle.frames(payload))]
    return [Entry(where, payload, proof)]


def _json_lines(where: str, payload: bytes) -> Iterator[Entry]:
    for number, line in enumerate(payload.splitlines(), 1):
        try:
            row = json.loads(line)
            raw = base64.b64decode(row["raw"], validate=True)
            proof = row.get("proof")
            proof_raw = None if proof is None else proof.encode()
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise Refused("not_json", f'{where}:{number}: {{"raw": base64, "proof": text}} expected') from error
        yield Entry(f"{where}:{number}", raw, proof_raw)


def read_keys(lines: Sequence[str]) -> Keys:
    """Read verifier keys of probes, one a line. Raises Refused("bad_key")."""
    found = [note.parse_vkey(line) for line in lines]
    for key in found:
        _names(key)
    return {(key.name, key.key_id): key for key in found}


def _names(key: note.Verifier) -> tuple[str, str]:
    match = _KEY_NAME.fullmatch(key.name)
    if match is None:
        raise Refused("bad_key", f"{key.name} is no record key: <origin>/probe/<id> expected")
    return match["origin"], match["probe"]


def open_entry(entry: Entry, keys: Keys, see: See) -> Seen:
    """Verify and read one record with whichever known key it names. Raises Refused if it is not authentic."""
    signature = plain.take(entry.raw).signatures[0]
    key = keys.get((signature.name, signature.key_id))
    if key is None:
        raise Refused("unknown_key", f"no key given for {signature.name}+{signature.key_id.hex()}")
    return see(entry.raw, *_names(key), key)


def audit(
    entries: Sequence[Entry],
    keys: Keys,
    log_keys: LogKeys | None = None,
    checkpoint: bytes | None = None,
    see: See = plain.see,
) -> Audit:
    """Check everything that can be checked without asking anybody.

    `checkpoint` is a signed checkpoint: if it counts as many leaves as there are entries, they must be the whole
    log in order; a proof that came with an entry must lead to its own checkpoint, and no two checkpoints of one
    size may differ.
    """
    opened: list[tuple[Entry, Seen]] = []
    findings: list[Finding] = []
    origins = {_names(key)[0] for key in keys.values()} if log_keys else set[str]()
    records = [entry for entry in entries if not plain.is_other_leaf(entry.raw, origins)]
    for entry in records:
        try:
            result = open_entry(entry, keys, see)
        except Refused as refusal:
            findings.append(Finding(entry.where, refusal.reason, refusal.detail))
            continue
        opened.append((entry, result))
        if result.fault is not None:
            findings.append(Finding(entry.where, result.fault.reason, result.fault.detail))
    chains, duplicates = _chains(opened, findings)
    included, seen = _log(entries, log_keys or {}, checkpoint, findings)
    valid = sum(1 for _, one in opened if one.fault is None)
    others = len(entries) - len(records)
    return Audit(len(entries), len(opened), valid, duplicates, chains, tuple(findings), included, others, seen)


def add(outcome: Audit, findings: Sequence[Finding]) -> Audit:
    """Return the audit with more findings."""
    return replace(outcome, findings=(*outcome.findings, *findings))


def outside(chains: Sequence[Chain], since_ms: int | None, until_ms: int | None) -> list[Finding]:
    """Say which probes' chains do not reach over the whole period asked for (UTC milliseconds; None: not asked)."""
    found: list[Finding] = []
    for probe in sorted({chain.probe for chain in chains}):
        firsts = [c.first_ms for c in chains if c.probe == probe and c.first_ms is not None]
        lasts = [c.last_ms for c in chains if c.probe == probe and c.last_ms is not None]
        if since_ms is not None and (not firsts or min(firsts) > since_ms):
            found.append(Finding(probe, "period", "its records begin after the period does"))
        if until_ms is not None and (not lasts or max(lasts) < until_ms):
            found.append(Finding(probe, "period", "its records end before the period does"))
    return found


def grown(old: bytes, new: bytes, proof: Sequence[bytes], keys: LogKeys) -> list[Finding]:
    """Check that checkpoint `new` follows from `old`: nothing was taken out of the log, nothing changed in it."""
    try:
        before, after = (tlog.open_checkpoint(one, _key_of(one, keys)) for one in (old, new))
    except Refused as refusal:
        return [Finding("consistency", refusal.reason, refusal.detail)]
    if before.origin != after.origin:
        return [Finding("consistency", "wrong_domain", f"{before.origin} and {after.origin} are two logs")]
    if tlog.verify_consistency(before.size, after.size, before.root, after.root, proof):
        return []
    detail = f"size {after.size} does not follow from size {before.size}: the log showed two histories, or a bad proof"
    return [Finding("consistency", "split_view", detail)]


def witnessed(
    entries: Sequence[Entry], checkpoint: bytes | None, witnesses: Sequence[cosign.Witness], quorum: int
) -> list[Finding]:
    """Say which checkpoints, the given one's or a proof's, fewer than `quorum` of these witnesses have cosigned."""
    if not witnesses:
        return []
    notes: dict[bytes, str] = {} if checkpoint is None else {checkpoint: "checkpoint"}
    for entry in entries:
        cut = (entry.proof or b"").partition(b"\n\n")[2]
        if cut:
            notes.setdefault(cut, entry.where)
    if not notes:
        return [Finding("witnesses", "not_witnessed", "there is no checkpoint that a witness could have cosigned")]
    return [found for raw, where in notes.items() for found in _cosigned(raw, where, witnesses, quorum)]


def _cosigned(raw: bytes, where: str, witnesses: Sequence[cosign.Witness], quorum: int) -> Iterator[Finding]:
    try:
        found = cosign.verify(raw, witnesses)
    except Refused as refusal:
        yield Finding(where, refusal.reason, f"cosignature: {refusal.detail}")
        return
    if len(found) < quorum:
        names = ", ".join(one.name for one in found) or "none"
        detail = f"{len(found)} of {quorum} witnesses cosigned its checkpoint: {names}"
        yield Finding(where, "not_witnessed", detail)


_One = tuple[Entry, Seen]
_Held = dict[int, dict[bytes, _One]]
_Gaps = dict[int, list[GapRange]]


def _chains(opened: Sequence[_One], findings: list[Finding]) -> tuple[tuple[Chain, ...], int]:
    held: dict[tuple[str, int], _Held] = {}
    gaps: dict[str, _Gaps] = {}
    duplicates = 0
    for (entry, one), head in _placed(opened, findings):
        place = held.setdefault((head.probe, head.epoch), {}).setdefault(head.seq, {})
        duplicates += one.leaf in place
        place[one.leaf] = (entry, one)
        if one.gap is not None:
            gaps.setdefault(head.probe, {}).setdefault(one.gap.epoch, []).append(one.gap)
    chains = tuple(
        _chain(probe, epoch, places, gaps.get(probe, {}).get(epoch, []), findings)
        for (probe, epoch), places in sorted(held.items())
    )
    return chains, duplicates


def _placed(opened: Sequence[_One], findings: list[Finding]) -> Iterator[tuple[_One, plain.Head]]:
    """Pair each record with its place; one whose place cannot be read takes it from the record that names its leaf."""
    heads = [one.head for _, one in opened if one.head is not None]
    after = {head.prev: head for head in heads if head.seq > 0}
    for entry, one in opened:
        follower = after.get(plain.leaf_text(one.leaf))
        if one.head is not None:
            yield (entry, one), one.head
        elif follower is not None:
            yield (entry, one), plain.Head(follower.probe, follower.epoch, follower.seq - 1, "")
        else:
            findings.append(Finding(entry.where, "no_head", "its place in the chain cannot be read"))


def _chain(probe: str, epoch: int, places: _Held, gaps: Sequence[GapRange], findings: list[Finding]) -> Chain:
    seqs = sorted(places)
    holes: list[Hole] = []
    for seq in seqs:
        if len(places[seq]) > 1:
            detail = f"{probe} signed {len(places[seq])} different records as epoch {epoch} seq {seq}"
            findings.append(Finding(next(iter(places[seq].values()))[0].where, "fork", detail))
    for before, after in pairwise(seqs):
        holes += _join(probe, epoch, places, (before, after), gaps, findings)
    firsts = [next(iter(places[seq].values()))[1] for seq in seqs]
    times = [one.t_ms for one in firsts if one.t_ms is not None]
    kinds = Counter(one.kind or "broken" for one in firsts)
    first_ms, last_ms = (min(times), max(times)) if times else (None, None)
    return Chain(probe, epoch, seqs[0], seqs[-1], dict(sorted(kinds.items())), first_ms, last_ms, tuple(holes))


def _join(
    probe: str,
    epoch: int,
    places: _Held,
    pair: tuple[int, int],
    gaps: Sequence[GapRange],
    findings: list[Finding],
) -> Iterator[Hole]:
    """Check the link between two neighbours that are held; yield the holes between them."""
    before, after = pair
    known = {plain.leaf_text(leaf) for leaf in places[before]} if after == before + 1 else set()
    known |= {gap.last_leaf for gap in gaps if gap.to_seq == after - 1}
    for entry, one in places[after].values():
        if known and one.head is not None and one.head.prev not in known:
            detail = f"prev of {probe} epoch {epoch} seq {after} is not the record before it"
            findings.append(Finding(entry.where, "broken_chain", detail))
    for hole in _holes(before + 1, after - 1, [(gap.from_seq, gap.to_seq) for gap in gaps]):
        if not hole.declared:
            where = next(iter(places[after].values()))[0].where
            findings.append(Finding(where, "gap", f"{probe} epoch {epoch}: seq {hole.first} to {hole.last} missing"))
        yield hole


def _holes(first: int, last: int, declared: Sequence[tuple[int, int]]) -> Iterator[Hole]:
    """Cut `first`..`last` into stretches that a signed gap declares, and stretches that none does."""
    at = first
    for low, high in sorted(declared):
        if high < at or low > last:
            continue
        if low > at:
            yield Hole(at, low - 1, False)
        yield Hole(max(low, at), min(high, last), True)
        at = min(high, last) + 1
    if at <= last:
        yield Hole(at, last, False)


def _log(
    entries: Sequence[Entry], keys: LogKeys, given: bytes | None, findings: list[Finding]
) -> tuple[int, tlog.Checkpoint | None]:
    if not keys:
        return 0, None
    seen: dict[tuple[str, int], tlog.Checkpoint] = {}
    proved: set[int] = set()
    if given is not None:
        _whole(entries, keys, given, seen, proved, findings)
    for index, entry in enumerate(entries):
        if entry.proof is not None and _proved(entry, keys, seen, findings):
            proved.add(index)
    findings += [
        Finding(entry.where, "not_in_log", "no proof that the log holds it")
        for index, entry in enumerate(entries)
        if index not in proved
    ]
    return len(proved), seen[max(seen)] if seen else None


def _whole(
    entries: Sequence[Entry],
    keys: LogKeys,
    given: bytes,
    seen: dict[tuple[str, int], tlog.Checkpoint],
    proved: set[int],
    findings: list[Finding],
) -> None:
    try:
        checkpoint = tlog.open_checkpoint(given, _key_of(given, keys))
    except Refused as refusal:
        findings.append(Finding("checkpoint", refusal.reason, refusal.detail))
        return
    seen[checkpoint.origin, checkpoint.size] = checkpoint
    if checkpoint.size == len(entries) and checkpoint.root == tlog.root([tlog.leaf_hash(e.raw) for e in entries]):
        proved.update(range(len(entries)))


def _key_of(checkpoint: bytes, keys: LogKeys) -> note.Verifier:
    """The key of the log that a checkpoint names in its first line. Raises Refused("unknown_key")."""
    name = checkpoint.partition(b"\n")[0].decode(errors="replace")
    if name not in keys:
        raise Refused("unknown_key", f"no key given for the log {name[:80]!r}")
    return keys[name]


def _proved(entry: Entry, keys: LogKeys, seen: dict[tuple[str, int], tlog.Checkpoint], findings: list[Finding]) -> bool:
    try:
        proof = tlog.parse_proof(entry.proof or b"")
        checkpoint = tlog.check_proof(entry.raw, proof, _key_of(proof.checkpoint, keys))
    except Refused as refusal:
        findings.append(Finding(entry.where, refusal.reason, f"proof: {refusal.detail}"))
        return False
    if checkpoint is None:
        findings.append(Finding(entry.where, "bad_proof", "its path does not lead to the checkpoint's root"))
        return False
    if seen.setdefault((checkpoint.origin, checkpoint.size), checkpoint) != checkpoint:
        detail = f"two roots for size {checkpoint.size} of {checkpoint.origin}"
        findings.append(Finding(entry.where, "split_view", detail))
        return False
    return True
