"""Writes `tests/data/wire/v1/`: one signed file of every record kind and note type, and what stands in each.

Run once when version 1 was frozen (`python -m tests.wire.make_golden`); `test_golden.py` makes them again byte for
byte. The records are one chain of one probe with one declared hole, so that `dosong-verify` accepts the folder.
Keys come from seeds anyone can compute: SHA-256("dosong golden " + key name). They protect nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from wire import codec, note, notes, tlog
from wire.notes import (
    Acceptance,
    Ack,
    Assignment,
    Config,
    Enrol,
    Key,
    ModemConfig,
    MonthStatement,
    Place,
    Receipt,
    Review,
    Revoke,
    Rules,
    Ticket,
    TimeNote,
)
from wire.records import (
    AnyRecord,
    BootRecord,
    Budget,
    CoverageRecord,
    EventRecord,
    GapRecord,
    Host,
    Polls,
    Position,
    Radio,
    Reading,
    TestRecord,
)
from wire.records import Path as PathProof

FOLDER = Path(__file__).parents[1] / "data" / "wire" / "v1"
ORIGIN = "dosong.example"
PROBE = "p-dong-chuoi"
BOOT = "5f0c6a1e9d2b4c7f8a3e1b0d9c8f7e6a"
T0 = 1_795_219_200_000  # 2026-11-21T00:00:00Z
SLOT_MS = 8_928_000


def signer(name: str) -> note.Signer:
    """Key `<origin>/<name>` of the golden files, from its public seed."""
    full = f"{ORIGIN}/{name}"
    return note.Signer.from_seed(full, sha256(f"dosong golden {full}".encode()).digest())


def sha_text(text: str) -> str:
    """SHA-256 of a text in base64, where a golden file needs some hash."""
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _head(seq: int, *, trusted: bool = True) -> dict[str, Any]:
    """Head fields of record `seq`; `prev` is filled in when the chain is made."""
    return {
        "v": 1,
        "probe": PROBE,
        "epoch": 1,
        "seq": seq,
        "prev": "" if seq == 0 else sha_text("prev"),
        "boot": BOOT,
        "mono_ms": 60_000 + seq * 3_600_000,
        "clock": "trusted" if trusted else "unsynced",
        "t_src": "ntp" if trusted else "none",
        "t_ms": T0 + seq * 3_600_000 if trusted else None,
        "t_err_ms": 12 if trusted else None,
        "fw": "0.1.0",
        "simulated": False,
        "site": "xom-dong-chuoi",
        "config_rev": 3,
    }


def reading(rsrp: int = -962, **more: Any) -> Reading:
    """One plausible reading of an LTE cell in band 3."""
    return Reading(
        rat="LTE",
        registration="home",
        plmn="45204",
        tac=12_345,
        eci=27_447_299,
        pci=214,
        earfcn=1_550,
        band=3,
        bandwidth_khz=20_000,
        ta=11,
        rsrp_dbm_x10=rsrp,
        rsrq_db_x10=-105,
        sinr_db_x10=128,
        rssi_dbm_x10=-655,
        temp_c_x10=412,
        **more,
    )


POLLS = Polls(
    polls=9,
    polls_registered=9,
    rsrp_dbm_x10_min=-990,
    rsrp_dbm_x10_median=-965,
    rsrp_dbm_x10_max=-950,
    rsrq_db_x10_median=-112,
    sinr_db_x10_median=119,
    cell_changes=0,
)
PATH = PathProof(
    verdict="ok",
    iface="wwan0",
    rx_bytes=25_912_733,
    tx_bytes=9_481_207,
    other_rx_bytes=0,
    other_tx_bytes=0,
    ifindex_changed=False,
    server_saw="198.18.0.2",
)
POSITION = Position(
    source="surveyed",
    lat_e7=216_412_345,
    lon_e7=1_058_765_432,
    alt_mm=23_400,
    eph_mm=4_100,
    fix_mode=3,
    fix_age_ms=850,
    sats_used=11,
    hdop_x100=92,
    surveyed_offset_m=6,
)
HOST = Host(
    uptime_ms=864_123_456,
    cpu_temp_c_x10=521,
    throttled_bits=0,
    load1_x100=34,
    mem_available_bytes=612_368_384,
    disk_free_bytes=24_117_248_000,
    test_cpu_ppm=412_000,
    host_limited=False,
    spool_records=2,
)
BUDGET = Budget(
    period_start_ms=1_793_466_000_000,
    used_bytes=4_812_334_112,
    limit_bytes=20_000_000_000,
    test_limit_bytes=48_000_000,
)


def full_test(seq: int) -> TestRecord:
    """A complete, successful run of speedtest-cli: what a healthy probe sends every slot."""
    return TestRecord(
        **_head(seq),
        beacon_size=52,
        beacon_root=sha_text("beacon"),
        modem="m1",
        trigger="scheduled",
        outcome="ok",
        referral="TN05755A",
        plmn="45204",
        slot_ms=T0 - T0 % SLOT_MS,
        slot_length_ms=SLOT_MS,
        due_ms=T0 - T0 % SLOT_MS + 1_234_567,
        attempt=1,
        duration_ms=27_431,
        engine="speedtest-cli",
        engine_version="2.1.3",
        server="http://198.18.0.1:8080/speedtest/upload.php",
        downlink_bps=19_812_334,
        downlink_bytes=24_771_021,
        downlink_us=10_002_144,
        downlink_flows=4,
        downlink_stop="time",
        uplink_bps=7_204_118,
        uplink_bytes=9_008_224,
        uplink_us=10_003_467,
        uplink_flows=4,
        uplink_stop="time",
        engine_downlink_bps=19_640_021,
        engine_uplink_bps=7_118_664,
        rtt_us_min=31_204,
        rtt_us_median=36_811,
        rtt_us_p95=52_977,
        rtt_sent=20,
        rtt_received=20,
        loss_ppm=0,
        pdv_us_p95=21_773,
        rtt_loaded_downlink_us_median=184_220,
        rtt_loaded_uplink_us_median=301_554,
        dns_us=28_331,
        connect_us=33_912,
        first_byte_us=71_204,
        path=PATH,
        radio=Radio(before=reading(), during=POLLS, after=reading(-958)),
        position=POSITION,
        host=HOST,
        budget=BUDGET,
    )


def _dosong_test(seq: int) -> TestRecord:
    steps = tuple(2_381_120 + 4_096 * (i * 37 % 11) for i in range(10))
    return replace(
        full_test(seq),
        engine="dosong",
        engine_version="0.1.0",
        server="point.dosong.example:8443",
        ticket="tk_3vJk9QxY2bLm",
        downlink_receipt=sha_text("downlink receipt"),
        uplink_receipt=sha_text("uplink receipt"),
        downlink_stop="precise",
        downlink_se_ppm=8_200,
        downlink_retrans=14,
        series_step_ms=500,
        downlink_series_bytes=steps,
        uplink_series_bytes=tuple(step // 3 for step in steps),
        engine_downlink_bps=None,
        engine_uplink_bps=None,
    )


def _failed(seq: int, outcome: Any, stage: str, cause: str, **more: Any) -> TestRecord:
    common = {"modem": "m1", "trigger": "scheduled", "outcome": outcome, "stage": stage, "cause": cause}
    slot = {"slot_ms": T0 - T0 % SLOT_MS, "slot_length_ms": SLOT_MS, "referral": "TN05755A"}
    return TestRecord(**(_head(seq) | common | slot | more))


def _coverage(seq: int) -> CoverageRecord:
    return CoverageRecord(
        **_head(seq),
        modem="m1",
        referral="TN05755A",
        plmn="45204",
        step_ms=60_000,
        states="C" * 40 + "DD" + "NNNN" + "UU" + "C" * 12,
        causes="." * 40 + "ne" + "rrss" + "vx" + "." * 12,
        polls=(60, 60, 60, 60, 60, 60),
        polls_registered=(60, 60, 60, 60, 36, 60),
        rsrp_dbm_x10_min=(-1010, -1005, -1020, -1031, -1150, -1008),
        rsrp_dbm_x10_median=(-962, -965, -960, -971, None, -964),
        rsrq_db_x10_min=(-130, -128, -131, -129, -180, -127),
        rsrq_db_x10_median=(-105, -106, -104, -108, None, -105),
        sinr_db_x10_min=(60, 62, 58, 40, -45, 61),
        sinr_db_x10_median=(128, 126, 130, 120, None, 127),
        eci=(27_447_299, 27_447_299, 27_447_299, 27_447_299, None, 27_447_299),
        act=(7, 7, 7, 7, None, 7),
        echo_sent=60,
        echo_received=53,
        echo_rtt_us_median=38_117,
        offline_ms=240_000,
        longest_gap_ms=240_000,
        rx_bytes=3_180,
        tx_bytes=3_600,
    )


def unchained() -> dict[str, AnyRecord]:
    """Every record of the golden chain by file name, `prev` not yet right; seq 9 to 11 are dropped, not written."""
    refused = Radio(before=Reading(rat="LTE", registration="denied"), raw='+QENG: "servingcell","NOCONN","LTE",255')
    return {
        "boot": BootRecord(
            **_head(0, trusted=False),
            reason="power",
            spool="new",
            head_epoch=0,
            uptime_ms=41_200,
            model="Raspberry Pi 4 Model B Rev 1.4",
            os="Debian 12",
            modems=1,
        ),
        "event-clock-set": EventRecord(
            **_head(1), event="clock_set", set_mono_ms=60_100, set_t_ms=T0 + 100, set_err_ms=12
        ),
        "test-ok": full_test(2),
        "test-ok-dosong": _dosong_test(3),
        "test-partial": replace(
            full_test(4), outcome="partial", stage="uplink", cause="cut_off", uplink_bps=None, uplink_stop="error"
        ),
        "test-failed": _failed(5, "failed", "registration", "denied", radio=refused, plmn="45204"),
        "test-skipped": _failed(6, "skipped", "schedule", "budget_spent", budget=BUDGET),
        "test-invalid-path": replace(
            full_test(7), path=replace(PATH, verdict="invalid_path", rx_bytes=412, other_rx_bytes=25_912_733)
        ),
        "coverage": _coverage(8),
        "dropped-9": EventRecord(**_head(9), event="stopping"),
        "dropped-10": EventRecord(**_head(10), event="stopping"),
        "dropped-11": EventRecord(**_head(11), event="stopping"),
        "event-outage": EventRecord(
            **_head(12), event="outage_begin", modem="m1", stage="registration", cause="searching"
        ),
        "event-recovery": EventRecord(
            **_head(13),
            event="recovery",
            modem="m1",
            rung="modem_restart",
            note="lần 2 trong 6 giờ",
            duration_ms=41_000,
        ),
        "coverage-simulated": replace(_coverage(14), simulated=True, step_ms=1_000, states="C" * 12, causes="." * 12),
        "gap": GapRecord(
            **_head(15), gap_epoch=1, from_seq=9, to_seq=11, last_leaf=sha_text("leaf"), reason="spool_full"
        ),
    }


def chain() -> dict[str, bytes]:
    """The golden chain, sealed: each record names the leaf of the one before."""
    sealed: dict[str, bytes] = {}
    prev = ""
    key = signer(f"probe/{PROBE}")
    for name, unlinked in unchained().items():
        record = replace(unlinked, prev=prev)
        if isinstance(record, GapRecord):
            record = replace(record, last_leaf=codec.leaf_text(codec.leaf_hash(sealed["dropped-11"])))
        sealed[name] = codec.seal(record, ORIGIN, key)
        prev = codec.leaf_text(codec.leaf_hash(sealed[name]))
    return {name: raw for name, raw in sealed.items() if not name.startswith("dropped")}


_S: dict[str, Any] = {"v": 1, "signed_ms": T0 + 86_400_000}


def statements() -> dict[str, tuple[str, notes.Statement]]:
    """Every note that is no record: file name -> (key name below the origin, object)."""
    who: dict[str, Any] = {**_S, "actor": "nguyen-van-a"}
    probe: dict[str, Any] = {**_S, "probe": PROBE}
    seeds = {"2026_11": sha256(b"2026_11").hexdigest(), "2026_12": sha256(b"2026_12").hexdigest()}
    modem = ModemConfig(slots=300, plmn="45204", limit_bytes=20_000_000_000, billing_day=1, engine="speedtest-cli")
    place: dict[str, Any] = {"lat_e7": 216_412_345, "lon_e7": 1_058_765_432}
    new_key = signer(f"probe/{PROBE}/next").verifier.vkey
    return {
        "ack": ("ack", Ack(**probe, epoch=1, gen=0, size=13, upto=15, head=sha_text("head"))),
        "ack-empty": ("ack", Ack(**probe, epoch=2, gen=1, size=13)),
        "config": (
            "config",
            Config(
                **probe,
                **place,
                rev=3,
                expires_ms=T0 + 90 * 86_400_000,
                site="xom-dong-chuoi",
                referral="TN05755A",
                modems={"m1": modem},
                seeds=seeds,
                server="http://198.18.0.1:8080/speedtest/upload.php",
                action="doctor",
                action_id="act-20261122-1",
            ),
        ),
        "ticket": (
            "point/hanoi-1",
            Ticket(
                **probe,
                ticket="tk_3vJk9QxY2bLm",
                epoch=1,
                point="hanoi-1",
                source="198.18.0.2",
                expires_ms=T0 + 86_520_000,
            ),
        ),
        "receipt": (
            "point/hanoi-1",
            Receipt(
                **probe,
                ticket="tk_3vJk9QxY2bLm",
                point="hanoi-1",
                direction="downlink",
                source="198.18.0.2",
                bytes=24_771_021,
                duration_us=10_001_900,
                rate_bps=19_813_400,
                rtt_us_min=30_911,
                retrans=14,
            ),
        ),
        "enrol": (
            f"probe/{PROBE}",
            Enrol(
                **probe,
                record_key=signer(f"probe/{PROBE}").verifier.vkey,
                tls_key_sha256=sha_text("tls"),
                token_sha256=sha_text("token"),
                hardware_sha256=sha_text("hardware"),
                model="Raspberry Pi 4 Model B Rev 1.4",
                fw="0.1.0",
            ),
        ),
        "key": (f"probe/{PROBE}", Key(**probe, epoch=2, record_key=new_key)),
        "revoke": (
            "registry",
            Revoke(**who, key_name=f"{ORIGIN}/probe/{PROBE}", key=new_key, reason="thẻ nhớ bị sao chép"),
        ),
        "place": (
            "registry",
            Place(
                **who,
                **place,
                site="xom-dong-chuoi",
                hamlet="dong-chuoi",
                commune="05755",
                radius_mm=8_000,
                fixes=600,
                method="survey",
            ),
        ),
        "acceptance": (
            "registry",
            Acceptance(
                **who,
                probe=PROBE,
                site="xom-dong-chuoi",
                code="7K3M9QXA",
                checks_ok=14,
                checks_failed=0,
                test_epoch=1,
                test_seq=2,
            ),
        ),
        "assignment": (
            "registry",
            Assignment(
                **who,
                relation="probe_site",
                subject=PROBE,
                target="xom-dong-chuoi",
                valid_from_ms=T0,
                valid_until_ms=None,
            ),
        ),
        "review": (
            "registry",
            Review(
                **who,
                probe=PROBE,
                epoch=1,
                seq=7,
                leaf=sha_text("leaf"),
                verdict="not_counted",
                reason="đo qua Wi-Fi của nhà văn hóa",
                second_actor="tran-thi-b",
            ),
        ),
        "rules": (
            "registry",
            Rules(**who, name="counting", version=1, rules_sha256=sha_text("rules"), valid_from_ms=T0),
        ),
        "statement": (
            "registry",
            MonthStatement(
                **_S,
                month="2026-11",
                hamlet="dong-chuoi",
                rules_sha256=sha_text("rules"),
                tests=326,
                counted=308,
                failed=11,
                missed=7,
                covered_ms=2_505_600_000,
                degraded_ms=43_200_000,
                no_service_ms=21_600_000,
                unknown_ms=21_600_000,
            ),
        ),
        "time": ("time", TimeNote(**_S, nonce="bm9uY2Utbm9uY2U", boot=BOOT)),
    }


def _describe(kind: str, raw: bytes, key: note.Signer, obj: Any) -> bytes:
    row = {
        "type": kind,
        "vkey": key.verifier.vkey,
        "bytes": len(raw),
        "leaf": codec.leaf_text(codec.leaf_hash(raw)),
        "object": obj,
    }
    return (json.dumps(row, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def files() -> Iterator[tuple[str, bytes]]:
    """Every golden file: path below `FOLDER`, bytes."""
    records = chain()
    probe_key = signer(f"probe/{PROBE}")
    for name, raw in records.items():
        yield f"records/{name}.note", raw
        yield f"expected/{name}.json", _describe("sample", raw, probe_key, json.loads(codec.body_of(raw)))
    for name, (key_name, obj) in statements().items():
        key = signer(key_name)
        raw = notes.seal(obj, ORIGIN, key)
        kind = next(row.name for row in notes.NOTE_TYPES.values() if row.shape is type(obj))
        yield f"notes/{name}.note", raw
        yield f"expected/{name}.json", _describe(kind, raw, key, msgspec.to_builtins(obj))
    yield from _log_files(list(records.values()))


def _log_files(entries: list[bytes]) -> Iterator[tuple[str, bytes]]:
    leaves = [tlog.leaf_hash(raw) for raw in entries]
    key = signer("log")
    checkpoint = tlog.Checkpoint(key.name, len(leaves), tlog.root(leaves))
    raw = tlog.sign_checkpoint(checkpoint, key)
    obj = {"origin": checkpoint.origin, "size": checkpoint.size, "root": codec.leaf_text(checkpoint.root)}
    yield "notes/checkpoint.note", raw
    yield "expected/checkpoint.json", _describe("checkpoint", raw, key, obj)
    yield "log/test-ok.note", entries[2]
    yield "log/test-ok.note.tlog-proof", tlog.proof_text(tlog.Proof(2, tlog.inclusion_proof(leaves, 2), raw))
    yield "log/vkeys", f"{signer(f'probe/{PROBE}').verifier.vkey}\n".encode()


def main() -> None:
    """Write the files; existing ones are replaced only by equal bytes."""
    for name, raw in files():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() != raw:
            raise SystemExit(f"{path} differs: golden files of a released version are never rewritten")
        path.write_bytes(raw)


if __name__ == "__main__":
    main()
