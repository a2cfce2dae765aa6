"""Rules of a server that is asked over TLS: which engine can, and whom it believes.

Source: issue of the measuring engine, item 3.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from wire.errors import Misconfigured


class Asked(Protocol):
    """What of `[engine]` this is about; `ca_file` None is none."""

    @property
    def name(self) -> str:
        """The engine."""
        ...

    @property
    def compare(self) -> bool:
        """Whether the other engine runs too."""
        ...

    @property
    def is_tls(self) -> bool:
        """Whether the server is `https`."""
        ...

    @property
    def ca_file(self) -> str | None:
        """The file that vouches for the server."""
        ...


def check_tls(path: Path, engine: Asked, located: Callable[[str], Path]) -> None:
    """Raise Misconfigured unless `ca_file` goes with `https`, can be read, and the engine can check it."""
    if not engine.is_tls:
        if engine.ca_file is not None:
            raise Misconfigured(f"{path}: engine.ca_file is set but engine.server is http; write https:// or remove it")
        return
    if engine.name != "dosong" or engine.compare:
        raise Misconfigured(
            f'{path}: engine.server is https, which speedtest-cli cannot check; set name = "dosong" and compare = false'
        )
    if engine.ca_file is None:
        raise Misconfigured(f"{path}: engine.server is https but engine.ca_file is missing; name the server's PEM file")
    try:
        ssl.create_default_context(cafile=str(located(engine.ca_file)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise Misconfigured(f"{path}: engine.ca_file = {engine.ca_file!r}: {reason}; give a PEM certificate") from error
