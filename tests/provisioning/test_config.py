"""`dosong-provision config`: one command signs what a probe is told to do and lays it where it is published."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from provisioning import config, deployment
from provisioning.deployment import Deployment, Plan
from wire import slots
from wire.errors import EXIT_FAILED, EXIT_OK, Refused
from wire.keyfile import read_signer
from wire.notes import Config, open_note

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PLAN = Plan(
    origin="d.example", host="mqtt.example", port=8883, bind="127.0.0.1", web_bind="127.0.0.1:8080",
    influx_url="http://127.0.0.1:8086", influx_database="dosong", broker_user="mosquitto", demo=False,
)  # fmt: skip
UNITS = """
provinces = [{ code = "19", name = "Thái Nguyên" }]
communes = [{ code = "05755", name = "Xã Phú Xuyên", province = "19" }]
hamlets = [{ code = "h-dong-chuoi", name = "Đồng Chuối", kind = "xóm", commune = "05755" }]
sites = [{ code = "s-one", hamlet = "h-dong-chuoi", name = "Nhà văn hóa", lat_e7 = 215000000, lon_e7 = 1058000000 }]
referrals = [{ code = "TN1", unit = "05755" }, { code = "TN2", unit = "h-dong-chuoi" }]
quotas = [{ commune = "05755", minimum = 300, rule = "từ 300 mẫu" }]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A deployment with one site and one probe there."""
    root = tmp_path / "d"
    deployment.init(root, PLAN, NOW)
    (tmp_path / "units.toml").write_text(UNITS)
    assert call("import", root, str(tmp_path / "units.toml"))[0] == EXIT_OK
    assert call("add-probe", root, "p-one", "--site", "s-one")[0] == EXIT_OK
    return root


def call(word: str, root: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "provisioning", word, "--dir", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def signed(root: Path) -> Config:
    """What lies there for the collector, as the probe will read it."""
    where = deployment.load(root)
    raw = (root / "collector" / "state" / "config" / "p-one.note").read_bytes()
    return open_note(raw, Config, "d.example", read_signer(where.collector / "config.key").verifier)


def made(root: Path, *words: str) -> dict[str, Any]:
    status, text = call("config", root, "p-one", "--json", *words)
    assert status == EXIT_OK, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_first_one_takes_slots_from_the_quota_and_place_from_the_registry(root: Path) -> None:
    found = made(root, "--limit-gb", "10", "--billing-day", "17", "--plmn", "45204")
    config_ = signed(root)
    assert found["modems"]["m1"]["slots"] == config_.modems["m1"].slots == 326
    modem = config_.modems["m1"]
    assert (modem.limit_bytes, modem.billing_day, modem.plmn) == (10**10, 17, "45204")
    assert (config_.rev, config_.site, config_.referral) == (1, "s-one", "TN2")
    assert (config_.lat_e7, config_.lon_e7) == (215_000_000, 1_058_000_000)
    months = sorted(config_.seeds)
    assert len(months) == 4, "this month and three ahead"
    assert months[0] == slots.month_of(config_.signed_ms)
    assert config_.expires_ms == slots.month_bounds(months[-1])[1]


def test_the_next_one_keeps_what_is_not_asked_anew(root: Path) -> None:
    made(root, "--limit-gb", "10", "--success", "90")
    made(root, "--modem", "m2", "--slots", "100", "--plmn", "45201")
    found = made(root, "--server", "198.51.100.7:7480")
    assert (found["rev"], found["server"]) == (3, "198.51.100.7:7480")
    assert found["modems"] == {
        "m1": {"slots": 348, "limit_bytes": 10**10},
        "m2": {"slots": 100, "plmn": "45201"},
    }
    assert made(root, "--quota", "300", "--stations", "2")["modems"]["m1"]["slots"] == 163


def test_an_action_is_in_one_config_only_each_with_an_id_of_its_own(root: Path) -> None:
    first, second = made(root, "--action", "test"), made(root, "--action", "test")
    assert first["action"] == second["action"] == "test"
    assert first["action_id"] != second["action_id"]
    assert "action" not in made(root)
    assert call("config", root, "p-one", "--action", "format_disk")[0] == 2


def test_what_cannot_be_is_refused_in_one_sentence(root: Path, tmp_path: Path) -> None:
    status, text = call("config", root, "p-none")
    assert status == EXIT_FAILED
    assert "not in the registry" in text
    assert call("revoke", root, "p-one")[0] == EXIT_OK
    assert call("config", root, "p-one")[0] == EXIT_FAILED
    assert not (root / "collector" / "state" / "config" / "p-one.note").exists()


def test_people_see_what_the_limit_costs(root: Path) -> None:
    status, text = call("config", root, "p-one", "--limit-gb", "10", "--vnd-per-gb", "3000")
    assert status == EXIT_OK
    assert "10.0 GB a period, 30,000 đồng: 30.7 MB for each slot" in text


def test_a_seed_is_told_when_its_month_is_over_and_is_the_one_that_was_signed(root: Path) -> None:
    month = sorted(made(root)["seeds"])[0]
    where: Deployment = deployment.load(root)
    with pytest.raises(Refused, match="not over"):
        config.published_seed(where, month, datetime.now(UTC))
    later = datetime.fromtimestamp(slots.month_bounds(month)[1] / 1000 + 1, UTC)
    assert config.published_seed(where, month, later) == signed(root).seeds[month]
    assert (where.collector / "schedule.secret").stat().st_mode & 0o077 == 0
    assert call("seed", root, "2026_10")[0] == EXIT_OK
    assert call("seed", root, "2026-10")[0] == EXIT_FAILED
