"""What is installed is what was reviewed: one lock with hashes, equal to the constraints, and a bill of materials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "sbom.py"


def test_the_lock_names_every_pinned_version_with_hashes() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_version_that_differs_is_told(tmp_path: Path) -> None:
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import sbom  # noqa: PLC0415
    finally:
        sys.path.remove(str(SCRIPT.parent))
    lock = sbom.read_lock("Flask==3.1.3 \\\n    --hash=sha256:" + "0" * 64 + "\nidna==3.20 \\\n    # none\n")
    assert [(one.name, len(one.hashes)) for one in lock] == [("flask", 1), ("idna", 0)]
    said = sbom.differences(lock, "flask==3.1.2\n")
    assert [line.split(":")[0] for line in said] == ["idna", "flask", "idna"]


def test_the_bill_has_every_package_once_and_twice_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("a.json", "b.json"):
        subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path / name)], check=True, capture_output=True)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    bill = json.loads(made[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(refs) == len(set(refs)) > 50
    assert {"pkg:pypi/cryptography@", "pkg:pypi/flask@", "pkg:pypi/paho-mqtt@"} <= {
        f"{one['purl'].partition('@')[0]}@" for one in bill["components"] if one["scope"] == "required"
    }
    assert set(bill["dependencies"][0]["dependsOn"]) <= set(refs)
    for one in bill["components"]:
        assert one["externalReferences"][0]["hashes"], one["name"]
