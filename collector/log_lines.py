"""Log lines for machines: `log_format = "json"` gives one JSON object a line, each with the stable name of its event.

Names stand in one table by what is logged, so that a sentence may be said better without breaking an alert; a line
that has no name yet gets `<logger>.other`. Values given as `key=%s` become fields of their own. Lines hold what text
lines hold: no secret, no position, control characters escaped by JSON.
Source: facts note 08 §5 (logs); issue 5 (operations).
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Literal

from collector.core.view import iso

Format = Literal["text", "json"]
TEXT = "%(levelname)s %(name)s: %(message)s"
EVENTS: dict[tuple[str, str], str] = {
    ("collector.receive", "broker %s connected"): "broker.connected",
    ("collector.receive", "%s; trying again for ever"): "broker.lost",
    ("collector.receive", "ledger is back"): "ledger.back",
    ("collector.receive", "%s; free or repair the disk; nothing is acknowledged until then"): "ledger.lost",
    ("collector.receive", "committed accepted=%d duplicate=%d refused=%d"): "ledger.committed",
    ("collector.receive", "refused records=%d reasons=%s; see dosong-collector refusals"): "records.refused",
    ("collector.receive", "config published probe=%s"): "config.published",
    ("collector.run", "%s started pid=%d"): "process.started",
    ("collector.run", "%s ended (%s); started again in %.1f s"): "process.ended",
    ("collector.run", "%s cannot work with these settings; ending"): "process.misconfigured",
    ("collector.forward", "InfluxDB takes points"): "influx.back",
    ("collector.forward", "%s; trying again for ever"): "influx.lost",
    ("collector.forward", "parked one line that InfluxDB will never take: %s"): "influx.parked",
    ("collector.seal", "log=signed size=%d root=%s"): "log.signed",
    ("collector.seal", "log=goes_on"): "log.goes_on",
    ("collector.seal", "log=new name=%s after=%s"): "log.opened",
    ("collector.seal", "%s: %s"): "log.stands",
    (
        "collector.judge",
        "log=other_root probe=%s epoch=%d seq=%d size=%d root=%s: another was signed; see docs/operations.md",
    ): "log.other_root",
    ("collector.api", "bulk began route=%s caller=%s"): "api.bulk_began",
    ("collector.api", "unavailable route=%s: %s"): "api.unavailable",
    ("collector.api", "refused caller=%s role=%s route=%s"): "api.forbidden",
    ("collector.api", "token refused standing=%s id=%s"): "api.token_refused",
    ("collector.retention", "let go what=%s rows=%d"): "retention.let_go",
}
"""(logger, text before its values are filled in) to the event's name."""
_VALUE = re.compile(r"(?:(?P<key>[a-z_]+)=)?%[-.0-9]*[sdrf]")
_OWN = frozenset({"t", "t_ms", "level", "process", "pid", "event", "message"})


class JsonLines(logging.Formatter):
    """One JSON object a line. `process`: which of our processes speaks."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        t_ms = int(record.created * 1000)
        line: dict[str, object] = {
            "t": iso(t_ms),
            "t_ms": t_ms,
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "event": EVENTS.get((record.name, str(record.msg)), f"{record.name}.other"),
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What a line says as `key=%s`; never one of the line's own names."""
    given = record.args if isinstance(record.args, tuple) else ()
    keys = [match["key"] for match in _VALUE.finditer(str(record.msg))]
    plain = {key: value for key, value in zip(keys, given, strict=False) if key and key not in _OWN}
    return {key: value if isinstance(value, int | float) else str(value) for key, value in plain.items()}


def use(form: Format, process: str) -> None:
    """Have everything that is logged from now on written to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if form == "json" else logging.Formatter(TEXT))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
