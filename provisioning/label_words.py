"""Words of labels and of the keeper's notice: (Vietnamese, English)."""

from __future__ import annotations

from typing import Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, Language] = ("vi", "en")

LABEL: dict[str, tuple[str, str]] = {
    "title": ("Nhãn trạm đo", "Labels of stations"),
    "accept": ("Kỹ thuật viên: quét để nghiệm thu", "Technician: scan to accept the site"),
    "wifi": ("Trang của trạm: quét để vào Wi-Fi", "The station's page: scan to join"),
    "password": ("Mật khẩu", "Password"),
    "address": ("Gõ", "Type"),
    "stay": ("Xin đừng rút điện. Không chứa dữ liệu cá nhân.", "Please leave it plugged in. No personal data inside."),
}
LIGHTS: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (("PWR đỏ sáng đều", "PWR steady red"), ("đủ điện", "power is good")),
    (
        ("ACT xanh chớp", "ACT green flickers"),
        ("máy chạy; tắt quá 1 phút: rút điện 10 giây", "it runs; dark for a minute: unplug it for 10 s"),
    ),
)
NOTICE: dict[str, tuple[str, str]] = {
    "title": ("Trạm đo chất lượng mạng di động", "Mobile network measuring station"),
    "what": (
        "Hộp nhỏ này đo tốc độ và vùng phủ sóng 4G tại nhà văn hóa, mỗi ngày nhiều lần, để chính quyền biết thôn "
        "mình có sóng hay không và yêu cầu nhà mạng khắc phục.",
        "This small box measures the speed and coverage of 4G at this house, many times a day, so that the authorities "
        "know whether the hamlet has service, and can ask the operator to mend it.",
    ),
    "call": ("Có gì lạ, xin gọi", "If anything seems wrong, please call"),
    "say": ("Đọc tên trạm:", "Say the station's name:"),
    "law": (
        "Trạm không ghi âm, không ghi hình, không biết điện thoại của ai, không lưu số thuê bao hay tin nhắn. "
        "Nó chỉ dùng một SIM dữ liệu của chương trình.",
        "The station records no sound and no picture, knows nobody's telephone, and keeps no number or message. "
        "It uses one data SIM of the programme's own.",
    ),
}
POINTS: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (
        ("Xin đừng rút điện, đừng tắt.", "Please do not unplug it or switch it off."),
        (
            "Tắt điện thì thôn mất số liệu của những giờ đó. Mất điện rồi có lại thì trạm tự chạy.",
            "Without power the hamlet loses those hours. After a power cut it starts again by itself.",
        ),
    ),
    (
        ("Không có dữ liệu cá nhân.", "There is no personal data in it."),
        (
            "Trạm không theo dõi ai và không phải Wi-Fi để dùng chung.",
            "It watches nobody, and it is no Wi-Fi to share.",
        ),
    ),
    (
        ("Đừng di chuyển hộp và ăng-ten.", "Leave box and antenna where they are."),
        (
            "Chỗ lắp đã được đo chọn. Cần dọn chỗ thì gọi trước.",
            "Their place was measured and chosen. If they must move, call first.",
        ),
    ),
    (
        ("Tốn rất ít điện.", "It needs very little power."),
        ("Khoảng một bóng đèn LED nhỏ, chừng 4 kWh mỗi tháng.", "About a small LED lamp, some 4 kWh a month."),
    ),
)


def pick(words: dict[str, tuple[str, str]], language: Language) -> dict[str, str]:
    """The words in one language."""
    place = LANGUAGES.index(language)
    return {name: both[place] for name, both in words.items()}


def pick_pairs(pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...], language: Language) -> list[list[str]]:
    """Heading and text of each pair in one language."""
    place = LANGUAGES.index(language)
    return [[head[place], text[place]] for head, text in pairs]
