# ruff: noqa: E501 (a table is read down its columns: one word, one line)
"""Every cause of the failure vocabulary in a technician's words: what is wrong, and what to do about it on the spot.

One line a word: (vi says, en says, vi do, en do). Braces take the values of the finding that names the cause.
Source: `wire.failure.Cause`; facts note 05 §4.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """One line of the table; `do` is None where there is nothing to do."""

    vi: str
    en: str
    vi_do: str | None = None
    en_do: str | None = None


_MODEM: dict[str, Words] = {
    "no_modem": Words(
        "không thấy modem",
        "no modem is found",
        "Rút modem, chờ 10 giây, cắm lại thật chặt; thử cổng USB khác (cổng xanh dương trước).",
        "Unplug the modem, wait 10 seconds, plug it in firmly; try another USB port (the blue ones first).",
    ),
    "modem_mute": Words(
        "modem không trả lời",
        "the modem does not answer",
        "Rút modem 10 giây rồi cắm lại và chờ 1 phút; vẫn đỏ thì đổi modem.",
        "Unplug the modem for 10 seconds, plug it in and wait a minute; still red: change the modem.",
    ),
    "modem_error": Words(
        "modem báo lỗi",
        "the modem reports an error",
        "Tắt trạm, chờ 10 giây, bật lại; vẫn đỏ thì đổi modem.",
        "Switch the station off, wait 10 seconds, switch it on; still red: change the modem.",
    ),
    "no_sim": Words(
        "không thấy SIM",
        "no SIM is found",
        "Tắt trạm, tháo SIM ra lắp lại đúng chiều (góc vát theo hình trên modem), lau mặt đồng.",
        "Switch off, take the SIM out and put it in the right way round (bevel as drawn on the modem), wipe its contacts.",
    ),
    "sim_locked": Words(
        "SIM đòi mã PIN hoặc bị khóa mạng",
        "the SIM asks for a PIN or is locked to another network",
        "Lắp SIM vào điện thoại, tắt mã PIN trong Cài đặt, rồi lắp lại; SIM khóa mạng thì đổi SIM.",
        "Put the SIM in a phone, switch its PIN off in Settings, put it back; if locked to another network, change it.",
    ),
    "sim_puk": Words(
        "SIM bị khóa, đòi mã PUK",
        "the SIM is blocked and asks for the PUK",
        "Đừng thử mã. Gọi nhà mạng lấy PUK, mở bằng điện thoại; hoặc thay SIM.",
        "Try no codes. Ask the operator for the PUK and unblock it in a phone; or use another SIM.",
    ),
    "wrong_sim": Words(
        "không phải SIM của trạm này",
        "not this station's SIM",
        "Lắp đúng SIM ghi trên phiếu của trạm, hoặc báo văn phòng sửa khai báo.",
        "Put in the SIM named on the station's sheet, or ask the office to correct the settings.",
    ),
    "denied": Words(
        "nhà mạng từ chối SIM này",
        "the operator refuses this SIM",
        "SIM chưa kích hoạt hoặc bị khóa: thử trong điện thoại, rồi gọi nhà mạng.",
        "The SIM is not active or barred: try it in a phone, then call the operator.",
    ),
    "searching": Words(
        "đang dò mạng…",
        "searching for a network…",
        "Chờ 2 phút. Xoay ăng-ten, kiểm tra dây ăng-ten vặn chặt chưa.",
        "Wait 2 minutes. Turn the antenna and check that its cable is screwed on.",
    ),
    "not_registered": Words(
        "chưa vào được mạng",
        "not on any network",
        "Kiểm tra dây ăng-ten, đưa ăng-ten lên cao hoặc ra cửa sổ, chờ 2 phút. Điện thoại cùng nhà mạng cũng không có sóng thì đó là kết quả thật: báo văn phòng.",
        "Check the antenna cable, put the antenna higher or at a window, wait 2 minutes. If a phone of the same operator has no signal either, that is the true result: tell the office.",
    ),
    "limited_service": Words(
        "có sóng nhưng nhà mạng không phục vụ",
        "there is a signal, but no service",
        "Có sóng của nhà mạng khác, hoặc SIM hết hạn: thử SIM trong điện thoại, rồi gọi nhà mạng.",
        "Another operator's signal, or the SIM has expired: try the SIM in a phone, then call the operator.",
    ),
    "not_lte": Words(
        "không phải 4G",
        "not on 4G",
        "Nâng hoặc xoay ăng-ten, chờ 2 phút; nếu vẫn vậy, báo văn phòng: đó là kết quả thật.",
        "Raise or turn the antenna and wait 2 minutes; if it stays, tell the office: that is the true result.",
    ),
}

_LINK: dict[str, Words] = {
    "no_pdp": Words(
        "đã vào mạng nhưng chưa có địa chỉ dữ liệu",
        "on the network, but without a data address",
        "Sai APN hoặc SIM chưa có gói dữ liệu: kiểm tra APN trên phiếu của trạm, gọi nhà mạng hỏi gói.",
        "Wrong APN, or the SIM has no data plan: compare the APN with the station's sheet, ask the operator about the plan.",
    ),
    "no_interface": Words(
        "không thấy cổng mạng của modem",
        "the modem's network link is missing",
        "Rút modem 10 giây rồi cắm lại, chờ 1 phút; vẫn đỏ thì báo văn phòng tên cổng (interface) sai.",
        "Unplug the modem for 10 seconds, plug it in, wait a minute; still red: tell the office that the interface's name is wrong.",
    ),
    "no_dns": Words(
        "máy chủ tên miền không trả lời",
        "the name servers do not answer",
        "Chờ 2 phút; vẫn đỏ thì rút cắm lại modem. Lặp lại: báo văn phòng (lỗi của nhà mạng).",
        "Wait 2 minutes; still red: unplug the modem and plug it in. If it comes back, tell the office (the operator's fault).",
    ),
    "no_ipv4": Words(
        "mạng không cấp địa chỉ IPv4",
        "the network gives no IPv4 address",
        "Báo văn phòng đổi APN sang kiểu IPv4v6.",
        "Ask the office to set the APN to type IPv4v6.",
    ),
    "captive": Words(
        "nhà mạng chuyển sang trang nạp tiền",
        "the operator leads to its top-up page",
        "SIM hết tiền hoặc hết gói: nạp tiền, đăng ký gói, chờ 2 phút.",
        "The SIM has run out of money or data: top up, renew the plan, wait 2 minutes.",
    ),
    "plan_expired": Words(
        "gói cước đã hết hạn",
        "the plan has expired",
        "Gia hạn gói cước của SIM, rồi chờ 2 phút.",
        "Renew the SIM's plan, then wait 2 minutes.",
    ),
    "plan_throttled": Words(
        "gói cước bị bóp tốc độ",
        "the plan is throttled",
        "Hết dung lượng tốc độ cao: mua thêm dung lượng hoặc chờ kỳ mới; báo văn phòng.",
        "The fast data is used up: buy more or wait for the next period; tell the office.",
    ),
    "data_exhausted": Words(
        "SIM hết dung lượng",
        "the SIM's data is used up",
        "Mua thêm dung lượng hoặc chờ kỳ mới; báo văn phòng.",
        "Buy more data or wait for the next period; tell the office.",
    ),
    "budget_spent": Words(
        "đã dùng hết hạn mức dữ liệu của kỳ",
        "this period's data budget is spent",
        "Không cần làm gì: trạm đo lại khi sang kỳ mới. Cần đo ngay thì xin văn phòng nâng hạn mức.",
        "Nothing to do: the station measures again in the next period. To test now, ask the office for a higher budget.",
    ),
    "no_internet": Words(
        "có địa chỉ nhưng không ra được Internet",
        "an address, but no way to the internet",
        "Kiểm tra tiền và gói của SIM; rút modem 10 giây rồi cắm lại. Vẫn đỏ thì gọi nhà mạng.",
        "Check the SIM's money and plan; unplug the modem for 10 seconds. Still red: call the operator.",
    ),
    "server_unreachable": Words(
        "không tới được điểm đo",
        "the measurement point cannot be reached",
        "Gọi văn phòng: điểm đo có chạy không? Các mục phía trên xanh thì trạm không có lỗi.",
        "Call the office: does the measurement point run? If all above is green, the station is not at fault.",
    ),
    "server_busy": Words(
        "điểm đo đang bận",
        "the measurement point is busy",
        "Chờ 1 phút rồi bấm đo lại.",
        "Wait a minute, then test again.",
    ),
    "server_error": Words(
        "điểm đo trả lời lỗi",
        "the measurement point answers with an error",
        "Gọi văn phòng kiểm tra điểm đo; trạm không có lỗi.",
        "Call the office to check the measurement point; the station is not at fault.",
    ),
    "server_down": Words(
        "điểm đo ngừng chạy",
        "the measurement point is down",
        "Gọi văn phòng; trạm tự đo lại khi điểm đo chạy.",
        "Call the office; the station measures again once it runs.",
    ),
    "ticket_refused": Words(
        "điểm đo không cho trạm này đo",
        "the measurement point refuses this station",
        "Gọi văn phòng: trạm chưa đăng ký ở điểm đo, hoặc đồng hồ sai.",
        "Call the office: the station is not registered at the point, or its clock is wrong.",
    ),
    "timeout": Words(
        "chờ quá lâu không có trả lời",
        "no answer came in time",
        "Mạng quá chậm hoặc đứt: xoay ăng-ten cho sóng tốt hơn rồi đo lại.",
        "The link is too slow or broken: turn the antenna for a better signal and test again.",
    ),
    "cut_off": Words(
        "đang đo thì bị ngắt",
        "the test was cut off",
        "Xoay ăng-ten cho sóng tốt hơn, đo lại. Lặp lại thì để nguyên: đó là kết quả thật.",
        "Turn the antenna for a better signal and test again. If it happens again, leave it: that is the true result.",
    ),
    "reset": Words(
        "mạng ngắt kết nối giữa chừng",
        "the network broke the connection",
        "Đo lại. Lặp lại thì kiểm tra tiền và gói của SIM.",
        "Test again. If it comes back, check the SIM's money and plan.",
    ),
    "bytes_missing": Words(
        "điểm đo nhận thiếu dữ liệu",
        "the measurement point saw fewer bytes than were sent",
        "Đo lại. Lặp lại thì báo văn phòng: có thiết bị trung gian sửa dữ liệu.",
        "Test again. If it comes back, tell the office: something in between answers for the point.",
    ),
    "echo_lost": Words(
        "gói thử bị mất",
        "echoes were lost",
        "Xoay ăng-ten cho sóng tốt hơn, rồi đo lại.",
        "Turn the antenna for a better signal, then test again.",
    ),
    "broker_unreachable": Words(
        "không tới được máy chủ thu",
        "the server cannot be reached",
        "Chờ 2 phút; vẫn đỏ thì gọi văn phòng kiểm tra máy chủ MQTT.",
        "Wait 2 minutes; still red: call the office to check the MQTT broker.",
    ),
}

_HOST: dict[str, Words] = {
    "clock": Words(
        "đồng hồ sai",
        "the clock is wrong",
        "Chờ 5 phút để lấy giờ từ 4G hoặc GPS.",
        "Wait 5 minutes for the time by 4G or GPS.",
    ),
    "power": Words(
        "mất điện giữa chừng",
        "the power failed",
        "Kiểm tra ổ cắm, phích và bộ nguồn 5,1 V – 3 A.",
        "Check the socket, the plug and the 5.1 V, 3 A supply.",
    ),
    "probe_off": Words(
        "trạm đã tắt",
        "the station was off",
        "Kiểm tra điện; dặn người giữ nhà không rút trạm.",
        "Check the power; ask the keeper of the house not to unplug the station.",
    ),
    "overheated": Words(
        "quá nóng ({temp} °C)",
        "too hot ({temp} °C)",
        "Đưa trạm ra khỏi nắng, mở lỗ thông gió, để cách modem vài centimét.",
        "Move the station out of the sun, free its vents, keep the modem a few centimetres away.",
    ),
    "low_memory": Words(
        "máy thiếu bộ nhớ",
        "the machine is short of memory",
        "Tắt bật lại trạm; lặp lại thì báo văn phòng.",
        "Switch the station off and on; if it comes back, tell the office.",
    ),
    "low_disk": Words(
        "thẻ nhớ gần đầy, còn {free}",
        "the card is nearly full, {free} left",
        "Thay thẻ dự phòng lớn hơn; số liệu chưa gửi thì giữ thẻ cũ và đưa về văn phòng.",
        "Use a larger spare card; if records are not sent yet, keep the old card and bring it to the office.",
    ),
    "disk_error": Words(
        "thẻ nhớ hỏng hoặc chỉ đọc",
        "the card is damaged or read-only",
        "Tắt trạm, thay thẻ dự phòng; giữ thẻ cũ và đưa về văn phòng, đừng xóa.",
        "Switch off and use the spare card; keep the old one, do not erase it, and bring it to the office.",
    ),
    "host_limited": Words(
        "máy chậm hơn mạng",
        "the machine is slower than the link",
        "Tắt bật lại trạm để máy nguội; lặp lại thì báo văn phòng.",
        "Switch the station off and on so that it cools; if it comes back, tell the office.",
    ),
    "engine_error": Words(
        "chương trình đo báo lỗi",
        "the measuring program failed",
        "Đo lại; lặp lại thì báo văn phòng.",
        "Test again; if it comes back, tell the office.",
    ),
    "engine_killed": Words(
        "chương trình đo bị dừng",
        "the measuring program was stopped",
        "Đo lại; lặp lại thì kiểm tra nguồn điện, rồi báo văn phòng.",
        "Test again; if it comes back, check the power, then tell the office.",
    ),
    "overlap": Words(
        "lần đo khác đang chạy",
        "another test is running",
        "Chờ 2 phút rồi bấm đo lại.",
        "Wait 2 minutes, then test again.",
    ),
    "slot_passed": Words("đã qua giờ đo", "the slot has passed", "Bấm đo lại.", "Test again."),
    "not_configured": Words(
        "trạm chưa khai báo đủ",
        "the station is not fully set up",
        "Báo văn phòng: thiếu khai báo trong probe.toml.",
        "Tell the office: a setting is missing in probe.toml.",
    ),
    "stopped": Words("lần đo bị dừng", "the test was stopped", "Bấm đo lại.", "Test again."),
    "unknown": Words(
        "không rõ nguyên nhân",
        "for an unknown reason",
        "Tắt trạm 10 giây rồi bật lại, kiểm tra lại; vẫn đỏ thì đọc dòng này cho văn phòng.",
        "Switch the station off for 10 seconds and on, check again; still red: read this line to the office.",
    ),
}

CAUSES: dict[str, Words] = _MODEM | _LINK | _HOST
