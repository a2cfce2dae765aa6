# ruff: noqa: E501 (a table is read down its columns: one word, one line)
"""What to do: one sentence for each fault of the system and each illness of a station."""

from __future__ import annotations

_FAULTS = {
    "fault.receive": (
        "Tiến trình nhận (receive) không chạy hoặc bị treo: chạy systemctl restart dosong-collector (không dùng systemd: dosong-collector run). Trạm tự giữ bản ghi trong lúc chờ.",
        "The receive process does not run or hangs: run systemctl restart dosong-collector (without systemd: dosong-collector run). Stations keep their records meanwhile.",
    ),
    "fault.forward": (
        "Tiến trình chuyển (forward) không chạy hoặc bị treo: bảng Grafana đứng yên, sổ cái vẫn nhận; chạy systemctl restart dosong-collector (không dùng systemd: dosong-collector run).",
        "The forward process does not run or hangs: boards stand still while the ledger goes on; run systemctl restart dosong-collector (without systemd: dosong-collector run).",
    ),
    "fault.seal": (
        "Tiến trình niêm phong (seal) không chạy hoặc bị treo: bản ghi vẫn được nhận nhưng chưa có điểm niêm phong mới; chạy systemctl restart dosong-collector (không dùng systemd: dosong-collector run).",
        "The seal process does not run or hangs: records are still taken, no new checkpoint is signed; run systemctl restart dosong-collector (without systemd: dosong-collector run).",
    ),
    "fault.judge": (
        "Tiến trình đánh giá (judge) không chạy hoặc đang chờ: bản ghi vẫn được nhận và tính, chỉ kết luận đến muộn; chạy systemctl restart dosong-collector (không dùng systemd: dosong-collector run).",
        "The judge process does not run or waits: records are taken and counted, only verdicts come late; run systemctl restart dosong-collector (without systemd: dosong-collector run).",
    ),
    "fault.seal_broken": (
        "Sổ cái không còn khớp với phần đã niêm phong, nên không ký thêm: giữ nguyên mọi tệp, tìm bản sao lưu tốt gần nhất, làm theo câu dưới đây.",
        "The ledger no longer matches what was sealed, so nothing more is signed: keep every file as it is, find the newest good backup, and follow the sentence below.",
    ),
    "fault.unsigned": (
        "{n} bản ghi có chữ ký riêng không đúng dù chuỗi băm của trạm vẫn đúng: được giữ lại nhưng không tính; xem nhật ký seal để biết số bản ghi, rồi kiểm tra trạm đã ký chúng.",
        "{n} records bear no good signature of their own although their station's chain of hashes holds: they are kept and not counted; the log of seal says which, then look at the station that signed them.",
    ),
    "fault.registry": (
        "Không đọc được danh bạ (registry.db): kiểm tra quyền và dung lượng của state_dir, hoặc đặt lại bản sao lưu.",
        "The registry (registry.db) cannot be read: check permissions and space of state_dir, or put back its backup.",
    ),
    "fault.ledger": (
        "Không đọc hoặc ghi được sổ cái: kiểm tra chỗ trống và quyền ghi của state_dir; chưa ghi thì chưa xác nhận, nên trạm không mất gì.",
        "The ledger cannot be read or written: check free space and permissions of state_dir; nothing is confirmed unwritten, so nothing is lost.",
    ),
    "fault.broker": (
        "Không kết nối được máy chủ MQTT: chạy systemctl status mosquitto, rồi xem [broker] trong collector.toml. Trạm tự giữ bản ghi cho đến khi nối lại.",
        "The MQTT broker does not answer: run systemctl status mosquitto, then check [broker] in collector.toml. Stations keep their records until it is back.",
    ),
    "fault.influx": (
        "InfluxDB không nhận điểm: chạy systemctl status influxdb, rồi xem [influx] trong collector.toml. Sổ cái vẫn nhận; bảng Grafana sẽ tự đuổi kịp ({n} bản ghi đang chờ).",
        "InfluxDB takes no points: run systemctl status influxdb, then check [influx] in collector.toml. The ledger goes on; boards will catch up by themselves ({n} records waiting).",
    ),
    "fault.lag": (
        "Còn {n} bản ghi chưa chuyển sang InfluxDB: nếu số này không giảm trong 10 phút, xem nhật ký: journalctl -u dosong-collector.",
        "{n} records are not yet in InfluxDB: if this does not fall within 10 minutes, see the log: journalctl -u dosong-collector.",
    ),
    "fault.parked": (
        "InfluxDB từ chối hẳn {n} điểm: chúng được để riêng, sổ cái vẫn đủ; xem nhật ký forward để biết trường nào sai kiểu.",
        "InfluxDB refuses {n} points for ever: they are set aside and the ledger is complete; the log of forward names the field.",
    ),
    "fault.refused": (
        "{n} bản tin bị từ chối: xem trang “Bản tin bị từ chối”; trạm lạ thì đăng ký bằng dosong-provision, chữ ký sai thì kiểm tra trạm đó.",
        "{n} messages were refused: see “Refused messages”; register an unknown station with dosong-provision, inspect a station whose signature fails.",
    ),
    "fault.quiet": (
        "Hơn 3 giờ không có bản ghi mới nào: kiểm tra máy chủ MQTT, chứng chỉ TLS và đường mạng tới các trạm.",
        "No new record for more than 3 hours: check the broker, TLS certificates and the way to the stations.",
    ),
    "fault.empty": (
        "Sổ cái còn trống: lắp trạm đầu tiên, hoặc chạy make demo để xem thử.",
        "The ledger is empty: install the first station, or run make demo.",
    ),
}
_ILLNESS = {
    "ill.never": ("chưa gửi bản ghi nào", "has never sent a record"),
    "ill.revoked": ("khóa đã thu hồi", "key revoked"),
    "ill.quarantine": ("chờ kích hoạt", "waiting for activation"),
    "ill.offline": ("mất kết nối MQTT", "MQTT connection lost"),
    "ill.silent": ("im lặng lâu hơn thường lệ", "silent for longer than usual"),
    "ill.hole": ("thiếu bản ghi ở giữa", "a record in between is missing"),
    "ill.clock": ("đồng hồ chưa tin cậy", "clock not trusted"),
    "ill.moved": ("lệch xa vị trí khảo sát", "far from its surveyed position"),
    "ill.backlog": ("nhiều bản ghi chờ gửi", "many records waiting to be sent"),
}
_DO = {
    "do.never": (
        "Chạy dosong-probe doctor tại trạm và làm theo từng dòng.",
        "Run dosong-probe doctor at the station and follow its lines.",
    ),
    "do.revoked": (
        "Nếu trạm còn dùng, cấp khóa mới bằng dosong-provision.",
        "If it is still in use, issue a new key with dosong-provision.",
    ),
    "do.quarantine": (
        "Xác nhận trạm tại chỗ rồi kích hoạt bằng dosong-provision.",
        "Confirm the station on the spot, then activate it with dosong-provision.",
    ),
    "do.silent": (
        "Gọi người giữ nhà văn hóa: xem đèn nguồn và đèn modem, rút điện 10 giây rồi cắm lại.",
        "Call the keeper of the house: look at the power and modem lights, unplug for 10 s.",
    ),
    "do.hole": (
        "Không cần làm gì: trạm tự gửi lại; nếu sau 1 giờ vẫn thiếu, xem nhật ký trạm.",
        "Nothing yet: the station sends again by itself; if still missing after 1 h, see its log.",
    ),
    "do.modem": (
        "Rút modem 10 giây rồi cắm lại; nếu lặp lại, đổi cáp USB hoặc modem.",
        "Unplug the modem for 10 s; if it comes back, change the USB cable or the modem.",
    ),
    "do.sim": (
        "Kiểm tra SIM: đúng nhà mạng, bỏ mã PIN, lắp chặt; cần PUK thì liên hệ nhà mạng.",
        "Check the SIM: right operator, no PIN, seated well; for a PUK ask the operator.",
    ),
    "do.plan": (
        "Gia hạn hoặc đổi gói cước của SIM; các lần đo này là “chưa rõ”, không phải sóng yếu.",
        "Renew or change the SIM's plan; these tests are “unknown”, not weak coverage.",
    ),
    "do.signal": (
        "Đây là bằng chứng về sóng, không phải lỗi trạm; nếu cả trạm bên cạnh vẫn tốt, chỉnh lại ăng-ten.",
        "This is evidence about coverage, not a fault of the station; if a neighbour is well, turn the antenna.",
    ),
    "do.server": (
        "Kiểm tra máy chủ đo: dosong-point phải chạy và tới được từ mạng di động.",
        "Check the measurement point: dosong-point must run and be reachable from the mobile network.",
    ),
    "do.path": (
        "Tắt Wi-Fi và cáp mạng của trạm trong lúc đo, hoặc kiểm tra tên cổng modem trong probe.toml.",
        "Keep Wi-Fi and cable out of the test, or check the modem's interface name in probe.toml.",
    ),
    "do.host": (
        "Kiểm tra nguồn 5 V/3 A, thẻ nhớ và nhiệt độ; thay thẻ nếu có lỗi đĩa.",
        "Check the 5 V/3 A supply, the card and the temperature; replace the card after disk errors.",
    ),
    "do.clock": (
        "Chờ trạm nhận giờ từ mạng hoặc GPS; nếu quá 1 giờ, đưa ăng-ten GPS ra gần cửa sổ.",
        "Wait for time from network or GPS; after 1 h, move the GPS antenna to a window.",
    ),
    "do.moved": (
        "Hỏi xem trạm có bị dời không; nếu có, khảo sát lại vị trí.",
        "Ask whether the station was moved; if so, survey it again.",
    ),
    "do.wait": (
        "Chưa cần làm gì: nếu im tiếp, trạm sẽ được báo là im lặng.",
        "Nothing yet: if it stays quiet, it will be called silent.",
    ),
    "do.unheard": (
        "Xem trang Tình trạng hệ thống: máy thu phải nối được MQTT; các trạm tự giữ bản ghi.",
        "See the health page: the collector must reach the broker; stations keep their records.",
    ),
    "do.log": ("Xem nhật ký trạm: journalctl -u dosong-probe.", "See the station's log: journalctl -u dosong-probe."),
}
REMEDY_WORDS: dict[str, tuple[str, str]] = _FAULTS | _ILLNESS | _DO

_BY_REMEDY = {
    "do.never": ("never",),
    "do.revoked": ("revoked",),
    "do.quarantine": ("quarantine",),
    "do.silent": ("silent", "offline", "power", "probe_off", "stopped"),
    "do.wait": ("late",),
    "do.unheard": ("unheard",),
    "do.hole": ("hole", "backlog"),
    "do.modem": ("no_modem", "modem_mute", "modem_error", "no_interface"),
    "do.sim": ("no_sim", "sim_locked", "sim_puk", "wrong_sim", "denied"),
    "do.plan": ("plan_expired", "plan_throttled", "data_exhausted", "budget_spent", "captive"),
    "do.signal": (
        "searching", "not_registered", "limited_service", "not_lte", "no_pdp", "no_ipv4", "no_internet", "timeout",
        "cut_off", "reset", "bytes_missing", "echo_lost", "no_dns",
    ),
    "do.server": (
        "server_unreachable", "server_busy", "server_error", "server_down", "ticket_refused", "broker_unreachable",
    ),
    "do.path": ("invalid_path", "invalid_isolation"),
    "do.host": ("overheated", "low_memory", "low_disk", "disk_error", "host_limited", "undervoltage", "crash"),
    "do.clock": ("clock",),
    "do.moved": ("moved",),
}  # fmt: skip
REMEDY: dict[str, str] = {word: remedy for remedy, words in _BY_REMEDY.items() for word in words}
"""Illness or cause -> key of what to do; whatever is not here: `do.log`."""
