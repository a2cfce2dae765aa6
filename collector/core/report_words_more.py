"""The words of dossiers and of lists of weak spots; `report_words` has what all reports share."""

from __future__ import annotations

MORE_WORDS: dict[str, tuple[str, str]] = {
    "dossier": ("HỒ SƠ", "DOSSIER"),
    "weak": ("DANH SÁCH", "LIST"),
    "d.figures": ("I. KẾT QUẢ ĐO", "I. MEASUREMENTS"),
    "d.coverage": ("II. VÙNG PHỦ SÓNG LIÊN TỤC", "II. CONTINUOUS COVERAGE"),
    "d.qcvn": (
        "III. CHỈ TIÊU THEO QCVN 81:2019/BTTTT (THAM KHẢO)",
        "III. INDICATORS OF QCVN 81:2019/BTTTT (REFERENCE)",
    ),
    "d.proofs": ("IV. BẰNG CHỨNG", "IV. PROOFS"),
    "d.t.operators": ("Chất lượng theo nhà mạng", "Quality by operator"),
    "d.t.shares": ("Tỷ lệ phút theo nhà mạng", "Minutes by operator"),
    "d.t.calendar": (
        "Lịch sóng {operator}: % phút có sóng trong các phút đã biết, theo ngày và giờ",
        "Calendar of {operator}: covered % of the known minutes, by day and hour",
    ),
    "d.t.outages": ("Các lần mất sóng {operator}", "Outages of {operator}"),
    "d.t.qcvn": ("Chỉ tiêu tham khảo {operator}", "Reference indicators, {operator}"),
    "d.t.proofs": ("Bản ghi có chữ ký trong kỳ", "Signed records of the period"),
    "d.gap": ("ít nhất {least}, nhiều nhất {most} phút", "at least {least}, at most {most} min"),
    "d.at_least": (" (ít nhất; đầu hoặc cuối không rõ)", " (at least; begin or end not known)"),
    "d.outages.note": (
        "{shown} lần dài nhất trên {all} lần; một phút không rõ làm đứt một lần mất sóng.",
        "The {shown} longest of {all}; an unknown minute ends an outage.",
    ),
    "d.definition": (
        "Một phút có sóng khi modem đăng ký được và gói tin đi về được; sóng yếu khi không phải LTE hoặc gói tin mất; "
        "không rõ khi trạm tắt, mất điện, hết dữ liệu... và không bao giờ tính là sóng yếu. Quy tắc {rule}. Phân loại "
        "trắng sóng, lõm sóng theo {classes} là của hệ thống này, chưa phải tiêu chí chính thức.",
        "A minute is covered if the modem is registered and a packet comes back; degraded if not LTE or the packet was "
        "lost; unknown if the station is off, without power, out of data..., and never counts as weak coverage. Rule "
        "{rule}. The classes white and hole by {classes} are this system's, not the official criteria.",
    ),
    "d.qcvn.note": (
        "Chỉ để tham khảo: một trạm cố định cho các đại lượng của quy chuẩn, không phải phép đo hợp quy. Lần đo hỏng "
        "do điểm đặt, SIM, máy chủ hay trạm không tính. n là số mẫu.",
        "For reference only: one fixed station gives the regulation's quantities, not a conformity measurement. Tests "
        "that the site, the SIM, the server or the station spoiled are left out. n is the number of samples.",
    ),
    "d.proofs.note": (
        "Số thứ tự trong chuỗi là đợt/số của trạm; vị trí là chỗ của bản ghi trong nhật ký niêm phong. Bản ghi chưa "
        "niêm phong ghi “không có số liệu”.",
        "Places in the chain are the station's epoch/number; the index is the record's place in the sealed log. A "
        "record not sealed yet reads “no figure”.",
    ),
    "c.gap": ("Quãng mất dài nhất", "Longest gap"),
    "c.class": ("Phân loại", "Class"),
    "c.day": ("Ngày", "Day"),
    "c.from": ("Từ", "From"),
    "c.to": ("Đến", "To"),
    "c.minutes": ("Phút", "Minutes"),
    "c.cause": ("Nguyên nhân", "Cause"),
    "c.confidence": ("Mức tin cậy", "Confidence"),
    "c.agreed": ("Nơi khác xác nhận", "Also seen by"),
    "c.indicator": ("Chỉ tiêu", "Indicator"),
    "c.value": ("Giá trị", "Value"),
    "c.n": ("n", "n"),
    "c.limit": ("Mức", "Limit"),
    "c.within": ("So sánh", "Compared"),
    "c.probe": ("Trạm", "Station"),
    "c.records": ("Bản ghi", "Records"),
    "c.first": ("Đầu", "First"),
    "c.last": ("Cuối", "Last"),
    "c.first_index": ("Vị trí đầu", "First index"),
    "c.last_index": ("Vị trí cuối", "Last index"),
    "c.place": ("Điểm đo (kinh độ/vĩ độ)", "Site (lon/lat)"),
    "c.cells": ("Ô sóng phục vụ", "Serving cells"),
    "c.why": ("Vì sao yếu", "Why weak"),
    "c.rsrp": ("RSRP, dBm", "RSRP, dBm"),
    "c.hours": ("Giờ kém nhất", "Worst hours"),
    "c.equipment": ("Modem, ăng-ten", "Modem, antenna"),
    "c.neighbours": ("Thôn lân cận cùng nhà mạng: RSRP, có sóng", "Neighbours, same operator: RSRP, covered"),
    "class.white": ("trắng sóng", "white"),
    "class.hole": ("lõm sóng", "hole"),
    "class.neither": ("không thuộc hai loại", "neither"),
    "class.few": ("chưa đủ phút đã biết", "too few known minutes"),
    "confidence.claimed": ("một trạm ghi nhận", "claimed by one station"),
    "confidence.corroborated": ("có nơi khác xác nhận", "corroborated"),
    "qcvn.2.1.1": ("2.1.1 Độ sẵn sàng của mạng vô tuyến, %", "2.1.1 Radio network availability, %"),
    "qcvn.2.1.2": ("2.1.2 Tỷ lệ truy nhập không thành công dịch vụ, %", "2.1.2 Unsuccessful access, %"),
    "qcvn.2.1.3": ("2.1.3 Thời gian trễ trung bình truy nhập dịch vụ, s", "2.1.3 Mean access delay, s"),
    "qcvn.2.1.4": ("2.1.4 Tỷ lệ truyền tải dữ liệu bị rơi, %", "2.1.4 Dropped transfers, %"),
    "qcvn.2.1.5-down": ("2.1.5 Tốc độ tải xuống trung bình, Mbit/s", "2.1.5 Mean downlink, Mbit/s"),
    "qcvn.2.1.5-up": ("2.1.5 Tốc độ tải lên trung bình, Mbit/s", "2.1.5 Mean uplink, Mbit/s"),
    "qcvn.2.1.5-share": ("2.1.5 Tỷ lệ mẫu đạt Vdmin, %", "2.1.5 Share of samples at Vdmin, %"),
    "within.few": ("không so sánh", "not compared"),
    "within.yes": ("trong mức (tham khảo)", "within (reference)"),
    "within.not": ("ngoài mức (tham khảo)", "outside (reference)"),
    "w.rule": (
        "Điểm yếu theo quy tắc {rule} của hệ thống (chưa phải tiêu chí chính thức), khi có một trong các dấu hiệu: từ "
        "{covered} % phút đã biết không có sóng tốt; từ {failed} % lần đo không thành công; RSRP trung vị từ {rsrp} "
        "dBm trở xuống; tốc độ tải xuống trung vị dưới {rate} Mbit/s.",
        "A spot is weak by rule {rule} of this system (not the official criteria) if any of these holds: {covered} % "
        "of the known minutes or more not well covered; {failed} % of the tests or more failed; median RSRP of {rsrp} "
        "dBm or less; median downlink below {rate} Mbit/s.",
    ),
    "w.found": (
        "{n} điểm yếu trên {all} cặp thôn và nhà mạng có số liệu; chi tiết tại Phụ lục.",
        "{n} weak spots of {all} pairs of hamlet and operator with figures; see the annex.",
    ),
    "w.annex": ("PHỤ LỤC. DANH SÁCH ĐIỂM YẾU", "ANNEX. WEAK SPOTS"),
    "w.t": ("Bảng 1. Điểm yếu theo thôn và nhà mạng", "Table 1. Weak spots by hamlet and operator"),
    "w.note": (
        "Tốc độ, RSRP là trung vị của mẫu trạm đo 4G được tính. Đề nghị doanh nghiệp kiểm tra, cho biết ngày xử lý; "
        "kết quả sau xử lý được so với số liệu này.",
        "Rates and RSRP are medians over counted 4G station samples. Operators are asked to look, and to name a date; "
        "what comes after is compared with these figures.",
    ),
    "w.photo": ("Ảnh lắp đặt: {site}, {hamlet}", "Mounting: {site}, {hamlet}"),
    "w.equipment": ("LTE Cat {category}; ăng-ten: {antenna}", "LTE Cat {category}; antenna: {antenna}"),
    "antenna.indoor": ("trong nhà", "indoors"),
    "antenna.outdoor": ("ngoài trời", "outdoors"),
    "antenna.internal": ("trong modem", "inside the modem"),
    "antenna.window": ("rời, ở cửa sổ", "separate, at a window"),
    "antenna.wall": ("rời, trên tường", "separate, on a wall"),
    "antenna.roof": ("rời, trên mái hoặc cột", "separate, on a roof or mast"),
    "why.coverage": ("sóng không liên tục", "coverage not continuous"),
    "why.failures": ("đo hỏng nhiều", "many failed tests"),
    "why.level": ("mức thu thấp", "low level"),
    "why.rate": ("tốc độ thấp", "low rate"),
}
