"""Writes the list of modules in docs/architecture.md: one sentence each, taken from the module's own docstring.

python scripts/architecture.py            write it anew
python scripts/architecture.py --check    exit 1 if the document is not current
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: begin -->\n", "<!-- modules: end -->\n"
PARTS = {
    "wire": "the contract",
    "probe": "the program on the Pi",
    "collector": "broker to ledger to boards",
    "point": "the measurement point",
    "provisioning": "identity and settings",
    "grafana": "boards",
    "sim": "the field simulator",
}


def modules(part: str) -> list[Path]:
    """All modules of a package that say something, shallow ones first."""
    found = sorted((ROOT / part).rglob("*.py"), key=lambda path: (len(path.parts), path))
    return [path for path in found if path.name != "__init__.py" or path.stat().st_size > 0]


def sentence(path: Path) -> str:
    """First sentence of a module's docstring. Raises SystemExit naming a module that has none."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise SystemExit(f"{path.relative_to(ROOT)} has no docstring; write one sentence that says what it is for")
    first = " ".join(text.split("\n\n")[0].split())
    end = first.find(". ")
    return first if end < 0 else first[: end + 1]


def listing() -> str:
    """The generated part of the document."""
    lines: list[str] = []
    for part, meaning in PARTS.items():
        lines += [f"### `{part}/`: {meaning}", ""]
        lines += [f"- `{path.relative_to(ROOT)}` — {sentence(path)}" for path in modules(part)]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write or check; see the module's docstring."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    made = f"{head}{BEGIN}\n{listing()}\n{END}{rest.split(END)[1]}"
    if "--check" in sys.argv:
        if made != text:
            sys.stderr.write("docs/architecture.md is not current; run: python scripts/architecture.py\n")
        return int(made != text)
    DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
