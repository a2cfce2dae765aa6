"""Every fault that a site can be made to have, as data: how it begins, how it is over, and what it means (en, vi).

A fault is a list of verbs of the site's control socket, and another list that takes it back. The table is what
`dosong-sim site fault` shows and plays, and what the walk goes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Step = tuple[str, Mapping[str, Any]]
_HOUR_S, _YEAR_S = 3_600, 31_557_600
TO_1970 = "to_1970"
"""In place of an offset: as far back as 1970."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `begin` and `end` are verbs with their arguments; `en`, `vi` say it to whoever trains or watches."""

    begin: tuple[Step, ...]
    end: tuple[Step, ...]
    en: str
    vi: str


def _modem(state: str, en: str, vi: str, cure: str = "none") -> Fault:
    return Fault((("modem-state", {"state": state, "cure": cure}),), (("modem-state", {"state": "normal"}),), en, vi)


def _net(en: str, vi: str, **policy: str) -> Fault:
    quiet = {"dns": "ok", "portal": "off", "drop": "none"}
    return Fault((("net", policy),), (("net", {name: quiet[name] for name in policy}),), en, vi)


def _clock(offset_s: int | str, en: str, vi: str) -> Fault:
    """A clock that no time server has set; over means that one has."""
    wrong, right = {"offset_s": offset_s, "synced": False}, {"offset_s": 0, "synced": True}
    return Fault((("clock", wrong),), (("clock", right),), en, vi)


def _card(state: str, en: str, vi: str) -> Fault:
    return Fault((("card", {"state": state}),), (("card", {"state": "good"}),), en, vi)


def _bearer(state: str, en: str, vi: str) -> Fault:
    return Fault((("bearer", {"state": state}),), (("bearer", {"state": "up"}),), en, vi)


FAULTS: Mapping[str, Fault] = {
    "sim-out": _modem("no_sim", "the SIM is taken out", "rút SIM ra"),
    "sim-pin": _modem("sim_pin", "the SIM asks for its PIN", "SIM đòi mã PIN"),
    "sim-puk": _modem("sim_puk", "the SIM is blocked and asks for its PUK", "SIM bị khóa, đòi mã PUK"),
    "wrong-sim": Fault(
        (("unplug", {}), ("sim", {"plmn": "45202", "serial": "another"}), ("plug", {})),
        (("unplug", {}), ("sim", {}), ("plug", {})),
        "another operator's SIM is in the modem", "trong modem là SIM của nhà mạng khác",
    ),
    "no-service": Fault(
        (("service", {"on": False}),), (("service", {"on": True}),),
        "no network is found", "không tìm thấy mạng",
    ),
    "denied": _modem("denied", "the network refuses the SIM", "mạng từ chối SIM"),
    "limited": _modem("limited", "emergency calls only", "chỉ gọi được khẩn cấp"),
    "pdp-lost": _bearer(
        "lost", "the data connection is gone; asking again brings it back", "mất kết nối dữ liệu; kết nối lại thì được"
    ),
    "pdp-refused": _bearer("refused", "the network grants no data connection", "mạng không cấp kết nối dữ liệu"),
    "dns-dead": _net("names get no answer", "máy chủ tên miền không trả lời", dns="silent"),
    "dns-nxdomain": _net("no name exists any more", "mọi tên miền đều không tồn tại", dns="nxdomain"),
    "portal": _net(
        "a login page answers every page that is asked for", "trang đăng nhập chắn mọi truy cập", portal="captive"
    ),
    "plan-expired": _net(
        "the plan has expired: the operator's top-up page answers everything",
        "gói cước hết hạn: mọi truy cập bị dẫn đến trang nạp thẻ", portal="plan",
    ),
    "plan-barred": _net(
        "the plan has expired: registered, and every packet is thrown away",
        "gói cước hết hạn: có đăng ký mạng nhưng mọi gói tin bị bỏ", drop="all",
    ),
    "plan-throttled": Fault(
        (("rate", {"downlink_bps": 128_000, "uplink_bps": 64_000}),), (("rate", {"as": "spec"}),),
        "the plan is used up: 128 kbit/s down, 64 up", "hết dung lượng tốc độ cao: tải xuống 128 kbit/s, tải lên 64",
    ),
    "server-down": _net("the measurement point does not answer", "điểm đo không trả lời", drop="server"),
    "broker-down": _net("the broker does not answer", "máy chủ nhận bản ghi không trả lời", drop="broker"),
    "modem-mute": _modem(
        "mute", "the modem's port is open and nothing answers; a USB reset helps",
        "cổng modem mở nhưng không trả lời; khởi động lại USB thì được", cure="usb",
    ),
    "modem-renumbered": Fault(
        (("reenumerate", {}),), (),
        "the modem falls off the bus and comes back as another ttyUSB", "modem rớt khỏi USB, trở lại thành ttyUSB khác",
    ),
    "modem-pulled": Fault((("unplug", {}),), (("plug", {}),), "the modem is pulled out", "rút modem ra"),
    "gpsd-killed": Fault(
        (("gps", {"action": "kill"}),), (("gps", {"action": "on"}),), "gpsd dies", "chương trình gpsd chết"
    ),
    "gps-silent": Fault(
        (("gps", {"action": "off"}),), (("gps", {"action": "on"}),),
        "the receiver says nothing", "máy thu GPS im lặng",
    ),
    "clock-1970": _clock(TO_1970, "the clock starts in 1970", "đồng hồ bắt đầu từ năm 1970"),
    "clock-hour-behind": _clock(-_HOUR_S, "the clock is an hour behind", "đồng hồ chậm một giờ"),
    "clock-hour-ahead": _clock(_HOUR_S, "the clock is an hour ahead", "đồng hồ nhanh một giờ"),
    "clock-years-behind": _clock(-10 * _YEAR_S, "the clock is ten years behind", "đồng hồ chậm mười năm"),
    "clock-years-ahead": _clock(10 * _YEAR_S, "the clock is ten years ahead", "đồng hồ nhanh mười năm"),
    "card-full": _card("full", "the card has no room left", "thẻ nhớ đầy"),
    "card-read-only": _card("read_only", "the card fails and is read-only", "thẻ nhớ hỏng, chỉ đọc được"),
    "never-any-signal": Fault(
        (("service", {"on": False}),), (("service", {"on": True}),),
        "there has never been any signal", "chưa bao giờ có sóng",
    ),
    "power-cut": Fault(
        (("power", {"on": False}),), (("power", {"on": True}),),
        "the power is cut: every program dies, the card forgets what was not synced",
        "mất điện: mọi chương trình chết, thẻ nhớ mất phần chưa ghi hẳn",
    ),
}  # fmt: skip


def listing() -> str:
    """The table as people read it."""
    return "\n".join(f"  {name:<20} {fault.en}\n  {'':<20} {fault.vi}" for name, fault in FAULTS.items())
