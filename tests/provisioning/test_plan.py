"""What a campaign costs, before anything is bought: attempts, bytes, prices, and the customer's three papers."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.registry import Registry
from provisioning import registry_units, units
from provisioning.__main__ import cli
from provisioning.core.outlay import DAYS, Ask, Tariff, lines, outlay
from wire import data_use

NOW = 1_795_000_000_000
CAMPAIGNS = Path(units.__file__).parent / "data" / "campaigns.toml"
ASK = Ask(communes=10, hamlets=270, hamlets_known=False, quota=300)


def test_attempts_are_those_of_the_table() -> None:
    assert outlay(ASK, ()).attempts == ((99.0, 308), (95.0, 326), (90.0, 348))


def test_options_grow_from_one_a_commune_to_one_a_hamlet() -> None:
    found = outlay(ASK, (), stations=4)
    assert [(o.name, o.stations, o.sims, o.tests_a_sim) for o in found.options] == [
        ("one", 10, 10, 326), ("two", 20, 20, 163), ("given", 40, 40, 82), ("hamlets", 270, 270, DAYS),
    ]  # fmt: skip
    three = outlay(Ask(10, 270, True, 300, modems=3), ())
    assert three.options[0].sims == 30
    assert three.options[0].tests_a_sim == 109
    assert outlay(Ask(10, 270, True, 300, modems=3, each_operator=True), ()).options[0].tests_a_sim == 326


def test_bytes_are_the_probes_own_arithmetic() -> None:
    option = outlay(ASK, ()).options[0]
    link = data_use.Link(ASK.downlink_bps, ASK.uplink_bps)
    assert option.least_bytes == data_use.bytes_of_month(link, data_use.Terms(), data_use.Upkeep(), 326, DAYS)
    assert option.least_bytes < option.most_bytes < option.buy_bytes
    speedtest = outlay(Ask(10, 270, False, 300, engine="speedtest-cli"), ()).options[0]
    assert 20e9 < speedtest.least_bytes == speedtest.most_bytes < 25e9  # facts note 01 §7: about 21 GB


def test_the_cheapest_plan_that_is_large_enough_is_taken_and_none_is_invented() -> None:
    small, fit, dear = (
        Tariff("nhỏ", "45204", 5 * 10**9, 30, 50_000, "x"),
        Tariff("vừa", "45204", 30 * 10**9, 30, 120_000, "trang của nhà mạng, 01/11/2026"),
        Tariff("đắt", "45202", 60 * 10**9, 30, 200_000, "x"),
    )
    option = outlay(ASK, (small, dear, fit)).options[0]
    assert option.tariff == fit
    assert option.vnd == 10 * 124_000
    assert outlay(ASK, (small,)).options[0].vnd is None
    assert outlay(ASK, (), sim_vnd=100_000).options[0].vnd == 1_000_000
    assert "nhập giá của bạn" in "\n".join(lines(outlay(ASK, ()), "vi"))
    assert "enter yours" in "\n".join(lines(outlay(ASK, ()), "en"))
    assert "1.240.000 đồng/tháng (vừa, 45204; trang của nhà mạng" in "\n".join(lines(outlay(ASK, (fit,)), "vi"))


def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(ValueError, match="never make 300"):
        outlay(Ask(1, 1, True, 300, success_percent=0.1), ())


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All units, and the three papers."""
    root = tmp_path_factory.mktemp("plan") / "d"
    made = CliRunner().invoke(cli, ["init", "--dir", str(root), "--origin", "dosong.example", "--host", "localhost"])
    assert made.exit_code == 0
    registry = Registry(root / "collector" / "state" / "registry.db")
    registry_units.load(registry, units.built_in(), NOW)
    registry.load(tomllib.loads(CAMPAIGNS.read_text(encoding="utf-8")), NOW)
    registry.close()
    return root


def told(deployment: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, ["plan", "--dir", str(deployment), *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_ministrys_letter_for_a_whole_province(deployment: Path) -> None:
    said = told(deployment, "--unit", "19", "--campaign", "cv-5691")
    assert "92 xã" in said
    assert "308 (99 %), 326 (95 %), 348 (90 %)" in said
    assert "92 trạm, 92 SIM" in said


def test_the_citys_plan_for_what_became_of_the_city(deployment: Path) -> None:
    found = json.loads(told(deployment, "--unit", "194", "--campaign", "kh-81", "--json"))
    assert {"06709", "06712", "06736"} <= set(found["communes"])
    assert len(found["communes"]) == 6
    assert found["outlay"]["options"][0]["stations"] == 6
    assert len(found["besides"]) == 3
    assert "departments together" in told(deployment, "--unit", "194", "--campaign", "kh-81", "--lang", "en")


def test_the_communes_letter_asks_for_people_and_no_station_gives_them(deployment: Path) -> None:
    said = told(deployment, "--unit", "05755", "--campaign", "cv-292")
    assert "không cần mua trạm" in said
    assert ">= 30 người/thôn/đợt (trạm đo không làm thay được)" in said


def test_usage(deployment: Path) -> None:
    run = CliRunner().invoke
    assert "326" in run(cli, ["plan", "--communes", "14"]).output
    assert run(cli, ["plan"]).exit_code == 2
    assert run(cli, ["plan", "--dir", str(deployment)]).exit_code == 2
    for words in (["--unit", "99999"], ["--unit", "19", "--campaign", "no"]):
        assert run(cli, ["plan", "--dir", str(deployment), *words]).exit_code == 1
