"""Five faults of the walk, with the real programs: each has the right cause in a record, and ends in normal work.

All of them, with a power cut in each, are `make walk`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_a_short_walk_is_right(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim", "walk", "--short", "--out", str(tmp_path), "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=230, check=False)
    walked = json.loads((tmp_path / "walk.json").read_text())
    assert {row["fault"]: row["verdict"] for row in walked["rows"]} == {
        "sim-puk": "right",
        "dns-dead": "right",
        "no-service": "right",
        "modem-renumbered": "right",
        "gpsd-killed": "right",
    }, done.stderr
    assert walked["lost"] == []
    assert done.returncode == 0
    assert "| sim-puk |" in (tmp_path / "walk.md").read_text()
