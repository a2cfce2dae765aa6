"""Who walks through what: each lane is one site with one probe, and at most four faults with a power cut in each.

`simulated` sites differ in what their probe knows: whose SIM it is, until when the plan is paid, what it falls to.
"""

from __future__ import annotations

from sim.walk_lane import Lane
from sim.walk_scene import Setting

_PAID_UNTIL = "[modem.plan]\nends = 2026-01-31\n"
_THROTTLE = "[modem.plan]\nthrottle_bps = 128000\n"
_ADJTIMEX = Setting(trust="adjtimex")

LANES: tuple[Lane, ...] = (
    Lane("never", ("never-any-signal",), Setting(broker_interface=None, spec={"wifi": True})),
    Lane("sim", ("sim-out", "sim-pin", "sim-puk", "wrong-sim")),
    Lane("network", ("no-service", "denied", "limited", "pdp-lost"), Setting(spec={"modem": "huawei-e3372"})),
    Lane("names", ("pdp-refused", "dns-dead", "dns-nxdomain", "portal")),
    Lane("plan", ("plan-expired", "plan-barred"), Setting(plan=_PAID_UNTIL)),
    Lane("rate", ("plan-throttled",), Setting(plan=_THROTTLE)),
    Lane("server", ("server-down", "broker-down", "gpsd-killed")),
    Lane("usb", ("modem-mute", "modem-renumbered", "modem-pulled"), Setting(spec={"modem": "simcom-sim7600"})),
    Lane("clock", ("clock-1970", "clock-hour-behind", "clock-hour-ahead"), _ADJTIMEX),
    Lane("years", ("clock-years-behind", "clock-years-ahead"), _ADJTIMEX),
    Lane("two", ("one-modem-dead",), Setting(modem='usb = "1-1"\n'), modem="m2", has_second=True),
    Lane("card", ("card-full", "card-read-only")),
)
SHORT = ("sim-puk", "dns-dead", "portal", "modem-renumbered", "gpsd-killed")
