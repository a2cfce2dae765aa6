"""Routes of the registry: search, units, hamlets, probes, referral codes; and the forms that append to it.

Who may read and who may write stands in `access.RULES`; every page and deed is limited to the login's scope.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.web import access
from collector.web.ports import Registry
from collector.web.registry_edit import Done, Editor, Forbidden, Mistake
from collector.web.registry_view import RegistryView

TEXT_MAX = 80
Deed = Callable[[Editor], Done]
DONE = frozenset({"added", "changed", "merged", "moved", "taken_away", "remapped"})


class RegistryPages:
    """The views. `now_ms` is the wall clock (UTC ms)."""

    def __init__(self, registry: Registry, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._view = RegistryView(registry)
        self._now_ms = now_ms

    def search(self) -> str:
        """The first page: a search over every name, and what changed last."""
        text = request.args.get("q", "").strip()[:TEXT_MAX]
        scope = access.scope()
        found = self._view.find(text, scope) if text else []
        probes = self._view.probes(text, scope) if text else []
        changes = self._view.changes() if scope == "" else []
        counts = (len(self._registry.provinces()), len(self._registry.communes()), len(self._registry.hamlets()))
        return render_template("registry.html", text=text, found=found, probes=probes, changes=changes, counts=counts)

    def unit(self, code: str) -> str:
        """A province with its communes, or a commune with its hamlets."""
        province = self._registry.province(code)
        if province is not None:
            shown = [c for c in self._view.communes_of(code) if self._view.allows(access.scope(), commune=c.code)]
            if not shown and not access.inside(code):
                abort(404)
            return render_template("registry_province.html", province=province, communes=shown)
        return self._commune(code, None)

    def _commune(self, code: str, mistake: Mistake | None) -> str:
        view = self._view.commune(code)
        if view is None or not self._view.allows(access.scope(), commune=code):
            abort(404)
        return render_template("registry_commune.html", view=view, mistake=mistake, **self._form())

    def hamlet(self, code: str) -> str:
        """A hamlet with its history."""
        return self._hamlet(code, None)

    def _hamlet(self, code: str, mistake: Mistake | None) -> str:
        view = self._view.hamlet(code)
        if view is None or not self._view.allows(access.scope(), hamlet=code):
            abort(404)
        return render_template("registry_hamlet.html", view=view, mistake=mistake, **self._form())

    def probe(self, probe: str) -> str:
        """A probe with its assignments and SIMs."""
        return self._probe(probe, None)

    def _probe(self, probe: str, mistake: Mistake | None) -> str:
        view = self._view.probe(probe, access.scope())
        if view is None or not self._view.allows_probe(access.scope(), probe):
            abort(404)
        return render_template("registry_probe.html", view=view, mistake=mistake, **self._form())

    def referral(self, code: str) -> str:
        """A referral code with its assignments."""
        return self._referral(code, None)

    def _referral(self, code: str, mistake: Mistake | None) -> str:
        rows = self._view.referral(code)
        if not rows or not self._shows_code(rows[-1].unit):
            abort(404)
        return render_template("registry_referral.html", code=code, rows=rows, mistake=mistake, **self._form())

    def _shows_code(self, unit: str | None) -> bool:
        scope = access.scope()
        return scope == "" or (
            unit is not None and (self._view.allows(scope, hamlet=unit) or self._view.allows(scope, commune=unit))
        )

    def _form(self) -> dict[str, object]:
        done = request.args.get("done", "")
        return {"done": done if done in DONE else "", "given": request.form}

    def add_hamlet(self) -> Response | tuple[str, int]:
        """POST: a new hamlet."""
        commune = request.form.get("commune", "")
        return self._do(lambda editor: editor.add_hamlet(request.form), lambda m: self._commune(commune, m))

    def change_hamlet(self, code: str) -> Response | tuple[str, int]:
        """POST: another name or kind."""
        return self._do(lambda editor: editor.change_hamlet(code, request.form), lambda m: self._hamlet(code, m))

    def merge_hamlet(self, code: str) -> Response | tuple[str, int]:
        """POST: merged into another hamlet."""
        return self._do(lambda editor: editor.merge_hamlet(code, request.form), lambda m: self._hamlet(code, m))

    def move_probe(self, probe: str) -> Response | tuple[str, int]:
        """POST: a probe stands elsewhere."""
        return self._do(lambda editor: editor.move_probe(probe, request.form), lambda m: self._probe(probe, m))

    def remap_code(self, code: str) -> Response | tuple[str, int]:
        """POST: a referral code belongs to another unit."""
        return self._do(lambda editor: editor.remap_code(code, request.form), lambda m: self._referral(code, m))

    def _do(self, deed: Deed, again: Callable[[Mistake], str]) -> Response | tuple[str, int]:
        """Do it and show the page that it changed; a mistake shows the form again."""
        try:
            done = deed(Editor(self._registry, g.user.name, access.scope(), self._now_ms()))
        except Forbidden:
            abort(404)  # what lies outside a scope is as if it were not there
        except Mistake as mistake:
            return again(mistake), 422
        names = {"hamlet": "code", "referral": "code", "probe": "probe"}
        address = url_for(f"registry.{done.kind}", **{names[done.kind]: done.code}, done=done.word)  # type: ignore[arg-type]
        return redirect(address, 303)


def blueprint(registry: Registry, now_ms: Callable[[], int]) -> Blueprint:
    """Make the routes."""
    routes, pages = Blueprint("registry", __name__), RegistryPages(registry, now_ms)
    for name, address in (
        ("search", "/registry"),
        ("unit", "/registry/units/<code>"),
        ("hamlet", "/registry/hamlets/<code>"),
        ("probe", "/registry/probes/<probe>"),
        ("referral", "/registry/codes/<code>"),
    ):
        routes.add_url_rule(address, name, getattr(pages, name), methods=["GET"])
    for name, address in (
        ("add_hamlet", "/registry/hamlets"),
        ("change_hamlet", "/registry/hamlets/<code>/change"),
        ("merge_hamlet", "/registry/hamlets/<code>/merge"),
        ("move_probe", "/registry/probes/<probe>/move"),
        ("remap_code", "/registry/codes/<code>/remap"),
    ):
        routes.add_url_rule(address, name, getattr(pages, name), methods=["POST"])
    return routes
