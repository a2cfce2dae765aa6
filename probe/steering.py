"""Configuration and remote actions, live: a signed note in, what is in force out, each change an event.

The note comes on the publisher's thread, is checked there, and waits; the daemon's loop takes it up between two tests.
What is applied lies in the spool as signed, in one commit with its event; a restart finds it there and checks it anew.
An action is marked as done in one commit with the event of its beginning: a power cut in it does not repeat it.
Source: design §4, §5; `probe.core.orders` for the rules.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from probe.core import orders
from probe.core.draft import Stamp
from probe.core.orders import Action
from probe.recorder import Recorder
from probe.spool import Spool
from wire import notes
from wire.errors import Refused, Unavailable
from wire.failure import Cause, Stage
from wire.note import Verifier
from wire.records import EventRecord

log = logging.getLogger(__name__)
MARK, REFUSED_MARK, ACTIONS_MARK = "config", "config_refused", "actions"
TELL_REFUSED_MS = 600_000
"""At most one event of a refusal in this time: who can publish could else fill the spool."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What does not change: who we are, whose signature is obeyed (None: nobody's), which modems there are."""

    probe: str
    origin: str
    verifier: Verifier | None
    modems: tuple[str, ...]
    has_names: bool
    floor_ms: int


@dataclass(frozen=True, slots=True)
class _Note:
    """A configuration that was checked, and its bytes."""

    config: notes.Config
    raw: bytes


class Steering:
    """What is in force. `enforce` puts a configuration (None: the settings file alone) in force, at once.

    `doers` carry out actions, on a thread of their own: each returns a sentence for the event of its end, None if
    records of its own tell it, and raises Unavailable with one sentence if it failed. An action without one is refused.
    """

    def __init__(
        self,
        ground: Ground,
        recorder: Recorder,
        spool: Spool,
        enforce: Callable[[notes.Config | None], None],
        doers: Mapping[Action, Callable[[], str | None]],
    ) -> None:
        self._ground, self._recorder, self._spool = ground, recorder, spool
        self._enforce, self._doers = enforce, doers
        self._lock = threading.Lock()
        self._pending: _Note | None = None
        self._told_refused_ms: int | None = None
        self._applied = self._load()
        self._is_in_force = False
        self._actions = tuple((spool.mark(ACTIONS_MARK) or "").split())

    @property
    def config(self) -> notes.Config | None:
        """The configuration in force; None if the settings file stands alone."""
        return self._applied.config if self._applied is not None and self._is_in_force else None

    def restore(self) -> None:
        """Put what was applied before this start in force again, unless its time is over."""
        if self._applied is not None and not orders.is_expired(self._applied.config, self._floor_ms()):
            self._is_in_force = True
            self._enforce(self._applied.config)
            log.info("config=restored rev=%d", self._applied.config.rev)

    def receive(self, payload: bytes) -> None:
        """Check a note that came. Raises Unavailable if the disk cannot take the event of a refusal."""
        with self._lock:
            if payload in [known.raw for known in (self._pending, self._applied) if known is not None]:
                return
        if self._ground.verifier is None:
            log.info("config=ignored: config_vkey is not set")
            return
        try:
            config = notes.open_note(payload, notes.Config, self._ground.origin, self._ground.verifier)
        except Refused as refusal:
            self._refuse(payload, str(refusal))
            return
        why = orders.fault(config, self._standing())
        if why is not None:
            self._refuse(payload, why)
            return
        with self._lock:
            self._pending = _Note(config, payload)

    def turn(self, stamp: Stamp) -> bool:
        """Apply what waits, end what has expired, begin the action that is due; True if what is in force changed.

        Raises Unavailable if the disk does not take it: nothing has changed then, and the next turn tries again.
        """
        with self._lock:
            pending = self._pending
        has_changed = False
        if pending is not None:
            self._apply(pending)
            has_changed = True
        elif self.config is not None and orders.is_expired(self.config, stamp.t_ms):
            self._end(self.config)
            has_changed = True
        self._act(stamp)
        return has_changed

    def _apply(self, pending: _Note) -> None:
        before, rev = self.config, pending.config.rev
        self._enforce(pending.config)
        try:
            draft = EventRecord(
                **self._recorder.head(),
                event="config_applied",
                was=None if before is None else f"rev {before.rev}",
                now=f"rev {rev}",
                note=orders.summary(pending.config),
            )
            self._recorder.keep(draft, {MARK: pending.raw.decode()})
        except Unavailable:
            self._enforce(before)
            raise
        with self._lock:
            self._applied, self._is_in_force = pending, True
            if self._pending is pending:
                self._pending = None
        log.info("config=applied rev=%d %s", rev, orders.summary(pending.config))

    def _end(self, config: notes.Config) -> None:
        self._enforce(None)
        try:
            self._recorder.event("config_applied", was=f"rev {config.rev}", now="settings file", note="it has expired")
        except Unavailable:
            self._enforce(config)
            raise
        self._is_in_force = False
        log.warning("config=expired rev=%d; the settings file holds", config.rev)

    def _act(self, stamp: Stamp) -> None:
        due = orders.due_action(self.config, self._actions, stamp.t_ms)
        if due is None:
            return
        done = orders.kept_actions(self._actions, due.action_id)
        doer = self._doers.get(due.action)
        cause = Cause.SLOT_PASSED if due.is_late else Cause.NOT_CONFIGURED if doer is None else None
        word = "too late" if due.is_late else "not possible here" if doer is None else "begun"
        draft = EventRecord(
            **self._recorder.head(),
            event="remote_action",
            rung=due.action,
            stage=None if cause is None else Stage.HOST,
            cause=cause,
            now=word,
            note=due.action_id,
        )
        self._recorder.keep(draft, {ACTIONS_MARK: " ".join(done)})
        self._actions = done
        log.info("action=%s id=%s %s", due.action, due.action_id, word)
        if cause is None and doer is not None:
            args = (due.action, due.action_id, doer)
            threading.Thread(target=self._carry_out, args=args, name="action", daemon=True).start()

    def _carry_out(self, action: Action, action_id: str, doer: Callable[[], str | None]) -> None:
        """Do it, and tell how it ended."""
        cause: Cause | None = None
        try:
            said = doer()
        except Unavailable as error:
            said, cause = str(error), Cause.UNKNOWN
        except Exception:
            log.exception("action %s failed inside", action)
            said, cause = "failed inside; see the log", Cause.UNKNOWN
        log.info("action=%s id=%s ended: %s", action, action_id, said)
        if said is None and cause is None:
            return
        try:
            self._recorder.event(
                "remote_action",
                rung=action,
                stage=None if cause is None else Stage.HOST,
                cause=cause,
                now="done" if cause is None else "failed",
                was=action_id,
                note=(said or "")[:128] or None,
            )
        except Unavailable as error:
            log.warning("the end of action %s is not recorded: %s", action_id, error)

    def _refuse(self, payload: bytes, why: str) -> None:
        """Say once of each bad note that it changes nothing: a retained one comes at every connection."""
        mark = sha256(payload).hexdigest()
        if self._spool.mark(REFUSED_MARK) == mark:
            return
        log.warning("config=refused: %s; nothing changes", why)
        now_ms = self._recorder.stamp().mono_ms
        if self._told_refused_ms is not None and now_ms - self._told_refused_ms < TELL_REFUSED_MS:
            self._recorder.remember({REFUSED_MARK: mark})
            return
        self._told_refused_ms = now_ms
        draft = EventRecord(**self._recorder.head(), event="config_refused", note=why[:128])
        self._recorder.keep(draft, {REFUSED_MARK: mark})

    def _standing(self) -> orders.Standing:
        ground = self._ground
        known = self._pending or self._applied
        rev = 0 if known is None else known.config.rev
        return orders.Standing(ground.probe, ground.modems, rev, self._floor_ms(), ground.has_names)

    def _floor_ms(self) -> int:
        """A moment that has certainly passed."""
        now_ms = self._recorder.stamp().t_ms
        return now_ms or max(self._ground.floor_ms, int(self._spool.mark("alive_ms") or 0))

    def _load(self) -> _Note | None:
        """Read what was applied before; what the key of the settings file did not sign is not obeyed any more."""
        text = self._spool.mark(MARK)
        if text is None or self._ground.verifier is None:
            return None
        raw = text.encode()
        try:
            config = notes.open_note(raw, notes.Config, self._ground.origin, self._ground.verifier)
        except Refused as refusal:
            log.warning("config=dropped: what was applied before is not signed by config_vkey: %s", refusal)
            return None
        return _Note(config, raw)
