"""A technician's visit, whole: doctor in the site finds it green, and the office reads the code from the ledger."""

from __future__ import annotations

import json
import subprocess
import sys

from sim import ns, state
from sim.programs import module
from tests.flow.conftest import PLACE, Whole, eventually
from wire.errors import EXIT_OK


def test_green_station_gives_a_code_that_the_office_finds_in_the_ledger(whole: Whole) -> None:
    found = state.site(whole.world.directory, PLACE.name)
    assert found is not None
    command = ns.enter(found.netns_pid, module("probe", "doctor", "--json", "--config", str(whole.settings)))
    seen: list[dict[str, object]] = []

    def is_green() -> bool:
        """A busy machine may cost one short test its figures."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.stdout, done.stderr
        seen.append(json.loads(done.stdout))
        return done.returncode == EXIT_OK

    eventually("doctor is green", is_green, 150)
    code = str(seen[-1]["code"])
    settings = str(whole.world.deployment / "collector" / "collector.toml")
    words = [sys.executable, "-m", "collector", "visit-code", "--config", settings, PLACE.probe, code]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, asked.stdout.split(";")[0]) == (EXIT_OK, "GREEN"), asked
    assert "test record" in asked.stdout
    slip = subprocess.run([*words[:-1], code[1] + code[0] + code[2:]], capture_output=True, text=True, check=False)
    assert slip.returncode != EXIT_OK or code[0] == code[1]
