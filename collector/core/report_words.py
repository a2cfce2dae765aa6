"""The words of reports, Vietnamese and English, and how an office writes dates, periods and hours."""

from __future__ import annotations

from datetime import timedelta

from collector.core.period import Period
from collector.core.report_model import Kind
from collector.core.report_words_more import MORE_WORDS
from collector.core.view import DAY_MS, Language, local

WORDS: dict[str, tuple[str, str]] = {
    "report": ("BÁO CÁO", "REPORT"),
    "nation": ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "SOCIALIST REPUBLIC OF VIET NAM"),
    "motto": ("Độc lập - Tự do - Hạnh phúc", "Independence - Freedom - Happiness"),
    "number": ("Số:          /{symbol}", "No.:          /{symbol}"),
    "addressed": ("Kính gửi:", "To:"),
    "recipients": ("Nơi nhận:", "Recipients:"),
    "filed": ("Lưu: VT.", "Filed: archives."),
    "simulated": (
        "SỐ LIỆU MÔ PHỎNG: trong các trạm đo có trạm giả lập; không dùng để báo cáo thật",
        "SIMULATED FIGURES: among the stations are simulated ones; not for official use",
    ),
    "draft": (
        "Bản dự thảo do phần mềm lập; văn thư cấp số, người có thẩm quyền ký.",
        "Draft made by software; the office gives the number, the competent person signs.",
    ),
    "subject.summary": (
        "Kết quả đo tốc độ truy nhập Internet băng rộng di động {period} trên địa bàn {unit}",
        "Results of mobile broadband measurements, {period}, {unit}",
    ),
    "subject.dossier": (
        "Chất lượng và vùng phủ sóng 4G {period} tại {unit}",
        "4G quality and coverage, {period}, {unit}",
    ),
    "subject.weak": (
        "Điểm sóng yếu, tốc độ thấp {period} trên địa bàn {unit}",
        "Weak spots, {period}, {unit}",
    ),
    "opening": (
        "Thực hiện {documents}, {issuer} báo cáo kết quả {period} như sau. Kỳ số liệu: từ {start} đến {end}; số liệu "
        "tính đến {as_of}, giờ Việt Nam.",
        "Under {documents}, {issuer} reports the results for {period}. Period of the figures: {start} to {end}; as of "
        "{as_of}, Vietnam time.",
    ),
    "opening.plain": (
        "{issuer} báo cáo kết quả {period} như sau. Kỳ số liệu: từ {start} đến {end}; số liệu tính đến {as_of}, giờ "
        "Việt Nam.",
        "{issuer} reports the results for {period}. Period of the figures: {start} to {end}; as of {as_of}, Vietnam "
        "time.",
    ),
    "only4g": (
        "Mẫu trạm đo chỉ đo qua mạng 4G tại trạm cố định; mẫu trạm đo và mẫu i-Speed là hai nguồn đếm riêng, không "
        "cộng vào nhau.",
        "Station samples are measured over 4G only, at fixed stations; station samples and i-Speed samples are two "
        "counters and are never added.",
    ),
    "h.quota": ("I. KẾT QUẢ THỰC HIỆN CHỈ TIÊU", "I. RESULTS AGAINST THE QUOTA"),
    "h.quality": ("II. CHẤT LƯỢNG TRUY NHẬP INTERNET", "II. QUALITY OF INTERNET ACCESS"),
    "h.coverage": ("III. VÙNG PHỦ SÓNG", "III. COVERAGE"),
    "h.outreach": ("IV. KẾT QUẢ TUYÊN TRUYỀN", "IV. OUTREACH"),
    "h.difficulties": ("V. KHÓ KHĂN, VƯỚNG MẮC", "V. DIFFICULTIES"),
    "h.proposals": ("VI. ĐỀ XUẤT, KIẾN NGHỊ", "VI. PROPOSALS"),
    "h.sources": ("{number}. NGUỒN SỐ LIỆU VÀ CÁCH KIỂM CHỨNG", "{number}. SOURCES, AND HOW TO VERIFY"),
    "h.changes": ("PHỤ LỤC. THAY ĐỔI SAU KHI LẬP BÁO CÁO", "ANNEX. CHANGES AFTER THE REPORT WAS MADE"),
    "none.remark": ("Không có nội dung được nhập trong kỳ.", "Nothing was entered for the period."),
    "remark": ("{text} ({by}, {entered})", "{text} ({by}, {entered})"),
    "line.one": (
        "{document}: {counter} {value}/{needed} ({share} %), còn thiếu {missing}; quy tắc {rule} {per}; {verdict}.",
        "{document}: {counter} {value}/{needed} ({share} %), {missing} missing; rule {rule} {per}; {verdict}.",
    ),
    "line.unknown": (
        "{document}: {counter}: không có số liệu, chưa xét được; quy tắc {rule} {per}.",
        "{document}: {counter}: no figure, no verdict; rule {rule} {per}.",
    ),
    "line.units": (
        "{document}: {reached}/{units} {level} đạt ({share} %); quy tắc {rule} {counter} {per}{unknown}.",
        "{document}: {reached} of {units} {level} reached it ({share} %); rule {rule} {counter} {per}{unknown}.",
    ),
    "line.units.unknown": (", {n} đơn vị chưa có số liệu để xét", ", {n} have no figure to decide by"),
    "line.none": (
        "Không có chỉ tiêu nào được nhập cho kỳ này; các số dưới đây không kèm kết luận.",
        "No quota was entered for this period; the figures below carry no verdict.",
    ),
    "verdict.reached": ("đã đạt", "reached"),
    "verdict.missed": ("không đạt", "missed"),
    "verdict.open": ("chưa đạt, kỳ chưa kết thúc", "not reached yet, the period goes on"),
    "counter.portal": ("mẫu i-Speed (Portal, nhập tay)", "i-Speed samples (Portal, entered)"),
    "counter.ours": ("mẫu trạm đo", "station samples"),
    "counter.people": ("số người cài đặt", "people with the app"),
    "per.day": ("mỗi ngày", "a day"),
    "per.week": ("mỗi tuần", "a week"),
    "per.month": ("mỗi tháng", "a month"),
    "per.month_to_date": ("mỗi tháng", "a month"),
    "per.campaign": ("trong cả đợt", "in the campaign"),
    "level.country": ("cả nước", "country"),
    "level.province": ("tỉnh, thành phố", "provinces"),
    "level.commune": ("xã, phường", "communes"),
    "level.hamlet": ("thôn, xóm", "hamlets"),
    "level.bodies": ("cơ quan, đơn vị", "bodies"),
    "annex.units.at": ("Chi tiết từng đơn vị tại Phụ lục kèm theo (Bảng 1).", "Unit by unit: annex, table 1."),
    "annex.units": ("PHỤ LỤC. KẾT QUẢ TỪNG ĐƠN VỊ", "ANNEX. RESULTS BY UNIT"),
    "annex.coverage": ("PHỤ LỤC. VÙNG PHỦ SÓNG TỪNG ĐƠN VỊ", "ANNEX. COVERAGE BY UNIT"),
    "t.units": ("Bảng 1. Kết quả theo đơn vị", "Table 1. Results by unit"),
    "t.operators": ("Bảng 2. Chất lượng theo nhà mạng", "Table 2. Quality by operator"),
    "t.coverage": ("Bảng 3. Vùng phủ sóng theo đơn vị", "Table 3. Coverage by unit"),
    "t.steps.months": ("Bảng 4. Theo từng tháng", "Table 4. Month by month"),
    "t.steps.days": ("Bảng 4. Theo từng ngày", "Table 4. Day by day"),
    "t.reasons": ("Bảng 5. Lần đo không được tính, theo lý do", "Table 5. Tests that do not count, by reason"),
    "t.note.units": (
        "“Không có số liệu” khác với 0. Tốc độ và độ trễ là trung vị của các mẫu trạm đo được tính (cách tính của "
        "i-Speed); dưới {n_min} mẫu ghi “không đủ số mẫu”. Quy tắc đếm {rule}.",
        "“No figure” is not 0. Rates and delay are medians over counted station samples (i-Speed's statistic); below "
        "{n_min} samples it says “too few samples”. Rule of counting {rule}.",
    ),
    "t.note.operators": (
        "Trung vị là cách tính của i-Speed, trung bình là cách tính của QCVN 81; n là số mẫu. Tỷ lệ thành công tính "
        "trên các lần đo đã thực hiện.",
        "The median is i-Speed's statistic, the mean that of QCVN 81; n is the number of samples. Success is of the "
        "tests that were run.",
    ),
    "t.note.coverage": (
        "Mỗi bước theo dõi là một phút. Tỷ lệ tính trên các phút đã biết; phút không rõ (mất điện, trạm tắt, hết dữ "
        "liệu...) để riêng, không tính là sóng yếu. Quy tắc {rule}.",
        "A step is one minute. The share is of the minutes that are known; unknown ones (power cut, station off, data "
        "exhausted...) stand apart and never count as weak coverage. Rule {rule}.",
    ),
    "c.no": ("TT", "No."),
    "c.unit": ("Đơn vị", "Unit"),
    "c.referral": ("Mã giới thiệu", "Referral code"),
    "c.people": ("Số người cài đặt", "People"),
    "c.portal": ("Mẫu i-Speed (Portal)", "i-Speed (Portal)"),
    "c.ours": ("Mẫu trạm đo", "Station samples"),
    "c.needed": ("Chỉ tiêu", "Quota"),
    "c.share": ("Tỷ lệ %", "%"),
    "c.missing": ("Còn thiếu", "Missing"),
    "c.downlink": ("Tải xuống, Mbit/s", "Downlink, Mbit/s"),
    "c.uplink": ("Tải lên, Mbit/s", "Uplink, Mbit/s"),
    "c.rtt": ("Độ trễ, ms", "Delay, ms"),
    "c.hamlets": ("Thôn có mẫu", "Hamlets measured"),
    "c.note": ("Ghi chú", "Notes"),
    "c.operator": ("Nhà mạng", "Operator"),
    "c.tests": ("Lần đo", "Tests"),
    "c.counted": ("Mẫu được tính (n)", "Counted (n)"),
    "c.success": ("Thành công %", "Success %"),
    "c.downlink_median": ("Tải xuống trung vị", "Downlink median"),
    "c.downlink_mean": ("Tải xuống trung bình", "Downlink mean"),
    "c.uplink_median": ("Tải lên trung vị", "Uplink median"),
    "c.uplink_mean": ("Tải lên trung bình", "Uplink mean"),
    "c.rtt_median": ("Độ trễ trung vị, ms", "Delay median, ms"),
    "c.covered": ("Có sóng", "Covered"),
    "c.degraded": ("Sóng yếu", "Degraded"),
    "c.no_service": ("Mất sóng", "No service"),
    "c.unknown": ("Không rõ", "Unknown"),
    "c.covered_share": ("Có sóng, % phút đã biết", "Covered, % of known"),
    "c.step": ("Thời gian", "Time"),
    "c.reached": ("Kết luận", "Verdict"),
    "c.new": ("Mới trong ngày", "New that day"),
    "c.corrected": ("Đính chính giảm", "Taken back"),
    "c.reason": ("Lý do", "Reason"),
    "c.period": ("Kỳ báo cáo", "Period"),
    "c.as_of": ("Số liệu tính đến", "As of"),
    "c.code": ("Mã đơn vị", "Unit code"),
    "c.outreach": ("Kết quả tuyên truyền", "Outreach"),
    "c.difficulties": ("Khó khăn, vướng mắc", "Difficulties"),
    "total": ("Toàn {unit}", "All of {unit}"),
    "silent": ("Chưa báo cáo hôm nay: {names}.", "Not reported today: {names}."),
    "silent.sum": (
        "Cộng các đơn vị đã báo: {sum} ({n}/{all} đơn vị).",
        "Sum over those that reported: {sum} ({n} of {all} units).",
    ),
    "silent.none": ("Tất cả đơn vị đã báo cáo hôm nay.", "All units have reported today."),
    "note.merged": ("sáp nhập vào {into} từ {day}", "merged into {into} on {day}"),
    "note.ended": ("không còn từ {day}", "ended on {day}"),
    "note.renamed": ("trước {day} là {name}", "{name} before {day}"),
    "note.portal": ("Portal đọc {day}", "Portal read on {day}"),
    "changes.lead": (
        "So với báo cáo {id} (số liệu tính đến {made}): {cells} ô số liệu khác đi, {late} bản ghi của kỳ này được nhận "
        "sau đó. Báo cáo trước được giữ nguyên.",
        "Against report {id} (figures as of {made}): {cells} cells differ, {late} records of this period came after "
        "it. The earlier report is kept as it was.",
    ),
    "t.changes": ("Số liệu thay đổi", "Figures that changed"),
    "c.figure": ("Số liệu", "Figure"),
    "c.before": ("Báo cáo trước", "Earlier report"),
    "c.after": ("Nay", "Now"),
    "c.difference": ("Chênh lệch", "Difference"),
    "no": ("không", "none"),
    "sources.figures": (
        "Số liệu trạm đo lấy từ sổ cái bản ghi có chữ ký số của trạm, đến bản ghi số {ledger_n} (thay đổi {redo_n}), "
        "danh bạ đến thay đổi số {registry_n}. Quy tắc áp dụng: {rules}.",
        "Station figures come from the ledger of records that stations signed, up to record {ledger_n} (change "
        "{redo_n}), registry up to change {registry_n}. Rules applied: {rules}.",
    ),
    "sources.log": (
        "Nhật ký niêm phong {name}: {size} mục, gốc {root}, ký lúc {signed}. Ai có bản ghi và gốc này đều kiểm chứng "
        "được ngoại tuyến bằng dosong-verify.",
        "Sealed log {name}: {size} entries, root {root}, signed at {signed}. Whoever has the records and this root can "
        "verify them offline with dosong-verify.",
    ),
    "sources.log.none": (
        "Nhật ký niêm phong: không có số liệu (chưa có điểm kiểm nào được ký).",
        "Sealed log: no figure (no checkpoint was signed yet).",
    ),
    "sources.page": (
        "Trang kiểm chứng công khai: {url} (quét mã QR). Mã báo cáo: {id}.",
        "Public proof page: {url} (scan the QR code). Report: {id}.",
    ),
    "kind.month": ("Báo cáo tháng", "Monthly report"),
    "kind.to_date": ("Báo cáo lũy kế trong tháng", "Month to date"),
    "kind.day": ("Báo cáo tiến độ ngày", "Daily progress"),
    "kind.quarter": ("Báo cáo quý", "Quarterly report"),
    "kind.year": ("Báo cáo năm", "Yearly report"),
    "kind.dossier": ("Hồ sơ thôn, xóm", "Hamlet dossier"),
    "kind.weak": ("Danh sách điểm yếu gửi nhà mạng", "Weak spots for operators"),
    "period.month": ("tháng {month} năm {year}", "{month}/{year}"),
    "period.to_date": ("tháng {month} năm {year} (tính đến {day})", "{month}/{year} up to {day}"),
    "period.day": ("ngày {day}", "{day}"),
    "period.quarter": ("quý {quarter} năm {year}", "quarter {quarter} of {year}"),
    "period.year": ("năm {year}", "{year}"),
    "paragraph": (
        "Trong {period}, {unit} có {ours} mẫu trạm đo được tính{quota}; mẫu i-Speed trên Portal: {portal}; số người "
        "cài đặt ứng dụng: {people}. Trung vị của mẫu trạm đo (chỉ 4G, n = {n}): tải xuống {downlink} Mbit/s, tải "
        "lên {uplink} Mbit/s, độ trễ {rtt} ms; {hamlets}phần thời gian có sóng trong các phút đã biết: {covered}. Số "
        "liệu tính đến {as_of}, giờ Việt Nam; kiểm chứng tại {url}.",
        "In {period}, {unit} has {ours} counted station samples{quota}; i-Speed samples on the Portal: {portal}; "
        "people with the app: {people}. Medians of station samples (4G only, n = {n}): downlink {downlink} Mbit/s, "
        "uplink {uplink} Mbit/s, delay {rtt} ms; {hamlets}covered share of the known minutes: {covered}. As of "
        "{as_of}, Vietnam time; verify at {url}.",
    ),
    "paragraph.quota": (
        " (chỉ tiêu {rule} {counter}: {verdict})",
        " (quota {rule} {counter}: {verdict})",
    ),
    "paragraph.hamlets": (
        "{measured}/{registered} thôn, xóm có mẫu; ",
        "{measured} of {registered} hamlets measured; ",
    ),
}

WORDS |= MORE_WORDS


def say(key: str, language: Language, /, **parts: object) -> str:
    """The words of `key` with their placeholders filled. Raises KeyError for a key that does not exist."""
    text = WORDS[key][0 if language == "vi" else 1]
    return text.format(**parts) if parts else text


def place_date(place: str, t_ms: int, language: Language) -> str:
    """ "Dân Tiến, ngày 01 tháng 11 năm 2024": days below ten and the months 1 and 2 have a nought."""
    when = local(t_ms)
    if language == "en":
        return f"{place}, {when:%d/%m/%Y}"
    month = f"{when.month:02d}" if when.month < 3 else str(when.month)
    return f"{place}, ngày {when.day:02d} tháng {month} năm {when.year}"


def minute_text(t_ms: int, language: Language) -> str:
    """ "17 giờ 00 phút ngày 05/11/2024"."""
    when = local(t_ms)
    return f"{when:%H} giờ {when:%M} phút ngày {when:%d/%m/%Y}" if language == "vi" else f"{when:%H:%M on %d/%m/%Y}"


def first_and_last(period: Period) -> tuple[str, str]:
    """The first and the last day of a period."""
    return f"{local(period.start_ms):%d/%m/%Y}", f"{local(period.end_ms) - timedelta(milliseconds=1):%d/%m/%Y}"


def period_text(kind: Kind, period: Period, language: Language) -> str:
    """What a period is called: "tháng 9 năm 2026", "quý III năm 2026", "ngày 05/11/2024"."""
    first = local(period.start_ms)
    if kind in ("dossier", "weak"):
        kind = "month" if period.end_ms - period.start_ms > DAY_MS else "day"
    roman = ("I", "II", "III", "IV")[(first.month - 1) // 3]
    return say(
        f"period.{kind}", language,
        month=first.month, year=first.year, day=first_and_last(period)[1], quarter=roman,
    )  # fmt: skip
