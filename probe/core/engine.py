"""When to open connections, when a transfer has said enough, and what it said: our engine's rules, without I/O.

Samples go in (`Estimator.add`), decisions come out; the transport obeys them. The rules, numbered as in the source:
1  One connection first, four once over 8 Mbit/s, or over 3.5 while the rate doubles and no queue forms, which is the
   same a round trip earlier: four on a slow link read low, for each hole holds a stream back.
4  The ramp ends when the rate grows no more: `engine_ramp`. Its end is fixed once.
5  Enough is 1.0 s after the ramp with a standard error of at most 2 %, halves within 3 % and application and link
   counts within 3 %; else 5 s after the first 20 KB, 8 s in all, or the byte limit. Saver: 5 %, 7.5 %, and 3 s.
   The ramp counts, for it costs the SIM as much; but a window always gets its second.
6  The rate is the plain mean between the ramp's end and the last sample. Nothing is trimmed.
Four rules are our own. Bytes come in steps (a packet on the link, two for an acknowledgement), so 400 KB (uplink:
700 KB, or 300 KB under 3 Mbit/s) at least are needed to be precise. Over one connection both ends of an uplink's window
are taken where the count last stepped. A transfer that the receive window may have limited is never called precise.
And bytes on the link that are not ours (over 5 % of it) are told, so that the run can wait for quiet and begin anew.
Source: facts note 03 §3.5, §5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probe.core.engine_ramp import BEGIN_BYTES, SLACK_US, Ramp
from probe.core.engine_sample import Sample
from probe.core.engine_stats import Curve, halves_differ_ppm, relative_error_ppm, series
from wire.data_use import LEAST_DOWNLINK_BYTES, LEAST_UPLINK_BYTES, LEAST_WINDOW_US

BIN_US = 100_000
OPEN_US = 50_000
LEAST_SLOW_BYTES = 300_000
SLOW_BPS = 3_000_000
SHORTEST_WINDOW_US = 300_000
MOST_FLOWS = 4
MANY_FLOWS_BPS, GROWING_BPS = 8_000_000, 3_500_000
GROWTH_PPM = 1_600_000
GROWTH_SEEN_US, QUEUE_US = 80_000, 4_000
ERROR_GOAL_PPM = 20_000
AGREE_PPM = 30_000
PAYLOAD_PPM = 1448 * 1_000_000 // 1500
LEAST_SHARE_PPM, MOST_SHARE_PPM = 850_000, 1_000_000
START_LIMIT_US = 3_000_000
SILENCE_LIMIT_US = 2_000_000
FINAL_SILENCE_US = 1_000_000
WINDOW_GATE_PPM = 700_000
CEILING_GATE_PPM = 700_000
CROSS_GATE_PPM = 50_000
SERIES_STEP_US = 50_000
SERIES_PLACES = 100
TAIL_US = 200_000


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a transfer may last (`cap_us`: from its first 20 KB, ramp included) and which way it goes.

    `link_is_last` (downlink): the interface counts what the bottleneck let through, so that its bytes give the shape.
    In the uplink it counts what enters the modem's queue: there the acknowledged bytes are used alone.
    `ceiling_bps` is what this host can do at most, None if it was never calibrated. `error_goal_ppm`: at which
    standard error a rate is precise; the halves may differ by half as much again.
    """

    link_is_last: bool
    cap_us: int = 5_000_000
    hard_us: int = 8_000_000
    most_bytes: int | None = None
    ceiling_bps: int | None = None
    error_goal_ppm: int = ERROR_GOAL_PPM


@dataclass(frozen=True, slots=True)
class Decision:
    """What the transport is to do now: hold `flows` connections; `stop` is time, bytes, precise or error."""

    flows: int
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transfer said. `cause` is None if the rate may be believed, else a word of `wire.failure` and `bps` None.

    `limit` names who limited it: link, window (the receive window), host (over 0.7 of its calibrated ceiling) or cap
    (the byte limit came before the ramp was over, so that the rate reads low). `se_ppm` is None if the window was
    too short to tell. `rtt_us` is the largest smoothed round trip of the last sample, the queue included.
    """

    stop: str
    cause: str | None
    bps: int | None
    payload_bytes: int
    window_us: int | None
    start_us: int | None
    end_us: int
    se_ppm: int | None
    limit: str
    retrans: int
    rtt_us: int | None
    rtt_us_min: int | None
    cross_bps: int | None = None


@dataclass(slots=True)
class Estimator:
    """The rules over one transfer. Add samples in order of time; once a decision stops, ask for the outcome."""

    terms: Terms
    _payload: Curve = field(default_factory=Curve)
    _link: Curve = field(default_factory=Curve)
    _samples: list[Sample] = field(default_factory=list)
    _has_link: bool = True
    _first_us: int | None = None
    _ramp: Ramp = field(default_factory=Ramp)
    _moved_us: int = 0
    _silence_us: int = 0
    _flows: int = 1
    _opened_us: int = 0
    _share_ppm: int = 0
    _stop: str | None = None

    def add(self, sample: Sample) -> Decision:
        """Take one sample in; returns what follows from all so far."""
        self._take(sample)
        self._ramp.take(sample, self._shape, self._opened_us)
        self._stop = self._why_stop(sample)
        if self._stop is None and not self.has_start and self._flows < MOST_FLOWS and self._is_fast(sample):
            self._flows, self._opened_us = MOST_FLOWS, sample.at_us
        return Decision(self._flows, self._stop)

    @property
    def has_start(self) -> bool:
        """Whether the ramp has ended."""
        return self._ramp.start_us is not None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All that was added, in order: what a replay needs."""
        return tuple(self._samples)

    def outcome(self) -> Outcome:
        """What the samples so far say. Ask once a decision has stopped (or the transport has)."""
        last = self._samples[-1] if self._samples else Sample(0, 0, None)
        stop, cause = self._stop or "error", self._fault(last)
        start_us = self._window_start(last)
        window_us = self._span_us(start_us, last)
        bps = None if cause or window_us <= 0 else _bps(self._moved(start_us, last.at_us), window_us)
        return Outcome(
            stop="error" if cause else stop,
            cause=cause,
            bps=bps,
            payload_bytes=last.payload_bytes,
            window_us=None if bps is None else window_us,
            start_us=None if bps is None else start_us,
            end_us=last.at_us,
            se_ppm=None if bps is None else relative_error_ppm(self._bins(start_us, last.at_us)),
            limit=self._limit(last, bps, stop),
            retrans=sum(flow.retrans for flow in last.flows),
            rtt_us=max((flow.rtt_us for flow in last.flows), default=None),
            rtt_us_min=min((flow.rtt_us_min for flow in last.flows if flow.rtt_us_min), default=None),
            cross_bps=self._cross_bps(last, stop),
        )

    def series(self, start_us: int, end_us: int, step_us: int) -> tuple[int, ...]:
        """Payload of each step of the window, as the rate was made: by the link's shape, or as acknowledged."""
        parts = series(self._shape, start_us, end_us, step_us)
        share_ppm = self._share_ppm if self._uses_link else 1_000_000
        return tuple(part * share_ppm // 1_000_000 for part in parts)

    def _take(self, sample: Sample) -> None:
        old = self._samples[-1] if self._samples else None
        if old is None or sample.payload_bytes > old.payload_bytes or _grew(old.link_bytes, sample.link_bytes):
            if old is not None and old.payload_bytes:
                self._silence_us = max(self._silence_us, sample.at_us - self._moved_us)
            self._moved_us = sample.at_us
        self._samples.append(sample)
        self._payload.add(sample.at_us, sample.payload_bytes)
        self._has_link = self._has_link and sample.link_bytes is not None
        self._link.add(sample.at_us, sample.link_bytes or 0)
        if self._first_us is None and sample.payload_bytes:
            self._first_us = sample.at_us
        if sample.payload_bytes >= BEGIN_BYTES and sample.link_bytes:
            self._share_ppm = max(self._share_ppm, sample.payload_bytes * 1_000_000 // sample.link_bytes)

    @property
    def _uses_link(self) -> bool:
        shares = LEAST_SHARE_PPM <= self._share_ppm <= MOST_SHARE_PPM
        return self.terms.link_is_last and self._has_link and shares

    @property
    def _shape(self) -> Curve:
        return self._link if self._uses_link else self._payload

    def _moved(self, start_us: int, end_us: int) -> int:
        """Payload between two samples."""
        moved = self._shape.moved(start_us, end_us)
        return moved * self._share_ppm // 1_000_000 if self._uses_link else moved

    def _bins(self, start_us: int, end_us: int) -> list[int]:
        return self._shape.bins(start_us, end_us, BIN_US)

    def _is_fast(self, now: Sample) -> bool:
        """Whether the last 50 ms were fast enough for four connections, or will be a round trip from now.

        What comes in the first 30 ms shows no growth: a shaper lets its first bytes through at any rate. In the uplink
        a round trip that grows with the rate shows that the link is full already.
        """
        now_us = now.at_us
        recent_us = max(0, now_us - OPEN_US)
        recent = self._payload.moved(recent_us, now_us)
        if _bps(recent, OPEN_US) > MANY_FLOWS_BPS:
            return True
        if self._first_us is None or now_us - self._first_us < GROWTH_SEEN_US:
            return False
        before = self._payload.moved(max(0, recent_us - OPEN_US), recent_us)
        has_queue = not self.terms.link_is_last and any(
            flow.rtt_us_min is not None and flow.rtt_us > flow.rtt_us_min + QUEUE_US for flow in now.flows
        )
        is_growing = recent * 1_000_000 >= before * GROWTH_PPM
        return is_growing and not has_queue and _bps(recent, OPEN_US) > GROWING_BPS

    def _why_stop(self, now: Sample) -> str | None:
        limit_us = SILENCE_LIMIT_US if now.payload_bytes else START_LIMIT_US
        if now.at_us - self._moved_us >= limit_us:
            return "error"
        if self._is_full(now):
            return "bytes"
        if now.at_us >= self.terms.hard_us:
            return "time"
        start_us = self._ramp.start_us
        if start_us is None:
            return None
        if self._is_precise(start_us, now):
            return "precise"
        return "time" if now.at_us + SLACK_US >= self._cap_us(start_us) else None

    def _cap_us(self, start_us: int) -> int:
        """When time is up: the cap after the first 20 KB, at the shortest window's end at the earliest."""
        return max((self._ramp.begin_us or 0) + self.terms.cap_us, start_us + LEAST_WINDOW_US)

    def _is_full(self, now: Sample) -> bool:
        """Whether what is under way could pass the byte limit: the bytes of one loaded round trip, 200 ms at least."""
        if self.terms.most_bytes is None or len(self._samples) < 2:
            return False
        tail_us = max([TAIL_US, *(flow.rtt_us for flow in now.flows)])
        used = max(now.payload_bytes, now.link_bytes or 0)
        recent = self._shape.moved(now.at_us - TAIL_US // 2, now.at_us)
        return used + recent * tail_us // (TAIL_US // 2) >= self.terms.most_bytes

    def _is_precise(self, start_us: int, now: Sample) -> bool:
        window_us = now.at_us - start_us
        moved = self._payload.moved(start_us, now.at_us)
        least_bytes = LEAST_DOWNLINK_BYTES if self.terms.link_is_last else LEAST_UPLINK_BYTES
        if not self.terms.link_is_last and now.step_us is not None and _bps(moved, window_us or 1) < SLOW_BPS:
            least_bytes = LEAST_SLOW_BYTES
        if window_us < LEAST_WINDOW_US - SLACK_US or moved < least_bytes:
            return False
        bins = self._bins(start_us, now.at_us)
        error_ppm, halves_ppm = relative_error_ppm(bins), halves_differ_ppm(bins)
        goal_ppm = self.terms.error_goal_ppm
        if error_ppm is None or error_ppm > goal_ppm or halves_ppm is None or halves_ppm * 2 > goal_ppm * 3:
            return False
        bps = _bps(self._moved(start_us, now.at_us), window_us)
        return self._agrees(now) and not _is_window_limited(now, bps)

    def _agrees(self, now: Sample) -> bool:
        """Whether application and link tell the same since the start. Without a link count there is no witness.

        Not since the ramp's end: a hole that was open then and closed since would look like a disagreement. In the
        uplink what was sent is compared, for the link counts what enters the modem's queue, not what was acknowledged.
        """
        if not now.link_bytes:
            return False
        expected = now.link_bytes * PAYLOAD_PPM // 1_000_000
        return abs(self._mine(now) - expected) * 1_000_000 <= expected * AGREE_PPM

    def _mine(self, now: Sample) -> int:
        """Our payload as the link saw it."""
        return now.payload_bytes if self.terms.link_is_last or now.sent_bytes is None else now.sent_bytes

    def _cross_bps(self, last: Sample, stop: str) -> int | None:
        """What others moved since the start. A transfer that was precise has had no others.

        In an uplink without a word on what was sent, what waits in the modem's queue would be taken for others.
        """
        is_known = self._has_link and (self.terms.link_is_last or last.sent_bytes is not None)
        if stop == "precise" or not is_known or not last.link_bytes or last.at_us <= 0:
            return None
        others = last.link_bytes - self._mine(last) * 1_000_000 // PAYLOAD_PPM
        return _bps(others, last.at_us) if others * 1_000_000 > last.link_bytes * CROSS_GATE_PPM else None

    def _span_us(self, start_us: int, last: Sample) -> int:
        """How long the window is: from step to step where these are known: on slow links the place within one errs."""
        span_us = last.at_us - start_us
        first_us = self._ramp.start_step_us
        if start_us != self._ramp.start_us or first_us is None or last.step_us is None or span_us <= 0:
            return span_us
        return last.step_us - first_us

    def _window_start(self, last: Sample) -> int:
        """The ramp's end; the transfer's start if less than 300 ms lie behind it."""
        start_us = self._ramp.start_us
        if start_us is not None and last.at_us - start_us >= SHORTEST_WINDOW_US:
            return start_us
        return self._samples[0].at_us if self._samples else 0

    def _fault(self, last: Sample) -> str | None:
        """Why the rate must not be believed; None if it may."""
        if not last.payload_bytes:
            return "timeout"
        final_us = last.at_us - self._moved_us
        if self._stop in {None, "error"} or self._silence_us > SILENCE_LIMIT_US or final_us > FINAL_SILENCE_US:
            return "cut_off"
        if self._has_link and last.payload_bytes * 100 > (last.link_bytes or 0) * 102:
            return "bytes_missing"
        return None

    def _limit(self, last: Sample, bps: int | None, stop: str) -> str:
        start_us = self._ramp.start_us
        if stop == "bytes" and (start_us is None or last.at_us - start_us < LEAST_WINDOW_US):
            return "cap"
        if bps is not None and self.terms.ceiling_bps and bps * 1_000_000 > self.terms.ceiling_bps * CEILING_GATE_PPM:
            return "host"
        return "window" if bps is not None and _is_window_limited(last, bps) else "link"


def series_step_us(windows_us: tuple[int, ...]) -> int:
    """The step, a multiple of 50 ms, at which every one of these windows fits 100 places."""
    longest_us = max(windows_us, default=0)
    return SERIES_STEP_US * max(1, -(-longest_us // (SERIES_STEP_US * SERIES_PLACES)))


def _is_window_limited(now: Sample, bps: int) -> bool:
    """Whether the bytes under way fill over 0.7 of the receive windows. A kernel without a word on them: no."""
    windows = [flow.window_bytes for flow in now.flows]
    known = [window for window in windows if window is not None]
    if not known or len(known) < len(windows):
        return False
    under_way = bps * max(flow.rtt_us for flow in now.flows) // 8_000_000
    return under_way * 1_000_000 > sum(known) * WINDOW_GATE_PPM


def _grew(old: int | None, new: int | None) -> bool:
    """Whether the link moved more than idle chatter (acknowledgements, echoes, ARP) between two samples."""
    return old is not None and new is not None and new - old > 3000


def _bps(count: int, span_us: int) -> int:
    return count * 8_000_000 // span_us
