"""`dosong-collector remind`: drafts and reminders before each deadline, and who has not reported, each once.

Tasks come from the campaigns' dated rules and from the offices that were entered; what is done is kept in `reports.db`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence

from collector.campaigns import Campaigns
from collector.core.period import Period, date_of, start_of
from collector.core.quota import Level
from collector.core.report_heads import Office
from collector.core.report_model import Kind
from collector.core.report_plan import DueReport, Task, silent_text, tasks
from collector.core.report_words import period_text, say
from collector.core.view import minute
from collector.health import now_ms
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.reports.desk import Desk, open_desk
from collector.reports.formats import FORMATS
from collector.reports.gather import Asked
from collector.reports.make import whole_period
from collector.reports.outbox import Outbox
from collector.reports.post import Attachment, Message, PermanentlyRefused, Post
from collector.reports.store import Kept
from collector.settings import Settings
from wire.errors import Misconfigured, Refused, Unavailable

LOG = logging.getLogger("collector.remind")
LOOK_S = 30.0


class Reminder:
    """Carries out what is due. Not thread-safe."""

    def __init__(self, settings: Settings, desk: Desk, reader: LedgerReader, registry: Registry, post: Post) -> None:
        self._desk, self._registry, self._post = desk, registry, post
        self._campaigns = Campaigns(reader, registry)
        self._outbox = Outbox(desk.store)
        self._public_url = settings.reports.public_url or f"https://{settings.origin}"

    def once(self, at_ms: int) -> int:
        """Do what is due by now and was not done, then send what waits; return how many tasks were done."""
        offices = self._desk.store.offices()
        done = 0
        for task in tasks(self._dues(at_ms), self._levels(offices), at_ms):
            if not self._outbox.is_done(task.key):
                done += self._do(task, offices[task.unit], at_ms)
        self.deliver(at_ms)
        return done

    def _do(self, task: Task, office: Office, at_ms: int) -> bool:
        """Do one task; what hinders it hinders no other, and it is tried again at the next look."""
        try:
            self._outbox.done(task.key, self._carry_out(task, office, at_ms), at_ms)
        except (Unavailable, Misconfigured) as error:
            LOG.warning("task=waits key=%s %s", task.key, error)
            return False
        LOG.info("task=done key=%s", task.key)
        return True

    def deliver(self, at_ms: int) -> None:
        """Send every message whose next try has come."""
        for message in self._outbox.waiting(at_ms):
            try:
                self._post.send(message, self._files(message))
            except (Unavailable, PermanentlyRefused) as error:
                for_ever = isinstance(error, PermanentlyRefused)
                LOG.warning("message=%s key=%s %s", "given_up" if for_ever else "waits", message.key, error)
                self._outbox.failed(message.key, str(error), at_ms, for_ever=for_ever)
            else:
                self._outbox.sent(message.key, at_ms)

    def _dues(self, at_ms: int) -> Iterator[DueReport]:
        for row, period, due in self._campaigns.dues(at_ms):
            yield DueReport(
                row.code, row.name, due.level, period, due.deadline.covers, due.deadline.due_ms, due.remind_on,
                due.recipients,
            )  # fmt: skip

    def _levels(self, offices: dict[str, Office]) -> Iterator[tuple[str, Level]]:
        for unit in offices:
            if self._registry.commune(unit) is not None:
                yield unit, "commune"
            elif self._registry.province(unit) is not None:
                yield unit, "province"

    def _carry_out(self, task: Task, office: Office, at_ms: int) -> Sequence[Message]:
        """Make the draft or the list; what cannot be made is said in the message instead of stopping the rest."""
        try:
            if task.what == "silent":
                text = who_is_silent(self._desk, task.unit, task.due, at_ms)
                return list(self._letters(task, office, f"Chưa báo cáo: {task.due.name}", text, None, at_ms))
            kept = self._draft(task, at_ms)
        except Refused as error:
            return list(self._letters(task, office, f"Hạn báo cáo: {task.due.name}", str(error), None, at_ms))
        body = self._body(task, kept)
        subject = f"{'Nhắc hạn' if task.what == 'remind' else 'Dự thảo mới'}: {kept.subject}"
        return list(self._letters(task, office, subject, body, kept.id, at_ms))

    def _draft(self, task: Task, at_ms: int) -> Kept:
        whole = whole_period(task.kind, date_of(min(task.due.covers.end_ms - 1, at_ms)))
        return self._desk.make(task.kind, task.unit, whole, at_ms, by="remind")

    def _body(self, task: Task, kept: Kept) -> str:
        period = period_text(kept.kind, Period(kept.starts_ms, kept.ends_ms), "vi")
        lines = (
            f"{say(f'kind.{kept.kind}', 'vi')} {period} gửi {task.due.recipients}: phút cuối còn kịp là "
            f"{minute(task.due.due_ms - 60_000)}, giờ Việt Nam.",
            f"Dự thảo đã lập lúc {minute(kept.made_ms)}: {self._public_url}/reports/{kept.id}",
            f"{kept.changed} ô số liệu đã thay đổi so với báo cáo lập trước." if kept.follows else "",
            "Số, ký hiệu và chữ ký để trống; vui lòng nhập kết quả tuyên truyền, khó khăn, vướng mắc trước khi trình.",
        )
        return "\n".join(line for line in lines if line)

    @staticmethod
    def _letters(
        task: Task, office: Office, subject: str, body: str, attached: str | None, at_ms: int
    ) -> Iterator[Message]:
        for address in dict.fromkeys(office.emails):
            yield Message(f"{task.key}/mail/{address}", "mail", address, subject, body, attached, at_ms)
        if office.webhook:
            yield Message(f"{task.key}/hook", "hook", office.webhook, subject, body, attached, at_ms)

    def _files(self, message: Message) -> list[Attachment]:
        if message.attached is None or message.channel != "mail":
            return []
        found = ((name, self._desk.store.drawn(message.attached, name)) for name in ("pdf", "docx"))
        return [
            Attachment(f"bao-cao-{message.attached}.{name}", FORMATS[name].media_type, raw)
            for name, raw in found if raw is not None
        ]  # fmt: skip


def who_is_silent(desk: Desk, unit: str, due: DueReport, at_ms: int) -> str:
    """Who below a unit has not reported today, as text for Zalo."""
    kind: Kind = "day"
    facts = desk.maker.facts(Asked(kind, unit, whole_period(kind, date_of(at_ms)), at_ms, "vi"))
    today = facts.steps[-1] if facts.steps else None
    counter = "people" if facts.own.standing is None else facts.own.standing.line.counter
    steps = (None, None, None) if today is None else (today.entered.get(counter), today.new, today.corrected)
    ended = desk.maker.registry.dated.ended(at_ms)
    asked = [one for one in facts.units if one.code not in ended]
    return silent_text(
        facts.name,
        due.name,
        at_ms,
        facts.silent,
        int(any(s is not None for s in steps)),
        len(asked),
        due.recipients,
        steps,
    )


def silent_today(desk: Desk, unit: str, at_ms: int) -> list[str]:
    """The texts of every campaign that has a daily report today."""
    registry = desk.maker.registry
    campaigns = Campaigns(desk.maker.reader, registry)
    day_end_ms = start_of(date_of(at_ms)) + 86_400_000
    found = []
    for row, period, due in campaigns.dues(start_of(date_of(at_ms))):
        if period == "day" and due.deadline.due_ms <= day_end_ms:
            report = DueReport(
                row.code, row.name, due.level, period, due.deadline.covers, due.deadline.due_ms, due.remind_on,
                due.recipients,
            )  # fmt: skip
            found.append(who_is_silent(desk, unit, report, at_ms))
    return list(dict.fromkeys(found))


def serve(settings: Settings, stop: threading.Event) -> None:
    """Look every half minute, until stopped."""
    os.nice(5)
    reader, registry = LedgerReader(settings.ledger), Registry(settings.registry)
    desk = open_desk(settings, reader, registry)
    reminder = Reminder(settings, desk, reader, registry, Post(settings))
    said: str | None = None
    try:
        while not stop.is_set():
            try:
                reminder.once(now_ms())
                said = None
            except (Unavailable, Misconfigured) as error:
                if str(error) != said:
                    LOG.warning("remind=waits %s", error)
                said = str(error)
            stop.wait(LOOK_S)
    finally:
        desk.store.close()
        registry.close()
        reader.close()
