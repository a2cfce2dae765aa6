"""Each file of a deployment belongs to the one account that needs it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning import deployment, ownership
from provisioning.ownership import Wanted
from tests.provisioning.test_deployment import PLAN
from wire.errors import Misconfigured

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _found(root: Path) -> dict[str, Wanted]:
    return {str(one.path.relative_to(root)): one for one in ownership.wanted(root)}


def test_every_file_of_a_deployment_has_a_rule_and_no_key_is_for_two(tmp_path: Path) -> None:
    deployment.init(tmp_path, PLAN, NOW)
    (tmp_path / "collector/state/log/0").mkdir(parents=True)
    (tmp_path / "collector/state/log/0/checkpoint").write_text("x")
    rules = _found(tmp_path)
    assert rules["ca/issuing.key"].owner == rules["ca/issuing.key"].group == "dosong-ca"
    assert rules["ca"].mode == 0o700
    assert (rules["collector/log.key"].owner, rules["collector/log.key"].mode) == ("dosong-collector", 0o600)
    assert rules["collector/web.secret"].mode == 0o600
    assert rules["collector/collector.toml"].mode == 0o644
    assert rules["collector/state"].mode == 0o3770
    assert rules["collector/state/registry.db"].mode == 0o660
    assert (rules["broker/server.key"].group, rules["broker/server.key"].mode) == ("mosquitto", 0o640)
    assert rules["broker"].mode == 0o2750
    assert rules["enrol/server.key"].owner == "root"
    assert rules["collector/state/log/0/checkpoint"].owner == "dosong-collector"
    told = {path.name for path in tmp_path.rglob("*") if path.suffix == ".key"}
    assert told <= {Path(name).name for name in rules}, "a key without an owner"


def test_what_a_running_program_made_and_links_are_left_alone(tmp_path: Path) -> None:
    deployment.init(tmp_path, PLAN, NOW)
    (tmp_path / "broker/mosquitto.pid").write_text("1")
    (tmp_path / "collector/state/x").symlink_to("/etc/passwd")
    rules = _found(tmp_path)
    assert "broker/mosquitto.pid" not in rules
    assert "collector/state/x" not in rules


def test_a_folder_that_is_no_deployment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(Misconfigured, match="no deployment"):
        ownership.put_in_force(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(Misconfigured, match="root"):
        ownership.put_in_force(tmp_path)
