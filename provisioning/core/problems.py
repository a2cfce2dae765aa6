# ruff: noqa: E501 (a table is read down its columns: one word, one line)
"""What is wrong with a cell, and what to do about it, in Vietnamese and English."""

from __future__ import annotations

from dataclasses import dataclass

WORDS: dict[str, tuple[str, str]] = {
    "required": ("ô này bắt buộc; hãy điền", "this cell is required; fill it in"),
    "formula": (
        "ô chứa công thức; sao chép rồi dán giá trị (Paste Special, Values)",
        "the cell holds a formula; copy it and paste its value (Paste Special, Values)",
    ),
    "not_text": (
        "ô phải là chữ; đặt định dạng ô là Văn bản rồi gõ lại",
        "this must be text; format the cell as Text and type it again",
    ),
    "control": (
        "có ký tự điều khiển {hint}; xóa đi rồi gõ lại",
        "holds a control character {hint}; delete it and type the text again",
    ),
    "hidden": (
        "có ký tự ẩn hoặc đảo chiều chữ {hint}; gõ lại bằng tay, không sao chép",
        "holds a hidden or text-reversing character {hint}; type it by hand, do not paste",
    ),
    "long": ("dài quá {hint} ký tự; rút ngắn lại", "longer than {hint} characters; shorten it"),
    "number_code": (
        "ô là số {hint}: số 0 ở đầu mã có thể đã mất; đặt định dạng ô là Văn bản rồi gõ lại mã",
        "the cell is the number {hint}: leading zeros of a code may be lost; format the cell as Text and type the code again",
    ),
    "lost_zero": (
        "mã tỉnh có 2, mã xã có 5 chữ số: số 0 ở đầu đã mất? Đặt định dạng ô là Văn bản{hint}",
        "a province code has 2 digits, a commune code 5: has a leading zero been lost? Format the cell as Text{hint}",
    ),
    "code": (
        "mã chỉ gồm chữ không dấu, số, _ và -, nhiều nhất 32 ký tự",
        "a code is letters A-Z a-z, digits, _ and -, at most 32",
    ),
    "probe": (
        "mã trạm gồm 3 đến 32 chữ thường không dấu, số và -, ví dụ p-dong-chuoi",
        "a probe's id is 3 to 32 of a-z 0-9 -, such as p-dong-chuoi",
    ),
    "plmn": ("mã mạng là 5 hoặc 6 chữ số, ví dụ 45204", "a network code is 5 or 6 digits, such as 45204"),
    "iccid": (
        "số ICCID in trên SIM có 18 đến 22 chữ số; ****1234 chỉ dùng cho SIM đã có",
        "the ICCID printed on the SIM has 18 to 22 digits; ****1234 only for a SIM that is registered",
    ),
    "number_iccid": (
        "ô là số nên ICCID đã bị làm tròn; đặt định dạng ô là Văn bản rồi gõ lại",
        "the cell is a number, so the ICCID was rounded; format the cell as Text and type it again",
    ),
    "masked": (
        "ICCID bị che không khớp SIM nào đã có; gõ đủ số ICCID",
        "this masked ICCID is not that of a registered SIM; type the whole ICCID",
    ),
    "number": (
        "không phải số; viết như {hint}1.234,5 khi đã khai báo dấu phẩy thập phân",
        "not a number; write {hint}1,234.5 when the decimal mark is declared as dot",
    ),
    "undeclared": (
        "chưa khai báo dấu thập phân: thêm --decimal comma (dấu phẩy) hoặc --decimal dot (dấu chấm), hoặc điền trang Khai báo",
        "the decimal mark is not declared: add --decimal comma or --decimal dot, or fill in the sheet Khai báo",
    ),
    "not_whole": (
        "phải là số nguyên; kiểm tra dấu thập phân đã khai báo",
        "must be a whole number; check the declared decimal mark",
    ),
    "range": ("ngoài khoảng {hint}", "outside {hint}"),
    "day": (
        "không phải ngày; viết dd/mm/yyyy (31/12/2026), yyyy-mm-dd, hoặc: từ đầu",
        "not a day; write dd/mm/yyyy (31/12/2026), yyyy-mm-dd, or: always",
    ),
    "day_number": (
        "ô là số, không phải ngày; đặt định dạng ô là Ngày hoặc gõ 31/12/2026",
        "the cell is a number, not a date; format it as a date or type 31/12/2026",
    ),
    "minute": ("không phải giờ; viết 17:00", "not a time of day; write 17:00"),
    "choice": ("chỉ được chọn một trong: {hint}", "choose one of: {hint}"),
    "unknown": (
        "không có trong sổ đăng ký; thêm dòng cho mã này hoặc sửa mã{hint}",
        "is not in the registry; add a row for this code or correct it{hint}",
    ),
    "future": ("ngày chưa đến; nhập vào ngày đó hoặc sau đó", "this day is yet to come; enter it on that day or later"),
    "successors": (
        "nhập: đúng một thôn mới; tách: từ hai thôn mới; kết thúc, lập lại: để trống",
        "merged: exactly one successor; split: two or more; ended, reopened: leave it empty",
    ),
    "own_successor": ("thôn không thể nhập vào chính nó", "a hamlet cannot be merged into itself"),
    "taken": ("số ICCID này đã thuộc SIM khác; kiểm tra lại hai SIM", "another SIM has this ICCID; check both SIMs"),
    "twice": (
        "trùng với dòng {hint} của trang này; bỏ một dòng",
        "the same as row {hint} of this sheet; drop one of them",
    ),
    "column": ("cột lạ; các cột là: {hint}", "unknown column; the columns are: {hint}"),
    "no_column": (
        "thiếu cột bắt buộc này ở dòng đầu; lấy mẫu bằng dosong-provision template",
        "this required column is missing in the first row; take the template: dosong-provision template",
    ),
    "sheet": ("trang lạ; các trang là: {hint}", "unknown sheet; the sheets are: {hint}"),
}
"""Kind of mistake -> (Vietnamese, English): what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of a table: sheet and column as the person sees them, row as the spreadsheet numbers it."""

    sheet: str
    row: int
    column: str
    value: str
    word: str
    hint: str = ""

    def said(self, language: str) -> str:
        """The sentence in `language` ("vi" or "en")."""
        vi, en = WORDS[self.word]
        text = (vi if language == "vi" else en).format(hint=self.hint)
        row = ("dòng", "row")[language != "vi"]
        column = ("cột", "column")[language != "vi"]
        return f"{self.sheet}, {row} {self.row}, {column} {self.column}, «{shortened(self.value)}»: {text}"


def shortened(value: str) -> str:
    """A value as it may be printed: control and hidden characters by their numbers, at most 60 characters."""
    shown = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
