"""The sealed log for the public: checkpoints, hash tiles, keys and proofs; entries for those who may see positions.

Paths are those of C2SP tlog-tiles below `/log/<shard>/`, so that any monitor or witness can follow the log.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, abort, render_template

from collector.core import tiles
from collector.leaves import LedgerLeaves
from collector.proofs import Prover
from collector.seal_store import SealReader, Shard, Signed
from collector.settings import Settings
from collector.web import access
from collector.web.present import Pages
from wire import cosign, onefile
from wire.errors import Unavailable

NUMBER = f"int(max={2**53 - 1})"
_INDEX = r"(x[0-9]{3}/)*[0-9]{3}"
_TILE = re.compile(rf"[0-9]/{_INDEX}(\.p/[0-9]{{1,3}})?")
_ENTRIES = re.compile(rf"(?P<index>{_INDEX})(\.p/(?P<width>[0-9]{{1,3}}))?")


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Routes of the log; without a log all but the page answer 404."""
    routes = Blueprint("log", __name__)
    store = SealReader(settings.seal)
    prover = Prover(store, settings.log_folder)

    @routes.app_context_processor
    def _sealed() -> dict[str, object]:
        return {"sealed": lambda n: _place(prover, n), "has_log": settings.log is not None}

    @routes.get("/log/")
    def overview() -> str:
        return render_template("log.html", **_overview(settings, store))

    @routes.get("/log/checkpoint")
    def newest() -> Response:
        return _file(settings, "checkpoint", "text/plain")

    @routes.get("/log/vkeys")
    def vkeys() -> Response:
        return _file(settings, "vkeys", "text/plain")

    @routes.get("/log/witnesses")
    def witnesses() -> Response:
        return _file(settings, "witnesses", "text/plain")

    @routes.get("/log/dosong-verify.py")
    def verifier() -> Response:
        return Response(onefile.text(), mimetype="text/x-python")

    @routes.get("/log/<shard>/checkpoint")
    def checkpoint(shard: str) -> Response:
        return _file(settings, f"{_plain(shard)}/checkpoint", "text/plain")

    @routes.get("/log/<shard>/tile/<path:path>")
    def tile(shard: str, path: str) -> Response:
        if _TILE.fullmatch(path) is None:
            abort(404)
        return _file(settings, f"{_plain(shard)}/tile/{path}", "application/octet-stream", lasting=True)

    @routes.get("/log/<shard>/tile/entries/<path:path>")
    def entries(shard: str, path: str) -> Response:
        match = _ENTRIES.fullmatch(path)
        if match is None or not settings.seal.exists() or access.scope():
            abort(404)  # entries are of all units: none of them for whoever is limited to one
        index = int(match["index"].replace("x", "").replace("/", ""))
        raw = _entries(settings, store, _plain(shard), index, int(match["width"] or tiles.WIDTH))
        return Response(raw, mimetype="application/octet-stream")

    @routes.get(f"/samples/<probe>/<{NUMBER}:epoch>/<{NUMBER}:seq>.tlog-proof")
    def proof(probe: str, epoch: int, seq: int) -> Response:
        found = access.need_record(pages.reader.sample(probe, epoch, seq))
        try:
            text = prover.proof(found.n)
        except Unavailable:
            text = None
        if text is None:
            abort(404)
        name = f'attachment; filename="{probe}-{epoch}-{seq}.note.tlog-proof"'
        return Response(text, mimetype="application/octet-stream", headers={"Content-Disposition": name})

    return routes


def _plain(shard: str) -> str:
    if re.fullmatch(r"[0-9]{4}(-[0-9]+)?", shard) is None:
        abort(404)
    return shard


def _file(settings: Settings, path: str, kind: str, *, lasting: bool = False) -> Response:
    """One public file, whole. A tile never changes; a checkpoint is asked for again each time."""
    try:
        raw = (settings.log_folder / path).read_bytes()
    except OSError:
        abort(404)
    response = Response(raw, mimetype=kind)
    response.cache_control.public = True
    response.cache_control.max_age = 31_536_000 if lasting else 10
    return response


def _place(prover: Prover, n: int) -> dict[str, object] | None:
    """Where a record stands in the log, for its page; None if it is not sealed yet."""
    try:
        place = prover.place(n)
    except Unavailable:
        return None
    return None if place is None else {"index": place.index, "name": _short(place.shard), "size": place.signed.size}


def _overview(settings: Settings, store: SealReader) -> dict[str, object]:
    try:
        rows = [(shard, store.last_checkpoint(shard.n)) for shard in reversed(store.shards())]
    except Unavailable:
        rows = []
    try:
        vkeys = (settings.log_folder / "vkeys").read_text().splitlines()
    except OSError:
        vkeys = []
    logs = [(_short(shard), signed, _cosigned(shard, signed)) for shard, signed in rows]
    return {"logs": logs, "vkeys": vkeys}


def _cosigned(shard: Shard, signed: Signed | None) -> list[tuple[str, int]]:
    """Who cosigned a checkpoint, and when (UTC ms); what is stored was verified when it came."""
    return [] if signed is None else [(name, at * 1000) for name, at in cosign.names(signed.note, shard.name)]


def _short(shard: Shard) -> str:
    return shard.name.rpartition("/")[2]


def _entries(settings: Settings, store: SealReader, name: str, index: int, width: int) -> bytes:
    """The bytes of up to 256 entries, each behind its length; 404 if the log has not got so far."""
    shard = next((shard for shard in store.shards() if _short(shard) == name), None)
    signed = None if shard is None else store.last_checkpoint(shard.n)
    first, last = index * tiles.WIDTH, index * tiles.WIDTH + width
    if shard is None or signed is None or not 0 < width <= tiles.WIDTH or last > signed.size:
        abort(404)
    raws: list[bytes] = []
    for run in store.runs(shard.n, first):
        low, high = max(first, run.first_index), min(last, run.first_index + run.count)
        if low >= high:
            break
        if run.source == "note":
            raws.append(shard.first_leaf)
            continue
        leaves = LedgerLeaves(settings.ledger, run.source)
        raws += [leaf.raw for leaf in leaves.rows(run.first_n + low - run.first_index - 1, high - low)]
        leaves.close()
    return b"".join(len(raw).to_bytes(2, "big") + raw for raw in raws)
