"""The operators' address ranges, as a deployment keeps them in a file: which addresses are a mobile network's own."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path

from collector.core.verdict_case import Network
from collector.core.verdict_rules import LTE_CATEGORIES
from wire.errors import Misconfigured

_PLMN = re.compile(r"[0-9]{5,6}")
_EXAMPLE = '[prefixes] and below it lines such as 45204 = ["27.64.0.0/12", "2402:800::/32"]'


def read_network(path: Path | None, lte_category: int) -> Network:
    """Read the file of prefixes (None: none is kept). Raises Misconfigured with what is wrong and what to write."""
    if lte_category not in LTE_CATEGORIES:
        known = ", ".join(str(one) for one in LTE_CATEGORIES)
        raise Misconfigured(f"verdict.lte_category {lte_category} is not known; write one of {known}")
    if path is None:
        return Network(lte_category=lte_category)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"verdict.prefixes_file: cannot read {path}: {error.strerror}; correct the path") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}; write {_EXAMPLE}") from error
    rows = document.get("prefixes")
    if not isinstance(rows, dict) or set(document) != {"prefixes"}:
        raise Misconfigured(f"{path}: write {_EXAMPLE}")
    return Network({plmn: _ranges(path, plmn, found) for plmn, found in rows.items()}, lte_category)


def _ranges(path: Path, plmn: str, found: object) -> tuple[str, ...]:
    if _PLMN.fullmatch(plmn) is None or not isinstance(found, list):
        raise Misconfigured(
            f"{path}: {plmn}: an operator's PLMN (5 or 6 digits) and a list of ranges; write {_EXAMPLE}"
        )
    try:
        return tuple(str(ipaddress.ip_network(one)) for one in found)
    except ValueError as error:
        raise Misconfigured(f"{path}: {plmn}: {error}; write ranges such as 27.64.0.0/12") from error
