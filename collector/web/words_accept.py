"""Words of the acceptance page: ten lines, what to do about each red one, the form, the sheet."""

from __future__ import annotations

_WAIT_TEST = (
    "Trên trang của trạm bấm ĐO THỬ, rồi tải lại trang này.",
    "On the station's own page press TEST NOW, then load this page again.",
)
_DESK: dict[str, tuple[str, str]] = {
    "accept.title": ("Nghiệm thu", "Acceptance"),
    "accept.sheet": ("Phiếu nghiệm thu", "Acceptance sheet"),
    "accept.is_accepted": ("Đã nghiệm thu lúc {time}, người làm: {who}.", "Accepted at {time} by {who}."),
    "accept.state": ("Nghiệm thu", "Acceptance"),
    "accept.state.green": ("xanh", "green"),
    "accept.state.no_service": ("không có sóng", "no service"),
    "accept.state.none": ("chưa nghiệm thu", "not accepted yet"),
    "accept.waiting": (
        "Đang chờ khóa của văn phòng ký… Quá 1 phút: báo văn phòng (dosong-provision ca serve).",
        "Waiting for the office's key to sign… More than a minute: tell the office (dosong-provision ca serve).",
    ),
    "accept.refused": ("Không ký được:", "It could not be signed:"),
    "accept.verdict.ok": ("xanh", "green"),
    "accept.verdict.bad": ("ĐỎ", "RED"),
    "accept.verdict.open": ("chưa biết", "not known yet"),
    "accept.check.enrolled": ("Đăng ký", "Enrolment"),
    "accept.check.fingerprint": ("Sáu chữ số", "Six digits"),
    "accept.check.sim": ("SIM và nhà mạng", "SIM and operator"),
    "accept.check.rsrp": ("Mức sóng (RSRP)", "Signal (RSRP)"),
    "accept.check.gps": ("Vị trí (GPS)", "Position (GPS)"),
    "accept.check.clock": ("Đồng hồ", "Clock"),
    "accept.check.path": ("Đi qua 4G", "Went over 4G"),
    "accept.check.test": ("Phép đo đầu tiên", "First test"),
    "accept.check.budget": ("Kế hoạch dữ liệu", "Data plan"),
    "accept.check.ack": ("Biên nhận", "Receipts"),
}
_LINES: dict[str, tuple[str, str]] = {
    "accept.enrolled.ok": ("đã có khóa và chứng chỉ", "it has keys and a certificate"),
    "accept.enrolled.not_enrolled": ("trạm chưa đăng ký", "the station has not enrolled"),
    "accept.enrolled.revoked": ("trạm đã bị thu hồi", "the station was revoked"),
    "accept.fingerprint.ok": ("đã xác nhận", "confirmed"),
    "accept.fingerprint.first": ("sau khi đăng ký", "after it has enrolled"),
    "accept.fingerprint.unconfirmed": (
        "chưa xác nhận: số đo được giữ nhưng chưa tính",
        "not confirmed: records are kept and not counted",
    ),
    "accept.sim.ok": ("{operator} ({plmn})", "{operator} ({plmn})"),
    "accept.sim.no_reading": ("chưa có số đọc của modem", "no reading of the modem yet"),
    "accept.sim.other_sim": (
        "đang dùng {operator} ({plmn}), cần {wanted}",
        "it is {operator} ({plmn}); {wanted} is wanted",
    ),
    "accept.rsrp.ok": ("{rsrp} dBm", "{rsrp} dBm"),
    "accept.rsrp.poor": (
        "{rsrp} dBm, yếu: vẫn nghiệm thu được, sóng yếu chính là điều cần đo",
        "{rsrp} dBm, poor: it can be accepted all the same, weak coverage is what we measure",
    ),
    "accept.rsrp.no_reading": ("chưa có số đọc", "no reading yet"),
    "accept.gps.ok": ("cách điểm đã ghi {n} m (cho phép {most} m)", "{n} m from the known place (at most {most} m)"),
    "accept.gps.no_reference": (
        "có vị trí; chưa có tọa độ để so",
        "it has a position; there is none to compare it with",
    ),
    "accept.gps.far": ("cách điểm đã ghi {n} m, quá {most} m", "{n} m from the known place, more than {most} m"),
    "accept.gps.waiting": ("chưa có vị trí, chờ thêm {n} phút", "no position yet, wait {n} more minutes"),
    "accept.gps.no_fix": ("không có vị trí sau 10 phút", "no position after 10 minutes"),
    "accept.clock.ok": ("đúng giờ ({source})", "it is right ({source})"),
    "accept.clock.no_test": ("chưa có phép đo", "no test yet"),
    "accept.clock.untrusted": ("chưa tin được giờ ({source})", "the time is not trusted yet ({source})"),
    "accept.path.ok": ("qua {iface}, không qua đường nào khác", "by {iface} and no other way"),
    "accept.path.no_test": ("chưa có phép đo", "no test yet"),
    "accept.path.invalid_path": ("KHÔNG qua modem", "NOT by the modem"),
    "accept.path.invalid_isolation": ("có dữ liệu đi đường khác khi đo", "other traffic ran beside the test"),
    "accept.test.ok": ("đã tính: {number}", "counted: {number}"),
    "accept.test.no_test": ("chưa có phép đo nào tới", "no test has arrived"),
    "accept.test.not_counted": ("đã tới nhưng chưa được tính", "arrived, but not counted"),
    "accept.test.failed": ("không thành công: {cause}", "failed: {cause}"),
    "accept.budget.ok": ("tối đa {amount} một kỳ", "at most {amount} a period"),
    "accept.budget.sent": ("đã ký, trạm chưa áp dụng", "signed, not in force at the station yet"),
    "accept.budget.no_plan": ("chưa có kế hoạch", "there is no plan"),
    "accept.ack.ok": ("trạm đã nhận biên nhận tới {number}", "the station has receipts up to {number}"),
    "accept.ack.no_record": ("chưa có bản ghi nào tới", "no record has arrived"),
    "accept.ack.one_way": (
        "bản ghi tới {number}; chờ phép đo kế tiếp",
        "records up to {number}; wait for the next test",
    ),
    "accept.ack.waiting": ("{n} bản ghi còn nằm ở trạm", "{n} records still wait at the station"),
}
_REMEDIES: dict[str, tuple[str, str]] = {
    "accept.do.enrolled.not_enrolled": (
        "Kích hoạt phiếu ở trang Trạm chờ đăng ký, cắm điện trạm và chờ 5 phút.",
        "Arm its claim on the page of stations that are to enrol, power the station, wait five minutes.",
    ),
    "accept.do.enrolled.revoked": ("Xin văn phòng một trạm mới.", "Ask the office for another station."),
    "accept.do.fingerprint.first": ("Đăng ký trước.", "Enrol first."),
    "accept.do.fingerprint.unconfirmed": (
        "Đọc sáu chữ số ở trạm (dosong-probe fingerprint, hoặc dosong-fingerprint.txt trên thẻ) rồi nhập vào đây.",
        "Read six digits at the station (dosong-probe fingerprint, or dosong-fingerprint.txt on its card), enter them.",
    ),
    "accept.do.sim.no_reading": _WAIT_TEST,
    "accept.do.sim.other_sim": (
        "Lắp đúng SIM, hoặc báo văn phòng đổi SIM trong sổ.",
        "Put in the right SIM, or have the office enter this one.",
    ),
    "accept.do.rsrp.no_reading": (
        "Mức sóng từng giây chỉ có trên trang của trạm: vào Wi-Fi của trạm (mã QR thứ hai trên nhãn).",
        "The signal each second is on the station's own page: join its Wi-Fi (the label's second QR code).",
    ),
    "accept.do.gps.far": (
        "Trạm có ở đúng thôn này không? Đúng thì nhập vị trí của điện thoại ở dưới; sai thì báo văn phòng.",
        "Is this the right hamlet? If so give your telephone's position below; if not, tell the office.",
    ),
    "accept.do.gps.waiting": (
        "Để ăng-ten GPS ra cửa sổ hoặc ngoài trời.",
        "Put the GPS antenna at a window or outside.",
    ),
    "accept.do.gps.no_fix": (
        "Dùng vị trí của điện thoại, hoặc gõ tọa độ ở dưới; phiếu sẽ ghi rõ như vậy.",
        "Take your telephone's position or type it below; the sheet will say so.",
    ),
    "accept.do.clock.no_test": _WAIT_TEST,
    "accept.do.clock.untrusted": (
        "Chờ trạm có mạng hoặc GPS vài phút, rồi ĐO THỬ lại.",
        "Wait until it has had network or GPS for some minutes, then test again.",
    ),
    "accept.do.path.no_test": _WAIT_TEST,
    "accept.do.path.invalid_path": (
        "Rút dây mạng, tắt Wi-Fi khách của trạm, đo lại.",
        "Pull the network cable, switch its Wi-Fi off, test again.",
    ),
    "accept.do.path.invalid_isolation": (
        "Ngừng mọi tải khác trên trạm, đo lại.",
        "Stop whatever else loads the station, test again.",
    ),
    "accept.do.test.no_test": _WAIT_TEST,
    "accept.do.test.not_counted": (
        "Xác nhận sáu chữ số, sửa các dòng đỏ phía trên, rồi chờ phép đo theo lịch.",
        "Confirm the six digits, mend the red lines above, then wait for a scheduled test.",
    ),
    "accept.do.test.failed": (
        "Xem trang của trạm: dòng đỏ đầu tiên nói cần sửa gì.",
        "See the station's own page: its first red line says what to mend.",
    ),
    "accept.do.budget.sent": ("Chờ vài phút, rồi ĐO THỬ lại.", "Wait some minutes, then test again."),
    "accept.do.budget.no_plan": (
        "Văn phòng ký kế hoạch: dosong-provision config.",
        "The office signs a plan: dosong-provision config.",
    ),
    "accept.do.ack.no_record": (
        "Xem dòng Máy chủ trên trang của trạm.",
        "See the line Server on the station's own page.",
    ),
    "accept.do.ack.one_way": _WAIT_TEST,
    "accept.do.ack.waiting": (
        "Trạm gửi được mà không nhận được: báo văn phòng xem máy chủ tin.",
        "It sends and does not receive: have the office look at the broker.",
    ),
}
_FORM: dict[str, tuple[str, str]] = {
    "accept.digits": ("Sáu chữ số đọc ở trạm", "Six digits read at the station"),
    "accept.confirm": ("Xác nhận", "Confirm"),
    "accept.photo": ("Ảnh lắp đặt", "Photo of the mounting"),
    "accept.photo.note": (
        "Chụp cả hộp và ăng-ten, không chụp người. Vị trí và tên máy trong ảnh bị xóa.",
        "Box and antenna in one picture, no people. What the phone wrote into it (place, owner) is taken out.",
    ),
    "accept.photo.file": ("Chọn hoặc chụp ảnh", "Choose or take a photo"),
    "accept.photo.send": ("Gửi ảnh", "Send photo"),
    "accept.photo.kept": ("Đã giữ ảnh.", "The photo is kept."),
    "accept.finish": ("Kết thúc", "Finish"),
    "accept.side": ("Chỗ lắp", "Where it is mounted"),
    "accept.side.indoor": ("Trong nhà", "Indoors"),
    "accept.side.outdoor": ("Ngoài trời", "Outdoors"),
    "accept.antenna": ("Ăng-ten", "Antenna"),
    "accept.antenna.internal": ("trong modem", "inside the modem"),
    "accept.antenna.window": ("rời, ở cửa sổ", "separate, at a window"),
    "accept.antenna.wall": ("rời, trên tường", "separate, on a wall"),
    "accept.antenna.roof": ("rời, trên mái hoặc cột", "separate, on a roof or mast"),
    "accept.place": ("Vị trí", "Position"),
    "accept.place.note": (
        "Trạm không có GPS: dùng vị trí của điện thoại, hoặc gõ độ thập phân như trên bản đồ.",
        "The station has no GPS position: take your telephone's, or type decimal degrees as a map shows them.",
    ),
    "accept.place.lat": ("Vĩ độ", "Latitude"),
    "accept.place.lon": ("Kinh độ", "Longitude"),
    "accept.place.phone": ("Lấy vị trí của điện thoại", "Take this telephone's position"),
    "accept.place.wait": ("Đang tìm…", "Looking…"),
    "accept.place.none": ("Điện thoại không cho vị trí: hãy gõ.", "The telephone gives no position: type it."),
    "accept.how.gnss": ("GPS của trạm", "the station's GPS"),
    "accept.how.phone": ("theo điện thoại", "by a telephone"),
    "accept.how.typed": ("gõ tay", "typed"),
    "accept.code": ("Mã 8 chữ trên trang của trạm", "The 8 letters of the station's own page"),
    "accept.code.note": (
        "Không bắt buộc nếu mọi dòng xanh; bắt buộc khi không có sóng.",
        "Not needed if all lines are green; needed where there is no service.",
    ),
    "accept.code.found": ("khớp bản ghi {number}", "fits record {number}"),
    "accept.code.later": (
        "bản ghi chưa tới: mang tệp xuất của trạm về (dosong-probe export)",
        "its record has not arrived: bring the station's export home (dosong-probe export)",
    ),
    "accept.green": ("NGHIỆM THU", "ACCEPT"),
    "accept.not_yet": ("Sửa các dòng đỏ ở trên trước khi nghiệm thu.", "Mend the red lines above before accepting."),
    "accept.no_service": ("Thôn không có sóng?", "No service in this hamlet?"),
    "accept.no_service.note": (
        "Đã thử ăng-ten ở mọi chỗ, điện thoại cùng mạng cũng không có sóng: đó là kết quả hợp lệ. "
        "Nhập mã 8 chữ của trạm; làm được cả khi đã về nơi có mạng.",
        "You tried the antenna everywhere, and a phone of the same operator has no service either: that is a valid "
        "result. Enter the station's 8 letters; it can be done later, where there is a network.",
    ),
    "accept.no_service.go": ("Nghiệm thu: không có sóng", "Accept: no service"),
    "accept.result.green": ("Đã nghiệm thu: trạm xanh", "Accepted: green"),
    "accept.result.no_service": ("Đã nghiệm thu: không có sóng", "Accepted: no service"),
    "accept.when": ("Lúc, người làm", "When, by whom"),
    "accept.its_code": ("Mã phiếu", "Code"),
    "accept.leaf": ("Lá trong nhật ký", "Leaf of the log"),
    "accept.log": (
        "Bản ký của phiếu này là một lá của nhật ký niêm phong; ai cũng kiểm tra được.",
        "What was signed of this sheet is a leaf of the sealed log; anybody can check it.",
    ),
    "accept.paper": ("Bản in (PDF)", "To print (PDF)"),
    "accept.sign.technician": ("Kỹ thuật viên", "Technician"),
    "accept.sign.keeper": ("Người trông nhà", "Keeper of the house"),
    "accept.open": ("Trang nghiệm thu", "Acceptance page"),
}
_WRONG: dict[str, tuple[str, str]] = {
    "accept.wrong.red": ("Chưa xanh:", "Not green yet:"),
    "accept.wrong.photo": ("Thiếu ảnh lắp đặt.", "The photo of the mounting is missing."),
    "accept.wrong.bad_photo": ("Ảnh không dùng được: {value}", "The photo cannot be used: {value}"),
    "accept.wrong.mounting": (
        "Chọn trong nhà hay ngoài trời, và loại ăng-ten.",
        "Choose indoors or outdoors, and the antenna.",
    ),
    "accept.wrong.position": ("Thiếu vị trí.", "The position is missing."),
    "accept.wrong.early": ("Chờ GPS thêm {value} phút.", "Give the GPS {value} more minutes."),
    "accept.wrong.degrees": (
        "Tọa độ không đúng: {value}. Gõ độ thập phân, như 21,50000 và 105,80000.",
        "No such position: {value}. Type decimal degrees, such as 21.50000 and 105.80000.",
    ),
    "accept.wrong.far": ("Vị trí cách điểm đã ghi {value} m.", "The position is {value} m from the known place."),
    "accept.wrong.code": (
        "Không có sóng thì phải có mã 8 chữ của trạm.",
        "Without service the station's 8 letters are needed.",
    ),
    "accept.wrong.slip": ("Mã bị gõ nhầm: {value}", "A slip in the code: {value}"),
    "accept.wrong.code_green": (
        "Mã nói trạm có mạng: không thể nghiệm thu là không có sóng.",
        "The code says that the station has service: it cannot be accepted without.",
    ),
    "accept.wrong.has_service": (
        "Trạm đã có phép đo được tính: hãy nghiệm thu xanh.",
        "The station has a counted test: accept it as green.",
    ),
    "accept.wrong.digits": (
        "Không phải sáu chữ số của trạm này. Đọc lại; nếu vẫn sai, gọi văn phòng ngay.",
        "These are not this station's digits. Read them again; if they still differ, call the office at once.",
    ),
    "accept.wrong.confirmed": ("Không có gì để xác nhận.", "There is nothing to confirm."),
}
ACCEPT_WORDS: dict[str, tuple[str, str]] = _DESK | _LINES | _REMEDIES | _FORM | _WRONG
