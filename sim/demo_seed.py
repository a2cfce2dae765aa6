"""What a demonstration has besides samples: a disputed test, a weak spot, a hamlet head's sheet.

Everything is done as a person would, by the pages' own forms, so that each user guide finds something to do. The PIN of
the sheet stands on the printed page alone; a demonstration keeps it in its folder, for whoever reads the guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sim.visitor import Lost, Visitor
from wire.errors import Unavailable

PASSWORD = "mo-phong-2026"  # noqa: S105 (the demonstration's, printed on its first page)
LOGINS = (
    ("kythuat", "technician, kỹ thuật viên"),
    ("vanhanh", "operator, người vận hành"),
    ("lanhdao", "official of the province, cán bộ Sở, tỉnh"),
    ("canboxa", "commune official, cán bộ xã (Tràng Xá)"),
    ("kiemtra", "auditor, kiểm tra viên"),
    ("nhamang", "telecom company, doanh nghiệp viễn thông (Viettel)"),
)
"""Accounts that the pages offer in a demonstration (`collector.web.demo`; a test compares), and who they are."""
COMMUNE, SPOT = "05755", "dt-lang-muoi"
HEAD = "tx-khuon-ruong"
READ = 128
"""What somebody read for the commune at the Portal this month."""
OBJECTION = "Hôm đó cả xóm mất điện, đề nghị xem lại lần đo này."
WEAK = "Buổi tối bà con không gọi được ở khu nhà văn hóa; đề nghị kiểm tra trạm."
_LINK = re.compile(r"https?://[^<\s]*/bao-cao/([A-Za-z0-9_-]+)")
_PIN = re.compile(r"(?<![0-9A-Za-z_-])([0-9]{3}) ([0-9]{3})(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A hamlet head's sheet: the path that its QR code opens, and the PIN."""

    path: str
    pin: str


def seed(web_url: str, folder: Path) -> Sheet:
    """Do it once, and remember the sheet in `folder`. Raises Unavailable if a page does not let it."""
    try:
        _speak(web_url)
        sheet = print_sheet(web_url, HEAD)
    except (Lost, OSError) as error:
        raise Unavailable(f"the demonstration's cases could not be made: {error}") from error
    (folder / "head-sheet.txt").write_text(f"{sheet.path}\n{sheet.pin}\n")
    return sheet


def remembered(folder: Path) -> Sheet | None:
    """The sheet of the first start; None if there is none."""
    try:
        path, pin = (folder / "head-sheet.txt").read_text().split()
    except (OSError, ValueError):
        return None
    return Sheet(path, pin)


def _speak(web_url: str) -> None:
    person = Visitor(web_url)
    person.log_in("lanhdao", PASSWORD)
    person.open("/campaigns")
    for label, value in (("Chỉ tiêu", "i-speed/xa"), ("Nguồn đếm", "portal"), ("Mã đơn vị", COMMUNE)):
        person.fill(label, value)
    person.fill("Số lượng", str(READ))
    person.press("Ghi lại")
    person.open(f"/why/{COMMUNE}")
    if person.sees("Phản đối"):  # a short history may have no failed test
        person.press("Phản đối")
        person.fill("Vì sao phải tính", OBJECTION)
        person.press("Phản đối")
    person.open(f"/hamlets/{SPOT}/coverage")
    person.press("Gửi nhà mạng: điểm yếu")
    person.fill("Nội dung", WEAK)
    person.press("Mở vụ việc")


def print_sheet(web_url: str, hamlet: str) -> Sheet:
    """Have the commune print a new sheet for a hamlet. Raises Lost."""
    person = Visitor(web_url)
    person.log_in("canboxa", PASSWORD)
    person.open("/heads")
    person.press("Phiếu mới", after=hamlet)
    link, pins = _LINK.search(person.page.text), _PIN.findall(person.page.text)
    if link is None or not pins:
        raise Lost(f"{person.url} shows no link and no PIN")
    return Sheet(f"/bao-cao/{link.group(1)}", "".join(pins[-1]))
