"""Words of verdicts: what each means, and the rules' own explanations from their table."""

from __future__ import annotations

from collector.core.verdict_rules import RULES

VERDICT_WORDS: dict[str, tuple[str, str]] = {
    "verdict.title": ("Kết luận", "Verdict"),
    "verdict.none": ("chưa xét; xem lại sau ít phút", "not judged yet; look again in a few minutes"),
    "verdict.why": ("Vì sao", "Why"),
    "verdict.clean": (
        "Hai nhân chứng khớp nhau: chữ ký của trạm và biên nhận của máy chủ đo; không quy tắc nào bắt lỗi.",
        "Two witnesses agree: the station's signature and the measurement server's receipt; no rule objects.",
    ),
    "verdict.rules": ("Quy tắc kết luận", "Rules of verdicts"),
    "verdict.rules.lead": (
        "Kết luận được suy ra từ bản ghi, biên nhận, sổ đăng ký, các trạm lân cận và thời gian; ai có cùng dữ liệu "
        "đều suy ra được y hệt. Mẫu đáng ngờ không được tính, nhưng không bao giờ bị xóa.",
        "A verdict is derived from the record, its receipts, the registry, neighbouring stations and time; whoever has "
        "the same derives the same. A suspect sample is not counted, and never deleted.",
    ),
    "verdict.version": (
        "Bộ quy tắc: phiên bản {version}, SHA-256 {digest}",
        "Rule set version {version}, SHA-256 {digest}",
    ),
    "verdict.col.rule": ("Quy tắc", "Rule"),
    "verdict.col.weight": ("Mức", "Weight"),
    "verdict.col.means": ("Ý nghĩa", "What it means"),
    "verdict.col.limits": ("Ngưỡng", "Limits"),
    "verdict.proved": ("được chứng minh", "proved"),
    "verdict.plausible": ("hợp lý", "plausible"),
    "verdict.claimed": ("lời khai", "claimed"),
    "verdict.corroborated": ("được xác nhận", "corroborated"),
    "verdict.suspect": ("đáng ngờ", "suspect"),
    "verdict.proved.means": (
        "Máy chủ đo đã ký biên nhận đúng lúc, từ địa chỉ của nhà mạng, và số liệu hai bên khớp nhau.",
        "The measurement server signed at the time, from the operator's address, and both sides' figures agree.",
    ),
    "verdict.plausible.means": (
        "Không có gì bất thường, nhưng thiếu một nhân chứng thứ hai đầy đủ.",
        "Nothing speaks against it, but a full second witness is missing.",
    ),
    "verdict.claimed.means": (
        "Chỉ có lời của trạm, như khi báo lỗi hoặc mất sóng.",
        "Only the station says so, as when it reports a failure or an outage.",
    ),
    "verdict.corroborated.means": (
        "Lời của trạm được một nguồn khác xác nhận.",
        "The station's word is confirmed by somebody else.",
    ),
    "verdict.suspect.means": (
        "Một quy tắc cho thấy bản ghi có thể không đúng; không được tính là mẫu.",
        "A rule says that the record may be false; it is not counted.",
    ),
    "weight.reject": ("loại", "reject"),
    "weight.suspect": ("nghi", "suspect"),
    "weight.claimed": ("nhiều nhất là lời khai", "claimed at most"),
    "weight.plausible": ("nhiều nhất là hợp lý", "plausible at most"),
    "weight.speaks": ("xác nhận", "confirms"),
    "weight.note": ("ghi chú", "note"),
    **{f"rule.{rule.id}": (rule.vi, rule.en) for rule in RULES.values()},
}
