"""Logins that a demonstration offers on its first page.

They exist only in the memory of a web process whose settings say `demo = true`; they are in no registry, and an
account of the same name in the registry takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher

from collector.registry_rows import LoginRole, UserEntry

PASSWORD = "mo-phong-2026"  # noqa: S105 (printed on the demo's first page)


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """An account for one role; `scope`: a unit's code, a company's network, or "" for all. `door`: where it begins."""

    role: LoginRole
    name: str
    password: str
    door: str
    scope: str = ""
    word: str = ""

    @property
    def title(self) -> str:
        """Key of the words that say whose account it is."""
        return self.word or f"nav.{self.role}"


DEMO_DOORS = (
    DemoLogin("technician", "kythuat", PASSWORD, "doors.technician"),
    DemoLogin("operator", "vanhanh", PASSWORD, "doors.operator"),
    DemoLogin("official", "lanhdao", PASSWORD, "doors.official"),
)
DEMO_LOGINS = (
    *DEMO_DOORS,
    DemoLogin("official", "canboxa", PASSWORD, "office.today", "05746", "door.commune"),
    DemoLogin("auditor", "kiemtra", PASSWORD, "pages.first", "", "role.auditor"),
    DemoLogin("company", "nhamang", PASSWORD, "cases.overview", "45204", "role.company"),
)
"""One for each user guide of docs/vi and docs/en; the codes are those of the simulator's registry."""


def demo_users(hasher: PasswordHasher) -> list[UserEntry]:
    """The accounts behind the demo logins."""
    return [UserEntry(d.name, hasher.hash(d.password), d.role, d.scope) for d in DEMO_LOGINS]
