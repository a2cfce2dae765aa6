"""Words of evidence packs."""

from __future__ import annotations

EVIDENCE_WORDS: dict[str, tuple[str, str]] = {
    "pack.title": ("Gói chứng cứ", "Evidence pack"),
    "pack.get": ("Tải gói chứng cứ (zip)", "Download the evidence pack (zip)"),
    "pack.why": (
        "Gói gồm mọi bản ghi đã ký, chứng minh niêm phong, bảng số liệu và chương trình kiểm tra; ai cũng kiểm tra "
        "được không cần mạng. Chương trình nêu tên từng con số bị sửa và từng bản ghi bị bỏ.",
        "The pack holds every signed record, the proofs of the sealed log, the tables and the verifier; anybody can "
        "check it offline. The verifier names each number that was edited and each record that was taken out.",
    ),
    "pack.not_yet": (
        "Chưa lập được gói chứng cứ của {unit}. Thường là vì bản ghi mới chưa được niêm phong: chờ một phút rồi thử "
        "lại. Nếu vẫn không được, gửi dòng dưới đây cho người vận hành.",
        "The evidence pack of {unit} cannot be made yet. Most often new records are not sealed: wait a minute and "
        "try again. If it still fails, send the line below to the operator.",
    ),
    "pack.again": ("Thử lại", "Try again"),
}
