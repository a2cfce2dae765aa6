"""A run of the simulator for one test: its own name and folder, and nothing of it left afterwards."""

import os
import secrets

import pytest

from sim import site, state


@pytest.fixture
def run(tmp_path):
    """A run of this test's own; every site and the core are taken down at its end."""
    directory = state.run_dir(f"t{os.getpid()}-{secrets.token_hex(3)}", tmp_path / "run")
    yield directory
    site.all_down(directory)


@pytest.fixture
def other_run(tmp_path):
    """A second run beside the first."""
    directory = state.run_dir(f"t{os.getpid()}-{secrets.token_hex(3)}", tmp_path / "other")
    yield directory
    site.all_down(directory)
