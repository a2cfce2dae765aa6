"""A software bill of materials: CycloneDX 1.6 as JSON, of every package that `requirements.lock` pins, with its hashes.

python scripts/sbom.py [--out build/sbom.cdx.json] [--check]

Licences and summaries come from what is installed here; a package that is not (another platform's) has none. `scope`
is `required` for what a probe, collector, point or office installs, `excluded` for what only tests and benches use.
Neither time nor chance stands in it: the same lock gives the same bytes. `--check`: nothing is written; the lock and
constraints.txt must name the same versions, each with a SHA-256. Exit status 0, or 1 with what differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import uuid
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK, PINS = ROOT / "requirements.lock", ROOT / "constraints.txt"
IN_SERVICE = ("probe", "collector", "reports", "point", "provisioning")
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package: its name as PyPI compares it, its version, SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def plain(name: str) -> str:
    """A package's name as PyPI compares names (PEP 503)."""
    return _NAME.sub("-", name).lower()


def read_lock(text: str) -> list[Package]:
    """The packages of a lock file, by name."""
    found: list[Package] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        pinned = _PINNED.match(block)
        if pinned is not None:
            found.append(Package(plain(pinned[1]), pinned[2], tuple(_HASH.findall(block))))
    return sorted(found, key=lambda one: one.name)


def differences(lock: list[Package], pins: str) -> list[str]:
    """What the lock and the constraints disagree about; empty if nothing."""
    wanted = {plain(m[1]): m[2].strip() for m in map(_PINNED.match, pins.splitlines()) if m is not None}
    said = [f"{one.name}: no hash in requirements.lock" for one in lock if not one.hashes]
    for one in lock:
        pin = wanted.get(one.name)
        if pin is not None and pin != one.version:
            said.append(f"{one.name}: {one.version} in requirements.lock, {pin} in constraints.txt")
        elif pin is None:
            said.append(f"{one.name}: not in constraints.txt")
    return said


def in_service() -> set[str]:
    """Names of packages that our programs need in service, with all that those need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [*project["dependencies"], *(line for e in IN_SERVICE for line in project["optional-dependencies"][e])]
    found: set[str] = set()
    while waiting:
        line = waiting.pop()
        name = plain(re.split(r"[<>=!~\[ ;(]", line)[0])
        if name in found or name == "dosong":
            continue
        found.add(name)
        try:
            waiting += [need for need in metadata.requires(name) or [] if "extra ==" not in need]
        except metadata.PackageNotFoundError:
            continue
    return found


def component(package: Package, needed: set[str]) -> dict[str, Any]:
    """One entry of the list."""
    entry: dict[str, Any] = {
        "type": "library", "bom-ref": package.purl, "name": package.name, "version": package.version,
        "purl": package.purl, "scope": "required" if package.name in needed else "excluded",
        "externalReferences": [{
            "type": "distribution", "url": f"https://pypi.org/project/{package.name}/{package.version}/",
            "hashes": [{"alg": "SHA-256", "content": one} for one in package.hashes],
        }],
    }  # fmt: skip
    try:
        about = metadata.metadata(package.name)
    except metadata.PackageNotFoundError:
        return entry
    if about.get("Summary"):
        entry["description"] = about["Summary"]
    spoken = about.get("License-Expression")
    named = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    if spoken:
        entry["licenses"] = [{"expression": spoken}]
    elif named:
        entry["licenses"] = [{"license": {"name": one}} for one in named]
    return entry


def bill(lock: list[Package]) -> dict[str, Any]:
    """The whole document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = in_service()
    ours = {"type": "application", "bom-ref": "dosong", "name": "dosong", "version": project["version"],
            "licenses": [{"license": {"id": project["license"]}}]}  # fmt: skip
    listed = [component(one, needed) for one in lock]
    digest = sha256(json.dumps([ours, listed], sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "metadata": {"component": ours}, "components": listed,
        "dependencies": [{"ref": "dosong", "dependsOn": [one["purl"] for one in listed if one["scope"] == "required"]}],
    }  # fmt: skip


def main() -> int:
    """Write it, or check what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom.cdx.json")
    parser.add_argument("--check", action="store_true", help="write nothing; compare lock and constraints")
    asked = parser.parse_args()
    lock = read_lock(LOCK.read_text())
    wrong = differences(lock, PINS.read_text())
    for line in wrong:
        print(f"sbom: {line}; run: make lock", file=sys.stderr)
    if wrong or asked.check:
        return 1 if wrong else 0
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(bill(lock), indent=1, ensure_ascii=False) + "\n")
    served = len(in_service() & {one.name for one in lock})
    print(f"{asked.out}: {len(lock)} packages, {served} of them in service, {sum(len(p.hashes) for p in lock)} hashes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
