"""Words of the official's desk: today, the division of slots, indicators for reference; and of the villagers' page."""

from __future__ import annotations

OFFICE_WORDS: dict[str, tuple[str, str]] = {
    "nav.today": ("Hôm nay", "Today"),
    "today.title": ("Xã, phường của tôi hôm nay", "My communes today"),
    "today.lead": (
        "Tháng {month}, tính đến {minute} (giờ Việt Nam). Xã có nguy cơ không đạt đứng trước. Đây là mẫu trạm đo; "
        "chỉ tiêu "
        "của Bộ xét theo Portal của i-Speed, xem trang Chiến dịch.",
        "{month}, as of {minute} (Vietnam time). Communes that may miss it come first. These are station samples; the "
        "ministry's quota is judged by i-Speed's Portal, see Campaigns.",
    ),
    "today.none": ("Chưa xã nào được giao chỉ tiêu mẫu trạm đo.", "No commune has a quota of station samples yet."),
    "today.more": (
        "Còn {n} xã nữa có nhiều mẫu hơn; xem Bảng của cán bộ.",
        "{n} more communes have more samples; see the official's sheet.",
    ),
    "today.count": (
        "{counted} / {minimum} mẫu, còn thiếu {missing}",
        "{counted} / {minimum} samples, {missing} missing",
    ),
    "today.pace.ahead": ("nhanh hơn nhịp đều {n}", "{n} ahead of an even pace"),
    "today.pace.behind": ("chậm hơn nhịp đều {n}", "{n} behind an even pace"),
    "today.end": (
        "Dự kiến cuối tháng: {low} đến {high} mẫu (đúng với 90 %), chắc đạt {sure} %",
        "Projected end of month: {low} to {high} samples (holds with 90 %), {sure} % sure to reach it",
    ),
    "today.without": ("Thôn, xóm chưa có mẫu: {names}", "Hamlets without a sample: {names}"),
    "today.close": ("Muốn đủ thì", "What would close it"),
    "today.close.slots": (
        "thêm lượt đo trên các trạm đang chạy: {n} lượt trong phần còn lại của tháng (chắc {sure} %)",
        "more slots on working stations: {n} in the rest of the month ({sure} % sure)",
    ),
    "today.close.idle": (
        "sửa trạm đang ngừng rồi chia cho mọi trạm: {n} lượt (chắc {sure} %)",
        "mend the stations that are down and share among all: {n} slots ({sure} % sure)",
    ),
    "today.close.people": ("người dân đo thêm {n} mẫu", "{n} samples by people"),
    "today.close.not": ("vẫn chưa đủ chắc", "still not sure enough"),
    "today.records": ("Xem các bản ghi", "See the records"),
    "allot.title": ("Chia lượt đo: {commune}", "Division of slots: {commune}"),
    "allot.open": ("Chia lượt đo", "Division of slots"),
    "allot.lead": (
        "Chỉ tiêu {minimum} mẫu một tháng, đã có {counted}. Phần còn thiếu được chia đều cho các modem đang chạy, "
        "theo dữ "
        "liệu còn lại của SIM và tỷ lệ đo được của từng modem, sao cho chắc 99 %. Khi một trạm hỏng hoặc thay mới, "
        "bảng này "
        "tự tính lại; người vận hành duyệt bằng một nút.",
        "Quota {minimum} samples a month, {counted} so far. What is missing is shared evenly over working modems, by "
        "each "
        "SIM's data and each modem's own success rate, to be 99 % sure. When a station dies or is replaced it is "
        "computed "
        "again; the operator approves with one button.",
    ),
    "allot.no_quota": ("Xã này chưa được giao chỉ tiêu.", "This commune has no quota."),
    "allot.modem": ("Trạm, modem", "Station, modem"),
    "allot.success": ("Đo được (4 tuần)", "Success (4 weeks)"),
    "allot.limit": ("Hạn mức SIM", "SIM limit"),
    "allot.now": ("Đang giao, lượt/tháng", "Signed, slots a month"),
    "allot.new": ("Đề xuất, lượt/tháng", "Proposed, slots a month"),
    "allot.down": ("không chạy", "not working"),
    "allot.unset": ("chưa giao", "none"),
    "allot.unlimited": ("không rõ", "not known"),
    "allot.sure": (
        "Với đề xuất này chắc đạt {sure} %: {slots} lượt nữa trong tháng.",
        "With this, {sure} % sure: {slots} more slots this month.",
    ),
    "allot.not_enough": (
        "Dù dùng hết dữ liệu của các SIM vẫn không chắc đạt: cần thêm trạm, thêm dữ liệu, hoặc người dân đo thêm.",
        "Even with all data of the SIMs it is not sure: more stations, more data, or people's samples are needed.",
    ),
    "allot.same": ("Cấu hình đang giao đã đúng như đề xuất.", "What is signed is what is proposed."),
    "allot.approve": ("Duyệt và gửi xuống trạm", "Approve and send to the stations"),
    "allot.done": (
        "Đã duyệt. Cấu hình được ký và gửi xuống trạm trong ít phút; cột “đang giao” đổi khi đã ký.",
        "Approved. The configurations are signed and sent within minutes; “signed” changes when they are.",
    ),
    "allot.changed": (
        "Số liệu đã thay đổi từ lúc mở trang; xem lại rồi duyệt.",
        "Something changed since the page was opened: look again, then approve.",
    ),
    "allot.waiting": ("chờ ký", "waiting to be signed"),
    "allot.refused": ("không ký được: {why}", "not signed: {why}"),
    "qcvn.title": (
        "Chỉ tiêu theo QCVN 81:2019 – tham khảo: {hamlet}",
        "QCVN 81:2019 indicators – for reference: {hamlet}",
    ),
    "qcvn.open": ("QCVN 81 (tham khảo)", "QCVN 81 (reference)"),
    "qcvn.reference": (
        "THAM KHẢO. Một trạm cố định cho cùng các đại lượng, nhưng không phải phép đo hợp quy: quy chuẩn đòi đo lưu "
        "động và "
        "đo cố định theo Phụ lục A, với số mẫu lớn hơn nhiều. Không dùng để kết luận hợp quy.",
        "FOR REFERENCE. One fixed station gives the same quantities, but it is no conformity measurement: the "
        "regulation "
        "asks for drive and static tests by its Annex A, with many more samples. Not to be used for a verdict on "
        "conformity.",
    ),
    "qcvn.name": ("Chỉ tiêu", "Indicator"),
    "qcvn.value": ("Giá trị", "Value"),
    "qcvn.limit": ("Ngưỡng, hiệu lực", "Limit, since"),
    "qcvn.beside": ("So với ngưỡng", "Against the limit"),
    "qcvn.no_limit": ("chưa nhập ngưỡng", "no limit entered"),
    "qcvn.few": ("chưa đủ {n} mẫu để so", "fewer than {n} samples"),
    "qcvn.within": ("trong ngưỡng", "within"),
    "qcvn.outside": ("ngoài ngưỡng", "outside"),
    "qcvn.left_out": ("bỏ ra {n} lần do phía trạm, SIM, máy chủ", "{n} left out: site, SIM, server"),
    "qcvn.none": ("Tháng này chưa có lần đo nào ở đây.", "No test here this month."),
    "qcvn.2.1.1": ("2.1.1 Độ sẵn sàng của mạng vô tuyến", "2.1.1 Radio network availability"),
    "qcvn.2.1.2": ("2.1.2 Tỷ lệ truy nhập không thành công dịch vụ", "2.1.2 Unsuccessful access ratio"),
    "qcvn.2.1.3": ("2.1.3 Thời gian trễ trung bình truy nhập dịch vụ", "2.1.3 Mean access delay"),
    "qcvn.2.1.4": ("2.1.4 Tỷ lệ truyền tải dữ liệu bị rơi", "2.1.4 Dropped transfer ratio"),
    "qcvn.2.1.5-down": ("2.1.5 Tốc độ tải xuống trung bình (Pd)", "2.1.5 Mean downlink rate (Pd)"),
    "qcvn.2.1.5-up": ("2.1.5 Tốc độ tải lên trung bình (Pu)", "2.1.5 Mean uplink rate (Pu)"),
    "qcvn.2.1.5-share": ("2.1.5 Tỷ lệ mẫu đạt Vdmin", "2.1.5 Share of samples with Vdmin"),
    "qcvn.rule": (
        "Quy tắc {rule}. Ngưỡng là số liệu có ngày hiệu lực trong danh mục (mã qcvn81-…): quy chuẩn, giá trị nhà "
        "mạng công "
        "bố, hoặc dự thảo, ghi rõ từng loại.",
        "Rule {rule}. Limits are dated entries of the registry (codes qcvn81-…): of the regulation, declared by the "
        "operator, or a draft, each named as such.",
    ),
    "nature.regulation": ("quy chuẩn", "regulation"),
    "nature.target": ("mục tiêu", "target"),
    "nature.declared": ("nhà mạng công bố", "declared by the operator"),
    "nature.draft": ("dự thảo", "draft"),
    "behind.title": (
        "Các bản ghi đứng sau con số: {unit}, tháng {month}",
        "The records behind a number: {unit}, {month}",
    ),
    "behind.lead": (
        "{total} lần đo. Mở từng bản ghi để xem mọi giá trị, chữ ký và chứng minh niêm phong.",
        "{total} tests. Open one for every value, its signature and its proof.",
    ),
    "behind.tests": ("mọi lần đo", "all tests"),
    "behind.counted": ("được tính", "counted"),
    "behind.failed": ("hỏng", "failed"),
    "behind.ok": ("đo xong", "succeeded"),
    "behind.proof": ("Chứng minh", "Proof"),
    "guide.open": ("Trang cho bà con", "Villagers' page"),
    "guide.title": ("Đo tốc độ mạng 4G bằng i-Speed", "Measure 4G with i-Speed"),
    "guide.code": ("Mã giới thiệu của đơn vị", "This unit's referral code"),
    "guide.copy": ("Sao chép mã", "Copy the code"),
    "guide.copied": ("Đã sao chép", "Copied"),
    "guide.no_code": (
        "Đơn vị chưa được cấp mã giới thiệu: hỏi cán bộ xã trước khi nhập.",
        "No code was given to this unit yet: ask the commune before entering one.",
    ),
    "guide.1": ("Cài ứng dụng i-Speed (by VNNIC).", "Install the app i-Speed (by VNNIC)."),
    "guide.1.how": (
        "Mở CH Play (Android) hoặc App Store (iPhone), tìm “i-Speed by VNNIC”, bấm Cài đặt.",
        "Open Google Play or the App Store, search “i-Speed by VNNIC”, install.",
    ),
    "guide.2": ("Nhập mã giới thiệu.", "Enter the referral code."),
    "guide.2.how": (
        "Trong ứng dụng, mở Cài đặt, mục Mã giới thiệu, nhập {code}.",
        "In the app: settings, referral code, {code}.",
    ),
    "guide.2.none": ("Nhập mã do cán bộ xã đưa.", "Enter the code that the commune gives you."),
    "guide.3": ("Tắt Wi-Fi, bật 4G.", "Switch Wi-Fi off, 4G on."),
    "guide.3.how": (
        "Kéo màn hình từ trên xuống, tắt Wi-Fi, bật Dữ liệu di động. Chỉ đo mạng di động.",
        "Pull down the screen, switch Wi-Fi off and mobile data on. Only mobile is measured.",
    ),
    "guide.4": ("Android: bật đo tự động.", "Android: switch automatic measuring on."),
    "guide.4.how": (
        "Trong Cài đặt của i-Speed, bật Đo tự động, cho phép vị trí và chạy nền. Ứng dụng tự đo, không phải làm gì "
        "thêm.",
        "In i-Speed's settings switch automatic measuring on, allow location and running in the background.",
    ),
    "guide.5": ("iPhone: tự bấm đo.", "iPhone: measure by hand."),
    "guide.5.how": (
        "iPhone không có đo tự động: mở i-Speed, bấm Bắt đầu; ít nhất mỗi tuần một lần, đợt cao điểm mỗi ngày ba lần.",
        "An iPhone has no automatic measuring: open i-Speed and press Start, at least once a week, three a day in a "
        "peak.",
    ),
    "guide.why": ("Để làm gì?", "What for?"),
    "guide.why.text": (
        "Kết quả đo cho biết nơi nào sóng yếu, để nhà mạng và chính quyền xử lý. Dùng i-Speed được miễn cước dữ liệu "
        "di động.",
        "Results show where coverage is weak, so that operators and offices act. i-Speed's traffic is free of charge.",
    ),
    "guide.privacy": (
        "Trang này không đo điện thoại của bà con và không lưu thông tin cá nhân; việc đo do ứng dụng i-Speed của "
        "VNNIC làm.",
        "This page measures no phone and keeps nothing personal; measuring is done by VNNIC's app i-Speed.",
    ),
    "guide.poster": ("Tờ dán tường A4 (in)", "Poster A4 (print)"),
    "guide.poster.title": ("Tờ dán tường", "Poster"),
    "guide.poster.head": ("Cùng đo sóng 4G của thôn mình", "Measure our village's 4G together"),
    "guide.poster.ask": ("Quét mã bằng máy ảnh điện thoại, làm theo năm bước.", "Scan it with your phone, five steps."),
    "guide.poster.qr": ("Mã QR dẫn tới {address}", "QR code leading to {address}"),
}
