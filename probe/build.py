"""What this program is: its version, and a date before which it cannot run (the floor of a sane clock)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

BUILD_MS = 1_793_491_200_000
"""2026-11-01 00:00 UTC, in milliseconds; raised with each release."""

_SHORT = 32


def firmware() -> str:
    """Return the program's version as it stands in `fw`."""
    try:
        return version("dosong")[:_SHORT]
    except PackageNotFoundError:
        return "unpacked"
