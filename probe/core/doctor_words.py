# ruff: noqa: E501 (a table is read down its columns: one word, one line)
"""What a finding says and what to do about it, in Vietnamese and English, in a technician's words.

A word of a check is looked up as `check.word`, then as `word`: causes of the failure vocabulary mean the same wherever
they turn up (`probe.core.cause_words`). Braces take the finding's values.
"""

from __future__ import annotations

import re
from typing import Literal

from probe.core.cause_words import CAUSES, Words
from probe.core.doctor import Finding

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")


TITLES: dict[str, tuple[str, str]] = {
    "power": ("Nguồn điện", "Power"),
    "card": ("Thẻ nhớ", "Memory card"),
    "modem": ("Modem", "Modem"),
    "sim": ("SIM", "SIM"),
    "registration": ("Vào mạng", "Network"),
    "signal": ("Mức sóng", "Signal"),
    "apn": ("Dữ liệu (APN)", "Data (APN)"),
    "dns": ("Tên miền (DNS)", "Names (DNS)"),
    "portal": ("Ra Internet", "Internet"),
    "clock": ("Đồng hồ", "Clock"),
    "gps": ("Vị trí (GPS)", "Position (GPS)"),
    "broker": ("Máy chủ thu", "Server"),
    "test": ("Đo thử", "Short test"),
    "ack": ("Biên nhận", "Receipt"),
}

_CHECKS: dict[str, Words] = {
    "reading": Words("đang kiểm tra…", "checking…"),
    "first": Words("chờ mục “{check}” xanh trước", "waits until “{check}” is green"),
    "untold": Words("thiết bị không cho biết", "the device does not tell"),
    "power.untold": Words("máy này không cho biết điện áp", "this machine does not tell its voltage"),
    "power.ok": Words("đủ điện áp", "the voltage is good"),
    "power.undervoltage": Words(
        "điện áp thấp: modem sẽ rớt khi đo",
        "the voltage is too low: the modem will drop out in a test",
        "Dùng đúng bộ nguồn 5,1 V – 3 A kèm cáp ngắn; rút bớt thiết bị USB, hoặc cắm modem qua hub có nguồn riêng.",
        "Use the 5.1 V, 3 A supply with its short cable; unplug other USB devices, or put the modem on a powered hub.",
    ),
    "power.undervoltage_seen": Words(
        "từ lúc bật máy đã có lúc thiếu điện",
        "the voltage was too low at some time since it was switched on",
        "Kiểm tra bộ nguồn 5,1 V – 3 A và đầu cắm; sau khi sửa, tắt rồi bật lại để xóa dấu này.",
        "Check the 5.1 V, 3 A supply and its plug; when mended, switch off and on again to clear this mark.",
    ),
    "card.ok": Words("còn trống {free}", "{free} free"),
    "card.unreadable": Words(
        "không đọc được thẻ nhớ",
        "the card cannot be read",
        "Tắt máy, rút thẻ nhớ ra cắm lại cho chặt; vẫn đỏ thì thay thẻ dự phòng.",
        "Switch off, take the card out and put it in firmly; still red: use the spare card.",
    ),
    "modem.ok": Words("trả lời tốt ({modem})", "answers ({modem})"),
    "sim.ok": Words("SIM nhận tốt", "the SIM is ready"),
    "sim.busy": Words("SIM đang khởi động…", "the SIM is starting…"),
    "registration.ok": Words("đã vào mạng {plmn}, {rat}", "on network {plmn}, {rat}"),
    "registration.wrong_sim": Words(
        "đang ở mạng {plmn}, trạm này phải là {wanted}",
        "on network {plmn}, this station is meant for {wanted}",
        "Lắp đúng SIM của nhà mạng {wanted} (xem phiếu của trạm), hoặc báo văn phòng sửa khai báo.",
        "Put in the SIM of network {wanted} (see the station's sheet), or ask the office to correct the settings.",
    ),
    "registration.not_lte": Words(
        "chỉ có sóng {rat}, không phải 4G",
        "only {rat} here, not 4G",
        "Xoay hoặc nâng ăng-ten cao hơn rồi chờ 2 phút; nếu vẫn vậy, đó là kết quả thật của nơi này: báo văn phòng.",
        "Turn the antenna or put it higher and wait 2 minutes; if it stays, that is what this place has: tell the office.",
    ),
    "signal.good": Words("tốt, RSRP {rsrp} dBm", "good, RSRP {rsrp} dBm"),
    "signal.usable": Words("dùng được, RSRP {rsrp} dBm", "usable, RSRP {rsrp} dBm"),
    "signal.poor": Words(
        "yếu, RSRP {rsrp} dBm",
        "poor, RSRP {rsrp} dBm",
        "Xoay ăng-ten thật chậm và nhìn thanh sóng; đưa ăng-ten ra cửa sổ hoặc lên cao. Giữ ở chỗ số lớn nhất (−90 hơn −110). Cả nơi đều yếu thì cứ để: đó là số liệu cần đo.",
        "Turn the antenna slowly and watch the bar; move it to a window or higher. Keep the place with the greatest figure (−90 beats −110). If all the place is weak, leave it: that is what we measure.",
    ),
    "apn.ok": Words("có địa chỉ {said}", "address {said}"),
    "dns.ok": Words("phân giải được ({said})", "names resolve ({said})"),
    "dns.unused": Words("trạm này không cần", "this station needs none"),
    "portal.ok": Words("tới điểm đo trong {said}", "reaches the measurement point in {said}"),
    "portal.unused": Words("trạm này không kiểm tra", "not checked at this station"),
    "clock.ok": Words("đúng giờ", "right"),
    "clock.unsynced": Words(
        "chưa có giờ đúng",
        "not set yet",
        "Chờ 5 phút: giờ lấy từ mạng 4G hoặc GPS. Vẫn đỏ thì đưa ăng-ten GPS ra chỗ thấy trời.",
        "Wait 5 minutes: time comes by 4G or GPS. Still red: move the GPS antenna to where it sees the sky.",
    ),
    "clock.suspect": Words(
        "giờ sai hẳn (sai năm)",
        "plainly wrong (the year is off)",
        "Chờ 5 phút khi đã có 4G; vẫn đỏ thì tắt bật lại, rồi báo văn phòng: pin đồng hồ hoặc bộ thu GPS hỏng.",
        "Wait 5 minutes with 4G; still red: switch off and on, then tell the office: the clock's battery or the GPS receiver is bad.",
    ),
    "gps.ok": Words("bắt được {sats} vệ tinh", "{sats} satellites used"),
    "gps.surveyed": Words(
        "trong nhà chưa thấy vệ tinh; dùng vị trí đã khảo sát", "no satellites indoors; the surveyed position is used"
    ),
    "gps.unused": Words("trạm dùng vị trí đã khảo sát", "this station uses its surveyed position"),
    "gps.nowhere": Words(
        "trạm chưa có GPS và chưa có vị trí khảo sát",
        "there is neither a GPS receiver nor a surveyed position",
        "Báo văn phòng khai vị trí của trạm ([position]), hoặc lắp bộ thu GPS ([gps]).",
        "Ask the office to enter the station's position ([position]), or fit a GPS receiver ([gps]).",
    ),
    "gps.no_receiver": Words(
        "không nghe thấy bộ thu GPS",
        "the GPS receiver is not heard",
        "Cắm lại dây USB của bộ thu GPS, chờ 1 phút; vẫn đỏ thì đổi cổng USB hoặc đổi bộ thu.",
        "Plug the GPS receiver's USB cable in again, wait a minute; still red: use another USB port or receiver.",
    ),
    "gps.no_fix": Words(
        "chưa bắt được vệ tinh",
        "no satellites yet",
        "Đặt ăng-ten GPS sát cửa sổ hoặc ngoài trời, chờ 5 đến 15 phút.",
        "Put the GPS antenna at a window or outdoors and wait 5 to 15 minutes.",
    ),
    "gps.moved": Words(
        "cách vị trí khảo sát {metres} m",
        "{metres} m from the surveyed position",
        "Đúng trạm này chưa? Xem mã trạm trên nhãn. Nếu trạm đã dời chỗ, báo văn phòng khảo sát lại.",
        "Is this the right station? Compare the code on its label. If it was moved, ask the office for a new survey.",
    ),
    "broker.ok": Words("đã kết nối", "connected"),
    "broker.log_known": Words("đã kết nối; nhật ký đã thấy đến {size}", "connected; log seen up to {size}"),
    "broker.log_no_key": Words(
        "đã kết nối; chưa có khóa nhật ký (log_vkey) nên bản ghi chưa nêu nhật ký: báo văn phòng khi tiện",
        "connected; without the log's key (log_vkey) records do not name the log: tell the office some time",
    ),
    "broker.log_conflict": Words(
        "đã kết nối; NHẬT KÝ CỦA MÁY CHỦ MÂU THUẪN: báo văn phòng ngay, giữ nguyên thư mục {folder}",
        "connected; THE SERVER'S LOG CONTRADICTS ITSELF: tell the office now, keep the folder {folder}",
    ),
    "broker.not_configured": Words(
        "chưa khai báo máy chủ thu",
        "no server is set",
        "Thiếu [broker] trong probe.toml: chép lại thư mục của trạm do văn phòng cấp.",
        "[broker] is missing in probe.toml: copy the station's folder from the office again.",
    ),
    "broker.unreachable": Words(
        "không tới được máy chủ thu",
        "the server cannot be reached",
        "Nếu “Ra Internet” xanh: gọi văn phòng kiểm tra máy chủ MQTT. Nếu chưa xanh: sửa mục đó trước.",
        "If “Internet” is green: call the office to check the MQTT broker. If it is not: mend that first.",
    ),
    "broker.refused": Words(
        "máy chủ không nhận trạm này",
        "the server refuses this station",
        "Gọi văn phòng: chứng chỉ của trạm hết hạn hoặc chưa đăng ký (dosong-provision list).",
        "Call the office: this station's certificate has expired or is not registered (dosong-provision list).",
    ),
    "broker.clock": Words(
        "không kết nối được vì đồng hồ sai",
        "cannot connect while the clock is wrong",
        "Sửa mục “Đồng hồ” trước; kết nối sẽ tự lại.",
        "Mend “Clock” first; it then connects by itself.",
    ),
    "test.not_wanted": Words("chưa đo trong lần kiểm tra này", "not run in this visit"),
    "test.asked": Words("sắp đo…", "about to begin…"),
    "test.running": Words("đang đo, {seconds} giây…", "running, {seconds} s…"),
    "test.ok": Words("xuống {down}, lên {up} Mbit/s", "down {down}, up {up} Mbit/s"),
    "test.path": Words(
        "đo được nhưng dữ liệu không chỉ đi qua 4G ({path})",
        "measured, but not by 4G alone ({path})",
        "Rút cáp mạng và tắt Wi-Fi của trạm trong lúc đo, rồi bấm đo lại.",
        "Unplug the network cable and switch the station's Wi-Fi client off, then test again.",
    ),
    "ack.ok": Words("máy chủ đã ký nhận đến số {seq}", "the server has signed for number {seq}"),
    "ack.waiting": Words("chờ máy chủ ký nhận ({n})", "waiting for the server's signature ({n})"),
    "ack.late": Words(
        "máy chủ chưa ký nhận {n} bản ghi",
        "the server has not signed for {n} records",
        "Số liệu vẫn an toàn trên thẻ và sẽ tự gửi lại. Gọi văn phòng: tiến trình nhận của máy chủ có chạy không?",
        "The records are safe on the card and are sent again. Call the office: does the server's receive process run?",
    ),
}

WORDS: dict[str, Words] = CAUSES | _CHECKS


def title(check: str, language: Language) -> str:
    """The name of a check."""
    return TITLES[check][LANGUAGES.index(language)]


def says(finding: Finding, language: Language) -> str:
    """What was found, in one line."""
    words = _of(finding)
    return _filled(words.vi if language == "vi" else words.en, finding, language)


def remedy(finding: Finding, language: Language) -> str | None:
    """What to do about it; None where there is nothing to do."""
    words = _of(finding)
    text = words.vi_do if language == "vi" else words.en_do
    return None if text is None else _filled(text, finding, language)


def _of(finding: Finding) -> Words:
    return WORDS.get(f"{finding.check}.{finding.word}") or WORDS.get(finding.word) or WORDS["unknown"]


_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9]+ (?:GB|MB|Mbit/s|V|°C)|[0-9]+, lên )")
"""Vietnamese writes 82,4 GB. Addresses and dotted codes have no unit behind them."""


def _filled(text: str, finding: Finding, language: Language) -> str:
    values = dict(finding.values)
    if finding.word == "first":
        values["check"] = title(values["check"], language)
    filled = text.format_map(_Values(values))
    return _POINT.sub(",", filled) if language == "vi" else filled


class _Values(dict[str, str]):
    """A value that a finding does not bring is a question mark: a cause may turn up where nothing is measured."""

    def __missing__(self, key: str) -> str:
        return "?"
