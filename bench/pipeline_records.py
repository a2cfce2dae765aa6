"""A backlog of signed records for the pipeline bench: chains of many probes, made from the golden files.

Every record is one of `tests/data/wire/v1/records`, in turn, signed by its probe's own key and chained. Measured
numbers, hashes and tickets are drawn anew for each, so that nothing compresses better than it would in the field.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from wire import bundle, codec, note, topics
from wire.note import Signer
from wire.records import AnyRecord

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "wire" / "v1" / "records"
ORIGIN = "dosong.example"
T0_MS = 1_790_000_400_000
STEP_MS = 600_000
VARIANTS = 40
HASHES = ("beacon_root", "downlink_receipt", "uplink_receipt", "head_hash", "last_leaf")
KEPT = {
    *("v", "epoch", "seq", "mono_ms", "t_ms", "slot_ms", "slot_length_ms", "lat_e7", "lon_e7", "config_rev", "step_ms"),
    *("act", "eci", "bandwidth_khz", "band", "earfcn", "pci", "tac", "fix_mode", "polls", "polls_registered", "modems"),
    *("gap_epoch", "from_seq", "to_seq", "set_t_ms", "set_mono_ms", "series_step_ms", "limit_bytes", "attempt"),
    *(
        "period_start_ms",
        "test_limit_bytes",
        "downlink_flows",
        "uplink_flows",
        "throttled_bits",
        "rtt_sent",
        "echo_sent",
    ),
}
_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(AnyRecord)


@dataclass(slots=True)
class Chain:
    """One probe of the bench: its key and how far its chain has come."""

    number: int
    probe: str = ""
    signer: Signer = field(init=False)
    seq: int = 0
    head: str = ""

    def __post_init__(self) -> None:
        self.probe = f"p-{self.number:05d}"
        seed = sha256(f"bench {self.number}".encode()).digest()
        self.signer = Signer.from_seed(codec.probe_key_name(ORIGIN, self.probe), seed)


class Mill:
    """Makes records: `next(chain)` gives the signed bytes of the chain's next one."""

    def __init__(self, seed: int = 5) -> None:
        self._random = random.Random(seed)  # noqa: S311 (figures, no secrets)
        golden = [codec.body_of(path.read_bytes()) for path in sorted(GOLDEN.glob("*.note"))]
        self._variants = [[self._varied(body) for _ in range(VARIANTS)] for body in golden]
        self._first = f"{codec.domain(ORIGIN, 'sample')}\n".encode()

    def next(self, chain: Chain) -> bytes:
        """Return the next record's bytes and let the chain go on behind it."""
        kind = (chain.seq + chain.number) % len(self._variants)
        obj = {**self._random.choice(self._variants[kind]), "probe": chain.probe, "epoch": 1, "seq": chain.seq}
        obj |= {"prev": chain.head, "boot": sha256(chain.probe.encode()).hexdigest()[:32]}
        obj |= {"mono_ms": STEP_MS * chain.seq, "t_ms": T0_MS + STEP_MS * chain.seq, "site": f"s-{chain.probe}"}
        if "slot_ms" in obj:
            obj |= {"slot_ms": T0_MS + STEP_MS * chain.seq, "slot_length_ms": STEP_MS}
        if obj["kind"] == "gap":
            obj |= {"gap_epoch": 1, "from_seq": max(0, chain.seq - 1), "to_seq": max(0, chain.seq - 1)}
        raw = note.sign(self._first + _ENCODER.encode(obj) + b"\n", chain.signer)
        chain.seq, chain.head = chain.seq + 1, codec.leaf_text(codec.leaf_hash(raw))
        return raw

    def _varied(self, body: bytes) -> dict[str, Any]:
        """The golden record with other measured numbers that the schema takes."""
        while True:
            obj = self._other(msgspec.json.decode(body))
            obj["simulated"] = False
            try:
                _DECODER.decode(_ENCODER.encode(obj))
            except msgspec.ValidationError:
                continue
            return obj

    def _other(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._other(one, key) for key, one in value.items()}
        if isinstance(value, list) and name not in KEPT:
            return [self._other(one) for one in value]
        if name in HASHES:
            return base64.b64encode(self._random.randbytes(32)).decode()
        if name == "ticket":
            return f"tk_{self._random.randbytes(6).hex()}"
        if type(value) is int and name not in KEPT and abs(value) >= 10:
            return round(value * self._random.uniform(0.8, 1.2))
        return value


def registry(chains: list[Chain]) -> dict[str, Any]:
    """A registry document: a commune of hamlets with one probe each, standing where the golden records were made."""
    names = [chain.probe for chain in chains]
    place = {"lat_e7": 216_412_345, "lon_e7": 1_058_765_432}
    return {
        "provinces": [{"code": "19", "name": "Thái Nguyên"}],
        "communes": [{"code": "05755", "name": "Xã Phú Xuyên", "province": "19"}],
        "hamlets": [{"code": f"h-{name}", "name": name, "kind": "xóm", "commune": "05755"} for name in names],
        "sites": [{"code": f"s-{name}", "hamlet": f"h-{name}", "name": "Nhà văn hóa", **place} for name in names],
        "probes": [{"id": c.probe, "vkey": c.signer.verifier.vkey, "site": f"s-{c.probe}"} for c in chains],
        "referrals": [{"code": "TN05755A", "unit": "05755"}],
    }


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages in the order in which the broker gets them, and what is in them."""

    messages: list[tuple[str, bytes]]
    records: int
    raw_bytes: int


def backlog(chains: list[Chain], each: int, a_message: int, window: int) -> Backlog:
    """Make `each` records of every chain, `a_message` in one; probes take turns, `window` messages at a time."""
    mill, total, size = Mill(), 0, 0
    queues: list[list[tuple[str, bytes]]] = []
    for chain in chains:
        raws = [mill.next(chain) for _ in range(each)]
        total, size = total + len(raws), size + sum(map(len, raws))
        queues.append([(topics.up(chain.probe), one) for one in _messages(raws, a_message)])
    messages: list[tuple[str, bytes]] = []
    for start in range(0, max(map(len, queues)), window):
        for queue in queues:
            messages += queue[start : start + window]
    return Backlog(messages, total, size)


def _messages(raws: list[bytes], a_message: int) -> Iterator[bytes]:
    """Bundles of `a_message` records, fewer where 48 KiB do not hold them."""
    at = 0
    while at < len(raws):
        count = bundle.fill(raws[at:], a_message)
        yield bundle.encode(raws[at : at + count])
        at += count
