"""The page's own words: (Vietnamese, English). What the checks say is in `probe.core.doctor_words`."""

from __future__ import annotations

from probe.core.doctor_words import LANGUAGES, Language

WORDS: dict[str, tuple[str, str]] = {
    "title": ("Kiểm tra trạm", "Station check"),
    "other": ("English", "Tiếng Việt"),
    "open.ask": ("Nhập mã vào trạm", "Enter the visit code"),
    "open.hint": (
        "8 chữ, văn phòng đọc cho bạn. Mỗi mã dùng một lần.",
        "8 letters that the office reads to you. Each works once.",
    ),
    "open.button": ("Mở", "Open"),
    "open.slip": (
        "Mã bị gõ nhầm: so lại từng chữ (không có 0, O, 1, I, L).",
        "A slip of the finger: compare letter by letter (there is no 0, O, 1, I, L).",
    ),
    "open.wrong": (
        "Mã này không mở được: đã dùng rồi, hoặc của trạm khác. Xin văn phòng mã mới.",
        "This code does not open: it was used, or is another station's. Ask the office for a new one.",
    ),
    "open.closed": (
        "Sai quá nhiều lần. Chờ {minutes} phút rồi thử lại.",
        "Too many wrong tries. Wait {minutes} minutes, then try again.",
    ),
    "state.green": ("Trạm XANH", "Station GREEN"),
    "state.red": ("{n} mục ĐỎ", "{n} RED"),
    "state.ready": ("Chưa thấy lỗi: bấm ĐO THỬ", "Nothing wrong so far: press TEST NOW"),
    "state.open": ("Đang kiểm tra…", "Checking…"),
    "state.restart": ("Chương trình đo đang khởi động lại…", "The measuring program is starting again…"),
    "code.read": ("Đọc mã này cho văn phòng", "Read this code to the office"),
    "code.late": ("Mã hiện ra khi mọi mục đã kiểm tra xong", "The code appears once every check has ended"),
    "signal": ("Mức sóng", "Signal"),
    "signal.best": ("cao nhất {best}", "best {best}"),
    "signal.none": ("chưa có số đo", "no figure yet"),
    "signal.good": ("TỐT", "GOOD"),
    "signal.usable": ("DÙNG ĐƯỢC", "USABLE"),
    "signal.poor": ("YẾU", "POOR"),
    "signal.turn": ("Xoay ăng-ten chậm, giữ ở chỗ số cao nhất.", "Turn the antenna slowly, keep the greatest figure."),
    "first": ("Sửa trước tiên", "Mend this first"),
    "list": ("Các mục kiểm tra", "Checks"),
    "do": ("Cách sửa", "What to do"),
    "verdict.ok": ("Tốt", "Good"),
    "verdict.bad": ("Đỏ", "Red"),
    "verdict.wait": ("Chờ", "Wait"),
    "verdict.skipped": ("Bỏ qua", "Skipped"),
    "test.button": ("ĐO THỬ", "TEST NOW"),
    "test.again": ("ĐO LẠI", "TEST AGAIN"),
    "test.busy": ("Đang đo… {seconds} giây", "Testing… {seconds} s"),
    "test.held": ("Sửa mục đỏ trước khi đo", "Mend what is red before testing"),
    "leave": ("Xong, thoát", "Done, leave"),
    "error.lost": ("Phiên đã hết: nhập mã mới.", "The session has ended: enter a new code."),
    "error.host": ("Hãy mở đúng địa chỉ ghi trên nhãn.", "Open the address on the label."),
    "error.gone": ("Không có trang này.", "There is no such page."),
}


def word(name: str, language: Language, **values: object) -> str:
    """One of the page's words, filled in."""
    return WORDS[name][LANGUAGES.index(language)].format_map(values)
