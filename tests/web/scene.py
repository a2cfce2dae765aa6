"""A small province on real pages: awkward names, three operators, silent and ill probes, one hamlet without any.

`Scene` is a `World` (real registry, ledger, door) with several probes, served on a free port for a real browser.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from math import sin
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from collector.core.liveness import OFFLINE_GRACE_MS
from collector.ingest import Message
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe
from tests.collector.test_web_world import HAMLET, ROLES, World, login
from wire import bundle, topics

HOUR_MS = 3_600_000
PLMN = {"45204": "Viettel", "45202": "VinaPhone", "45201": "MobiFone"}
PROVINCES = [{"code": "19", "name": "Thái Nguyên"}, {"code": "66", "name": "Đắk Lắk"}]
COMMUNES = [
    {"code": "05755", "name": "Xã Phú Xuyên", "province": "19", "lat_e7": 216_700_000, "lon_e7": 1_055_600_000},
    {"code": "24400", "name": "Xã Cư M'gar", "province": "66", "lat_e7": 128_800_000, "lon_e7": 1_080_900_000},
]
HAMLETS = [
    (HAMLET, "Đồng Chuối", "xóm", "05755", 216_712_345, 1_055_612_345),
    ("h-cay-da", "Cây Đa (cũ)", "xóm", "05755", 216_912_345, 1_055_912_345),
    ("h-m-lot", "M'lớt", "buôn", "24400", 128_812_345, 1_080_912_345),
    ("h-3", "3 (Ea H'leo)", "thôn", "24400", 129_112_345, 1_081_112_345),
]
PROBES = {"p-one": HAMLET, "p-two": HAMLET, "p-three": "h-cay-da", "p-four": "h-m-lot"}
OPERATOR = {"p-one": "45204", "p-two": "45202", "p-three": "45201", "p-four": "45204"}


class Scene(World):
    """`days` of hourly tests and coverage of four probes: well, well, ill (no_pdp), silent."""

    def __init__(self, folder: Path, days: int = 2, **changes: Any) -> None:
        self.probes = {name: FakeProbe(name) for name in PROBES}
        super().__init__(folder, **{**self._document(), **changes})
        # Over plain HTTP, as a demonstration is.
        self.app.config.update(SESSION_COOKIE_SECURE=False, SESSION_COOKIE_NAME="dosong")
        self.days = days
        at = {row[0]: row[4:6] for row in HAMLETS}
        self._spots = {name: at[hamlet] for name, hamlet in PROBES.items()}
        for name in PROBES:
            self._live(name)
        self.now_ms = T0_MS + days * 24 * HOUR_MS

    def _document(self) -> dict[str, Any]:
        names = ("code", "name", "kind", "commune", "lat_e7", "lon_e7")
        hamlets = [dict(zip(names, row, strict=True)) for row in HAMLETS]
        sites = [
            {"code": f"s-{h['code']}", "hamlet": h["code"], "name": "Nhà văn hóa", "lat_e7": h["lat_e7"]}
            | {"lon_e7": h["lon_e7"]}
            for h in hamlets
        ]
        probes = [
            {"id": name, "vkey": self.probes[name].signer.verifier.vkey, "site": f"s-{PROBES[name]}"} for name in PROBES
        ]
        return {
            "provinces": PROVINCES,
            "communes": COMMUNES,
            "hamlets": hamlets,
            "sites": sites,
            "probes": probes,
            "referrals": [{"code": "TN1", "unit": "05755"}, {"code": "DL1", "unit": "24400"}],
            "operators": [{"plmn": plmn, "name": name} for plmn, name in PLMN.items()],
            "quotas": [{"commune": c["code"], "minimum": 300, "rule": "từ 300 mẫu"} for c in COMMUNES],
        }

    def _live(self, name: str) -> None:
        """All records of one probe, in messages of a few hours."""
        probe = self.probes[name]
        hours = self.days * 24 - (5 if name == "p-four" else 0)
        for hour in range(0, hours, 6):
            raws = [raw for h in range(hour, min(hour + 6, hours)) for raw in self._hour(probe, name, h)]
            self.now_ms = T0_MS + (min(hour + 6, hours)) * HOUR_MS
            self._ingest.take([Message(topics.up(name), bundle.encode(raws))], self.now_ms)

    def _hour(self, probe: FakeProbe, name: str, hour: int) -> Iterator[bytes]:
        t_ms = T0_MS + hour * HOUR_MS
        plmn = OPERATOR[name]
        ill = name == "p-three" and hour >= self.days * 24 - 8
        wave = 1 + 0.6 * sin(hour / 24 * 6.283)
        more: dict[str, Any] = {
            "downlink_bps": round(22_000_000 * wave),
            "uplink_bps": round(9_000_000 * wave),
            "rtt_us_median": round(40_000 / wave),
            "loss_ppm": 2_000,
        }
        if ill:
            more = {"outcome": "failed", "stage": "pdn", "cause": "no_pdp", "downlink_bps": None, "uplink_bps": None}
        reading = {"rat": "LTE", "rsrp_dbm_x10": round(-1050 + 150 * wave), "sinr_db_x10": round(80 * wave)}
        yield probe.test(
            t_ms=t_ms + SLOT_MS,
            slot_ms=t_ms,
            slot_length_ms=HOUR_MS,
            plmn=plmn,
            referral="DL1" if name == "p-four" else "TN1",
            position={"source": "surveyed", "lat_e7": self._spots[name][0], "lon_e7": self._spots[name][1]},
            radio={"before": {**reading, "eci": 1000 + int(plmn[-1])}},
            host={"spool_records": 2, "cpu_temp_c_x10": 512, "disk_free_bytes": 20_000_000_000},
            budget={"period_start_ms": T0_MS, "used_bytes": 20_000_000 * (hour + 1), "limit_bytes": 10_000_000_000},
            **more,
        )
        states = "N" * 60 if ill else "C" * 50 + "D" * 6 + "U" * 4
        causes = "p" * 60 if ill else "." * 50 + "n" * 6 + "v" * 4
        yield probe.coverage(states, causes, t_ms=t_ms, plmn=plmn)

    def silence(self, name: str, at_ms: int) -> None:
        """Its last will, as the broker tells it."""
        self._ingest.take([Message(topics.status(name), b"offline")], at_ms)
        self.now_ms = max(self.now_ms, at_ms + OFFLINE_GRACE_MS + 1)

    def cookies(self, role: str, language: str = "vi") -> dict[str, str]:
        """What a browser of this role carries; "" for a visitor."""
        found = {"lang": language}
        if role:
            client = self.app.test_client()
            assert role in ROLES
            assert login(client, role).status_code == 302
            held = client.get_cookie("dosong", domain="dosong.example")
            assert held is not None
            found["dosong"] = held.value
        return found


@contextlib.contextmanager
def served(scene: Scene) -> Iterator[str]:
    """The scene's pages on a free port: their address, without a slash."""
    server = make_server("127.0.0.1", 0, scene.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextlib.contextmanager
def scene(folder: Path, days: int = 2, **changes: Any) -> Iterator[Scene]:
    """A scene that is closed again."""
    made = Scene(folder, days, **changes)
    try:
        yield made
    finally:
        made.close()
