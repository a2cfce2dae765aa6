"""A technician's visit, whole: doctor in the site looks at it, and the office reads the code from the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from sim import ns, state
from sim.programs import module
from tests.flow.conftest import PLACE, Whole, eventually
from wire.errors import EXIT_FAILED, EXIT_OK


def test_code_of_a_visit_says_at_the_office_what_was_seen_in_the_hall(whole: Whole) -> None:
    """All but the test's own figures must be green; a busy machine may cost those, and the code then says so."""
    found = state.site(whole.world.directory, PLACE.name)
    assert found is not None
    command = ns.enter(found.netns_pid, module("probe", "doctor", "--json", "--config", str(whole.settings)))
    seen: list[dict[str, Any]] = []

    def is_well() -> bool:
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.stdout, done.stderr
        seen.append(json.loads(done.stdout))
        return {line["check"] for line in seen[-1]["checks"] if line["verdict"] in ("bad", "wait")} <= {"test"}

    eventually("all but the test is green", is_well, 150)
    said = "GREEN" if seen[-1]["ok"] else "not green: test"
    settings = str(whole.world.deployment / "collector" / "collector.toml")
    words = [sys.executable, "-m", "collector", "visit-code", "--config", settings, PLACE.probe, seen[-1]["code"]]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert asked.stdout.split(";")[0] == said, asked
    assert asked.returncode == (EXIT_OK if said == "GREEN" else EXIT_FAILED)
    assert "test record" in asked.stdout
    slip = subprocess.run([*words[:-1], "0" + words[-1][1:]], capture_output=True, text=True, check=False)
    assert slip.returncode == EXIT_FAILED
    assert "slip" in slip.stderr
