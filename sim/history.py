"""One simulated month of one probe's records: signed by its key, marked simulated, sent by the probe's own door.

The records are what the probe would have made (slots of 2.4 hours, hourly coverage), with rates that follow the
hour of the day and the signal, failures included. They travel over TLS and MQTT and wait for the ledger's ACK, so
that history is accepted by the same rules as everything else.
"""

from __future__ import annotations

import argparse
import math
import random
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from wire import bundle, codec, keyfile, notes, records, topics
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, Misconfigured, Refused
from wire.note import Signer, Verifier

SLOT_MS = 8_640_000
HOUR_MS = 3_600_000
STEP_MS = 60_000
DAY_MS = 24 * HOUR_MS
FW = "0.1.0-sim"
ANSWERS_QOS = 0
"""As probes subscribe (`probe.broker`)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the month looked like at one site. Rates in bit/s, RSRP in dBm/10, outages a day on average.

    `iface`: where the tests left; anything but a modem's link is `invalid_path`, as in the field.
    """

    probe: str
    site: str
    referral: str
    plmn: str
    lat_e7: int
    lon_e7: int
    downlink_bps: int
    uplink_bps: int
    rsrp_dbm_x10: int
    outages_a_day: float
    iface: str = "cell0"


@dataclass(frozen=True, slots=True)
class _Outage:
    begin_ms: int
    end_ms: int


def outages(scene: Scene, begin_ms: int, end_ms: int, dice: random.Random) -> list[_Outage]:
    """Draw the month's outages: Poisson in number, minutes to a few hours long."""
    found = []
    at = begin_ms + int(dice.expovariate(scene.outages_a_day / DAY_MS))
    while at < end_ms:
        length = int(min(dice.lognormvariate(math.log(25 * STEP_MS), 0.9), 6 * HOUR_MS))
        found.append(_Outage(at, at + length))
        at += length + int(dice.expovariate(scene.outages_a_day / DAY_MS))
    return found


def _busy(t_ms: int) -> float:
    """Share of the rate that is left at this hour in Viet Nam (UTC+7): evenings are slow."""
    hour = (t_ms / HOUR_MS + 7) % 24
    return 1 - 0.38 * math.exp(-(((hour - 20.5) / 2.6) ** 2)) - 0.12 * math.exp(-(((hour - 12) / 1.8) ** 2))


class Month:
    """Yields one probe's unsigned records in order of time; `simulated` is true in each."""

    def __init__(self, scene: Scene, begin_ms: int, end_ms: int, seed: int) -> None:
        self._scene = scene
        self._begin = begin_ms
        self._end = end_ms
        self._dice = random.Random(f"{seed}/{scene.probe}")  # noqa: S311 (a simulation, not a secret)
        self._outages = outages(scene, begin_ms, end_ms, self._dice)
        self._boot = sha256(scene.probe.encode()).hexdigest()[:32]

    def fields(self) -> Iterator[tuple[type[records.Record], dict[str, Any]]]:
        """Yield (record type, its fields without epoch, seq and prev)."""
        yield records.BootRecord, self._head(self._begin) | {"reason": "install", "spool": "new", "modems": 1}
        slots = range(self._begin - self._begin % SLOT_MS + SLOT_MS, self._end - SLOT_MS, SLOT_MS)
        hours = range(self._begin - self._begin % HOUR_MS + HOUR_MS, self._end - HOUR_MS, HOUR_MS)
        times = [(t, "test") for t in slots] + [(t, "coverage") for t in hours]
        for t_ms, what in sorted(times):
            if what == "test":
                yield records.TestRecord, self._test(t_ms)
            else:
                yield records.CoverageRecord, self._coverage(t_ms)

    def _head(self, t_ms: int) -> dict[str, Any]:
        scene = self._scene
        return {
            "v": 1, "probe": scene.probe, "boot": self._boot, "mono_ms": t_ms - self._begin + 60_000,
            "clock": "trusted", "t_src": "ntp", "t_ms": t_ms, "t_err_ms": self._dice.randrange(2, 40),
            "fw": FW, "simulated": True, "site": scene.site,
        }  # fmt: skip

    def _is_out(self, t_ms: int) -> bool:
        return any(o.begin_ms <= t_ms < o.end_ms for o in self._outages)

    def _test(self, slot_ms: int) -> dict[str, Any]:
        dice, scene = self._dice, self._scene
        due = slot_ms + dice.randrange(0, SLOT_MS - 60_000)
        head = self._head(due) | {
            "modem": "m1", "trigger": "scheduled", "referral": scene.referral, "plmn": scene.plmn,
            "slot_ms": slot_ms, "slot_length_ms": SLOT_MS, "due_ms": due, "attempt": 1,
            "position": records.Position(
                source="surveyed", lat_e7=scene.lat_e7, lon_e7=scene.lon_e7, fix_mode=3,
                sats_used=dice.randrange(6, 12), eph_mm=dice.randrange(2500, 9000),
                surveyed_offset_m=dice.randrange(0, 9),
            ),
        }  # fmt: skip
        if self._is_out(due):
            radio = records.Radio(before=records.Reading(registration="searching"))
            return head | {"outcome": "failed", "stage": "registration", "cause": "searching", "radio": radio}
        if dice.random() < 0.015:
            return head | {"outcome": "failed", "stage": "connect", "cause": "server_unreachable"} | self._radio()
        return head | {"outcome": "ok"} | self._radio() | self._figures(due)

    def _radio(self) -> dict[str, Any]:
        rsrp = max(-1390, min(-450, int(self._dice.gauss(self._scene.rsrp_dbm_x10, 25))))
        reading = records.Reading(
            rat="LTE", registration="home", plmn=self._scene.plmn, tac=16169, eci=117004595, pci=399, earfcn=1650,
            band=3, rsrp_dbm_x10=rsrp, rsrq_db_x10=max(-195, min(-30, -70 + (rsrp + 850) // 8)),
            sinr_db_x10=max(-190, min(290, 150 + (rsrp + 900) // 2)),
        )  # fmt: skip
        return {"radio": records.Radio(before=reading)}

    def _figures(self, t_ms: int) -> dict[str, Any]:
        dice, scene = self._dice, self._scene
        swing = math.exp(dice.gauss(0, 0.28)) * _busy(t_ms)
        down = int(scene.downlink_bps * swing)
        up = int(scene.uplink_bps * math.exp(dice.gauss(0, 0.24)) * _busy(t_ms))
        rtt = int(dice.lognormvariate(math.log(38_000), 0.18) / _busy(t_ms))
        lost = 1 if dice.random() < 0.12 else 0
        down_us, up_us = 5_000_000, 5_000_000
        down_bytes, up_bytes = down * down_us // 8_000_000, up * up_us // 8_000_000
        return {
            "engine": "speedtest-cli", "engine_version": "2.1.3", "server": "sim-point", "duration_ms": 14_000,
            "downlink_bps": down, "downlink_bytes": down_bytes, "downlink_us": down_us, "downlink_flows": 8,
            "downlink_stop": "time", "uplink_bps": up, "uplink_bytes": up_bytes, "uplink_us": up_us, "uplink_flows": 8,
            "uplink_stop": "time", "rtt_us_min": int(rtt * 0.85), "rtt_us_median": rtt, "rtt_us_p95": int(rtt * 1.4),
            "rtt_sent": 20, "rtt_received": 20 - lost, "loss_ppm": lost * 50_000, "pdv_us_p95": int(rtt * 0.55),
            "connect_us": int(rtt * 1.05), "first_byte_us": int(rtt * 2.2),
            "path": records.Path(
                verdict="invalid_path" if scene.iface == "lo" else "ok", iface=scene.iface,
                rx_bytes=int(down_bytes * 1.06), tx_bytes=int(up_bytes * 1.06),
                other_rx_bytes=0, other_tx_bytes=0, ifindex_changed=False,
            ),
        }  # fmt: skip

    def _coverage(self, t_ms: int) -> dict[str, Any]:
        states, causes = [], []
        weak = self._scene.rsrp_dbm_x10 < -1050
        for step in range(60):
            at = t_ms + step * STEP_MS
            if self._is_out(at):
                states.append("N")
                causes.append("s")
            elif weak and self._dice.random() < 0.03:
                states.append("D")
                causes.append("e")
            else:
                states.append("C")
                causes.append(".")
        lost = sum(s != "C" for s in states)
        sixths = tuple(int(self._dice.gauss(self._scene.rsrp_dbm_x10, 15)) for _ in range(6))
        return self._head(t_ms) | {
            "modem": "m1", "step_ms": STEP_MS, "states": "".join(states), "causes": "".join(causes),
            "referral": self._scene.referral, "plmn": self._scene.plmn, "echo_sent": 60, "echo_received": 60 - lost,
            "polls": (60,) * 6,
            "polls_registered": tuple(60 - 6 * states[i * 10 : i * 10 + 10].count("N") for i in range(6)),
            "rsrp_dbm_x10_median": sixths, "rsrp_dbm_x10_min": tuple(v - 30 for v in sixths), "act": (7,) * 6,
            "offline_ms": states.count("N") * STEP_MS, "longest_gap_ms": _longest("".join(states)) * STEP_MS,
        }  # fmt: skip


def _longest(states: str) -> int:
    return max((len(run) for run in "".join("N" if s == "N" else " " for s in states).split()), default=0)


def sealed(month: Month, origin: str, signer: Signer, epoch: int = 1) -> Iterator[bytes]:
    """Sign and chain the month's records."""
    prev = ""
    for seq, (shape, fields) in enumerate(month.fields()):
        record = shape(epoch=epoch, seq=seq, prev=prev, **fields)
        raw = codec.seal(record, origin, signer)  # type: ignore[arg-type]
        prev = codec.leaf_text(codec.leaf_hash(raw))
        yield raw


@dataclass(frozen=True, slots=True)
class Door:
    """How to reach the broker as this probe, and whose ACK to believe."""

    host: str
    port: int
    identity: Path
    origin: str
    ack: Verifier


class Sender:
    """Publishes signed records and waits until the ledger has acknowledged all of them."""

    def __init__(self, door: Door, probe: str) -> None:
        self._door = door
        self._probe = probe
        self._upto = -1
        self._news = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=probe, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.tls_set(
            ca_certs=str(door.identity / "ca.crt"),
            certfile=str(door.identity / "tls.crt"),
            keyfile=str(door.identity / "tls.key"),
            tls_version=ssl.PROTOCOL_TLS_CLIENT,
        )
        self._client.max_queued_messages_set(0)
        self._client.on_connect = lambda client, *_: client.subscribe(topics.ack(probe), ANSWERS_QOS)
        self._client.on_message = self._on_message

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            ack = notes.open_note(bytes(message.payload), notes.Ack, self._door.origin, self._door.ack)
        except Refused:
            return
        with self._news:
            if ack.probe == self._probe and ack.upto is not None:
                self._upto = max(self._upto, ack.upto)
            self._news.notify_all()

    def send(self, raws: list[bytes], patience_s: float) -> bool:
        """Publish all of `raws` (seq 0 upwards) and wait. Returns False if they were not all acknowledged in time."""
        self._client.connect(self._door.host, self._door.port, keepalive=60)
        self._client.loop_start()
        try:
            deadline = time.monotonic() + patience_s
            while self._upto < len(raws) - 1 and time.monotonic() < deadline:
                self._publish(raws[self._upto + 1 :])
                self._wait(len(raws) - 1, min(deadline, time.monotonic() + 20))
            return self._upto >= len(raws) - 1
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _publish(self, raws: list[bytes]) -> None:
        at = 0
        while at < len(raws):
            count = bundle.fill(raws[at : at + bundle.MAX_RECORDS])
            self._client.publish(topics.up(self._probe), bundle.encode(raws[at : at + count]), topics.QOS)
            at += count

    def _wait(self, last: int, deadline: float) -> None:
        with self._news:
            while self._upto < last and time.monotonic() < deadline:
                self._news.wait(0.5)


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim history`."""
    parser = subparsers.add_parser(
        "history",
        help="send one simulated month of one probe",
        description="Sign one month of plausible records with a probe's key and send them by MQTT until acknowledged.",
        epilog="example: dosong-sim history --identity demo/probes/p-a --ack-vkey ... --host 198.18.0.1 --site nvh-a "
        "--referral TN1 --lat-e7 216767000 --lon-e7 1061630000 --down 20000000 --up 8000000 --rsrp -850",
    )
    parser.add_argument("--identity", type=Path, required=True, help="folder with record.key, tls.key, tls.crt, ca.crt")
    parser.add_argument("--ack-vkey", required=True, help="public key of the ledger's ACKs")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=8883)
    parser.add_argument("--site", required=True)
    parser.add_argument("--referral", required=True)
    parser.add_argument("--plmn", default="45204")
    parser.add_argument("--lat-e7", type=int, required=True)
    parser.add_argument("--lon-e7", type=int, required=True)
    parser.add_argument("--down", type=int, required=True, help="typical downlink, bit/s")
    parser.add_argument("--up", type=int, required=True, help="typical uplink, bit/s")
    parser.add_argument("--rsrp", type=int, required=True, help="typical RSRP, dBm/10")
    parser.add_argument("--outages", type=float, default=0.15, help="outages a day on average")
    parser.add_argument("--iface", default="cell0", help="link of the tests; lo makes them invalid_path")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for the last ACK")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make and send the month; exit status 0 once all of it is acknowledged."""
    try:
        signer = keyfile.read_signer(args.identity / "record.key")
        ack = keyfile.read_verifier(args.ack_vkey, "--ack-vkey")
    except Misconfigured as error:
        sys.stderr.write(f"dosong-sim history: {error}\n")
        return EXIT_MISCONFIGURED
    origin, _, probe = signer.name.rpartition("/probe/")
    scene = Scene(
        probe,
        args.site,
        args.referral,
        args.plmn,
        args.lat_e7,
        args.lon_e7,
        args.down,
        args.up,
        args.rsrp,
        args.outages,
        args.iface,
    )
    end_ms = int(time.time() * 1000)
    raws = list(sealed(Month(scene, end_ms - args.days * DAY_MS, end_ms, args.seed), origin, signer))
    done = Sender(Door(args.host, args.port, args.identity, origin, ack), probe).send(raws, args.patience)
    sys.stdout.write(f"{probe}: {len(raws)} simulated records {'acknowledged' if done else 'NOT all acknowledged'}\n")
    return EXIT_OK if done else EXIT_FAILED
