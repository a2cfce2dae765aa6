"""Who may import whom, how long a thing may be, and that every module has its sentence. Read with `ast`, never run.

Rules are data below; `problems(root)` gives one line for each breach. An exception needs a reason, and an exception
that nothing needs any more is itself a breach. Source: design §3, §11; facts note 07.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("wire", "probe", "collector", "point", "provisioning", "sim", "grafana")
MAX_FUNCTION_LINES = 40
MAX_MODULE_LINES = 400

# Beside its own package and the standard library.
MAY_IMPORT: dict[str, set[str]] = {
    "wire": set(),
    "probe": {"wire"},
    "collector": {"wire"},
    "point": {"wire"},
    "provisioning": {
        *("wire", "collector.registry", "collector.registry_rows", "collector.registry_dated"),
        *("collector.registry_identity", "collector.catalogue", "collector.paper"),
        *("collector.disputes", "collector.core.dispute"),
    },
    "sim": {"wire"},
    "grafana": {"wire", "collector.registry", "collector.catalogue"},
}
# The one-file verifier is made from these.
NARROW = {
    "wire/errors.py": set[str](),
    "wire/note.py": {"wire.errors", "cryptography"},
    "wire/tlog.py": {"wire.errors", "wire.note", "cryptography"},
}
PURE = {
    *("__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses"),
    *("datetime", "decimal", "enum", "errno", "fractions", "functools", "hashlib", "heapq", "hmac", "html"),
    *("ipaddress", "itertools", "json", "math", "operator", "re", "statistics", "string", "struct", "textwrap"),
    *("types", "typing", "unicodedata", "urllib.parse"),
}
CLOCK_CALLS = {"now", "utcnow", "today"}  # whatever `datetime` was imported as
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
WIRE_ALLOWS = {"msgspec", "cryptography"}
# A third-party package (or sqlite3) and the only modules that may touch it; a folder ends in a slash.
OWNERS: dict[str, tuple[str, ...]] = {
    "paho": ("probe/broker.py", "collector/broker.py", "sim/"),
    "serial": ("probe/devices/modem.py", "sim/"),
    "huawei_lte_api": ("probe/hilink_child.py",),
    "requests": ("probe/hilink_child.py",),
    "gpsd": ("probe/devices/gps.py",),
    "speedtest": ("probe/devices/ookla.py",),
    "prometheus_client": ("collector/metrics.py",),
    "influxdb_client": ("collector/influx.py",),
    "urllib3": ("collector/influx.py",),
    "flask": ("collector/web/",),
    "werkzeug": ("collector/web/",),
    "flask_wtf": ("collector/web/",),
    "gunicorn": ("collector/serve.py",),
    "argon2": ("collector/web/", "provisioning/"),
    "zstandard": ("collector/pack.py",),
    "nacl": ("collector/verify.py",),
    "cryptography": ("wire/note.py", "provisioning/pki.py", "provisioning/chain.py", "probe/devices/tls_key.py"),
    "msgspec": ("wire/", "probe/", "collector/", "point/", "provisioning/", "sim/", "grafana/"),
    "click": (
        *(
            "collector/__main__.py",
            "collector/command.py",
            "collector/log_commands.py",
            "collector/identity_commands.py",
        ),
        *(
            "provisioning/__main__.py",
            "provisioning/identity_commands.py",
            "provisioning/broker_commands.py",
            "provisioning/registry_commands.py",
            "provisioning/plan_command.py",
            "provisioning/card_command.py",
            "provisioning/label_commands.py",
        ),
        *("collector/token_commands.py", "collector/retention_commands.py"),
    ),
    "rich": ("collector/__main__.py", "provisioning/__main__.py"),
    "grafana_foundation_sdk": ("grafana/",),
    "PIL": ("collector/photos.py",),
    "openpyxl": ("provisioning/workbook.py", "collector/reports/xlsx.py"),
    "segno": ("provisioning/label.py", "collector/reports/pdf.py", "collector/reports/word.py"),
    "typst": ("collector/reports/pdf.py", "collector/paper/press.py"),
    "docx": ("collector/reports/word.py",),
    "sqlite3": (
        *("probe/spool.py", "probe/spool_open.py", "probe/spool_read.py"),
        *("collector/sqlite.py", "collector/ledger.py", "collector/ledger_write.py", "collector/ledger_delivery.py"),
        *("collector/registry.py", "collector/registry_write.py", "collector/forward_store.py", "collector/health.py"),
        *("collector/registry_identity.py", "collector/seal_store.py", "collector/leaves.py", "collector/backup.py"),
        *("collector/tokens.py", "collector/fleet_book.py", "collector/retention.py"),
        *("collector/rollup_write.py", "provisioning/units_wheel.py", "sim/spool_copy.py"),
        *("collector/verdict_store.py", "collector/verdict_traces.py", "collector/reports/store.py"),
    ),
}
OWNERS["click"] += ("collector/verdict_commands.py",)
OWNERS["sqlite3"] += (
    "collector/accounts.py",
    "collector/audit_trail.py",
    "collector/passes.py",
    "collector/sessions.py",
)
OWNERS["sqlite3"] += ("collector/ledger_bytes.py", "collector/ledger_records.py", "collector/ledger_words.py")
OWNERS["sqlite3"] += ("collector/ledger_move.py",)
OWNERS["sqlite3"] += (
    "collector/pg.py",
    "collector/pg_schema.py",
    "collector/ledger_transfer.py",
)  # as the family of errors
OWNERS["click"] += ("collector/postgres_commands.py",)
OWNERS["sqlite3"] += ("collector/leases.py", "collector/seal_lock.py", "collector/seal_mark.py")
OWNERS["sqlite3"] += ("collector/forward_shared.py", "collector/backup_pg.py", "collector/registry_mirror.py")
OWNERS["click"] += ("collector/series_commands.py",)
OWNERS["psycopg"] = ("collector/pg.py",)
OWNERS["segno"] += ("collector/qr.py",)
OWNERS["openpyxl"] += ("collector/count_table.py",)
OWNERS["click"] += ("collector/account_commands.py",)
OWNERS["click"] += ("collector/report_commands.py",)
OWNERS["click"] += ("collector/pack_command.py",)
OWNERS["sqlite3"] += ("collector/disputes.py",)
OWNERS["click"] += ("provisioning/host_commands.py",)
EXCEPTIONS: dict[str, str] = {
    "core: collector/core/view_record.py imports msgspec": "walks a record's own structs; msgspec does no I/O",
    "length: sim/demo_world.py _write_probe_settings has more than 40 lines": "one settings file as a template",
    "length: collector/web/pages.py blueprint has more than 40 lines": "a list of routes, each view a short function",
    "length: collector/web/log.py blueprint has more than 40 lines": "a list of routes, each view a short function",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its path from the root, text and tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def in_core(self) -> bool:
        return "/core/" in self.path

    def imports(self) -> Iterator[str]:
        """Full names of what is imported anywhere in the file; a relative import begins with a dot."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _under(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


def _top(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def _layers(module: Module) -> Iterator[str]:
    for name in module.imports():
        if name.startswith("."):
            yield f"layer: {module.path} imports {name}: absolute imports only"
        elif _top(name) in PACKAGES and _top(name) != module.package:
            if not _under(name, MAY_IMPORT[module.package]):
                yield f"layer: {module.path} imports {name}"
        elif module.package == "wire" and _top(name) not in {*sys.stdlib_module_names, *WIRE_ALLOWS, "wire"}:
            yield f"layer: {module.path} imports {name}"


def _narrow(module: Module) -> Iterator[str]:
    allowed = NARROW.get(module.path)
    if allowed is None:
        return
    for name in module.imports():
        # `from wire import note` reads `wire.note` here, as it should.
        if _top(name) not in sys.stdlib_module_names and not _under(name, allowed):
            yield f"narrow: {module.path} imports {name}"


def _cores(module: Module) -> Iterator[str]:
    if not module.in_core:
        return
    own = {"wire", f"{module.package}.core"}
    for name in module.imports():
        if not _under(name, PURE) and not _under(name, own):
            yield f"core: {module.path} imports {name}"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            yield f"core: {module.path}:{node.lineno} reads the clock by {node.func.attr}"
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"core: {module.path}:{node.lineno} calls {node.func.id}"


def _owners(module: Module) -> Iterator[str]:
    for name in {_top(name) for name in module.imports()}:
        owned = OWNERS.get(name)
        known = owned is not None or name in sys.stdlib_module_names or name in {*PACKAGES, "", "_typeshed"}
        if not known:
            yield f"owner: {module.path} imports {name}, which no adapter owns"
        elif owned is not None and not any(module.path == one or module.path.startswith(one) for one in owned):
            yield f"owner: {module.path} imports {name}"


def _lengths(module: Module) -> Iterator[str]:
    lines = len(module.text.splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"length: {module.path} has more than {MAX_MODULE_LINES} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body and (node.end_lineno or 0) - body[0].lineno + 1 > MAX_FUNCTION_LINES:
                yield f"length: {module.path} {node.name} has more than {MAX_FUNCTION_LINES} lines"


RULES: tuple[Callable[[Module], Iterator[str]], ...] = (_layers, _narrow, _cores, _owners, _lengths)
_SENTENCE = re.compile(r"^- `(?P<path>[a-z_/]+\.py)` — (?P<text>\S.*\S)$", re.MULTILINE)


def modules(root: Path) -> list[Module]:
    """Read every module of every package."""
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            found.append(Module(path.relative_to(root).as_posix(), text, ast.parse(text)))
    return found


def _documented(root: Path, found: list[Module]) -> Iterator[str]:
    """Every module that holds more than a docstring has its line in docs/architecture.md, and no line is left over."""
    page = root / "docs" / "architecture.md"
    named = dict(_SENTENCE.findall(page.read_text(encoding="utf-8"))) if page.exists() else {}
    needed = {m.path for m in found if len(m.tree.body) > (ast.get_docstring(m.tree) is not None)}
    yield from (f"words: docs/architecture.md does not name {path}" for path in sorted(needed - set(named)))
    existing = {m.path for m in found}
    yield from (f"words: docs/architecture.md names {path}, which is gone" for path in sorted(set(named) - existing))
    unended = [path for path, text in named.items() if not text.endswith((".", "?"))]
    yield from (f"words: {path}: one sentence, ended by a full stop" for path in unended)


def code_problems(root: Path) -> list[str]:
    """Every breach of the rules in the code below `root`, exceptions not yet taken off."""
    return [problem for module in modules(root) for rule in RULES for problem in rule(module)]


def word_problems(root: Path) -> list[str]:
    """Every module without its sentence, and every sentence without its module."""
    return list(_documented(root, modules(root)))


def test_code_keeps_the_rules() -> None:
    found = [problem for problem in code_problems(ROOT) if problem not in EXCEPTIONS]
    assert found == []


def test_exceptions_have_reasons_and_are_still_needed() -> None:
    assert all(len(reason.split()) > 3 for reason in EXCEPTIONS.values())
    assert set(EXCEPTIONS) - set(code_problems(ROOT)) == set()


def test_every_module_has_its_sentence() -> None:
    assert word_problems(ROOT) == []


def test_packages_are_those_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]} == set(PACKAGES)
    probe = " ".join(project["project"]["optional-dependencies"]["probe"]).lower()
    assert not any(name in probe for name in ("flask", "influxdb", "dosong["))


BREACHES: dict[str, tuple[str, str, str]] = {
    "wire imports a third party": ("wire/x.py", "import paho.mqtt.client", "layer: wire/x.py imports paho"),
    "wire imports ours": ("wire/x.py", "from probe import spool", "layer: wire/x.py imports probe.spool"),
    "probe imports collector": ("probe/x.py", "import collector.ledger", "layer: probe/x.py imports collector"),
    "import inside a function": (
        *("probe/x.py", "def f() -> None:\n    from collector import ledger"),
        "layer: probe/x.py imports collector.ledger",
    ),
    "collector imports probe": ("collector/x.py", "from probe.core import at", "layer: collector/x.py imports probe"),
    "sim imports collector": ("sim/x.py", "from collector import registry", "layer: sim/x.py imports collector"),
    "provisioning imports the ledger": (
        *("provisioning/x.py", "from collector import ledger"),
        "layer: provisioning/x.py imports collector.ledger",
    ),
    "relative import": ("probe/x.py", "from . import spool", "layer: probe/x.py imports ..spool: absolute"),
    "note imports msgspec": ("wire/note.py", "import msgspec", "narrow: wire/note.py imports msgspec"),
    "tlog imports codec": ("wire/tlog.py", "from wire import codec", "narrow: wire/tlog.py imports wire.codec"),
    **{
        f"core imports {name}": (
            *("probe/core/x.py", f"import {name}"),
            f"core: probe/core/x.py imports {name}",
        )
        for name in ("socket", "sqlite3", "subprocess", "random", "os", "time", "pathlib", "threading", "secrets")
    },
    "core imports an adapter": ("probe/core/x.py", "from probe import spool", "core: probe/core/x.py imports probe"),
    "core reads the clock": (
        *("collector/core/x.py", "from datetime import datetime as d\nT = d.now()"),
        "core: collector/core/x.py:2 reads the clock by now",
    ),
    "core reads the date": (
        *("collector/core/x.py", "import datetime\nT = datetime.date.today()"),
        "core: collector/core/x.py:2 reads the clock by today",
    ),
    "core opens a file": ("probe/core/x.py", "T = open('x')", "core: probe/core/x.py:1 calls open"),
    "core asks for the network": ("probe/core/x.py", "import urllib.request", "core: probe/core/x.py imports urllib"),
    "second owner of serial": ("probe/gps2.py", "import serial", "owner: probe/gps2.py imports serial"),
    "second owner of paho": ("collector/web/x.py", "import paho", "owner: collector/web/x.py imports paho"),
    "flask outside the web": ("collector/x.py", "from flask import g", "owner: collector/x.py imports flask"),
    "sqlite3 outside the adapters": ("collector/web/x.py", "import sqlite3", "owner: collector/web/x.py imports"),
    "package that nobody owns": ("probe/x.py", "import requests", "owner: probe/x.py imports requests"),
    "function too long": (
        *("point/x.py", "def f() -> None:\n" + "    pass\n" * 41),
        "length: point/x.py f has more than 40 lines",
    ),
    "module too long": ("point/x.py", "X = 1\n" * 401, "length: point/x.py has more than 400 lines"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_breach_is_seen(name: str, tmp_path: Path) -> None:
    path, text, problem = BREACHES[name]
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert [found for found in code_problems(tmp_path) if found.startswith(problem)]


def test_what_is_allowed_is_not_a_breach(tmp_path: Path) -> None:
    allowed = {
        "wire/note.py": "import base64\nfrom cryptography import exceptions\nfrom wire.errors import A\n",
        "wire/x.py": "import msgspec\nfrom wire import note\n",
        "probe/core/x.py": "from urllib.parse import quote\nfrom wire.records import A\nfrom probe.core import at\n",
        "probe/devices/modem.py": "import serial\nimport os\n",
        "provisioning/x.py": "from collector import registry\nfrom collector.catalogue import A\n",
        "point/x.py": 'def f() -> None:\n    """' + "long\n" * 50 + '"""\n' + "    pass\n" * 40,
    }
    for path, text in allowed.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert code_problems(tmp_path) == []


def test_missing_stale_and_empty_sentences_are_seen(tmp_path: Path) -> None:
    for path, text in {"probe/spool.py": "X = 1\n", "probe/__init__.py": '"""Doc."""\n'}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert word_problems(tmp_path) == ["words: docs/architecture.md does not name probe/spool.py"]
    page = tmp_path / "docs" / "architecture.md"
    page.parent.mkdir()
    page.write_text("- `probe/spool.py` — keeps records until the ledger has them.\n")
    assert word_problems(tmp_path) == []
    page.write_text("- `probe/spool.py` — keeps records\n- `probe/gone.py` — was here.\n")
    assert word_problems(tmp_path) == [
        "words: docs/architecture.md names probe/gone.py, which is gone",
        "words: probe/spool.py: one sentence, ended by a full stop",
    ]
