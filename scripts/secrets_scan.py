"""Looks for what may stand nowhere: private keys, IMSI, ICCID, telephone numbers, tokens.

python scripts/secrets_scan.py [FOLDER ...]     files that git tracks here, or every file of these folders

In this tree examples of tests and recordings pass (see ALLOWED); in logs and exports nothing does. Zip files (evidence
packs, workbooks) are looked into. Exit status 0, or 1 with file, line and kind; what was found is never printed.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS: dict[str, re.Pattern[bytes]] = {
    "private key of ours": re.compile(rb"PRIVATE\+KEY\+[A-Za-z0-9./_-]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{43}="),
    "private key in PEM": re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
    "IMSI": re.compile(rb"(?<![0-9A-Za-z._-])452(?:01|02|04|05|07|08|09)[0-9]{10}(?![0-9A-Za-z])"),
    "ICCID": re.compile(rb"(?<![0-9A-Fa-f])8984[0-9]{14,16}(?![0-9A-Fa-f])"),
    "telephone number": re.compile(rb"(?<![0-9A-Za-z+_.:/=-])(?:\+84|0)[ .]?[35789][0-9]{8}(?![0-9A-Za-z])"),
    "cloud or forge token": re.compile(rb"(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20})"),
    "password in an address": re.compile(rb"[a-z]{3,8}://[^/\s:@{}<>\"']{1,40}:[^/\s:@{}<>\"']{3,40}@[a-z0-9]"),
}
ALLOWED = re.compile(r"^(tests/|sim/|wire/SPEC\.md$|docs/decisions/)")
"""Examples: numbers that tests make up, recordings of modems whose identities were replaced."""
PICTURES = (".png", ".jpg", ".webp", ".woff2", ".lock")
MOST_BYTES, MOST_DEPTH = 50_000_000, 2


def scan(name: str, raw: bytes, depth: int = 0) -> Iterator[str]:
    """Lines `file:line: kind` of one file, of a zip's files too."""
    if raw[:4] == b"PK\x03\x04" and depth < MOST_DEPTH:
        try:
            with zipfile.ZipFile(io.BytesIO(raw)) as packed:
                for part in packed.infolist():
                    if part.file_size <= MOST_BYTES:
                        yield from scan(f"{name}!{part.filename}", packed.read(part), depth + 1)
            return
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            pass
    for kind, pattern in KINDS.items():
        for match in pattern.finditer(raw):
            yield f"{name}:{raw.count(bytes([10]), 0, match.start()) + 1}: {kind}"


def tracked() -> list[Path]:
    """Files of this tree, without examples."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = done.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and not ALLOWED.match(name) and not name.endswith(PICTURES)]


def main(argv: list[str] | None = None) -> int:
    """Scan; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="*")
    asked = parser.parse_args(argv)
    paths = [p for folder in asked.folder for p in sorted(folder.rglob("*")) if p.is_file()] or tracked()
    found = []
    for path in paths:
        if path.is_file() and path.stat().st_size <= MOST_BYTES:
            found += scan(str(path), path.read_bytes())
    print("\n".join([*found, f"{len(paths)} files, {len(found)} findings"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
