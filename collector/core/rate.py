"""Token bucket: how often one caller may ask. Pure: the caller brings the clock.

A bucket holds up to `burst` requests and fills at `per_minute`. Source: issue 5 (API tokens, rate limit).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one caller may still ask: `left` requests at the instant `at_s` (any monotonic seconds)."""

    left: float
    at_s: float


def full(burst: int, now_s: float) -> Bucket:
    """The bucket of a caller who has not asked yet."""
    return Bucket(float(burst), now_s)


def take(bucket: Bucket, per_minute: int, burst: int, now_s: float) -> tuple[Bucket, int]:
    """Take one request out: the bucket afterwards, and 0, or the whole seconds to wait if there was none."""
    left = min(float(burst), bucket.left + max(0.0, now_s - bucket.at_s) * per_minute / 60)
    if left >= 1:
        return Bucket(left - 1, now_s), 0
    return Bucket(left, now_s), max(1, ceil((1 - left) * 60 / per_minute))


def is_full(bucket: Bucket, per_minute: int, burst: int, now_s: float) -> bool:
    """Whether forgetting this bucket would change nothing."""
    return bucket.left + (now_s - bucket.at_s) * per_minute / 60 >= burst
