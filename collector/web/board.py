"""The live board for those without Grafana: map and list of country, province, commune; down to a hamlet's page.

The list is the page; the map is drawn from the list's own rows by a script, and is left out without one.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template

from collector.core.view_board import CLASSES_MBPS
from collector.settings import Settings
from collector.web import access
from collector.web.board_view import Board, BoardView
from collector.web.boundaries import read_boundaries
from collector.web.fleet_view import Fleet
from collector.web.present import Pages


def blueprint(pages: Pages, fleet: Fleet, settings: Settings) -> Blueprint:
    """Make the routes. Raises Misconfigured if the deployment's own boundaries cannot be used."""
    routes = Blueprint("board", __name__)
    view = BoardView(pages, fleet)
    own = settings.web.map_file
    drawn = read_boundaries(settings.path(own)) if own is not None else None

    def found(code: str) -> dict[str, object]:
        if code:
            access.need_inside(code)
        board: Board | None = view.board(code, access.sees_positions(False))
        if board is None:
            abort(404)
        return {"board": board, "month": pages.month(), "classes": CLASSES_MBPS, "own": drawn is not None}

    @routes.get("/map")
    def country() -> str:
        return render_template("board.html", **found(""))

    @routes.get("/map/<code>")
    def unit(code: str) -> str:
        return render_template("board.html", **found(code))

    @routes.get("/map/live", defaults={"code": ""})
    @routes.get("/map/<code>/live")
    def live(code: str) -> str:
        return render_template("board_live.html", **found(code))

    @routes.get("/map/boundaries.json")
    def boundaries() -> Response:
        if drawn is None:
            abort(404)
        return Response(drawn, mimetype="application/json")

    return routes
