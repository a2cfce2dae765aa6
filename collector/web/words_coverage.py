"""Words of the coverage calendar: a hamlet's month, minute by minute, with outages and the definition."""

from __future__ import annotations

COVERAGE_WORDS: dict[str, tuple[str, str]] = {
    "calendar.title": ("Lịch phủ sóng {hamlet}, {month}", "Coverage calendar of {hamlet}, {month}"),
    "calendar.link": ("Lịch phủ sóng từng giờ, danh sách mất sóng", "Hourly coverage calendar and outages"),
    "calendar.lead": (
        "Số liệu tính đến {minute}, giờ Việt Nam. Chỉ 4G. Mỗi ô là một giờ: số trong ô là phần trăm số phút đã biết có "
        "sóng; “–” là cả giờ chưa rõ.",
        "As of {minute}, Vietnam time. 4G only. Each cell is an hour: its number is the share of known minutes with "
        "service, in percent; “–” means that nothing is known of the hour.",
    ),
    "calendar.none": (
        "Chưa có trạm nào theo dõi xóm này trong tháng: không có bằng chứng, cũng không phải là không có sóng.",
        "No station has watched this hamlet in the month: there is no evidence, which is not the same as no service.",
    ),
    "calendar.day": ("Ngày", "Day"),
    "calendar.hours": ("Giờ trong ngày", "Hour of the day"),
    "calendar.cell": ("{day}, {hour} giờ: {share}", "{day}, {hour}:00: {share}"),
    "calendar.covered": ("Có sóng", "Covered"),
    "calendar.share": ("{percent} % số phút đã biết", "{percent} % of the known minutes"),
    "calendar.known": ("Số phút đã biết", "Known minutes"),
    "calendar.known.of": ("{known} trên {all}", "{known} of {all}"),
    "calendar.gap": ("Mất sóng dài nhất", "Longest time without service"),
    "calendar.gap.least": ("ít nhất {least} phút, nhiều nhất {most} phút", "{least} minutes at least, {most} at most"),
    "calendar.gap.note": (
        "“Nhiều nhất” coi mọi phút chưa rõ là mất sóng.",
        "“At most” takes every unknown minute for one without service.",
    ),
    "calendar.class": ("Trắng sóng, lõm sóng (quy tắc của dosong)", "Trắng sóng or lõm sóng (by our own rule)"),
    "calendar.class.white": ("trắng sóng", "without signal (trắng sóng)"),
    "calendar.class.hole": ("lõm sóng", "signal with holes (lõm sóng)"),
    "calendar.class.neither": ("không thuộc hai loại này", "neither of the two"),
    "calendar.class.few": ("chưa đủ số phút để xếp loại", "too few known minutes to say"),
    "calendar.class.note": (
        "Quy tắc {rule} của dosong, không phải tiêu chí chính thức (CV 1603/BTTTT-CVT chưa được nhập): trắng sóng "
        "khi từ {white} % số phút đã biết bị mất sóng; lõm sóng khi từ {hole} % không có sóng đầy đủ; cần ít nhất "
        "{minutes} phút đã biết.",
        "Rule {rule} of dosong, not the official criteria (letter 1603/BTTTT-CVT has not been entered): trắng sóng "
        "if {white} % of the known minutes or more are without service; lõm sóng if {hole} % or more are not fully "
        "covered; at least {minutes} known minutes are needed.",
    ),
    "calendar.unknown": ("Chưa rõ, vì", "Unknown, because"),
    "calendar.cause.-": ("chưa có trạm ở đây", "no station stood here"),
    "calendar.cause.?": ("trạm chưa gửi tới lúc đó", "the station's records have not come that far"),
    "calendar.witnesses": ("Trạm và modem làm chứng", "Stations and modems that are witnesses"),
    "calendar.differed": (
        "Trong {n} phút các modem nói khác nhau: một có sóng, một không.",
        "In {n} minutes the modems differed: one had service, another had none.",
    ),
    "calendar.outages": ("Những lần mất sóng", "Outages"),
    "calendar.outages.none": (
        "Không có lần mất sóng nào trong những phút đã biết.",
        "No outage in the minutes that are known.",
    ),
    "calendar.outages.more": (
        "{shown} lần dài nhất trên tổng số {all}; tất cả nằm trong tệp CSV.",
        "The {shown} longest of {all}; the CSV file has them all.",
    ),
    "calendar.from": ("Bắt đầu", "Begin"),
    "calendar.to": ("Kết thúc", "End"),
    "calendar.minutes": ("Số phút", "Minutes"),
    "calendar.at_least": ("ít nhất", "at least"),
    "calendar.cause": ("Nguyên nhân", "Cause"),
    "calendar.confidence": ("Mức tin cậy", "Confidence"),
    "calendar.claimed": ("một trạm nói", "claimed by one station"),
    "calendar.corroborated": ("có trạm khác xác nhận", "corroborated by another station"),
    "calendar.csv": ("Tải danh sách CSV", "Download as CSV"),
    "calendar.definition": (
        "Quy tắc {rule}. Một phút “có sóng” khi modem vào được mạng LTE và gói thăm dò có trả lời; “sóng yếu, chập "
        "chờn” khi vào mạng mà không phải LTE hoặc gói không trả lời; “mất sóng” khi modem không vào được mạng; “chưa "
        "rõ” khi trạm không biết (mất điện, hết dữ liệu, trạm tắt…), kèm nguyên nhân. Phút chưa rõ không bao giờ tính "
        "là sóng yếu và không có mặt trong tỷ lệ nào. Nhiều modem cùng nhà mạng: lấy modem tốt nhất.",
        "Rule {rule}. A minute is “covered” if the modem was registered on LTE and the probe packet came back; "
        "“degraded” if registered but not on LTE, or the packet was lost; “no service” if not registered; “unknown” "
        "if the station could not know (power cut, data spent, station off…), with its cause. Unknown minutes never "
        "count as weak coverage and are in no share. Of several modems of one operator the best one holds.",
    ),
}
