# ruff: noqa: E501 (tables are read down their columns)
"""The sheets of the registry's tables: one a list of the document, with their columns, words and notes (vi, en)."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.core.cells import KINDS, Kind, choice, symbols

_LEVEL = choice(country=("cả nước", "country"), province=("tỉnh", "province"), commune=("xã", "commune"),
                hamlet=("thôn", "hamlet"), bodies=("cơ quan", "bodies"))  # fmt: skip
_PERIOD = {"day": ("ngày", "day"), "week": ("tuần", "week"), "month": ("tháng", "month"),
           "campaign": ("cả đợt", "campaign")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in the document, its heading and note in both languages, how its cells are read."""

    key: str
    vi: str
    en: str
    kind: Kind
    is_required: bool = False
    note: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: the document's list, its title in both languages, the columns that make a row unique."""

    listed: str
    vi: str
    en: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...]
    about: tuple[str, str] = ("", "")


def _c(key: str, vi: str, en: str, kind: str | Kind, note_vi: str = "", note_en: str = "") -> Column:
    """A column; a heading that ends in * is required."""
    required = vi.endswith("*")
    found = KINDS[kind] if isinstance(kind, str) else kind
    return Column(key, vi.rstrip("*"), en, found, required, (note_vi, note_en))


_SINCE = _c(
    "valid_from_ms",
    "Từ ngày",
    "From",
    "day",
    "dd/mm/yyyy; để trống: từ đầu (thôn, nhà văn hóa đã có: từ hôm nay)",
    "dd/mm/yyyy; empty: always (a known hamlet or site: from today)",
)
_UNTIL = _c("valid_to_ms", "Đến hết ngày", "Until", "last_day", "để trống: không thời hạn", "empty: open-ended")
_SOURCE = _c(
    "source", "Căn cứ", "Source", "note", "số văn bản hoặc người báo", "number of the document, or who said so"
)

SHEETS: tuple[Sheet, ...] = (
    Sheet("hamlets", "Thôn xóm", "Hamlets", (
        _c("code", "Mã thôn*", "Hamlet code", "code", "mã của ta, không đổi suốt đời thôn, ví dụ 05755-dong-chuoi", "our own code, never changes, such as 05755-dong-chuoi"),
        _c("kind", "Loại*", "Kind", "name", "thôn, bản, xóm, tổ dân phố, khu phố, ấp, buôn ...", "thôn, bản, xóm, tổ dân phố, khu phố, ấp, buôn ..."),
        _c("name", "Tên*", "Name", "name", "không kèm loại: Đồng Chuối", "without the kind: Đồng Chuối"),
        _c("commune", "Mã xã*", "Commune code", "unit", "5 chữ số, giữ số 0 đầu: 05755", "5 digits with leading zero: 05755"),
        _c("lat_e7", "Vĩ độ", "Latitude", "lat", "độ thập phân: 21,676", "decimal degrees"),
        _c("lon_e7", "Kinh độ", "Longitude", "lon", "độ thập phân: 106,163", "decimal degrees"),
        _SINCE, _SOURCE), ("code", "valid_from_ms"), ("Đổi tên, đổi loại, đổi xã: thêm dòng mới với ngày hiệu lực", "A new name, kind or commune: add a row with its day")),
    Sheet("hamlet_ends", "Sáp nhập", "Merged", (
        _c("hamlet", "Mã thôn cũ*", "Old hamlet", "code"),
        _c("how", "Cách*", "How", choice(merged=("nhập", "merged"), split=("tách", "split"), ended=("kết thúc", "ended"), reopened=("lập lại", "reopened"))),
        _c("successors", "Mã thôn mới", "Successors", "codes", "nhập: một mã; tách: các mã cách nhau bằng dấu cách", "merged: one code; split: codes with blanks between them"),
        _SINCE, _SOURCE), ("hamlet", "valid_from_ms")),
    Sheet("sites", "Nhà văn hóa", "Sites", (
        _c("code", "Mã điểm*", "Site code", "code", "ví dụ nvh-dong-chuoi", "such as nvh-dong-chuoi"),
        _c("name", "Tên*", "Name", "name", "Nhà văn hóa xóm Đồng Chuối", "the cultural house of ..."),
        _c("hamlet", "Mã thôn*", "Hamlet code", "code"),
        _c("lat_e7", "Vĩ độ", "Latitude", "lat"), _c("lon_e7", "Kinh độ", "Longitude", "lon"),
        _SINCE, _SOURCE), ("code", "valid_from_ms")),
    Sheet("surveys", "Tọa độ", "Surveys", (
        _c("site", "Mã điểm*", "Site code", "code"), _c("lat_e7", "Vĩ độ*", "Latitude", "lat"),
        _c("lon_e7", "Kinh độ*", "Longitude", "lon"),
        _c("how", "Cách đo*", "How", choice(gnss=("máy định vị", "receiver"), phone=("điện thoại", "phone"), map=("bản đồ", "map"), typed=("nhập tay", "typed"))),
        _c("accuracy_m", "Sai số (m)", "Accuracy (m)", "metres"), _SINCE, _SOURCE), ("site", "valid_from_ms")),
    Sheet("assignments", "Trạm đo", "Probes", (
        _c("probe", "Mã trạm*", "Probe", "probe", "ví dụ p-dong-chuoi", "such as p-dong-chuoi"),
        _c("site", "Mã điểm", "Site code", "code", "để trống: đã tháo về kho", "empty: taken away"),
        _SINCE, _SOURCE), ("probe", "valid_from_ms")),
    Sheet("referrals", "Mã giới thiệu", "Referral codes", (
        _c("code", "Mã giới thiệu*", "Referral code", "code", "chép đúng Phụ lục, không suy ra từ mã xã", "as in the annex, never derived"),
        _c("unit", "Mã xã hoặc thôn", "Unit", "unit", "để trống: mã không còn dùng", "empty: belongs to none any more"),
        _SINCE, _SOURCE), ("code", "valid_from_ms")),
    Sheet("sims", "SIM", "SIMs", (
        _c("code", "Mã SIM*", "SIM code", "code", "mã kho của ta, ví dụ sim-0001", "our own code, such as sim-0001"),
        _c("iccid", "ICCID", "ICCID", "iccid", "số in trên SIM; chỉ giữ mã băm và 4 số cuối", "as printed; only a keyed hash and the last 4 digits are kept"),
        _c("plmn", "Mã mạng*", "Network", "plmn", "Viettel 45204, VinaPhone 45202, MobiFone 45201", "Viettel 45204, VinaPhone 45202, MobiFone 45201"),
        _c("brand", "Thương hiệu", "Brand", "name")), ("code",)),
    Sheet("sim_plans", "Gói của SIM", "SIM plans", (
        _c("sim", "Mã SIM*", "SIM code", "code"), _c("plan", "Tên gói", "Plan", "name"),
        _c("cap_bytes", "Dung lượng (GB)", "Data (GB)", "gb", "mỗi kỳ cước, 1 GB = 10^9 byte", "a billing period, 1 GB = 10^9 bytes"),
        _c("billing_day", "Ngày chốt cước", "Billing day", "month_day", "1 đến 28", "1 to 28"),
        _c("vnd_month", "Giá (đồng/tháng)", "Price (VND a month)", "vnd"), _SINCE, _SOURCE), ("sim", "valid_from_ms")),
    Sheet("sim_modems", "Lắp SIM", "SIMs in modems", (
        _c("sim", "Mã SIM*", "SIM code", "code"), _c("probe", "Mã trạm", "Probe", "probe", "để trống: trong kho", "empty: in store"),
        _c("modem", "Modem", "Modem", symbols("m1", "m2", "m3", "m4")), _SINCE, _SOURCE), ("sim", "valid_from_ms")),
    Sheet("operators", "Nhà mạng", "Operators", (
        _c("plmn", "Mã mạng*", "Network", "plmn"), _c("name", "Tên*", "Name", "name"),
        _c("ispeed_name", "Tên trên i-Speed", "Name in i-Speed", "name")), ("plmn",)),
    Sheet("tariffs", "Gói cước", "Tariffs", (
        _c("code", "Mã gói*", "Tariff code", "code"), _c("plmn", "Mã mạng*", "Network", "plmn"), _c("name", "Tên gói*", "Name", "name"),
        _c("cap_bytes", "Dung lượng (GB)*", "Data (GB)", "gb"), _c("days", "Số ngày*", "Days", "days"), _c("vnd", "Giá (đồng)*", "Price (VND)", "vnd"),
        _SINCE, _UNTIL, _SOURCE), ("code", "valid_from_ms"), ("Giá đọc ở đâu, ngày nào: ghi vào Căn cứ", "Where the price was read, and when: into Source")),
    Sheet("quotas", "Chỉ tiêu xã", "Commune quotas", (
        _c("commune", "Mã xã*", "Commune code", "unit"), _c("minimum", "Số mẫu/tháng*", "Samples a month", "count"),
        _c("rule", "Cách ghi*", "Rule", "long", "in nguyên văn trên báo cáo: từ 300 mẫu trở lên", "as it is printed on reports")), ("commune",)),
    Sheet("campaigns", "Chiến dịch", "Campaigns", (
        _c("code", "Mã chiến dịch*", "Campaign", "code"), _c("name", "Tên*", "Name", "note"), _c("document", "Văn bản*", "Document", "note"),
        _c("counter", "Đếm bằng*", "Counter", choice(portal=("mẫu i-Speed", "portal"), ours=("mẫu trạm đo", "ours"), people=("số người", "people"))),
        _c("starts_ms", "Từ ngày*", "From", "day"), _c("ends_ms", "Đến hết ngày", "Until", "last_day")), ("code",)),
    Sheet("campaign_quotas", "Chỉ tiêu chiến dịch", "Campaign quotas", (
        _c("campaign", "Mã chiến dịch*", "Campaign", "code"), _c("line", "Mã dòng*", "Line", "code", "tên ngắn của chỉ tiêu: xa, thon", "short name of this quota"),
        _c("level", "Cấp*", "Level", _LEVEL), _c("unit", "Riêng đơn vị", "Only unit", "unit", "để trống: mọi đơn vị của cấp này", "empty: every unit of the level"),
        _c("what", "Đếm gì*", "What", choice(samples=("mẫu", "samples"), people=("người", "people"))),
        _c("relation", "Dấu*", "Relation", symbols(">=", ">"), "\"tối thiểu 300\" là >=, \"> 300\" là >", "\"at least 300\" is >="), _c("minimum", "Số*", "Number", "count"),
        _c("period", "Mỗi*", "Each", choice(**_PERIOD)), _SINCE, _UNTIL, _SOURCE), ("campaign", "line", "valid_from_ms")),
    Sheet("campaign_reports", "Báo cáo", "Reports", (
        _c("campaign", "Mã chiến dịch*", "Campaign", "code"), _c("line", "Mã dòng*", "Line", "code"), _c("level", "Cấp báo cáo*", "Level", _LEVEL),
        _c("period", "Kỳ*", "Period", choice(**_PERIOD, month_to_date=("tháng đến ngày báo cáo", "month to date"))),
        _c("relation", "Hạn*", "Due", choice(before=("trước", "before"), by=("chậm nhất", "by"))),
        _c("due_day", "Ngày", "Day", "month_day", "ngày trong tháng; để trống: hằng ngày", "day of the month; empty: daily"), _c("due_minute", "Giờ*", "Time", "minute", "00:00 hoặc 17:00", "00:00 or 17:00"),
        _c("recipients", "Nơi nhận*", "Recipients", "long", "chức danh, cơ quan; không ghi tên, số điện thoại cá nhân", "offices, no personal names or numbers"), _SINCE, _UNTIL, _SOURCE), ("campaign", "line", "valid_from_ms")),
    Sheet("limits", "Ngưỡng", "Limits", (
        _c("code", "Mã*", "Code", "code"), _c("name", "Tên*", "Name", "note"),
        _c("nature", "Loại*", "Nature", choice(regulation=("quy chuẩn", "regulation"), target=("mục tiêu", "target"), declared=("nhà mạng công bố", "declared"), draft=("dự thảo", "draft"))),
        _c("relation", "Dấu*", "Relation", symbols(">=", ">", "<=", "<")), _c("value_x1000", "Giá trị*", "Value", "scaled"), _c("unit", "Đơn vị*", "Unit", "short"),
        _c("plmn", "Mã mạng", "Network", "plmn"), _SINCE, _UNTIL, _SOURCE), ("code", "valid_from_ms")),
)  # fmt: skip
"""In the order in which a person fills them in."""
BY_LIST = {sheet.listed: sheet for sheet in SHEETS}

GUIDE_LINES = (
    ("Điền từ trái sang phải; các trang để trống được bỏ qua. Ô bắt buộc có dấu *.", "Fill in from the left; empty sheets are skipped. Columns with * are required."),
    ("Kiểm tra trước khi nhập: dosong-provision import --dir THƯ_MỤC TỆP.xlsx --dry-run", "Check first: dosong-provision import --dir FOLDER FILE.xlsx --dry-run"),
    ("Nhập tất cả hoặc không nhập gì; nhập lại cùng một tệp không làm thay đổi gì.", "All of it or nothing is entered; the same file again changes nothing."),
    ("Mã là chữ: giữ số 0 ở đầu (05755). Ngày: 31/12/2026. Dấu thập phân ghi ở trang Khai báo.", "Codes are text: keep leading zeros (05755). Days: 31/12/2026. The decimal mark stands in the sheet Khai báo."),
    ("Không ghi tên riêng, số điện thoại của cá nhân vào bất cứ ô nào.", "No personal names or telephone numbers in any cell."),
)  # fmt: skip
"""What the first sheet of a workbook says, in both languages."""
