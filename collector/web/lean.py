"""Few bytes for slow links: text is sent compressed, and what has not changed is answered with 304 and nothing else.

Pages of a session are not compressed: they hold a form's token, and what is compressed beside a secret tells of it
(BREACH). The pages that a phone on 2G opens are public. Source: issue 7 (first paint under 100 kB at 2G).
"""

from __future__ import annotations

import gzip
from functools import lru_cache

from flask import Flask, g, request
from flask.wrappers import Response

SMALLEST = 600
"""Below this a packet is a packet."""
FRESH = frozenset({"board.live", "pages.hamlet_live", "pages.first_live", "board.boundaries"})
"""Parts of pages that are asked for again and again."""
_TEXT = ("text/", "application/json", "application/javascript", "image/svg+xml", "application/geo+json")


def install(app: Flask) -> None:
    """After every request: conditional answers for `FRESH`, compressed text for whoever takes it."""

    @app.after_request
    def lean(response: Response) -> Response:
        if request.method != "GET" or response.status_code != 200:
            return response
        if request.endpoint in FRESH:
            response.add_etag(weak=True)
            response.headers["Cache-Control"] = "private, no-cache"
            response.make_conditional(request)
        if response.status_code == 200 and _may_be_compressed(response):
            _compress(response)
        return response


def _may_be_compressed(response: Response) -> bool:
    is_private = g.get("user") is not None and request.endpoint != "static"
    is_text = (response.mimetype or "").startswith(_TEXT)
    takes = request.accept_encodings["gzip"] > 0 if "Accept-Encoding" in request.headers else False
    plain = "Content-Encoding" not in response.headers and not response.is_streamed
    return takes and is_text and not is_private and (plain or request.endpoint == "static")


def _compress(response: Response) -> None:
    response.direct_passthrough = False
    whole = response.get_data()
    response.headers.add("Vary", "Accept-Encoding")
    if len(whole) < SMALLEST:
        return
    if request.endpoint == "static":
        tag, _ = response.get_etag()
        packed = _packed(request.path, tag or "", whole)
        if tag is not None:
            response.set_etag(tag, weak=True)
    else:
        packed = gzip.compress(whole, 6, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"


@lru_cache(maxsize=64)
def _packed(_path: str, _tag: str, whole: bytes) -> bytes:
    """Files of ours, compressed once; a changed file has another tag."""
    return gzip.compress(whole, 9, mtime=0)
