"""Wall boards: a television opens an operator's code once, and looks at boards for 30 days or until it is ended."""

from __future__ import annotations

import re

from flask import Blueprint, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from collector.passes import Board
from collector.scopes import Scopes
from collector.web import access
from collector.web.entrance import Entrance
from collector.web.present import Pages

LABEL = re.compile(r"[\w .,()/'’-]{1,60}")
MOST_ROWS = 14


def blueprint(entrance: Entrance, pages: Pages) -> Blueprint:
    """Routes of the operator (`/boards`) and of the television (`/wall`)."""
    routes, views = Blueprint("wall", __name__), Views(entrance, pages)
    routes.add_url_rule("/boards", "overview", views.overview, methods=["GET"])
    routes.add_url_rule("/boards", "make", views.make, methods=["POST"])
    routes.add_url_rule("/boards/<identity>/revoke", "revoke", views.revoke, methods=["POST"])
    routes.add_url_rule("/wall", "door", views.door, methods=["GET"])
    routes.add_url_rule("/wall", "open", views.open, methods=["POST"])
    routes.add_url_rule("/wall/board", "show", views.show, methods=["GET"])
    return routes


class Views:
    """The views."""

    def __init__(self, entrance: Entrance, pages: Pages) -> None:
        self._entrance = entrance
        self._pages = pages

    def overview(self) -> str:
        """The operator's boards."""
        return self._list()

    def _list(self, code: str = "", wrong: str = "") -> str:
        mine = [one for one in self._entrance.passes.boards() if self._covers(one)]
        door = url_for("wall.door", code=code, _external=True) if code else url_for("wall.door", _external=True)
        return render_template("boards.html", boards=mine, code=code, door=door, wrong=wrong)

    def _covers(self, board: Board) -> bool:
        mine = access.scope()
        return mine == "" or (board.scope != "" and access.inside(board.scope))

    def make(self) -> str | tuple[str, int]:
        """POST: a new board; its code is shown this once."""
        label, unit = request.form.get("label", "").strip(), request.form.get("unit", "").strip()
        registry = self._entrance.registry
        is_unit = not unit or any(ask(unit) for ask in (registry.province, registry.commune, registry.hamlet))
        if LABEL.fullmatch(label) is None or not is_unit:
            return self._list(wrong="board.wrong"), 422
        if access.scope() and not access.inside(unit or None):
            return self._list(wrong="board.wrong"), 422
        code, _board = self._entrance.passes.make_board(label, unit, g.user.name, self._entrance.now_ms())
        return self._list(code=code)

    def revoke(self, identity: str) -> Response:
        """POST: end a board now."""
        found = self._entrance.passes.board(identity)
        if found is None or not self._covers(found):
            abort(404)
        self._entrance.passes.revoke_board(identity, self._entrance.now_ms())
        self._entrance.sessions.end_all(identity, "board")
        return redirect(url_for("wall.overview"), 303)

    def door(self) -> str:
        """What a television sees first: the form for the code, filled in by the link. Looking uses nothing up."""
        return render_template("wall_door.html", code=request.args.get("code", "")[:20], wrong=None, seconds=0)

    def open(self) -> Response | tuple[str, int]:
        """POST: the code becomes a session that looks and does no deed."""
        now_ms, address = self._entrance.now_ms(), request.remote_addr or ""
        one, wait_s = self._entrance.sessions.ask("wall board", address, None, now_ms)
        if one is None:
            return render_template("wall_door.html", code="", wrong="login.wait", seconds=wait_s), 429
        board = self._entrance.passes.open_board(request.form.get("code", "")[:20], now_ms)
        if board is None:
            return render_template("wall_door.html", code="", wrong="board.no_code", seconds=0), 401
        self._entrance.sessions.passed(one)
        self._entrance.write(f"board {board.id}", "board", "wall.open", board.scope)
        self._entrance.leave()
        agent = request.user_agent.string
        session["sid"] = self._entrance.sessions.begin(board.id, "board", address, agent, now_ms, board.expires_ms)
        session.permanent = True
        return redirect(url_for("wall.show"), 303)

    def show(self) -> str:
        """The board itself: large, renewed every minute without a script."""
        scope, pages = access.scope(), self._pages
        month = pages.month()
        communes = pages.commune_rows(scope, month)
        sites = pages.site_rows(scope)
        return render_template(
            "wall.html", communes=communes[:MOST_ROWS], all_communes=len(communes), month=month,
            hamlets=len(Scopes(pages.registry).hamlets(scope)), sites=len(sites),
            ill=sum(row.checkup.illness is not None for row in sites),
        )  # fmt: skip
