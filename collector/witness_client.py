"""Asking witnesses to cosign our checkpoints: C2SP tlog-witness, `add-checkpoint`, one thread a witness.

The signer never waits for a witness: it leaves the newest checkpoint here and goes on; what a witness signed is fetched
by the signer whenever there is something. A witness that is down is asked again for ever, with the newest checkpoint
alone. One that remembers more than we do, or another root, is the one alarm that a log can not give about itself.
Source: C2SP tlog-witness; facts note 08 §3.2.
"""

from __future__ import annotations

import base64
import http.client
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wire import cosign, note
from wire.cosign import Cosigned, Witness
from wire.errors import Refused, Unavailable

LOG = logging.getLogger("collector.witness")
WAIT_S = 10.0
AGAIN_S = 30.0
MOST_BYTES = 16_384
_SIZE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Asked:
    """A checkpoint to be cosigned: its shard, size and signed note."""

    shard: int
    size: int
    note: bytes


Consistency = Callable[[Asked, int], Sequence[bytes]]
"""Proof that the first so many leaves are a prefix of a checkpoint. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of asking: the cosignature, or what stands against it in one sentence."""

    witness: str
    asked: Asked
    cosigned: Cosigned | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answered."""

    status: int
    kind: str
    body: bytes


def request(old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """The body of `add-checkpoint`: old size, proof, empty line, checkpoint."""
    lines = "".join(base64.b64encode(one).decode() + "\n" for one in proof)
    return f"old {old}\n{lines}\n".encode() + checkpoint


def post(url: str, body: bytes) -> Answer:
    """POST to `<url>/add-checkpoint`. Raises Unavailable if nobody answers within 10 s."""
    parts = urlsplit(url)
    shape = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = shape(parts.hostname or "", parts.port, timeout=WAIT_S)
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/add-checkpoint", body)
        found = connection.getresponse()
        return Answer(found.status, found.headers.get_content_type(), found.read(MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"does not answer at {url} ({error})") from error
    finally:
        connection.close()


class Client:
    """One witness. `sizes` remembers, by shard, what it cosigned last; a restart asks from 0 and is told."""

    def __init__(self, url: str, witness: Witness, consistency: Consistency) -> None:
        self.url, self.witness, self._consistency = url, witness, consistency
        self._sizes: dict[int, int] = {}

    def ask(self, asked: Asked) -> Told:
        """Ask once, and once more from the size that the witness names. Raises Unavailable."""
        answer = self._add(asked, self._sizes.get(asked.shard, 0))
        if answer.status == 409 and answer.kind == _SIZE:
            held = _number(answer.body)
            if held is None or held > asked.size:
                return self._against(asked, f"has seen size {held}, larger than our {asked.size}: our log went back")
            if held == self._sizes.get(asked.shard, 0) == asked.size:
                return self._against(asked, f"holds another root for size {asked.size}: our log shows two histories")
            self._sizes[asked.shard] = held
            answer = self._add(asked, held)
        if answer.status == 409 and self._sizes.get(asked.shard) == asked.size:
            return self._against(asked, f"holds another root for size {asked.size}: our log shows two histories")
        if answer.status != 200:
            return self._against(asked, f"refuses with status {answer.status}: {_said(answer)}")
        return self._taken(asked, answer)

    def _add(self, asked: Asked, old: int) -> Answer:
        proof = self._consistency(asked, old) if old else ()
        return post(self.url, request(old, proof, asked.note))

    def _taken(self, asked: Asked, answer: Answer) -> Told:
        """Verify what it signed; only its own key is believed."""
        text = note.split(asked.note).text
        try:
            found = cosign.verify(text + b"\n" + answer.body, [self.witness])
        except Refused as refusal:
            return self._against(asked, f"answers with what is no cosignature of its key ({refusal})")
        if not found:
            return self._against(asked, "answers without a cosignature of its key; correct its vkey")
        self._sizes[asked.shard] = asked.size
        return Told(self.witness.name, asked, found[0])

    def _against(self, asked: Asked, sentence: str) -> Told:
        return Told(self.witness.name, asked, None, f"witness {self.witness.name} {sentence}")


def _number(body: bytes) -> int | None:
    text = body.decode("ascii", "replace").strip()
    return int(text) if text.isdigit() and len(text) <= 19 else None


def _said(answer: Answer) -> str:
    return "".join(c for c in answer.body.decode("utf-8", "replace")[:120] if c.isprintable())


class Relay:
    """All witnesses, each asked in a thread of its own; `leave` and `fetch` never wait."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._newest: Asked | None = None
        self._news = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._serve, args=(client,), name=f"witness {client.witness.name}", daemon=True)
            for client in clients
        ]
        for thread in self._threads:
            thread.start()

    def leave(self, asked: Asked) -> None:
        """Have this checkpoint cosigned; an older one that still waits is forgotten."""
        with self._news:
            self._newest = asked
            self._news.notify_all()

    def fetch(self) -> list[Told]:
        """What witnesses said since the last look."""
        found: list[Told] = []
        while not self._told.empty():
            found.append(self._told.get())
        return found

    def stop(self) -> None:
        """Ask nobody any more."""
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def _serve(self, client: Client) -> None:
        done: Asked | None = None
        while True:
            with self._news:
                self._news.wait_for(lambda d=done: self._stopped or self._newest not in (None, d))  # type: ignore[misc]
                if self._stopped:
                    return
                asked = self._newest
            if asked is None:
                continue
            try:
                told = client.ask(asked)
            except Unavailable as error:
                told = Told(client.witness.name, asked, None, f"witness {client.witness.name} {error}")
            self._told.put(told)
            if told.cosigned is None:
                with self._news:  # the newest again after a while, or at once a newer one
                    self._news.wait_for(lambda a=asked: self._stopped or self._newest is not a, AGAIN_S)  # type: ignore[misc]
            else:
                done = asked
