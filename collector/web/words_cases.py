"""Words of cases: why a sample does not count, what people say of it, weak spots and the companies' answers."""

from __future__ import annotations

CASE_WORDS: dict[str, tuple[str, str]] = {
    "why.title": ("Vì sao không tính?", "Why is it not counted?"),
    "why.of": ("Vì sao không tính? {unit}, tháng {month}", "Why is it not counted? {unit}, {month}"),
    "why.lead": (
        "Trong tháng có {tests} lần đo, {out} lần không được tính là mẫu. Bản ghi nào cũng được giữ, kể cả lần hỏng; "
        "một lần đo có thể có nhiều lý do.",
        "{tests} tests ran in the month, {out} of them are no counted samples. Every record is kept, failed ones too; "
        "one test may have several reasons.",
    ),
    "why.none": ("Mọi lần đo của tháng đều được tính.", "Every test of the month counts."),
    "why.reason": ("Lý do", "Reason"),
    "why.times": ("Số lần đo", "Tests"),
    "why.what": ("Phải làm gì", "What to do"),
    "why.all": ("Mọi lý do", "All reasons"),
    "why.only": ("Chỉ: {reason}", "Only: {reason}"),
    "why.list": ("Từng lần đo", "Test by test"),
    "why.when": ("Lúc", "When"),
    "why.where": ("Thôn, xóm", "Hamlet"),
    "why.result": ("Kết quả", "Result"),
    "why.left": (
        "Còn {n} lần đo nữa; chọn một lý do ở trên, hoặc tải gói chứng cứ để có đủ.",
        "{n} more tests: choose a reason above, or download the evidence pack for all of them.",
    ),
    "why.object": ("Phản đối", "Object"),
    "why.object.text": ("Vì sao phải tính", "Why it should count"),
    "why.answer_in": (
        "Phản đối được trả lời trong {days} ngày làm việc. Bản ghi gốc không đổi; muốn tính khác quy tắc phải có hai "
        "người khác nhau quyết định, và cả hai cách đọc đều được nêu.",
        "An objection is answered within {days} working days. The record itself never changes; to count it against the "
        "rules takes two different people, and both readings are shown.",
    ),
    "why.case": ("Vụ việc {n}", "Case {n}"),
    "why.do.outcome": (
        "Xem giai đoạn và nguyên nhân của lần đo; nếu do mạng, đây là chứng cứ gửi nhà mạng.",
        "See the stage and cause of the test; if it is the network's, it is evidence for the operator.",
    ),
    "why.do.invalid_path": (
        "Lần đo hỏng trước khi ra tới mạng thì chưa có gì để chứng minh: xem nguyên nhân của lần đo. Lần đo xong mà "
        "vẫn vậy là đã đi đường khác (Wi-Fi, cáp): kỹ thuật viên rút cáp hoặc kiểm tra modem.",
        "A test that failed before it reached the network has nothing to prove: see its cause. One that succeeded "
        "went another way (Wi-Fi, cable): a technician unplugs it or checks the modem.",
    ),
    "why.do.simulated": ("Bản ghi của trạm mô phỏng, không bao giờ tính.", "A simulator's record; it never counts."),
    "why.do.undated": (
        "Trạm chưa biết giờ khi đo; sẽ tự được tính khi trạm nhận được giờ.",
        "The station did not know the time yet; it counts by itself once the clock is set.",
    ),
    "why.do.clock": (
        "Đồng hồ của trạm bị nghi ngờ: kiểm tra pin đồng hồ, GPS.",
        "The clock is suspect: check it and GPS.",
    ),
    "why.do.no_place": (
        "Trạm chưa được gán vào điểm đặt nào: người vận hành gán trong danh mục.",
        "The station is assigned to no site: the operator assigns it in the registry.",
    ),
    "why.do.referral": (
        "Mã giới thiệu không thuộc đơn vị này vào ngày đo: người vận hành sửa mã trong danh mục.",
        "The referral code did not belong to this unit on that day: the operator corrects it in the registry.",
    ),
    "why.do.position": (
        "Vị trí chưa khảo sát, hoặc cách điểm đặt quá 200 m: kỹ thuật viên đo lại vị trí.",
        "The position was not surveyed, or is more than 200 m off: a technician surveys it again.",
    ),
    "why.do.no_slot": ("Đo tay, không theo lịch: không tính.", "A manual test outside the schedule does not count."),
    "why.do.same_slot": (
        "Mỗi khung giờ chỉ tính một mẫu; khung giờ này đã có mẫu khác.",
        "One sample a slot counts; this slot has another one.",
    ),
    "why.do.suspect": (
        "Bản ghi trái với chứng cứ khác: mở bản ghi để xem quy tắc nào đã nêu.",
        "The record contradicts other evidence: open it to see which rule says so.",
    ),
    "why.do.quarantine": (
        "Trạm mới, chưa được xác nhận: người vận hành xác nhận.",
        "The station is not confirmed yet.",
    ),
    "why.do.fault": ("Bản ghi hỏng; báo người vận hành.", "The record is broken; tell the operator."),
    "why.do.fork": (
        "Trạm ký hai bản ghi khác nhau cho cùng một chỗ: có thể thẻ bị sao chép.",
        "The station signed two records for one place: its card may have been copied.",
    ),
    "why.do.broken_chain": ("Chuỗi bản ghi bị đứt; báo người vận hành.", "The chain is broken; tell the operator."),
    "why.do.not_a_test": ("Không phải lần đo.", "No test."),
    "cases.title": ("Vụ việc", "Cases"),
    "nav.cases": ("Vụ việc", "Cases"),
    "cases.lead": (
        "Phản đối, đánh dấu và điểm yếu: ai nói gì, ai phải trả lời, đến hạn nào. Không gì bị xóa.",
        "Objections, marks and weak spots: who said what, who must answer, and by when. Nothing is deleted.",
    ),
    "cases.none": ("Chưa có vụ việc nào.", "There is no case yet."),
    "cases.number": ("Số", "No."),
    "cases.about": ("Về", "About"),
    "cases.state": ("Tình trạng", "State"),
    "cases.due": ("Hạn trả lời", "Answer due"),
    "cases.late": ("quá hạn", "overdue"),
    "cases.kind.sample": ("Mẫu đo", "Sample"),
    "cases.kind.outage": ("Lần mất sóng", "Outage"),
    "cases.kind.spot": ("Điểm yếu", "Weak spot"),
    "cases.state.waiting": ("chờ trả lời", "waiting for an answer"),
    "cases.state.answered": ("đã trả lời", "answered"),
    "cases.state.proposed": ("chờ người thứ hai quyết định", "waiting for a second person"),
    "cases.state.decided": ("hai người đã quyết định", "decided by two people"),
    "cases.state.promised": ("nhà mạng đã hẹn", "the company promised a date"),
    "cases.state.fixed": ("nhà mạng báo đã xử lý", "the company says it is mended"),
    "cases.state.compared": ("đã so sánh trước và sau", "before and after were compared"),
    "cases.state.closed": ("đã đóng", "closed"),
    "case.title": ("Vụ việc {n}: {kind}", "Case {n}: {kind}"),
    "case.rules": ("Theo quy tắc", "By the rules"),
    "case.people": ("Theo quyết định của {first} và {second}", "As decided by {first} and {second}"),
    "case.people.two": ("Theo quyết định của hai người", "As decided by two people"),
    "case.counted": ("được tính", "counted"),
    "case.not_counted": ("không tính", "not counted"),
    "case.unchanged": (
        "Số liệu ở mọi nơi theo quy tắc; quyết định đứng bên cạnh.",
        "Figures everywhere follow the rules; the decision stands beside them.",
    ),
    "case.sample": ("Xem bản ghi và chứng minh", "See the record and its proof"),
    "case.calendar": ("Xem lịch phủ sóng", "See the coverage calendar"),
    "case.said": ("Ai nói gì", "Who said what"),
    "case.promised": ("Hẹn xong trước hết ngày {day}", "Promised by the end of {day}"),
    "case.due": ("Hạn trả lời: hết ngày {day}", "Answer due by the end of {day}"),
    "case.what.opened": ("mở vụ việc", "opened it"),
    "case.what.answered": ("trả lời", "answered"),
    "case.what.replied": ("trả lời", "replied"),
    "case.what.proposed": ("đề nghị: {verdict}", "proposed: {verdict}"),
    "case.what.confirmed": ("đồng ý, là người thứ hai", "agreed, as the second person"),
    "case.what.declined": ("không đồng ý", "declined"),
    "case.what.fixed": ("báo đã xử lý xong", "says it is mended"),
    "case.what.compared": ("so sánh trước và sau", "compared before and after"),
    "case.what.closed": ("đóng vụ việc", "closed it"),
    "case.do": ("Trả lời", "Answer"),
    "case.do.answered": ("Trả lời", "Answer"),
    "case.do.replied": ("Gửi trả lời", "Reply"),
    "case.do.proposed": ("Đề nghị đọc khác quy tắc", "Propose another reading"),
    "case.do.confirmed": ("Đồng ý (người thứ hai)", "Agree (second person)"),
    "case.do.declined": ("Không đồng ý", "Decline"),
    "case.do.fixed": ("Báo đã xử lý xong", "Say that it is mended"),
    "case.do.compared": ("Ghi lại kết quả so sánh", "Put the comparison on record"),
    "case.do.closed": ("Đóng vụ việc", "Close the case"),
    "case.text": ("Nội dung (5 đến 1.000 ký tự)", "Text (5 to 1,000 characters)"),
    "case.verdict": ("Đề nghị", "Proposal"),
    "case.day": ("Hẹn xử lý xong trước hết ngày", "Mended by the end of"),
    "case.wrong": (
        "Không ghi được: kiểm tra nội dung (5 đến 1.000 ký tự), ngày hẹn, và vụ việc còn mở; người đề nghị "
        "không được tự đồng ý.",
        "Not recorded: check the text (5 to 1,000 characters), the day, and that the case is open; whoever proposed "
        "cannot agree.",
    ),
    "case.open": ("Mở vụ việc", "Open a case"),
    "case.mark_outage": ("Đánh dấu", "Mark"),
    "case.spot": ("Gửi nhà mạng: điểm yếu", "Send to the operator: weak spot"),
    "case.spot.lead": (
        "Nhà mạng thấy vụ việc trên tài khoản của mình, trả lời và hẹn ngày; sau đó hệ thống so sánh trước và sau.",
        "The company sees it with its own login, replies and promises a day; before and after are compared then.",
    ),
    "compare.title": ("Trước và sau", "Before and after"),
    "compare.lead": (
        "Bốn tuần trước khi mở vụ việc, so với thời gian từ khi nhà mạng báo đã xử lý (nhiều nhất bốn tuần). "
        "Trung vị của mẫu được tính, trong ngoặc là khoảng chứa trung vị thật với 95 %; chỉ gọi là khác khi hai khoảng "
        "không chạm nhau.",
        "Four weeks before the case was opened against the time since the company said it was mended (four weeks at "
        "most). Medians of counted samples with the interval that holds the true one with 95 %; a difference is called "
        "one only if the intervals do not meet.",
    ),
    "compare.measure": ("Đại lượng", "Measure"),
    "compare.before": ("Trước", "Before"),
    "compare.after": ("Sau", "After"),
    "compare.change": ("Nhận xét", "Verdict"),
    "compare.better": ("tốt hơn", "better"),
    "compare.worse": ("kém hơn", "worse"),
    "compare.open": ("chưa đủ để kết luận", "not enough to say"),
    "compare.downlink": ("Tải xuống, Mbit/s", "Downlink, Mbit/s"),
    "compare.uplink": ("Tải lên, Mbit/s", "Uplink, Mbit/s"),
    "compare.rtt": ("Độ trễ, ms", "Round trip, ms"),
    "compare.rsrp": ("RSRP, dBm", "RSRP, dBm"),
    "compare.covered": ("Phút có sóng, trên số phút biết được", "Covered minutes, of those known"),
    "compare.failed": ("Lần đo hỏng / mọi lần đo", "Failed / all tests"),
    "compare.none": ("không có", "none"),
    "role.company": ("doanh nghiệp viễn thông", "telecom company"),
}
