"""Words of accounts: login with a second factor, one's own page, the list of accounts, wall boards."""

from __future__ import annotations

ACCOUNT_WORDS: dict[str, tuple[str, str]] = {
    "login.otp": ("Mã 6 số", "Six-digit code"),
    "login.otp.note": (
        "Bắt buộc với người vận hành và lãnh đạo: mã trong ứng dụng xác thực, hoặc một mã dự phòng.",
        "Needed by operators and officials: the code of the authenticator app, or a recovery code.",
    ),
    "role.technician": ("kỹ thuật viên", "technician"),
    "role.operator": ("người vận hành", "operator"),
    "role.official": ("lãnh đạo, cán bộ", "official"),
    "role.auditor": ("người kiểm tra", "auditor"),
    "welcome.title": ("Đặt mật khẩu lần đầu", "Set your first password"),
    "welcome.lead": (
        "Tài khoản {name}. Đường dẫn này dùng được một lần. Hãy đặt mật khẩu của riêng bạn.",
        "Account {name}. This link works once. Choose a password of your own.",
    ),
    "welcome.do": ("Đặt mật khẩu và vào", "Set the password and go in"),
    "password.title": ("Đổi mật khẩu", "Change the password"),
    "password.current": ("Mật khẩu hiện tại", "Present password"),
    "password.new": ("Mật khẩu mới", "New password"),
    "password.again": ("Gõ lại mật khẩu mới", "New password again"),
    "password.rule": (
        "Từ 12 ký tự, không chứa tên đăng nhập. Một câu ngắn dễ nhớ tốt hơn một từ khó nhớ.",
        "12 characters or more, without the login's name. A short sentence is better than a word nobody remembers.",
    ),
    "password.do": ("Đổi mật khẩu", "Change it"),
    "password.differ": ("Hai lần gõ không giống nhau.", "The two are not the same."),
    "password.length": ("Mật khẩu phải có từ 12 đến 256 ký tự.", "The password must have 12 to 256 characters."),
    "password.easy": (
        "Mật khẩu này dễ đoán: có tên đăng nhập, hoặc chỉ vài ký tự lặp lại.",
        "This password is easily guessed: it holds the login's name, or a few characters over and over.",
    ),
    "password.wrong": (
        "Mật khẩu hiện tại không đúng, hoặc đã thử sai nhiều lần: hãy đợi vài phút.",
        "The present password is wrong, or was wrong too often: wait a few minutes.",
    ),
    "password.demo": (
        "Tài khoản của bản trình diễn có mật khẩu cố định.",
        "A login of the demonstration has a fixed password.",
    ),
    "enrol.title": ("Cài đặt mã xác thực hai lớp", "Set up the second factor"),
    "enrol.lead": (
        "Vai trò của bạn chỉ vào được bằng mật khẩu cùng mã 6 số trên điện thoại. Làm một lần, mất khoảng hai phút.",
        "Your role gets in with the password and a six-digit code from your phone. Once, about two minutes.",
    ),
    "enrol.step.app": (
        "Mở một ứng dụng xác thực trên điện thoại (Google Authenticator, Microsoft Authenticator, FreeOTP ...).",
        "Open an authenticator app on your phone (Google Authenticator, Microsoft Authenticator, FreeOTP ...).",
    ),
    "enrol.step.scan": ("Quét mã này bằng ứng dụng đó.", "Scan this code with it."),
    "enrol.step.code": ("Gõ mã 6 số mà ứng dụng hiện ra.", "Type the six digits that it shows."),
    "enrol.qr": ("mã QR để quét bằng ứng dụng xác thực", "QR code for the authenticator app"),
    "enrol.key": (
        "Không quét được thì gõ khóa này vào ứng dụng:",
        "If it cannot be scanned, type this key into the app:",
    ),
    "enrol.do": ("Xong", "Done"),
    "enrol.wrong": (
        "Mã không đúng. Kiểm tra giờ của điện thoại (đặt tự động) rồi gõ mã mới nhất.",
        "The code is wrong. Check that the phone's clock is set automatically, and type the newest code.",
    ),
    "totp.title": ("Mã xác thực hai lớp", "Second factor"),
    "totp.on": ("Đang dùng. Còn {n} mã dự phòng.", "In force. {n} recovery codes are left."),
    "totp.off": ("Chưa cài đặt.", "Not set up."),
    "totp.demo": ("Bản trình diễn không cần mã.", "The demonstration needs no code."),
    "recovery.title": ("Mã dự phòng, chỉ hiện lần này", "Recovery codes, shown this once"),
    "recovery.lead": (
        "In ra hoặc chép lại, cất cùng giấy tờ. Mỗi mã thay cho mã 6 số được một lần khi mất điện thoại.",
        "Print or copy them and keep them with your papers. Each replaces a six-digit code once if the phone is lost.",
    ),
    "recovery.do": ("Tạo mã dự phòng mới", "Make new recovery codes"),
    "account.title": ("Tài khoản", "Account"),
    "account.scope": ("phạm vi {scope}", "scope {scope}"),
    "account.scope.all": ("mọi đơn vị", "all units"),
    "account.done.password": (
        "Đã đổi mật khẩu; mọi phiên khác đã kết thúc.",
        "The password was changed; every other session has ended.",
    ),
    "account.done.session": ("Phiên đã kết thúc.", "The session has ended."),
    "sessions.title": ("Đang đăng nhập ở đâu", "Where you are logged in"),
    "sessions.lead": (
        "Một phiên tự kết thúc sau 30 phút không dùng, và sau 12 giờ.",
        "A session ends by itself after 30 minutes without use, and after 12 hours.",
    ),
    "sessions.since": ("Từ lúc", "Since"),
    "sessions.seen": ("Dùng lần cuối", "Last used"),
    "sessions.from": ("Địa chỉ và trình duyệt", "Address and browser"),
    "sessions.end": ("Kết thúc", "End"),
    "sessions.end.others": ("Kết thúc mọi phiên khác", "End all others"),
    "sessions.this": ("phiên này", "this one"),
    "trail.mine": ("Việc đã làm gần đây", "What was done lately"),
}
