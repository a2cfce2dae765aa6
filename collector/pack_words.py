"""The README of an evidence pack: what is in it and how to check it, Vietnamese first."""

from __future__ import annotations

from collector.core import view
from collector.core.period import Period

_TEXT = """\
GÓI CHỨNG CỨ – EVIDENCE PACK
Đơn vị / unit: {unit}
Kỳ / period: {start} – {end} (giờ Việt Nam)
Hệ thống / origin: {origin}

TIẾNG VIỆT
Gói này chứa mọi bản ghi đã ký của các trạm đo trong kỳ, kể cả lần đo hỏng, và các bảng số liệu tính ra từ đó.
Ai cũng kiểm tra được, không cần mạng, không cần tin chúng tôi:
  1. Cài Python 3.11 trở lên và gói cryptography (pip install cryptography; Debian: apt install python3-cryptography).
  2. python3 dosong-verify.py GOI.zip
     (tốt nhất lấy dosong-verify.py và khóa của sổ niêm phong từ trang công khai của hệ thống, không từ gói này:
      python3 dosong-verify.py --log-vkeys vkeys GOI.zip)
Dòng cuối "OK" nghĩa là: mọi chữ ký đúng, chuỗi bản ghi không thiếu mục nào, mọi bản ghi nằm trong sổ niêm phong, và
mọi con số trong các bảng đúng bằng số đếm lại từ bản ghi. Số nào bị sửa được nêu tên: tệp, dòng, cột, giá trị đúng.

  manifest.json      kỳ, đơn vị, con số chính, mã SHA-256 của từng tệp
  records.jsonl      bản ghi gốc đã ký, mỗi dòng kèm chứng minh nằm trong sổ niêm phong
  samples.csv        từng lần đo: được tính hay không, vì sao
  figures.csv        cộng theo thôn và nhà mạng; minutes.csv: số phút có sóng theo ngày
  receipts.jsonl     biên nhận của máy chủ đo; notes.jsonl: quyết định đã ký (vị trí trạm, xem xét lại...)
  registry.json      trạm đứng ở đâu từ ngày nào, mã giới thiệu thuộc đơn vị nào
  keys/, checkpoint  khóa công khai và điểm niêm phong{log_vi}
  report/            báo cáo kèm theo (kiểm tra bằng SHA-256)

ENGLISH
This pack holds every signed record of the stations in the period, failed runs included, and the tables made from them.
Anybody can check it offline: python3 dosong-verify.py PACK.zip (Python 3.11 and the package cryptography). Take the
verifier and the log's key from the system's public pages rather than from here if you can. The last line says OK if all
signatures hold, no record of a chain is missing, all records stand in the sealed log, and every number in the tables
is what the records give; a number that was edited is named by file, row and field, with what the records give.{log_en}
"""


def readme(unit: str, period: Period, origin: str, has_log: bool) -> str:
    """The text, for one unit and period; it says so where no log seals the records."""
    return _TEXT.format(
        unit=unit, origin=origin, start=view.minute(period.start_ms), end=view.minute(period.end_ms),
        log_vi="" if has_log else " (hệ thống này không có sổ niêm phong)",
        log_en="" if has_log else "\nThis system keeps no sealed log: the records are not proved to stand in one.",
    )  # fmt: skip
