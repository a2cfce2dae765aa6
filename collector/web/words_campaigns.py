"""Words of the campaigns' page: who reaches what, who will, and which report is due when."""

from __future__ import annotations

CAMPAIGN_WORDS: dict[str, tuple[str, str]] = {
    "nav.campaigns": ("Chiến dịch", "Campaigns"),
    "campaigns.title": ("Chỉ tiêu và hạn báo cáo", "Quotas and report deadlines"),
    "campaigns.lead": (
        "Số liệu tính đến {minute}, giờ Việt Nam. Mỗi chiến dịch nêu một nguồn đếm để xét đạt; các nguồn khác đứng bên "
        "cạnh, không cộng vào nhau và không có kết luận.",
        "As of {minute}, Vietnam time. Each campaign names the one counter that decides; the others stand beside it, "
        "are never added up, and carry no verdict.",
    ),
    "campaigns.none": (
        "Chưa có chiến dịch nào đang chạy. Người vận hành nhập bằng lệnh dosong-provision import (trang campaigns, "
        "campaign_quotas, campaign_reports).",
        "No campaign is running. The operator enters them with dosong-provision import (lists campaigns, "
        "campaign_quotas, campaign_reports).",
    ),
    "campaigns.due": ("Báo cáo sắp đến hạn", "Reports that are due"),
    "campaigns.due.none": ("Không có báo cáo nào trong 45 ngày tới.", "No report is due within 45 days."),
    "campaigns.due.last": ("Phút cuối còn kịp", "Last minute in time"),
    "campaigns.due.covers": ("Kỳ báo cáo", "Period"),
    "campaigns.due.remind": ("Nhắc vào ngày làm việc", "Remind on working day"),
    "campaigns.due.who": ("Gửi tới", "To"),
    "campaigns.due.level": ("Cấp báo cáo", "Who reports"),
    "campaigns.span": ("từ {start} đến hết {end}", "{start} to {end}, both included"),
    "campaigns.rule": (
        "Xét theo {counter}, {rule}, {period}; quy tắc {id}.",
        "Decided by {counter}, {rule}, {period}; rule {id}.",
    ),
    "campaigns.share": (
        "{reached} trên {units} đơn vị đã đạt ({percent} %)",
        "{reached} of {units} reached ({percent} %)",
    ),
    "campaigns.share.unknown": (
        "; {unknown} đơn vị chưa có số liệu để xét.",
        "; of {unknown} the deciding figure is not known.",
    ),
    "campaigns.unit": ("Đơn vị", "Unit"),
    "campaigns.count": ("Số đã có", "Count"),
    "campaigns.needed": ("Cần", "Needed"),
    "campaigns.missing": ("Còn thiếu", "Missing"),
    "campaigns.pace": ("So với nhịp đều", "Against an even pace"),
    "campaigns.end": ("Dự kiến cuối kỳ", "Projected end"),
    "campaigns.end.range": ("{low} đến {high}", "{low} to {high}"),
    "campaigns.hamlets": ("Thôn, xóm có mẫu", "Hamlets with samples"),
    "campaigns.verdict": ("Kết luận", "Verdict"),
    "campaigns.unknown": ("chưa nhập", "not entered"),
    "campaigns.as_of": ("đọc ngày {day}", "read on {day}"),
    "campaigns.outlook.reached": ("đã đạt", "reached"),
    "campaigns.outlook.will_reach": ("sẽ đạt", "will reach"),
    "campaigns.outlook.open": ("chưa chắc", "open"),
    "campaigns.outlook.will_miss": ("sẽ không đạt", "will miss"),
    "campaigns.outlook.missed": ("không đạt", "missed"),
    "campaigns.outlook.unknown": ("chưa rõ", "unknown"),
    "campaigns.note": (
        "“Dự kiến” là khoảng đúng với xác suất 90 %, tính từ những gì đã có trong kỳ; “sẽ đạt” và “sẽ không đạt” chỉ "
        "nói khi chắc ít nhất 95 %.",
        "“Projected” is a range that holds with 90 % probability, from what the period has brought so far; “will "
        "reach” and “will miss” are said only with 95 % certainty.",
    ),
    "counter.portal": ("mẫu i-Speed (Portal)", "i-Speed samples (Portal)"),
    "counter.ours": ("mẫu trạm đo", "station samples"),
    "counter.people": ("số người cài đặt", "people who installed"),
    "period.day": ("mỗi ngày", "each day"),
    "period.week": ("mỗi tuần", "each week"),
    "period.month": ("mỗi tháng", "each month"),
    "period.month_to_date": ("từ đầu tháng", "month to date"),
    "period.campaign": ("cả đợt", "whole campaign"),
    "level.country": ("cả nước", "country"),
    "level.province": ("tỉnh, thành phố", "province"),
    "level.commune": ("xã, phường", "commune"),
    "level.hamlet": ("thôn, xóm", "hamlet"),
    "level.bodies": ("các phòng, ban cộng lại", "all departments together"),
    "enter.title": ("Nhập số liệu đọc ở nơi khác", "Enter a figure that was read elsewhere"),
    "enter.lead": (
        "Số liệu nhập sau thay số liệu nhập trước của cùng đơn vị và kỳ; mọi lần nhập đều được giữ lại, cùng tên "
        "người nhập.",
        "A later figure replaces an earlier one of the same unit and period; every entry stays, with who made it.",
    ),
    "enter.unit": ("Mã đơn vị", "Unit code"),
    "enter.counter": ("Nguồn đếm", "Counter"),
    "enter.line": ("Chỉ tiêu", "Line"),
    "enter.value": ("Số lượng (chỉ chữ số)", "Number (digits only)"),
    "enter.do": ("Ghi lại", "Record it"),
    "enter.done": ("Đã ghi {value} cho {unit}.", "Recorded {value} for {unit}."),
    "enter.wrong": (
        "Chưa ghi được: kiểm tra mã đơn vị (phải nằm trong phạm vi của bạn) và số lượng (từ 0 đến 999.999.999, chỉ "
        "chữ số).",
        "Not recorded: check the unit code (it must be within your scope) and the number (0 to 999,999,999, digits "
        "only).",
    ),
}
