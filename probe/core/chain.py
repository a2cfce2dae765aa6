"""The logic of publishing: what to send, what an acknowledgement releases, when a new epoch begins.

`step(state, event) -> (state, effects)` is all of it: no clock, no socket, no disk, no randomness. The spool holds
the records, this state holds what was sent and when. A broker's PUBACK is no event here: it never releases anything.
Source: design §4, §7 (ACK); facts note 08 §0, §3.1, §4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from probe.core.backoff import delay_s
from wire.bundle import MAX_RECORDS
from wire.notes import Ack

WINDOW = 100
"""Records that may be under way at once."""

Key = tuple[int, int]
"""(epoch, seq): a record's place in the chain of its probe."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How soon unacknowledged records are sent again: the ceiling doubles from `retry_low_s` to `retry_high_s`."""

    retry_low_s: float = 15.0
    retry_high_s: float = 600.0
    window: int = WINDOW


@dataclass(frozen=True, slots=True)
class State:
    """What publishing remembers between events.

    `epoch`, `next_seq`: where the chain goes on. `gen`: highest generation of the ledger seen. `under_way`: records
    sent in this connection and not acknowledged, oldest first. `retry_ms`: when they are sent again (monotonic); None:
    nothing is under way. `attempt`: how often that happened without progress. `told`: warnings already given.
    """

    epoch: int
    next_seq: int
    gen: int = 0
    connected: bool = False
    under_way: tuple[Key, ...] = ()
    retry_ms: int | None = None
    attempt: int = 0
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Connected:
    """A session with the broker began, and its subscriptions stand."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The session ended: nothing that was under way can be counted on."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The spool has committed a record at this place."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A signed ACK whose signature was checked.

    `own_head`: leaf hash (base64) of our own record at (ack.epoch, ack.upto); None if we hold no such record.
    """

    ack: Ack
    own_head: str | None


@dataclass(frozen=True, slots=True)
class Offered:
    """Time to send: the spool's unacknowledged records in sending order, as many as the window at most.

    `fraction` (0 to 1) is this round's jitter.
    """

    keys: tuple[Key, ...]
    now_ms: int
    fraction: float


Event = Connected | Disconnected | Placed | Acknowledged | Offered


@dataclass(frozen=True, slots=True)
class Send:
    """Publish these records, in this order, in as few messages as they fit."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """The ledger holds all of `epoch` up to `upto`: they need not be sent again."""

    epoch: int
    upto: int


@dataclass(frozen=True, slots=True)
class Reinstate:
    """The ledger was restored: send again what is still held, but `epoch` up to `upto` (None: all of it)."""

    epoch: int
    upto: int | None
    gen: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """The ledger holds another record than ours, or one that we never had, at the end of `epoch`, which is over.

    None of it can be released by that: offer it behind all else.
    """

    epoch: int


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The ledger knows more than our spool, or other than it: begin `epoch` with a boot record naming its head."""

    epoch: int
    head_epoch: int
    head_seq: int | None
    head_hash: str | None


@dataclass(frozen=True, slots=True)
class Warn:
    """Something a technician should read, said once."""

    text: str


Effect = Send | Release | Reinstate | Dispute | NewEpoch | Warn
Step = tuple[State, tuple[Effect, ...]]


def step(state: State, event: Event, policy: Policy) -> Step:
    """Advance by one event. Effects are to be carried out in order, each durably before the next event."""
    match event:
        case Connected():
            return replace(_idle(state), connected=True), ()
        case Disconnected():
            return replace(_idle(state), connected=False), ()
        case Placed(epoch, seq):
            return replace(state, epoch=epoch, next_seq=seq + 1), ()
        case Acknowledged(ack, own_head):
            return _on_ack(state, ack, own_head)
        case Offered(keys, now_ms, fraction):
            return _on_offer(state, keys, now_ms, fraction, policy)


def _idle(state: State) -> State:
    return replace(state, under_way=(), retry_ms=None, attempt=0)


def _on_offer(state: State, keys: tuple[Key, ...], now_ms: int, fraction: float, policy: Policy) -> Step:
    """Send what is not under way while the window has room; send the oldest again when nothing moved for long."""
    if not state.connected or not keys:
        return (state if keys else _idle(state)), ()
    if state.retry_ms is not None and now_ms >= state.retry_ms:
        again = keys[: min(MAX_RECORDS, policy.window)]
        later = _with_deadline(replace(state, under_way=again, attempt=state.attempt + 1), now_ms, fraction, policy)
        return later, (Send(again),)
    sent = set(state.under_way)
    fresh = tuple(key for key in keys if key not in sent)[: max(policy.window - len(sent), 0)]
    ahead = replace(state, under_way=state.under_way + fresh)
    if ahead.under_way and state.retry_ms is None:
        ahead = _with_deadline(ahead, now_ms, fraction, policy)
    return ahead, ((Send(fresh),) if fresh else ())


def _with_deadline(state: State, now_ms: int, fraction: float, policy: Policy) -> State:
    wait_s = delay_s(state.attempt, fraction, policy.retry_low_s, policy.retry_high_s)
    return replace(state, retry_ms=now_ms + round(wait_s * 1000))


def _on_ack(state: State, ack: Ack, own_head: str | None) -> Step:
    if ack.gen < state.gen:
        return _warn(state, "old_gen", f"ACK of generation {ack.gen} ignored: the ledger is at {state.gen}")
    effects: list[Effect] = []
    if ack.gen > state.gen:
        state = replace(_idle(state), gen=ack.gen)
        effects.append(Reinstate(ack.epoch, ack.upto, ack.gen))
    if _is_ahead(state, ack):
        state, more = _begin_epoch(state, ack)
    elif ack.upto is None or (own_head is None and ack.epoch == state.epoch):
        more = ()
    elif own_head is None:
        state, more = _dispute(state, ack.epoch)
    elif ack.head != own_head:
        state, more = _on_wrong_head(state, ack)
    else:
        state, more = _released(state, ack.epoch, ack.upto), (Release(ack.epoch, ack.upto),)
    return state, (*effects, *more)


def _is_ahead(state: State, ack: Ack) -> bool:
    """The ledger holds records of ours that our spool never had: it was lost or set back."""
    return ack.epoch > state.epoch or (ack.epoch == state.epoch and ack.upto is not None and ack.upto >= state.next_seq)


def _on_wrong_head(state: State, ack: Ack) -> Step:
    """The ledger holds another record at a place of ours: release nothing.

    In the running epoch our chain can then never be acknowledged, so a new one begins that names the ledger's head.
    What waits of an older epoch gives way: sent oldest first, it would hold up for ever what can be acknowledged.
    """
    text = f"ACK for epoch {ack.epoch} seq {ack.upto} names a record that is not ours; nothing is released"
    state, warned = _warn(state, f"head {ack.epoch}", text)
    if ack.epoch != state.epoch:
        state, more = _dispute(state, ack.epoch)
        return state, (*warned, *more)
    state, begun = _begin_epoch(state, ack)
    return state, (*warned, *begun)


def _dispute(state: State, epoch: int) -> Step:
    left = tuple(key for key in state.under_way if key[0] != epoch)
    return replace(state, under_way=left, attempt=0, retry_ms=None), (Dispute(epoch),)


def _begin_epoch(state: State, ack: Ack) -> Step:
    epoch = max(state.epoch, ack.epoch) + 1
    begun = replace(_idle(state), epoch=epoch, next_seq=0)
    return begun, (NewEpoch(epoch, ack.epoch, ack.upto, ack.head),)


def _released(state: State, epoch: int, upto: int) -> State:
    """Progress: the time without it starts anew at the next offer."""
    left = tuple(key for key in state.under_way if key[0] != epoch or key[1] > upto)
    return state if left == state.under_way else replace(state, under_way=left, attempt=0, retry_ms=None)


def _warn(state: State, word: str, text: str) -> Step:
    if word in state.told:
        return state, ()
    return replace(state, told=state.told | {word}), (Warn(text),)
