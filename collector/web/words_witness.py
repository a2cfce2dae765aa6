"""Words of the second witness: what the measurement point saw of a test, on the page of its record."""

from __future__ import annotations

WITNESS_WORDS: dict[str, tuple[str, str]] = {
    "witness.title": ("Máy chủ đo đã thấy gì", "What the measurement server saw"),
    "witness.lead": (
        "Máy chủ đo ký biên nhận cho từng chiều. Đây là lời của hai bên, đặt cạnh nhau; thiếu biên nhận thì mẫu "
        "vẫn được tính, biên nhận sai thì kết luận là đáng ngờ.",
        "The measurement server signs a receipt for each direction. Both sides' words stand side by side; a sample "
        "counts without a receipt, and a false one makes its verdict suspect.",
    ),
    "witness.figure": ("Số liệu", "Figure"),
    "witness.probe": ("Trạm đo nói", "The station says"),
    "witness.server": ("Máy chủ thấy", "The server saw"),
    "witness.bytes": ("Lượng dữ liệu", "Bytes"),
    "witness.rate": ("Tốc độ (máy chủ tính cả lúc tăng tốc)", "Rate (the server's includes the ramp)"),
    "witness.rtt": ("Độ trễ nhỏ nhất", "Least delay"),
    "witness.source": ("Địa chỉ của trạm", "The station's address"),
    "witness.source.hidden": ("chỉ hiện sau khi đăng nhập", "shown after logging in"),
    "witness.unsaid": ("không nói", "not said"),
    "witness.signed": ("Máy chủ {point} ký lúc {time}", "Signed by server {point} at {time}"),
    "witness.downlink": ("Chiều tải xuống", "Downlink"),
    "witness.uplink": ("Chiều tải lên", "Uplink"),
    "witness.agrees": ("có biên nhận đúng; số liệu hai bên khớp nhau", "a valid receipt; both sides' figures agree"),
    "witness.differs": (
        "có biên nhận đúng, nhưng máy chủ thấy ít dữ liệu hơn trạm nói",
        "a valid receipt, but the server saw fewer bytes than the station claims",
    ),
    "witness.foreign": (
        "biên nhận được nêu là của lần đo khác, trạm khác hoặc chiều khác: không dùng được",
        "the receipt that is named belongs to another test, station or direction: no proof",
    ),
    "witness.replayed": (
        "biên nhận này đã được một bản ghi trước nêu ra: không dùng được",
        "an earlier record has already shown this receipt: no proof",
    ),
    "witness.stale": (
        "biên nhận được ký vào lúc khác hẳn lúc đo: không dùng được",
        "the receipt was signed at quite another time than the test: no proof",
    ),
    "witness.missing": (
        "bản ghi có nêu biên nhận, nhưng sổ cái không giữ: chưa gửi đến, hoặc bị từ chối vì không đúng",
        "the record names a receipt that the ledger does not hold: never sent, or refused as false",
    ),
    "witness.none": ("không có biên nhận của máy chủ", "no receipt of the server"),
}
