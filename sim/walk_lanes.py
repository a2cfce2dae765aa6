"""Who walks through what: each lane is one site with one probe, and at most four faults with a power cut in each.

`simulated` sites differ in what their probe knows: whose SIM it is, until when the plan is paid, what it falls to.
"""

from __future__ import annotations

from sim.walk_lane import Lane
from sim.walk_scene import Setting

_LOOKED = Setting(slot_s=30)
_PAID = Setting(slot_s=30, plan="[modem.plan]\nends = 2026-01-31\n")
_THROTTLED = Setting(plan="[modem.plan]\nthrottle_bps = 128000\n")
_ADJTIMEX = Setting(trust="adjtimex")

LANES: tuple[Lane, ...] = (
    Lane("card", ("card-full", "card-read-only")),
    Lane("data", ("pdp-lost",), _LOOKED),
    Lane("mute", ("modem-mute",)),
    Lane("never", ("never-any-signal",), Setting(broker_interface=None, spec={"wifi": True})),
    Lane("refused", ("pdp-refused", "dns-dead"), _LOOKED),
    Lane("names", ("dns-nxdomain", "portal"), _LOOKED),
    Lane("plan", ("plan-expired", "plan-barred"), _PAID),
    Lane("server", ("server-down", "broker-down"), _LOOKED),
    Lane("rate", ("plan-throttled", "gpsd-killed"), _THROTTLED),
    Lane("sim", ("sim-out", "sim-pin", "sim-puk", "wrong-sim")),
    Lane("network", ("no-service", "denied", "limited"), Setting(spec={"modem": "huawei-e3372"})),
    Lane("usb", ("modem-renumbered", "modem-pulled"), Setting(spec={"modem": "simcom-sim7600"})),
    Lane("clock", ("clock-1970", "clock-hour-behind", "clock-hour-ahead"), _ADJTIMEX),
    Lane("years", ("clock-years-behind", "clock-years-ahead"), _ADJTIMEX),
    Lane("two", ("one-modem-dead",), Setting(modem='usb = "1-1"\n'), modem="m2", has_second=True),
)
SHORT = ("sim-puk", "dns-dead", "no-service", "modem-renumbered", "gpsd-killed")
