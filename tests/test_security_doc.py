"""docs/security.md names tests that exist, for every threat at least one, and commands that the Makefile has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", TEXT)
BY_PROCEDURE = {"3"}


def _tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_named_test_exists() -> None:
    assert len(NAMED) > 50
    missing = [f"{path}::{name}" for path, name in NAMED if name not in _tests(ROOT / path)]
    assert missing == []


def test_every_threat_has_its_attackers() -> None:
    rows = [line.split("|") for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [row[1].strip() for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert len(rows) >= 12
    bare = {row[1].strip() for row in rows if "::test_" not in row[4]}
    assert bare == BY_PROCEDURE


def test_every_named_command_and_document_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    both = TEXT + (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z-]+)`", both)) <= targets
    assert [name for name in set(re.findall(r"`(docs/[a-z-]+\.md)`", both)) if not (ROOT / name).exists()] == []
