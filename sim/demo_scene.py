"""What the demonstration shows: three hamlets of different link quality, as data."""

from __future__ import annotations

from dataclasses import dataclass

ORIGIN = "demo.dosong.example"
POINT = "demo-1"


@dataclass(frozen=True, slots=True)
class Place:
    """One site of the demonstration. Rates in bit/s, radio in dBm and dB, position in 1e-7 degrees."""

    name: str
    hamlet: str
    site: str
    referral: str
    modem: str
    plmn: str
    downlink_bps: int
    uplink_bps: int
    rsrp_dbm: float
    rsrq_db: float
    sinr_db: float
    lat_e7: int
    lon_e7: int
    outages_a_day: float
    is_cut: bool = False
    engine: str = "dosong"
    has_both_engines: bool = False

    @property
    def probe(self) -> str:
        """Id of the probe at this place."""
        return f"p-{self.name}"


PLACES = (
    Place(
        "lang-muoi", "dt-lang-muoi", "nvh-lang-muoi", "MP05755", "quectel-eg25", "45204",
        20_000_000, 8_000_000, -84, -9, 17, 216838000, 1061515000, 0.1,
    ),
    Place(
        "dong-dong", "dt-dong-dong", "nvh-dong-dong", "MP05755", "huawei-e3372", "45202",
        6_000_000, 2_000_000, -109, -13, 4, 216608000, 1061851000, 0.5, engine="speedtest-cli",
    ),
    Place(
        "khuon-ruong", "tx-khuon-ruong", "nvh-khuon-ruong", "MP05746", "simcom-sim7600", "45201",
        35_000_000, 12_000_000, -93, -10, 12, 216949000, 1060780000, 0.9, is_cut=True,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the demonstration runs: lengths in seconds; `cut_after_s` and `cut_s` script the loss of service."""

    slot_s: int
    test_s: int
    step_s: int
    steps: int
    history_days: int
    cut_after_s: float
    cut_s: float
    cut_every_s: float


SHOW = Pace(slot_s=30, test_s=3, step_s=1, steps=60, history_days=30, cut_after_s=75, cut_s=110, cut_every_s=240)
CHECK = Pace(slot_s=20, test_s=3, step_s=1, steps=10, history_days=2, cut_after_s=30, cut_s=25, cut_every_s=3600)
