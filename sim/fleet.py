"""`dosong-sim fleet`: a month of a fleet, honest stations and twelve kinds of cheats, signed with real keys and chains.

It writes a folder: `registry.json` (what provisioning would load), `prefixes.toml` (the operators' addresses),
`deliveries.jsonl` (what arrives when: topic, entries in base64), and `truth.json` (which records are faked, and how).
Nothing in it is marked as simulated, because the marks would be judged: keep it out of real deployments. Its keys are
made from the seed, under an origin of its own.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from sim.fleet_fakes import FAKES, WITHOUT_RECEIPTS
from sim.fleet_life import Draft, Home, Life
from sim.fleet_world import PREFIXES, Region, beside
from wire import codec, notes, topics
from wire.errors import EXIT_OK
from wire.note import Signer
from wire.records import CoverageRecord

ORIGIN = "fleet.dosong.example"
MONTH = "2026_10"
POINT = "hn-1"
VILLAGE_STATIONS = 3
FAKE_AFTER_DAYS = 9


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrives at `sent_ms`: entries of one message on `topic`."""

    sent_ms: int
    topic: str
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Faked:
    """One faked thing: its class, whose, and the record (leaf hash, hex) or the slot that it is about."""

    fake: str
    kind: int
    probe: str
    engine: str
    leaf: str
    slot_ms: int | None


@dataclass(slots=True)
class Fleet:
    """Everything that a month of a fleet came to."""

    registry: dict[str, Any]
    deliveries: list[Delivery] = field(default_factory=list)
    faked: list[Faked] = field(default_factory=list)
    honest: list[str] = field(default_factory=list)


def signer(name: str, seed: int) -> Signer:
    """A key that the seed alone decides."""
    return Signer.from_seed(name, sha256(f"{seed}/{name}".encode()).digest())


def make(seed: int, honest: int, days: int, per_kind: int = 1, *, is_short: bool = False) -> Fleet:
    """Draw a month: `honest` stations, and `per_kind` cheats of each variation of the twelve fakes.

    `is_short`: only the first variation of each, and coverage of the last hours alone.
    """
    region, dice = Region(seed), Random(f"{seed}/homes")  # noqa: S311 (a simulation)
    counts = {name: 1 if is_short else count for name, (_, count) in FAKES.items()}
    kinds = [(name, kind) for name, count in counts.items() for kind in range(count) for _ in range(per_kind)]
    homes = list(_homes(region, dice, honest + len(kinds)))
    fleet = Fleet(_document(homes, seed))
    for at, home in enumerate(homes):
        name, kind = ("", 0) if at < honest else kinds[at - honest]
        if name:
            home = replace(home, engine="speedtest-cli" if (name, kind) in WITHOUT_RECEIPTS else "dosong")  # noqa: PLW2901
        life = Life(home, region, MONTH, days, seed)
        ends_ms = life.end_ms - 10_800_000 if is_short else life.begin_ms
        drafts = [d for d in life.drafts() if d.shape is not CoverageRecord or d.at_ms >= ends_ms]
        if name:
            drafts = FAKES[name][0](life, drafts, life.begin_ms + FAKE_AFTER_DAYS * 86_400_000, kind)
        else:
            fleet.honest.append(home.probe)
        _sign(fleet, home, drafts, kind, seed)
    fleet.deliveries.sort(key=lambda one: one.sent_ms)
    return fleet


def _homes(region: Region, dice: Random, count: int) -> Iterator[Home]:
    """Stations by villages: a few kilometres apart, of several operators, engines and modems."""
    spot = region.spot(dice)
    for at in range(count):
        if at % VILLAGE_STATIONS == 0:
            spot = region.spot(dice)
        plmn = dice.choice(("45204", "45204", "45202", "45201"))
        engine = "speedtest-cli" if at % 5 == 4 else "dosong"
        yield Home(
            f"p-{at:04d}", f"h-{at // VILLAGE_STATIONS:03d}", beside(spot, 1_500, dice), plmn, engine,
            tenths=at % 2 == 0, has_sinr=at % 7 != 6,
        )  # fmt: skip


def _document(homes: Sequence[Home], seed: int) -> dict[str, Any]:
    villages = sorted({home.village for home in homes})
    return {
        "provinces": [{"code": "19", "name": "Tỉnh mô phỏng"}],
        "communes": [{"code": "c-1", "name": "Xã mô phỏng", "province": "19"}],
        "hamlets": [{"code": v, "name": v, "kind": "xóm", "commune": "c-1"} for v in villages],
        "sites": [
            {"code": h.site, "hamlet": h.village, "name": h.site, "lat_e7": h.spot.lat_e7, "lon_e7": h.spot.lon_e7}
            for h in homes
        ],
        "probes": [
            {"id": h.probe, "vkey": signer(codec.probe_key_name(ORIGIN, h.probe), seed).verifier.vkey, "site": h.site}
            for h in homes
        ],
        "points": [{"code": POINT, "vkey": signer(f"{ORIGIN}/point/{POINT}", seed).verifier.vkey}],
        "referrals": [{"code": v, "unit": v} for v in villages],
    }


class _Chains:
    """The chains of one probe, by epoch; a branch is a copied card that goes on by itself."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home = home
        self.key = signer(codec.probe_key_name(ORIGIN, home.probe), seed)
        self.point = signer(f"{ORIGIN}/point/{POINT}", seed)
        self.heads: dict[int, tuple[int, int, str]] = {0: (1, 0, "")}
        self.receipts: dict[int, dict[str, bytes]] = {}

    def seal(self, draft: Draft) -> tuple[list[bytes], bytes]:
        """Sign a draft's receipts and the draft; return both."""
        branch = draft.fields.pop("branch", 0)
        if branch not in self.heads:
            epoch, seq, head = self.heads[0]
            self.heads[branch] = (epoch, seq, head) if branch == 1 else (epoch + 1, 0, "")
        epoch, seq, head = self.heads[branch]
        kept = self._receipts(draft)
        named = {f"{way}_receipt": codec.leaf_text(codec.leaf_hash(raw)) for way, raw in kept.items()}
        ticket = {"ticket": self._ticket(draft)} if kept else {}
        fields = {**draft.fields, **named, **ticket, "epoch": epoch, "seq": seq, "prev": head}
        raw = codec.seal(draft.shape(**fields), ORIGIN, self.key)  # type: ignore[arg-type]
        self.heads[branch] = (epoch, seq + 1, codec.leaf_text(codec.leaf_hash(raw)))
        return list(kept.values()), raw

    @staticmethod
    def _ticket(draft: Draft) -> str:
        return sha256(f"{draft.fields['probe']}/{draft.at_ms}".encode()).hexdigest()[:32]

    def _receipts(self, draft: Draft) -> dict[str, bytes]:
        again = next((one["again"] for one in draft.receipts.values() if "again" in one), None)
        if again is not None:
            return self.receipts[id(again)]
        made = {way: self._receipt(draft, way, seen) for way, seen in draft.receipts.items()}
        self.receipts[id(draft)] = made
        return made

    def _receipt(self, draft: Draft, way: str, seen: Mapping[str, Any]) -> bytes:
        head = {"v": 1, "ticket": self._ticket(draft), "probe": self.home.probe, "point": POINT, "direction": way}
        return notes.seal(notes.Receipt(**{**head, **seen}), ORIGIN, self.point)


def _sign(fleet: Fleet, home: Home, drafts: Sequence[Draft], kind: int, seed: int) -> None:
    chains, topic = _Chains(home, seed), topics.up(home.probe)
    for draft in sorted(drafts, key=lambda one: one.at_ms):
        slot_ms = draft.fields.get("slot_ms")
        if draft.fake == "dropped":
            fleet.faked.append(Faked("dropped", kind, home.probe, home.engine, "", slot_ms))
            continue
        receipts, raw = chains.seal(draft)
        sent = _edited(raw) if draft.fake == "edited" else raw
        if draft.fake:
            leaf = codec.leaf_hash(sent).hex()
            fleet.faked.append(Faked(draft.fake, kind, home.probe, home.engine, leaf, slot_ms))
        fleet.deliveries.append(Delivery(draft.sent_ms, topic, (*receipts, sent)))
        if draft.fake == "edited":  # the probe waits for its answer in vain, and sends what it signed
            fleet.deliveries.append(Delivery(draft.sent_ms + 60_000, topic, (*receipts, raw)))
        elif draft.fake == "replay":  # and old bytes once more
            fleet.deliveries.append(Delivery(draft.sent_ms + 90_000, topic, (raw,)))


def _edited(raw: bytes) -> bytes:
    """The first digit of the downlink's rate made a nine (an eight if it is one)."""
    at = raw.index(b'"downlink_bps":') + len(b'"downlink_bps":')
    return raw[:at] + (b"8" if raw[at : at + 1] == b"9" else b"9") + raw[at + 1 :]


def write(fleet: Fleet, folder: Path) -> None:
    """Write the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.json").write_text(json.dumps(fleet.registry, ensure_ascii=False, indent=1))
    ranges = "".join(f"{plmn} = {json.dumps(list(found))}\n" for plmn, found in PREFIXES.items())
    (folder / "prefixes.toml").write_text(f"[prefixes]\n{ranges}")
    with (folder / "deliveries.jsonl").open("w") as file:
        for one in fleet.deliveries:
            entries = [base64.b64encode(raw).decode() for raw in one.entries]
            file.write(json.dumps({"sent_ms": one.sent_ms, "topic": one.topic, "entries": entries}) + "\n")
    truth = {"origin": ORIGIN, "honest": fleet.honest, "faked": [asdict(one) for one in fleet.faked]}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim fleet`."""
    parser = subparsers.add_parser(
        "fleet",
        help="write a month of a fleet with twelve kinds of cheats, and the truth about it",
        description="A month of honest stations and of cheats, signed with real keys, as files: for judging the judge.",
        epilog="example: dosong-sim fleet --seed 7 --honest 30 --days 31 /tmp/fleet",
    )
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--honest", type=int, default=30, help="honest stations")
    parser.add_argument("--days", type=int, default=31, help="length; cheats begin after nine days")
    parser.add_argument("--per-kind", type=int, default=1, help="cheats of each variation")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make and write the fleet."""
    fleet = make(args.seed, args.honest, args.days, args.per_kind)
    write(fleet, args.folder)
    sys.stdout.write(
        f"{args.folder}: {len(fleet.registry['probes'])} stations, {len(fleet.deliveries)} deliveries,"
        f" {len(fleet.faked)} fakes\n"
    )
    return EXIT_OK
