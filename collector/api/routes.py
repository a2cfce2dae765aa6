"""The one table of `/api/v1`: path, roles, parameters, answer. Flask's rules, the gate and the document read it.

A route that is not here does not exist; a role that a route does not name is refused. "" is a caller without a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.api import shapes
from collector.api.params import Param

BASE = "/api/v1"
ANYBODY = frozenset({"", "technician", "operator", "official", "auditor"})
KNOWN = ANYBODY - {""}
KEEPERS = frozenset({"technician", "operator"})
OFFICE = frozenset({"official", "operator"})

CODE = r"[A-Za-z0-9_-]{1,32}"
PROBE_ID = r"[a-z0-9][a-z0-9-]{2,31}"
NUMBER = r"(0|[1-9][0-9]{0,14})"
_PAGE = Param("limit", "most items on a page", "số mục nhiều nhất mỗi trang", "integer", low=1, high=500, default=100)


def _cursor(pattern: str) -> Param:
    return Param("cursor", "`next` of the page before", "`next` của trang trước", "text", pattern=pattern)


def _text(name: str, en: str, vi: str, pattern: str = CODE, where: Any = "query") -> Param:
    return Param(name, en, vi, "text", where, pattern=pattern)


HAMLET = _text("hamlet", "code of a hamlet", "mã thôn, xóm, bản")
COMMUNE = _text("commune", "code of a commune", "mã xã, phường")
PROBE = _text("probe", "id of a probe", "mã trạm đo", PROBE_ID)
SINCE = Param("since_ms", "began at or after (Unix ms)", "bắt đầu từ (Unix ms)", "integer")
UNTIL = Param("until_ms", "began before (Unix ms)", "bắt đầu trước (Unix ms)", "integer")
MONTH = _text("month", "month in Vietnam; without it the present one", "tháng; không ghi là tháng này",
              r"2[0-9]{3}-(0[1-9]|1[0-2])")  # fmt: skip
KIND_WORDS = ("test", "coverage", "boot", "event", "gap")
KIND = Param("kind", "kind of record", "loại bản ghi", "word", words=KIND_WORDS)
ORDER = Param("order", "by receipt: oldest or newest first", "theo lúc nhận: cũ hay mới trước", "word",
              words=("asc", "desc"), default="desc")  # fmt: skip
BOM = Param("bom", "with a byte order mark, so that Excel reads Vietnamese", "kèm BOM để Excel đọc đúng tiếng Việt",
            "boolean", default=False)  # fmt: skip
ROWS = Param("limit", "most rows of this download", "số dòng nhiều nhất", "integer", low=1, high=10_000_000)
_ONE = (
    _text("probe", "id of the probe", "mã trạm đo", PROBE_ID, "path"),
    Param("epoch", "epoch of its chain", "kỳ của chuỗi", "integer", "path"),
    Param("seq", "its number in the chain", "số trong chuỗi", "integer", "path"),
)
_WHERE = (HAMLET, COMMUNE, PROBE, SINCE, UNTIL)


@dataclass(frozen=True, slots=True)
class Route:
    """One address. `answer` is the shape of its JSON, None for a stream of `media` or the document itself."""

    name: str
    path: str
    roles: frozenset[str]
    en: str
    vi: str
    params: tuple[Param, ...] = ()
    answer: Any = None
    media: str = "application/json"
    is_bulk: bool = False

    @property
    def endpoint(self) -> str:
        """Name of its Flask endpoint."""
        return f"v1.{self.name}"


def _bulk(name: str, en: str, vi: str, params: tuple[Param, ...], cursor: str) -> tuple[Route, ...]:
    forms = (("csv", "text/csv", (BOM,)), ("ndjson", "application/x-ndjson", ()))
    return tuple(
        Route(
            *(f"{name}_{form}", f"{BASE}/bulk/{name}.{form}", KNOWN, en, vi),
            params=(*params, ROWS, Param("cursor", "`cursor` of the last row that you have",
                                         "`cursor` của dòng cuối đã có", "text", pattern=cursor), *more),
            media=media, is_bulk=True,
        )
        for form, media, more in forms
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (
    Route("index", f"{BASE}/", ANYBODY, "Who you are here, and where everything lies",
          "Bạn là ai ở đây, và mọi thứ ở đâu", answer=shapes.IndexOut),
    Route("openapi", f"{BASE}/openapi.json", ANYBODY, "This document (OpenAPI 3.1)", "Tài liệu OpenAPI 3.1",
          media="application/vnd.oai.openapi+json"),
    Route("hamlets", f"{BASE}/hamlets", ANYBODY, "Hamlets with service now and the month so far, by code",
          "Các thôn: tình trạng hiện tại và tháng này, theo mã",
          (COMMUNE, _PAGE, _cursor(CODE)), shapes.Page[shapes.HamletOut]),
    Route("hamlet", f"{BASE}/hamlets/{{code}}", ANYBODY, "One hamlet with figures by operator and coverage",
          "Một thôn: số liệu theo nhà mạng và vùng phủ",
          (_text("code", "code of the hamlet", "mã thôn", where="path"),), shapes.HamletDetail),
    Route("probes", f"{BASE}/probes", KEEPERS, "Probes with what is wrong with them, by id",
          "Các trạm đo và lỗi của chúng, theo mã",
          (HAMLET, _PAGE, _cursor(PROBE_ID)), shapes.Page[shapes.ProbeOut]),
    Route("probe", f"{BASE}/probes/{{probe}}", KEEPERS, "One probe", "Một trạm đo",
          (_text("probe", "id of the probe", "mã trạm đo", PROBE_ID, "path"),), shapes.ProbeOut),
    Route("records", f"{BASE}/records", ANYBODY, "Records of the ledger in order of receipt",
          "Bản ghi trong sổ cái, theo lúc nhận",
          (*_WHERE, KIND, ORDER, _PAGE, _cursor(NUMBER)), shapes.Page[shapes.RecordOut]),
    Route("record", f"{BASE}/records/{{probe}}/{{epoch}}/{{seq}}", ANYBODY, "One record", "Một bản ghi",
          _ONE, shapes.RecordOut),
    Route("note", f"{BASE}/records/{{probe}}/{{epoch}}/{{seq}}/note", ANYBODY, "The signed bytes of one record",
          "Nguyên văn có chữ ký của một bản ghi", _ONE, media="application/octet-stream"),
    Route("coverage", f"{BASE}/coverage", ANYBODY, "Coverage records as runs of one state, in order of receipt",
          "Vùng phủ theo từng đoạn cùng trạng thái, theo lúc nhận",
          (*_WHERE, ORDER, _PAGE, _cursor(NUMBER)), shapes.Page[shapes.CoverageOut]),
    Route("quota", f"{BASE}/quota", OFFICE, "Communes against their monthly quota, by code",
          "Các xã so với chỉ tiêu tháng, theo mã",
          (MONTH, COMMUNE, _PAGE, _cursor(CODE)), shapes.Page[shapes.QuotaOut]),
    Route("log", f"{BASE}/log", ANYBODY, "The sealed log: newest checkpoints", "Nhật ký niêm phong: điểm chốt mới nhất",
          answer=shapes.LogOut),
    *_bulk("records", "All records that match, oldest first", "Toàn bộ bản ghi khớp, cũ trước",
           (*_WHERE, Param("kind", "kind of record; names the columns", "loại bản ghi; quyết định các cột", "word",
                           words=("test", "coverage"), default="test")), NUMBER),
    *_bulk("coverage", "Coverage step by step (a minute each), oldest first",
           "Vùng phủ từng bước (mỗi bước một phút), cũ trước", _WHERE, rf"{NUMBER}\.[0-9]{{1,6}}"),
    *_bulk("rollups", "Sums and exact medians by hamlet and operator, a local day or an hour a row",
           "Tổng và trung vị theo thôn và nhà mạng, mỗi dòng một ngày hoặc một giờ",
           (HAMLET, COMMUNE, SINCE, UNTIL, Param("span", "what a row covers", "mỗi dòng là một", "word",
                                                 words=("day", "hour"), default="day")),
           rf"{NUMBER}(\.({CODE})?){{3}}\.([0-9]{{5,6}})?\.[0-9]{{1,2}}"),
)  # fmt: skip
BY_NAME = {route.name: route for route in ROUTES}
