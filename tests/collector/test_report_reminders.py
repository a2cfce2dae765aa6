"""Reminders: when, to whom, each once; by a real SMTP server and a real web hook; who has not reported, for Zalo."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller

from collector.campaigns import Campaigns
from collector.core.period import start_of, window
from collector.core.report_heads import Office, default_head
from collector.core.report_plan import MOST_TRIES, DueReport, next_try_ms, tasks
from collector.reports import pdf
from collector.reports.desk import open_desk
from collector.reports.outbox import Outbox
from collector.reports.post import Message, PermanentlyRefused, Post
from collector.reports.service import Reminder, silent_today
from collector.settings import ReportSettings
from tests.collector.kit import T0_MS, free_port
from tests.collector.test_campaigns import CAMPAIGNS, PEAK
from tests.collector.test_web_world import World, get, world
from wire.errors import Unavailable

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
MORNING_MS = start_of(date(2026, 10, 13)) + 8 * HOUR_MS
"""The 14th is a holiday in the test's registry: the 13th is the last working day before "trước ngày 15"."""


def due(level: Any = "province", period: Any = "month", day: date = date(2026, 10, 13)) -> DueReport:
    covers = window(date(2026, 9, 1), date(2026, 9, 30))
    return DueReport("kh-81", "i-Speed", level, period, covers, start_of(date(2026, 10, 15)), day, "Cục Viễn thông")


def test_reminder_and_drafts_have_their_hours_and_keys() -> None:
    offices = [("19", "province"), ("05755", "commune")]

    def at(now_ms: int, one: DueReport | None = None) -> list[tuple[str, str, str]]:
        return [(task.what, task.unit, task.kind) for task in tasks([one or due()], offices, now_ms)]  # type: ignore[arg-type]

    assert at(MORNING_MS - 1) == []
    assert at(MORNING_MS) == [("remind", "19", "month")]
    assert at(MORNING_MS + 8 * HOUR_MS) == [("remind", "19", "month"), ("draft", "19", "month")]
    assert at(start_of(date(2026, 10, 15))) == [], "too late is too late"
    first, second = (tasks([due()], offices, MORNING_MS + n)[0].key for n in (0, MINUTE_MS))  # type: ignore[arg-type]
    assert first == second
    day = DueReport(
        "cd", "Đợt", "hamlet", "day", PEAK, start_of(date(2026, 9, 22)) + 17 * HOUR_MS, date(2026, 9, 22), "UBND xã"
    )
    four = start_of(date(2026, 9, 22)) + 16 * HOUR_MS
    assert at(four - 1, day) == [("remind", "05755", "day")], "hamlets tell their commune, whose office is told"
    assert ("silent", "05755", "day") in at(four, day)
    both = {task.key for now in (four, four + 30 * MINUTE_MS) for task in tasks([day], offices, now)}  # type: ignore[arg-type]
    assert len([key for key in both if key.startswith("silent")]) == 2
    assert at(four + HOUR_MS, day) == []


def test_tries_grow_apart_and_end() -> None:
    waits = [(next_try_ms(n, 0) or 0) // MINUTE_MS for n in range(1, MOST_TRIES)]
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert next_try_ms(MOST_TRIES, 0) is None


class Inbox:
    """Keeps what a real SMTP server took; refuses one address for ever."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bytes]] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address.startswith("gone@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append((envelope.rcpt_tos, envelope.content))
        return "250 taken"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load(CAMPAIGNS, T0_MS)
        made.tests(6)
        yield made


class Hook:
    """A real web server that keeps what it was sent and answers `status`."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/zalo"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reminder(here: World, port: int) -> Reminder:
    reports = ReportSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none", mail_from="dosong@ubnd.example")
    settings = msgspec.structs.replace(here.settings, reports=reports)
    desk = open_desk(settings, here.reader, here.registry)
    return Reminder(settings, desk, here.reader, here.registry, Post(settings))


def test_the_person_responsible_gets_one_mail_with_the_draft_also_after_failures(here: World) -> None:
    port, inbox, hook = free_port(), Inbox(), Hook()
    one = reminder(here, port)
    head = default_head("province", "Thái Nguyên", "", ())
    one._desk.store.set_office("19", Office(head, ("lan@so.example", "gone@so.example"), hook.address), "operator", 1)
    hook.status = 503
    assert one.once(MORNING_MS) == 1, "no mail server yet: everything waits on disk"
    states = {row[1]: row for row in Outbox(one._desk.store).listed()}
    assert [states[name][3] for name in ("lan@so.example", "gone@so.example", hook.address)] == [1, 1, 1]
    assert one.once(MORNING_MS + 1) == 0
    assert len(hook.got) == 1, "not before its next try"
    one._desk.store.close()

    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    hook.status = 200
    again = reminder(here, port)  # restarted: what waits is still there
    try:
        assert again.once(MORNING_MS + 2 * MINUTE_MS) == 0
        again.once(MORNING_MS + 20 * MINUTE_MS)
    finally:
        server.stop()
        hook.close()
    assert [to for to, _ in inbox.letters] == [["lan@so.example"]]
    letter = email.message_from_bytes(inbox.letters[0][1], policy=email.policy.default)
    assert letter["Subject"].startswith("Nhắc hạn: Kết quả đo tốc độ")
    body = letter.get_body()
    assert body is not None
    assert "23:59 14/10/2026" in body.get_content()
    assert "Cục Viễn thông" in body.get_content()
    files = {part.get_filename(): part.get_content() for part in letter.iter_attachments()}
    (kept,) = again._desk.store.newest()
    assert (kept.kind, kept.unit) == ("month", "19")
    assert files[f"bao-cao-{kept.id}.pdf"] == again._desk.store.drawn(kept.id, "pdf")
    assert len(files) == 2
    states = {row[1]: row for row in Outbox(again._desk.store).listed()}
    assert states["gone@so.example"][5], "an address that does not exist is given up"
    assert states["lan@so.example"][4] is not None
    assert len(hook.got) == 2
    assert hook.got[1]["report"] == kept.id
    again._desk.store.close()


def test_a_second_draft_says_what_changed(here: World) -> None:
    one = reminder(here, free_port())
    one._desk.store.set_office(
        "19", Office(default_head("province", "Thái Nguyên", "", ()), ("lan@so.example",)), "o", 1
    )
    one.once(MORNING_MS)
    here.take(here.probe.test())
    one.once(MORNING_MS + 8 * HOUR_MS)
    second, first = one._desk.store.newest()
    assert (second.follows, second.changed > 0) == (first.id, True)
    (body,) = one._desk.store.rows("SELECT body FROM message WHERE attached = ?", second.id)[0]
    assert f"{second.changed} ô số liệu đã thay đổi" in body
    one._desk.store.close()


def test_a_draft_that_cannot_be_made_waits_and_hinders_no_other(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reminder(here, free_port())
    for unit in ("19", "20"):
        here.registry.load({"provinces": [{"code": unit, "name": f"Tỉnh {unit}"}]}, T0_MS)
        head = default_head("province", f"Tỉnh {unit}", "", ())
        one._desk.store.set_office(unit, Office(head, ("lan@so.example",)), "o", 1)
    monkeypatch.setattr(pdf, "FONT_FOLDERS", ("/nowhere",))
    assert one.once(MORNING_MS) == 0
    monkeypatch.undo()
    assert one.once(MORNING_MS + MINUTE_MS) == 2
    one._desk.store.close()


def enter(here: World, unit: str, value: int, at_ms: int) -> None:
    row = {"counter": "people", "unit": unit, "starts_ms": PEAK.start_ms, "ends_ms": PEAK.end_ms, "value": value}
    here.registry.load({"counts": [{**row, "valid_from_ms": at_ms}]}, at_ms)


def test_who_has_not_reported_with_new_cumulative_and_corrections(here: World) -> None:
    more = [{"code": "h-ben", "name": "Bến", "kind": "xóm", "commune": "05755"}]
    here.registry.load({"hamlets": more}, T0_MS)
    day = start_of(date(2026, 9, 22))
    enter(here, "05755", 40, day - 5 * HOUR_MS)
    enter(here, "h-dong-chuoi", 31, day + 9 * HOUR_MS)
    enter(here, "05755", 90, day + 10 * HOUR_MS)
    enter(here, "05755", 85, day + 11 * HOUR_MS)
    one = reminder(here, free_port())
    head = default_head("commune", "Xã Phú Xuyên", "Thái Nguyên", ())
    one._desk.store.set_office("05755", Office(head, ("nhan@xa.example",)), "operator", 1)
    one.once(day + 16 * HOUR_MS + MINUTE_MS)
    one.once(day + 16 * HOUR_MS + 31 * MINUTE_MS)
    one.once(day + 16 * HOUR_MS + 32 * MINUTE_MS)
    texts = [
        row[0] for row in one._desk.store.rows("SELECT body FROM message WHERE key LIKE 'silent%' ORDER BY made_ms")
    ]
    assert len(texts) == 2
    assert texts[0].splitlines() == [
        "[Xã Phú Xuyên] Đợt cao điểm: tiến độ báo cáo lúc 16 giờ 01 phút ngày 22/09/2026",
        "Đã báo cáo hôm nay: 1/2 đơn vị.",
        "Chưa báo cáo (1):",
        "- Xóm Bến",
        "Đề nghị các đơn vị báo cáo về UBND xã trước giờ quy định.",
        "Lũy kế: 85; mới hôm nay: 50; đính chính giảm hôm nay: 5.",
    ]
    enter(here, "h-ben", 30, day + 16 * HOUR_MS + 33 * MINUTE_MS)
    (text,) = silent_today(one._desk, "05755", day + 16 * HOUR_MS + 40 * MINUTE_MS)
    assert "Tất cả đơn vị đã báo cáo" in text
    here.now_ms = day + 16 * HOUR_MS
    page = get(here.client("official"), "/reports/silent?unit=05755&lang=vi").text
    assert "- Xóm Bến" in page
    assert "<textarea" in page
    one._desk.store.close()


def test_dues_are_those_of_the_campaigns_page(here: World) -> None:
    campaigns = Campaigns(here.reader, here.registry)
    listed = [one for view in campaigns.at(T0_MS) for one in view.due]
    assert sorted(listed, key=lambda d: d.deadline) == sorted(
        (one for _, _, one in campaigns.dues(T0_MS)), key=lambda d: d.deadline
    )
    assert [row.code for row, _, _ in campaigns.dues(PEAK.end_ms)] == ["kh-81"]


def test_without_a_mail_server_it_waits_and_a_wrong_hook_is_given_up(here: World) -> None:
    post = Post(here.settings)
    with pytest.raises(Unavailable, match="smtp_host"):
        post.send(Message("k", "mail", "a@b.example", "s", "b", None, 0), ())
    hook = Hook()
    try:
        hook.status = 404
        with pytest.raises(PermanentlyRefused):
            post.send(Message("k", "hook", hook.address, "s", "b", None, 0), ())
    finally:
        hook.close()
