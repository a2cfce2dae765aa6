"""The gate before `/api/v1` and `/metrics`: whose token, how often, and whether this role may.

A token that does not open is refused even where nobody needs one: a caller who thinks it has rights must not be
answered as a stranger. Without a token the login of the pages counts, and then nobody.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import g, request

from collector.api.problems import Wrong
from collector.core.rate import Bucket, full, take
from collector.registry_rows import UserEntry
from collector.settings import ApiSettings
from collector.tokens import TokenStore
from collector.web import access
from collector.web.entrance import Entrance

LOG = logging.getLogger("collector.api")
MACHINE = ("v1.", "machine.")
MOST_CALLERS = 10_000
BULK_WAIT_S = 30


def is_machine(endpoint: str | None) -> bool:
    """Whether an endpoint is for programs: tokens open it, and its errors are problems."""
    return endpoint is not None and endpoint.startswith(MACHINE)


class Gate:
    """Checks a request of a program. `now_s`: any monotonic seconds; `now_ms`: the wall clock."""

    def __init__(
        self,
        settings: ApiSettings,
        tokens: TokenStore,
        entrance: Entrance,
        now_s: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._entrance = entrance
        self._now_s = now_s
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._bulk = threading.BoundedSemaphore(settings.bulk_at_once)

    def close(self) -> None:
        """Close all files: an application that was only tried must not leave them open over a fork."""
        self._tokens.close()
        self._entrance.close()

    def is_for(self) -> bool:
        """Whether this request is a program's, which is then checked; raises Wrong if it must not go on."""
        if not is_machine(request.endpoint):
            return False
        self.check()
        return True

    def check(self) -> None:
        """Set `g.user`; raise Wrong if the request must not go on."""
        g.user = None
        address = f"address {request.remote_addr or ''}"
        header = request.headers.get("Authorization")
        if header is None:
            g.user = self._entrance.visitor()
            self._charge(f"login {g.user.name}" if g.user else address, is_known=g.user is not None)
        else:
            g.user = self._bearer(header, address)
            self._charge(g.user.name, is_known=True)
        if access.may(request.endpoint or ""):
            return
        if g.user is None:
            raise Wrong("token_missing")
        roles = access.RULES.get(request.endpoint or "", frozenset())
        LOG.warning("refused caller=%s role=%s route=%s", g.user.name, g.user.role, request.endpoint)
        raise Wrong("forbidden", roles=", ".join(sorted(roles)) or "-")

    def _bearer(self, header: str, address: str) -> UserEntry:
        scheme, _, text = header.partition(" ")
        found = self._tokens.named_by(text.strip(), self._now_ms()) if scheme.lower() == "bearer" else None
        standing = found.standing(self._now_ms()) if found else "unknown"
        if found is None or standing != "good":
            self._charge(address, is_known=False)  # guessing is as slow as asking without a token
            LOG.warning("token refused standing=%s id=%s", standing, found.id if found else "-")
            raise Wrong(f"token_{standing}")
        return UserEntry(f"token {found.id}", "", found.role, found.scope)

    def _charge(self, caller: str, *, is_known: bool) -> None:
        per_minute = self._settings.requests_per_minute if is_known else self._settings.anonymous_per_minute
        with self._lock:
            now_s = self._now_s()
            bucket = self._buckets.pop(caller, None) or full(per_minute, now_s)
            self._buckets[caller], wait_s = take(bucket, per_minute, per_minute, now_s)
            if len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
        if wait_s:
            raise Wrong("rate", wait_s=wait_s)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """A place for one bulk stream. Each holds one of the few threads: raises Wrong("busy") if all are taken."""
        if not self._bulk.acquire(blocking=False):
            raise Wrong("busy", wait_s=BULK_WAIT_S)
        try:
            yield
        finally:
            self._bulk.release()
