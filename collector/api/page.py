# ruff: noqa: E501 (a line of the page is as long as it reads well)
"""Writes docs/api.md from the tables of routes and problems: the page people read says what the server does.

python -m collector.api.page            write it anew
python -m collector.api.page --check    exit 1 if the document is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

from collector.api.problems import KINDS
from collector.api.routes import ROUTES, Route

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
_HEAD = """# API `/api/v1`

*Tiếng Việt trước, English after.* Trang này được sinh từ mã nguồn / this page is generated: `python -m collector.api.page`.

## Bằng tiếng Việt
Giao diện chỉ đọc cho máy: đúng những con số mà các trang web hiển thị.

1. Người vận hành tạo mã truy cập (chỉ hiện một lần, trong máy chủ chỉ lưu giá trị băm):
   `dosong-collector token create --config collector.toml --role official --scope 05755 --label "UBND xã Phú Xuyên"`.
   Vai trò: `technician`, `operator`, `official`, `auditor`. `--scope` là mã tỉnh, xã hoặc thôn: ngoài phạm vi đó coi như
   không có. Mã có hạn (mặc định 365 ngày); thu hồi bằng `dosong-collector token revoke`.
2. Gửi mã trong mỗi yêu cầu: `Authorization: Bearer MÃ`. Không có mã thì chỉ xem được phần công khai, không có vị trí chính xác.
3. Thời điểm có hai dạng: mili giây Unix và ISO 8601 (UTC). Chưa biết là `null`, không bao giờ là 0. Đơn vị nằm trong tên trường.
4. Danh sách chia trang theo khóa: lấy `next` làm `cursor` cho trang sau, đến khi `next` là `null`. Bản ghi mới đến không làm xê dịch
   trang; trang có thể ngắn hoặc rỗng trước trang cuối.
5. Trả lời có `ETag`: gửi lại trong `If-None-Match`, nếu không đổi máy chủ đáp 304.
6. Tải lớn (`/bulk/`): mỗi dòng có `cursor`; bị đứt thì hỏi tiếp với `cursor` của dòng cuối đã nhận đủ. CSV mở bằng Excel: thêm
   `bom=true`. Ô chữ có thể bị hiểu là công thức được thêm dấu `'` ở đầu.
7. Lỗi theo RFC 9457 (`application/problem+json`): `word` không đổi, `detail` nói phải làm gì; `Accept-Language: vi` cho tiếng Việt.

## In English
Read-only interface for machines: exactly the numbers that the pages show.

1. An operator makes a token (shown once; the server keeps only its hash):
   `dosong-collector token create --config collector.toml --role official --scope 05755 --label "UBND xã Phú Xuyên"`.
   Roles: `technician`, `operator`, `official`, `auditor`. `--scope` is the code of a province, commune or hamlet: what lies outside
   is as if it were not there. Tokens end (365 days unless told otherwise); `dosong-collector token revoke` ends one at once.
2. Send it with every request: `Authorization: Bearer TOKEN`. Without one you see what is public, without exact positions.
3. Times come as Unix milliseconds and as ISO 8601 (UTC). What is not known is `null`, never 0. Units stand in the names.
4. Lists are paged by key: pass `next` as `cursor` until `next` is `null`. What arrives meanwhile shifts nothing; a page may be
   short or empty before the last one.
5. Answers carry an `ETag`: send it back as `If-None-Match`; what did not change is answered 304.
6. Bulk (`/bulk/`): every row has its `cursor`; after a cut go on with the cursor of the last whole row. For Excel add `bom=true`.
   Text cells that a spreadsheet could take for a formula get a `'` in front.
7. Errors follow RFC 9457 (`application/problem+json`): `word` is stable, `detail` says what to do, in the language of
   `Accept-Language`.

The same for programs: `/api/v1/openapi.json` (OpenAPI 3.1).

```sh
curl -H "Authorization: Bearer $TOKEN" https://dosong.example/api/v1/quota?month=2026-11
curl -H "Authorization: Bearer $TOKEN" -o records.csv 'https://dosong.example/api/v1/bulk/records.csv?commune=05755&bom=true'
```

How often: `[api]` of the settings (`requests_per_minute` 600 for each token, `anonymous_per_minute` 120 for each address,
`bulk_at_once` 2); beyond it 429 or 503 with `Retry-After`.

## Địa chỉ / addresses
"""


def text() -> str:
    """The whole document."""
    return _HEAD + "".join(map(_route, ROUTES)) + _problems()


def _route(route: Route) -> str:
    callers = ", ".join(sorted(role or "ai cũng được / anybody" for role in route.roles))
    lines = [f"\n### `GET {route.path}`", f"{route.vi}. *{route.en}.* {callers} · `{route.media}`", ""]
    if route.params:
        lines += ["| tham số / parameter | dạng / form | |", "|---|---|---|"]
    for param in route.params:
        default = "" if param.default is None else f" (`{str(param.default).lower()}`)"
        form = param.expected().replace("|", "\\|")
        lines.append(f"| `{param.name}` | `{form}`{default} | {param.vi} · *{param.en}* |")
    return "\n".join(lines) + "\n"


def _problems() -> str:
    lines = ["\n## Lỗi / problems", "| `word` | | làm gì / what to do |", "|---|---|---|"]
    lines += [
        f"| `{word}` | {kind.status} | {kind.title[0]}: {kind.detail[0]} · *{kind.title[1]}: {kind.detail[1]}* |"
        for word, kind in KINDS.items()
    ]
    return "\n".join(lines).replace("{expected}", "…").replace("{parameter}", "…") + "\n"


def main() -> int:
    """Write or check; see the module's docstring."""
    if "--check" not in sys.argv:
        DOCUMENT.write_text(text(), encoding="utf-8")
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == text():
        return 0
    sys.stderr.write("docs/api.md is not current; run: python -m collector.api.page\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
