"""Office files are zip archives that carry the hour of their writing; here they are made the same each time."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime

_MOMENTS = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")


def same_again(raw: bytes, as_of_ms: int) -> bytes:
    """The archive with one fixed time in it: that of the report's figures. Entries keep their order."""
    when = datetime.fromtimestamp(as_of_ms // 1000, UTC)
    stamp = rb"\g<1>" + f"{when:%Y-%m-%dT%H:%M:%SZ}".encode() + rb"\g<3>"
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "docProps/core.xml":
                body = _MOMENTS.sub(stamp, body)
            entry = zipfile.ZipInfo(name, (max(1980, when.year), when.month, when.day, when.hour, when.minute, 0))
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
            new.writestr(entry, body, compresslevel=9)
    return made.getvalue()
