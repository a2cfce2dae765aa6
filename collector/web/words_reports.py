"""Words of the reports' pages: made, read, downloaded, compared, and what an official writes for them."""

from __future__ import annotations

from collector.core.report_words import WORDS as REPORT

_KINDS = {f"report.{key}": words for key, words in REPORT.items() if key.startswith("kind.")}

REPORT_WORDS: dict[str, tuple[str, str]] = _KINDS | {
    "nav.reports": ("Báo cáo", "Reports"),
    "reports.title": ("Báo cáo", "Reports"),
    "reports.lead": (
        "Mỗi báo cáo được giữ nguyên như lúc lập. Số liệu đến muộn không sửa báo cáo cũ: chúng hiện ở trang “Thay đổi "
        "sau khi lập báo cáo” của báo cáo sau.",
        "Every report is kept as it was made. What comes late does not alter an old report: it shows on the page of "
        "changes of the next one.",
    ),
    "reports.due": ("Báo cáo sắp đến hạn", "Reports that are due"),
    "reports.make": ("Lập báo cáo", "Make a report"),
    "reports.kind": ("Loại báo cáo", "Kind"),
    "reports.unit": ("Mã đơn vị (tỉnh, xã, thôn)", "Code of the unit (province, commune, hamlet)"),
    "reports.period": (
        "Kỳ: 2026-09, 2026-Q3, 2026 hoặc 2026-09-21; để trống là kỳ này",
        "Period: 2026-09, 2026-Q3, 2026 or 2026-09-21; empty: this one",
    ),
    "reports.language": ("Ngôn ngữ", "Language"),
    "reports.do": ("Lập và lưu", "Make and keep"),
    "reports.none": ("Chưa có báo cáo nào.", "No report was made yet."),
    "reports.list": ("Các báo cáo đã lập", "Reports that were made"),
    "reports.what": ("Báo cáo", "Report"),
    "reports.made": ("Lập lúc", "Made"),
    "reports.by": ("Người lập", "By"),
    "reports.files": ("Tải về", "Download"),
    "reports.changed": ("{n} ô số liệu thay đổi so với báo cáo trước", "{n} cells changed since the one before"),
    "reports.changes": ("Số liệu thay đổi từ khi lập", "What changed since it was made"),
    "reports.changes.none": (
        "Không có số liệu nào thay đổi từ khi lập báo cáo này.",
        "No figure has changed since this report was made.",
    ),
    "reports.changes.some": (
        "{n} ô số liệu đã khác. Báo cáo này được giữ nguyên; lập báo cáo mới để có trang thay đổi.",
        "{n} cells are otherwise by now. This report stays; make a new one to have the page of changes.",
    ),
    "reports.changes.figure": ("Số liệu", "Figure"),
    "reports.changes.before": ("Trong báo cáo", "In the report"),
    "reports.changes.after": ("Nay", "Now"),
    "reports.texts": ("Nội dung do cán bộ nhập", "What officials write"),
    "reports.texts.lead": (
        "Mỗi lần nhập được giữ kèm ngày và người nhập; lần sau thay lần trước trong báo cáo, lần trước không mất. Nhập "
        "trống để bỏ nội dung.",
        "Each entry is kept with its day and author; a later one takes the place of the earlier in reports, which is "
        "not lost. Enter nothing to take a text out.",
    ),
    "reports.topic": ("Mục", "Topic"),
    "reports.topic.outreach": ("Kết quả tuyên truyền", "Outreach"),
    "reports.topic.difficulties": ("Khó khăn, vướng mắc", "Difficulties"),
    "reports.topic.proposals": ("Đề xuất, kiến nghị", "Proposals"),
    "reports.text": ("Nội dung (tối đa 1.500 chữ cái)", "Text (1,500 letters at most)"),
    "reports.texts.do": ("Lưu nội dung", "Keep the text"),
    "reports.done": ("Đã lưu nội dung.", "The text was kept."),
    "reports.wrong.unit": (
        "Không lập được: mã đơn vị không có trong danh bạ hoặc ngoài phạm vi của tài khoản, hoặc loại báo cáo không "
        "dành cho cấp đó. Hồ sơ dành cho thôn, xóm; các loại khác cho xã, phường, tỉnh.",
        "Not made: no such unit, or outside this login's scope, or not this kind of report. A dossier is of a hamlet; "
        "the others are of communes and provinces.",
    ),
    "reports.wrong.period": (
        "Không lập được: kỳ viết như 2026-09, 2026-Q3, 2026 hoặc 2026-09-21, và phải đã bắt đầu.",
        "Not made: write a period as 2026-09, 2026-Q3, 2026 or 2026-09-21; it must have begun.",
    ),
    "reports.wrong.remark": ("Không lưu được: nội dung quá dài.", "Not kept: the text is too long."),
    "reports.draft": (
        "Bản xem trước. Bản in và bản Word có đủ thể thức; số, ký hiệu và chữ ký để trống.",
        "Preview. The printed and the Word form have the full layout; number and signature are blank.",
    ),
    "reports.annex": ("Phụ lục", "Annex"),
    "reports.paragraph": ("Đoạn cho báo cáo chuyển đổi số", "Paragraph for the digital transformation report"),
    "reports.row": ("Dòng dán vào bảng tính chung", "Row to paste into the shared sheet"),
    "reports.row.do": (
        "Bấm vào ô, chọn tất cả, sao chép, rồi dán vào ô đầu của dòng trong bảng tính.",
        "Click into it, select all, copy, and paste into the first cell of your row.",
    ),
    "reports.silent": ("Ai chưa báo cáo hôm nay (dán vào Zalo)", "Who has not reported today (for Zalo)"),
    "reports.silent.lead": (
        "Chữ dán được ngay vào nhóm Zalo; lập lúc {minute}, giờ Việt Nam. Người đã báo cáo sau lúc này không có ở đây.",
        "Text ready for a Zalo group, in Vietnamese; made at {minute}, Vietnam time.",
    ),
    "reports.silent.do": ("Xem", "Show"),
    "reports.silent.none": (
        "Hôm nay không có chiến dịch nào cần báo cáo hằng ngày trong phạm vi này.",
        "No campaign with daily reports runs today in this scope.",
    ),
    "office.title": ("Tiêu đề văn bản và nơi nhận nhắc việc", "Letterhead and reminders"),
    "office.lead": (
        "Báo cáo của {name} lập từ bây giờ mang tiêu đề này; báo cáo đã lập không đổi. Lời nhắc trước hạn gửi tới các "
        "hộp thư dưới đây.",
        "Reports of {name} made from now on bear this letterhead; those already made stay as they are. Reminders "
        "before each deadline go to the mailboxes below.",
    ),
    "office.superior": ("Cơ quan chủ quản (để trống nếu không có)", "Superior body (empty if none)"),
    "office.issuer": ("Tên cơ quan ban hành, chữ in hoa, mỗi dòng một hàng", "Issuing body in capitals, line by line"),
    "office.issuer_name": ("Tên cơ quan trong câu", "The body's name inside a sentence"),
    "office.place": ("Địa danh", "Place"),
    "office.symbol": ("Ký hiệu văn bản", "Symbol of the document"),
    "office.addressed": ("Kính gửi, mỗi dòng một nơi", "Addressed to, one a line"),
    "office.recipients": ("Nơi nhận, mỗi dòng một nơi", "Recipients, one a line"),
    "office.authority": ("Quyền hạn ký", "Signed on behalf of"),
    "office.signer": ("Chức vụ người ký", "Signer's position"),
    "office.emails": ("Hộp thư nhận lời nhắc, mỗi dòng một địa chỉ", "Mailboxes for reminders, one a line"),
    "office.webhook": (
        "Địa chỉ web nhận lời nhắc (webhook; chỉ người vận hành đặt)",
        "Web address for reminders (webhook; operators only)",
    ),
    "office.do": ("Lưu", "Save"),
    "office.done": ("Đã lưu. Báo cáo lập tiếp theo sẽ mang tiêu đề này.", "Saved. The next report bears it."),
    "office.wrong": ("Chưa lưu. Hãy sửa ô: {field}", "Not saved. Please correct: {field}"),
    "office.entries": ("Ai đã nhập", "Who entered it"),
    "office.never": ("Chưa ai nhập: dưới đây là tiêu đề mặc định.", "Nobody yet: this is the default letterhead."),
    "office.choose": ("Chọn đơn vị", "Choose a unit"),
    "proof.title": ("Kiểm chứng báo cáo {id}", "Proof of report {id}"),
    "proof.lead": (
        "Trang này cho biết báo cáo có mã {id} được lập từ đâu. So mã, kỳ và số liệu trên giấy với trang này; so "
        "SHA-256 của tệp với bảng dưới.",
        "This page says what report {id} was made from. Compare id, period and figures on paper with it, and the "
        "SHA-256 of a file with the table below.",
    ),
    "proof.subject": ("Báo cáo", "Report"),
    "proof.period": ("Kỳ số liệu", "Period"),
    "proof.as_of": ("Số liệu tính đến", "As of"),
    "proof.log": ("Nhật ký niêm phong", "Sealed log"),
    "proof.log.none": ("không có số liệu: lúc lập chưa có điểm kiểm", "no figure: nothing was sealed then"),
    "proof.log.size": ("{name}, {size} mục", "{name}, {size} entries"),
    "proof.root": ("Gốc (hex)", "Root (hex)"),
    "proof.ledger": ("Sổ cái đến bản ghi số", "Ledger up to record"),
    "proof.model": ("SHA-256 của mô hình báo cáo", "SHA-256 of the report's model"),
    "proof.file": ("Tệp", "File"),
    "proof.newer": (
        "Có báo cáo lập sau cho cùng đơn vị và kỳ này: {id}.",
        "A later report of the same unit and period exists: {id}.",
    ),
    "proof.checkpoint": ("Điểm kiểm và cách kiểm chứng", "Checkpoint, and how to verify"),
}
