"""What is done to accounts, by an operator or by a command: made, limited, closed, let in anew, thrown out.

Whoever is limited to a unit handles accounts of that unit alone, and gives nobody more than that.
Source: issue 6, accounts.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from collector.accounts import NEEDS_TOTP, Account, AccountStore
from collector.registry_rows import Role, UserEntry
from collector.scopes import Scopes, Units
from collector.sessions import SessionStore
from wire.errors import Refused

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")
_LONG_NUMBER = re.compile(r"[0-9]{8,}")


class Registry(Units, Protocol):
    """The part of `collector.registry.Registry` that is needed here."""

    def user(self, name: str, /) -> UserEntry | None:
        """A login."""
        ...

    def users(self) -> Sequence[UserEntry]:
        """All logins."""
        ...

    def operators(self) -> Mapping[str, str]:
        """Operator names by PLMN."""
        ...

    def province(self, code: str, /) -> object | None:
        """A province by its code."""
        ...

    def load(self, document: Mapping[str, Any], now_ms: int | None = None, /) -> object:
        """Append; all of it or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """An account on the list. `state` is "active" for one that was entered by an import."""

    user: UserEntry
    account: Account | None
    sessions: int
    last_ms: int | None

    @property
    def state(self) -> str:
        """Invited, active or disabled."""
        return self.account.state if self.account else "active"

    @property
    def lacks_totp(self) -> bool:
        """Whether it must still set up its second factor."""
        return self.user.role in NEEDS_TOTP and not (self.account and self.account.has_totp)


@dataclass(frozen=True, slots=True)
class Desk:
    """`scope` is that of whoever acts, "" for all."""

    registry: Registry
    accounts: AccountStore
    sessions: SessionStore
    scope: str

    def lines(self, now_ms: int) -> list[Line]:
        """Accounts that may be handled here, by name."""
        kept, found = self.accounts.all(), []
        for user in self.registry.users():
            if self._covers(user.scope):
                alive = self.sessions.of(user.name, "login", now_ms)
                last_ms = max((one.seen_ms for one in alive), default=None)
                found.append(Line(user, kept.get(user.name), len(alive), last_ms))
        return found

    def add(self, name: str, role: str, scope: str, now_ms: int) -> str:
        """A new account; the secret of its one-time link. Raises Refused: name, role, scope."""
        if NAME.fullmatch(name) is None or _LONG_NUMBER.search(name):
            raise Refused("name", f"name {name!r}: 2 to 32 of a-z 0-9 . _ -, and no telephone number")
        if self.registry.user(name) is not None:
            raise Refused("taken", f"{name} exists already; let it in anew instead: account reset {name}")
        if role not in get_args(Role):
            raise Refused("role", f"role {role!r}: one of {', '.join(get_args(Role))}")
        self._check_scope(role, scope)
        closed = f"$argon2id$none-{secrets.token_hex(16)}"  # no password has this hash; the link sets one
        self.accounts.touch(name, now_ms, "invited")
        self.registry.load({"users": [{"name": name, "argon2": closed, "role": role, "scope": scope}]}, now_ms)
        return self.accounts.invite(name, now_ms)

    def set_scope(self, name: str, scope: str, now_ms: int) -> None:
        """Limit an account to another unit, "" for all. Raises Refused."""
        user = self._known(name)
        self._check_scope(user.role, scope)
        row = {"name": name, "argon2": user.argon2, "role": user.role, "scope": scope}
        self.registry.load({"users": [row]}, now_ms)

    def disable(self, name: str, now_ms: int) -> None:
        """Close an account; its sessions end. Raises Refused."""
        self._known(name)
        self.accounts.touch(name, now_ms, "disabled")
        self.sessions.end_all(name)

    def enable(self, name: str, now_ms: int) -> None:
        """Open a closed account as it was. Raises Refused."""
        self._known(name)
        self.accounts.touch(name, now_ms, "active")

    def reset(self, name: str, now_ms: int) -> str:
        """A one-time link for an account whose owner lost password or phone; everything before it is void."""
        self._known(name)
        self.sessions.end_all(name)
        return self.accounts.invite(name, now_ms)

    def end_sessions(self, name: str) -> int:
        """End an account's sessions; how many there were. Raises Refused."""
        self._known(name)
        return self.sessions.end_all(name)

    def handles(self, name: str) -> bool:
        """Whether an account exists and may be handled here."""
        user = self.registry.user(name)
        return user is not None and self._covers(user.scope)

    def _known(self, name: str) -> UserEntry:
        user = self.registry.user(name)
        if user is None or not self._covers(user.scope):
            raise Refused("unknown", f"no account is called {name!r}; see dosong-collector account list")
        return user

    def _covers(self, scope: str) -> bool:
        return self.scope == "" or (scope != "" and Scopes(self.registry).covers(self.scope, scope))

    def _check_scope(self, role: str, scope: str) -> None:
        """A company's scope is its network; everybody else's is a unit, none for all. Raises Refused."""
        if role == "company":
            if self.scope or scope not in self.registry.operators():
                raise Refused("scope", f"scope {scope!r}: a company's is the PLMN of a network of the registry")
            return
        asked = (self.registry.province, self.registry.commune, self.registry.hamlet)
        if scope and not any(ask(scope) is not None for ask in asked):
            raise Refused("scope", f"scope {scope!r} is no province, commune or hamlet of the registry")
        if not self._covers(scope):
            raise Refused("scope", f"scope {scope or 'all'!r} is wider than your own")
