"""`[page]` of the settings: where the technician's page stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from probe.core import page_place
from wire.errors import Misconfigured


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[page]`: on the access point or USB link. `key_file`: the key from which the one-time codes come."""

    address: Annotated[str, Meta(min_length=1, max_length=128)]
    interface: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@-]{1,15}\Z")]
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    key_file: Annotated[str, Meta(min_length=1, max_length=128)] = "page.key"
    language: Literal["vi", "en"] = "vi"


def check_page(path: Path, page: Page | None, modem_interfaces: list[str]) -> None:
    """Refuse a place at which the page must not stand. Raises Misconfigured."""
    problem = None if page is None else page_place.problem(page.address, page.interface, modem_interfaces)
    if problem is not None:
        raise Misconfigured(f"{path}: {problem}")
