"""Who is in, and who gets in: passwords with their second factor, sessions, tries, and the audit trail of all that.

An unknown account costs the same time and gets the same answer as a wrong password, a wrong code, or a closed account.
Source: facts note 08 §5; issue 6, accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import g, request, session

from collector.accounts import NEEDS_TOTP, AccountStore, pepper_of
from collector.audit_trail import AuditTrail
from collector.passes import PassStore
from collector.registry_rows import UserEntry
from collector.sessions import SessionStore
from collector.settings import Settings
from collector.web.demo import demo_users
from collector.web.ports import Registry
from wire.errors import Unavailable

RENEWS_ITSELF = frozenset({"api.feed", "api.samples", "api.places", "pages.first_live", "pages.hamlet_live"})
"""What a page's script asks for again and again: no sign of a person, so it keeps no session alive."""


class Entrance:
    """Joins the stores behind the login. `now_ms` is the wall clock (UTC ms)."""

    def __init__(self, registry: Registry, settings: Settings, secret: str, now_ms: Callable[[], int]) -> None:
        pepper = pepper_of(secret)
        self.registry = registry
        self.now_ms = now_ms
        self.accounts = AccountStore(settings.registry, pepper)
        self.passes = PassStore(settings.registry, pepper)
        self.sessions = SessionStore(settings.state / "session.db", pepper)
        self.trail = AuditTrail(settings.registry, settings.origin)
        self.hasher = PasswordHasher()
        self._nobody = self.hasher.hash("nobody has this password")
        self._demo = {user.name: user for user in demo_users(self.hasher)} if settings.demo else {}

    def close(self) -> None:
        """Close all files: an application that was only tried must not leave them open over a fork."""
        for store in (self.accounts, self.passes, self.sessions, self.trail):
            store.close()

    # --- who is in ------------------------------------------------------------------------------------------------

    def visitor(self) -> UserEntry | None:
        """Who asks, by the session's cookie; None for a visitor without one."""
        text = session.get("sid")
        if not isinstance(text, str):
            return None
        now_ms = self.now_ms()
        found = self.sessions.find(text, now_ms, is_use=request.endpoint not in RENEWS_ITSELF)
        if found is None:
            return None
        g.session = found
        if found.kind == "board":
            board = self.passes.board(found.owner)
            return (
                UserEntry(f"board {board.id}", "", "board", board.scope) if board and board.is_alive(now_ms) else None
            )
        return self.seen_as(found.owner)

    def seen_as(self, name: str) -> UserEntry | None:
        """The account as it is now: a removed or disabled one loses its session at the next request.

        One that must set up its second factor first has the role "enrolling", which opens nothing else.
        """
        user = self.named(name)
        if user is None or not self.needs_totp(user) or self.accounts.has_totp(user.name):
            return user
        return replace(user, role="enrolling")

    def named(self, name: str) -> UserEntry | None:
        """An account that may be used."""
        user = self.registry.user(name)
        if user is not None:
            return user if self.accounts.is_open(name) else None
        return self._demo.get(name)

    def needs_totp(self, user: UserEntry) -> bool:
        """Whether a role gets in with a second factor only. Logins of a demonstration, in no registry, do not."""
        return user.role in NEEDS_TOTP and self._demo.get(user.name) is not user

    # --- getting in -----------------------------------------------------------------------------------------------

    def check(self, name: str, password: str, given: str = "") -> UserEntry | None:
        """Return the account if password and, where it has one, second factor are its own; a code is then used up."""
        user = self.named(name)
        if not self.has_password(user, password) or user is None:
            return None
        if self.accounts.has_totp(user.name) and not self.accounts.use_code(user.name, given, self.now_ms()):
            return None
        return user

    def has_password(self, user: UserEntry | None, password: str) -> bool:
        """Whether this is the account's password; for None it takes as long, and is not."""
        try:
            self.hasher.verify(user.argon2 if user else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return user is not None

    def try_login(self, name: str, password: str, given: str, device: str | None) -> tuple[UserEntry | None, int]:
        """One try: the account, or None and the seconds to wait (0: it was wrong)."""
        address, now_ms = request.remote_addr or "", self.now_ms()
        self.write_failures()
        one, wait_s = self.sessions.ask(name, address, device, now_ms)
        if one is None:
            return None, wait_s
        user = self.check(name, password, given)
        if user is None:
            self.sessions.failed(name if self.named(name) is not None else "", now_ms)
            return None, 0
        self.sessions.passed(one)
        return user, 0

    def enter(self, user: UserEntry, how: str = "login") -> None:
        """Begin a session of its own: nothing of the old one survives, so none can be fixed beforehand."""
        old = session.get("sid")
        self.write(user.name, user.role, how, "")
        session.clear()
        if isinstance(old, str):
            self.sessions.end(old)
        agent = request.user_agent.string
        session["sid"] = self.sessions.begin(user.name, "login", request.remote_addr or "", agent, self.now_ms())
        session.permanent = True

    def leave(self) -> None:
        """End this session, here and in the database."""
        text = session.get("sid")
        if isinstance(text, str):
            self.sessions.end(text)
        session.clear()

    def set_password(self, user: UserEntry, password: str) -> None:
        """Another password. Raises Refused, Unavailable."""
        row = {"name": user.name, "argon2": self.hasher.hash(password), "role": user.role, "scope": user.scope}
        self.registry.load({"users": [row]}, self.now_ms())
        self.accounts.changed(user.name, self.now_ms())

    # --- the trail ------------------------------------------------------------------------------------------------

    def write(self, actor: str, role: str, what: str, target: str = "", number: int | None = None) -> None:
        """One line of the audit trail. Raises Unavailable if it cannot be written: then nothing is done either."""
        self.trail.write(actor, role, what, target, self.now_ms(), number)

    def write_failures(self) -> None:
        """Failed logins of the hours gone by, counted, as lines of the trail; names that nobody has stand as "-"."""
        try:
            for owner, _hour_ms, times in self.sessions.take_failed(self.now_ms()):
                self.write(owner or "-", "", "login_failed", "", times)
        except Unavailable:
            return  # they wait for the next look
