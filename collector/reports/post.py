"""Sends what is in the outbox: e-mail by SMTP, and a JSON message to a web address. One message, one attempt."""

from __future__ import annotations

import hashlib
import http.client
import json
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from collector.core.view import local
from collector.settings import ReportSettings, Settings, read_secret
from wire.errors import Unavailable

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `key` names it for ever: a mail sent twice by a crash has the same Message-ID."""

    key: str
    channel: str
    address: str
    subject: str
    body: str
    attached: str | None
    made_ms: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    media_type: str
    raw: bytes


class PermanentlyRefused(Exception):
    """The other side will never take it: a wrong address, a forbidden sender."""


class Post:
    """Sends messages of one collector."""

    def __init__(self, settings: Settings) -> None:
        self._settings: ReportSettings = settings.reports
        self._origin = settings.origin
        self._password = read_secret(settings, "reports.smtp_password_file", settings.reports.smtp_password_file)

    def send(self, message: Message, files: Sequence[Attachment]) -> None:
        """Send one. Raises Unavailable to try again later, PermanentlyRefused to give up."""
        if message.channel == "mail":
            self._mail(message, files)
        else:
            self._hook(message)

    def _mail(self, message: Message, files: Sequence[Attachment]) -> None:
        host = self._settings.smtp_host
        if host is None:
            raise Unavailable("no mail server: write [reports] smtp_host and mail_from into the settings")
        try:
            with self._open(host) as server:
                if self._settings.smtp_user is not None:
                    server.login(self._settings.smtp_user, self._password or "")
                server.send_message(self._letter(message, files))
        except smtplib.SMTPRecipientsRefused as error:
            code = max((code for code, _ in error.recipients.values()), default=450)
            raise _fault(code, str(error)) from error
        except smtplib.SMTPResponseException as error:
            raise _fault(error.smtp_code, str(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"mail server {host}: {error}") from error

    def _open(self, host: str) -> smtplib.SMTP:
        tls, port = self._settings.smtp_tls, self._settings.smtp_port
        if tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        if tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server

    def _letter(self, message: Message, files: Sequence[Attachment]) -> EmailMessage:
        letter = EmailMessage()
        letter["From"] = self._settings.mail_from or f"dosong@{self._origin}"
        letter["To"] = message.address
        letter["Subject"] = " ".join(message.subject.split())
        letter["Date"] = format_datetime(local(message.made_ms))
        letter["Message-ID"] = f"<{hashlib.sha256(message.key.encode()).hexdigest()[:32]}@{self._origin}>"
        letter.set_content(message.body)
        for file in files:
            main, _, rest = file.media_type.partition(";")[0].partition("/")
            letter.add_attachment(file.raw, maintype=main, subtype=rest, filename=file.name)
        return letter

    def _hook(self, message: Message) -> None:
        """POST a JSON object; only 2xx is taken as read, and no redirect is followed."""
        to = urlsplit(message.address)
        body = json.dumps(
            {"id": message.key, "subject": message.subject, "text": message.body, "report": message.attached},
            ensure_ascii=False,
        ).encode()
        make = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
        connection = make(to.hostname or "", to.port, timeout=TIMEOUT_S)
        path = f"{to.path or '/'}?{to.query}" if to.query else to.path or "/"
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json; charset=utf-8"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{to.hostname}: {error}") from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise _fault(450 if status >= 500 or status in (408, 429) else 550, f"{to.hostname} answered {status}")


def _fault(code: int, said: str) -> Exception:
    """4xx is worth another try, as is what has nothing to do with the message; any other 5xx is not."""
    return PermanentlyRefused(said) if 500 <= code < 600 and code not in (530, 534, 535, 538) else Unavailable(said)
