"""Logins that a demonstration offers on its first page.

They exist only in the memory of a web process whose settings say `demo = true`; they are in no registry, and an
account of the same name in the registry takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher

from collector.registry_rows import Role, UserEntry

PASSWORD = "mo-phong-2026"  # noqa: S105 (printed on the demo's first page)


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """An account for one door."""

    role: Role
    name: str
    password: str
    door: str


DEMO_LOGINS = (
    DemoLogin("technician", "kythuat", PASSWORD, "doors.technician"),
    DemoLogin("operator", "vanhanh", PASSWORD, "doors.operator"),
    DemoLogin("official", "lanhdao", PASSWORD, "doors.official"),
)


def demo_users(hasher: PasswordHasher) -> list[UserEntry]:
    """The accounts behind the demo logins."""
    return [UserEntry(d.name, hasher.hash(d.password), d.role, "") for d in DEMO_LOGINS]
