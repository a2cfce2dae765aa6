"""`dosong-verify` as one Python file that needs only `cryptography`: for an auditor's machine that has nothing of ours.

`python -m wire.onefile > dosong-verify.py`. The sources of the modules stand in it word for word, so that whoever
doubts the verdict can read what gave it.
Source: design §3 (`dosong-verify` is generated from `wire.note` and `wire.tlog`).
"""

from __future__ import annotations

import sys
from importlib import resources

MODULES = (
    *("errors", "note", "tlog", "cosign", "bundle", "canon", "topics", "plain", "audit"),
    *("recount", "packcheck", "verify"),
)
"""What the file holds, each after what it imports; none needs more than the standard library and cryptography."""

_HEAD = '''\
#!/usr/bin/env python3
"""dosong-verify in one file: checks signed records, chains, and proofs of the sealed log, offline.

Needs Python 3.11 or later and the package `cryptography` (pip install cryptography; Debian: python3-cryptography).

    python3 dosong-verify.py --help

Below stand the modules of dosong's `wire` package that it is made of, word for word.
"""

import sys
import types

SOURCES = {}
'''
_TAIL = '''

def load():
    """Make the modules, in order, under the names that they import each other by."""
    package = types.ModuleType("wire")
    package.__path__ = []
    sys.modules["wire"] = package
    for name, source in SOURCES.items():
        module = types.ModuleType(f"wire.{name}")
        sys.modules[f"wire.{name}"] = module
        setattr(package, name, module)
        exec(compile(source, f"dosong-verify.py:wire/{name}.py", "exec"), module.__dict__)
    return sys.modules["wire.verify"]


if __name__ == "__main__":
    sys.exit(load().main())
'''


def text() -> str:
    """Return the whole file."""
    return _HEAD + "".join(_block(name) for name in MODULES) + _TAIL


def _block(name: str) -> str:
    source = (resources.files("wire") / f"{name}.py").read_text(encoding="utf-8")
    if "'''" in source:
        raise AssertionError(f"wire/{name}.py holds ''' and cannot stand in a raw string")
    return f"\nSOURCES[{name!r}] = r'''\n{source}'''\n"


if __name__ == "__main__":
    sys.stdout.write(text())
