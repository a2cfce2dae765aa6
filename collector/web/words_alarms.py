"""Words of identity: claims that wait to be armed, and alarms with what to do about each."""

from __future__ import annotations

ALARM_WORDS: dict[str, tuple[str, str]] = {
    "claims.title": ("Trạm chờ đăng ký", "Stations that are to enrol"),
    "claims.lead": (
        "Phiếu đăng ký chỉ dùng được trong 72 giờ sau khi kích hoạt. Kích hoạt ngay trước khi lắp, rồi chạy "
        "dosong-probe enrol trên trạm và đọc sáu chữ số cho văn phòng.",
        "A claim can be used for 72 hours after it was armed. Arm it just before you install, run dosong-probe enrol "
        "on the station, and read the six digits to the office.",
    ),
    "claims.none": ("Không có phiếu nào đang chờ.", "No claim is open."),
    "claims.site": ("Điểm đo", "Site"),
    "claims.until": ("Hết hạn", "Good until"),
    "claims.armed": ("Kích hoạt", "Armed"),
    "claims.armed_until": ("đến {time}, bởi {who}", "until {time}, by {who}"),
    "claims.not_armed": ("chưa kích hoạt", "not armed"),
    "claims.arm": ("Kích hoạt 72 giờ", "Arm for 72 hours"),
    "claims.file": ("Tải tệp cho thẻ nhớ", "Download the file for the card"),
    "claims.file.note": (
        "Một lần. Kéo tệp dosong-claim.toml vào ổ bootfs của thẻ; tệp văn phòng làm trước đó hết giá trị.",
        "Once. Drag dosong-claim.toml onto the card's drive bootfs; the file that the office made before is void.",
    ),
    "claims.file.taken": ("đã tải: {who}, {time}", "downloaded by {who}, {time}"),
    "alarms.title": ("Cảnh báo danh tính", "Alarms of identity"),
    "alarms.lead": (
        "Ai đó đã thử làm một trạm mà không được phép, hoặc có dấu hiệu thẻ nhớ bị sao chép.",
        "Somebody tried to be a station and was not let, or a card looks copied.",
    ),
    "alarms.none": ("Chưa có cảnh báo nào.", "No alarm."),
    "alarms.kind": ("Chuyện gì", "What"),
    "alarms.address": ("Từ địa chỉ", "From"),
    "alarms.times": ("Số lần", "Times"),
    "alarm.unknown_claim": ("mã đăng ký không có thật", "a claim that is none"),
    "alarm.void_claim": ("phiếu đăng ký đã được thay", "a claim that was replaced"),
    "alarm.expired_claim": ("phiếu đăng ký quá 90 ngày", "a claim older than 90 days"),
    "alarm.unarmed_claim": (
        "phiếu chưa được kích hoạt: văn phòng kích hoạt",
        "a claim that is not armed: the office arms it",
    ),
    "alarm.claim_reused": (
        "phiếu đã dùng, khóa khác: có thể bị lấy cắp, gọi kỹ thuật viên",
        "a used claim with other keys: perhaps stolen, call the technician",
    ),
    "alarm.wrong_fingerprint": (
        "sáu chữ số không khớp: xem ai đã đăng ký trạm này",
        "the six digits do not fit: see who enrolled as this station",
    ),
    "alarm.wrong_probe": ("lời của trạm khác", "the word of another station"),
    "alarm.bad_enrolment": ("đăng ký sai chữ ký", "an enrolment that is not signed as it should be"),
    "alarm.foreign_key": ("khóa không phải của trạm này", "a key that is not this station's"),
    "alarm.unknown_probe": ("trạm không có trong danh sách", "a station that is not registered"),
    "alarm.revoked_probe": ("trạm đã bị thu hồi còn xin chứng chỉ", "a revoked station asks for a certificate"),
    "alarm.renewed_too_often": ("xin chứng chỉ quá nhiều lần", "too many certificates in a day"),
    "alarm.renewed_after_expiry": (
        "xin lại sau khi chứng chỉ hết hạn: trạm tắt lâu ngày?",
        "renewed after its certificate ended: off for long?",
    ),
    "alarm.fork": (
        "hai bản ghi cùng số: thẻ nhớ bị sao chép? Thay trạm: dosong-provision replace",
        "two records of one number: a copied card? Replace the station: dosong-provision replace",
    ),
    "alarm.cloned": (
        "hai máy cùng một danh tính ở máy chủ tin. Thay trạm: dosong-provision replace",
        "two machines with one identity at the broker. Replace the station: dosong-provision replace",
    ),
}
