"""The dated registry: append-only, by valid and recorded time; hamlets that move; the change list; old names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.registry import Registry
from collector.registry_dated import LISTS, AssignmentRow, CampaignQuotaRow, LimitRow, SurveyRow
from collector.sqlite import open_writer, versions
from tests.collector.kit import FakeProbe, document
from wire.errors import Refused
from wire.fold import fold

DAY = 86_400_000
NOW = 1_790_000_400_000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db")
    made.load(document(FakeProbe("p-one")), now_ms=NOW)
    yield made
    made.close()


def two_hamlets(registry: Registry, **changes: Any) -> None:
    """A second commune with a hamlet of its own, and a second site."""
    more: dict[str, Any] = {
        "communes": [{"code": "05758", "name": "Xã Thần Sa", "province": "19"}],
        "hamlets": [{"code": "h-two", "name": "Đồng Mới", "kind": "bản", "commune": "05758"}],
        "sites": [{"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"}],
    }
    registry.load({**more, **changes}, now_ms=NOW)


@pytest.mark.parametrize("name", LISTS)
def test_no_dated_row_is_ever_changed_or_taken_away(registry: Registry, name: str) -> None:
    table = LISTS[name].table
    key = LISTS[name].key[0]
    with sqlite3.connect(registry.path) as raw:
        columns = [row for row in raw.execute(f"PRAGMA table_info({table})") if row[3] and row[1] != "n"]
        values = ["x" if row[2] == "TEXT" else 1 for row in columns]
        known = {"how": "merged", "level": "commune", "what": "samples", "relation": ">=", "period": "day",
                 "nature": "target", "successors": "", "counter": "portal"}  # fmt: skip
        values = [known.get(row[1], value) for row, value in zip(columns, values, strict=True)]
        if table == "site_survey":
            values[[row[1] for row in columns].index("how")] = "gnss"
        if table == "campaign_report":
            values[[row[1] for row in columns].index("relation")] = "before"
        raw.execute(
            f"INSERT INTO {table} ({', '.join(row[1] for row in columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608
            values,
        )
        raw.commit()
        for verb in (f"UPDATE {table} SET {key} = 'y'", f"DELETE FROM {table}"):  # noqa: S608
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                raw.execute(verb)


def test_an_old_file_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with sqlite3.connect(path) as raw:
        for number, text in versions("registry")[:2]:
            raw.executescript(text + f";PRAGMA user_version={number};")
        raw.executescript(
            "INSERT INTO province VALUES ('19', 'Tỉnh Thái Nguyên');"
            "INSERT INTO commune VALUES ('05755', 'Xã Dân Tiến', '19', NULL, NULL);"
            "INSERT INTO hamlet VALUES ('h-1', 'Đồng Chuối', 'xóm', '05755', NULL, NULL);"
            "INSERT INTO site VALUES ('s-1', 'h-1', 'Nhà văn hóa', 1, 2);"
            "INSERT INTO probe VALUES ('p-one', 'k', 'active', NULL, 0);"
            "INSERT INTO probe_site (probe, site, valid_from_ms, recorded_ms) VALUES ('p-one', 's-1', 5, 6);"
            "INSERT INTO referral (code, unit, valid_from_ms, recorded_ms) VALUES ('TN1', '05755', 7, 8);"
        )
    registry = Registry(path)
    place = registry.place("p-one", 5)
    assert place is not None
    assert (place.hamlet, place.commune, place.lat_e7) == ("h-1", "05755", 1)
    assert registry.place("p-one", 4) is None
    assert registry.referrals() == [("TN1", "05755", 7)]
    assert registry.dated.last_change() == 0
    registry.close()
    open_writer(path, "registry", wal=False).close()


def test_a_place_is_that_of_its_moment_at_every_level(registry: Registry) -> None:
    two_hamlets(registry)
    registry.load({"sites": [{"code": "s-one", "hamlet": "h-two", "name": "Nhà văn hóa", "valid_from_ms": 2000}]}, NOW)
    row = {"code": "h-two", "name": "Đồng Mới", "kind": "bản", "commune": "05755", "valid_from_ms": 3000}
    registry.load({"hamlets": [row]}, NOW)
    found = [registry.place("p-one", at) for at in (0, 1999, 2000, 2999, 3000)]
    assert [(place.hamlet, place.commune) for place in found if place] == [
        ("h-dong-chuoi", "05755"), ("h-dong-chuoi", "05755"), ("h-two", "05758"), ("h-two", "05758"),
        ("h-two", "05755"),
    ]  # fmt: skip
    assert registry.hamlets()[1].commune == "05755"


def test_a_probe_taken_away_stands_nowhere_and_one_without_a_key_is_planned(registry: Registry) -> None:
    registry.load({"assignments": [{"probe": "p-one", "valid_from_ms": 500}]}, NOW)
    assert registry.place("p-one", 499) is not None
    assert registry.place("p-one", 500) is None
    entry = registry.probe("p-one")
    assert entry is not None
    assert entry.site is None
    registry.load({"assignments": [{"probe": "p-new", "site": "s-one", "valid_from_ms": 500}]}, NOW)
    assert registry.dated.planned() == ["p-new"]
    assert registry.probe("p-new") is None


def test_what_changes_is_listed_in_order_with_the_hours_that_it_concerns(registry: Registry) -> None:
    two_hamlets(registry)
    begun = registry.dated.last_change()
    registry.load({"assignments": [{"probe": "p-one", "site": "s-two", "valid_from_ms": NOW - 2 * DAY}]}, NOW)
    registry.load({"assignments": [{"probe": "p-one", "site": "s-one", "valid_from_ms": NOW - 3 * DAY}]}, NOW)
    registry.load({"referrals": [{"code": "TN1", "unit": "h-two", "valid_from_ms": NOW}]}, NOW)
    surveyed = {"site": "s-one", "lat_e7": 1, "lon_e7": 2, "how": "gnss", "valid_from_ms": 9}
    registry.load({"surveys": [surveyed]}, NOW)
    found = registry.dated.changes(begun)
    assert [(c.what, c.code, c.from_ms, c.until_ms) for c in found] == [
        ("probe_site", "p-one", NOW - 2 * DAY, None),
        ("probe_site", "p-one", NOW - 3 * DAY, NOW - 2 * DAY),
        ("referral", "TN1", NOW, None),
        ("site_position", "s-one", 0, None),
    ]
    assert [c.is_back_dated for c in found] == [True, True, False, True]
    assert registry.dated.changes(found[1].n, limit=1) == [found[2]]
    assert registry.dated.last_change() == found[-1].n
    registry.load({"surveys": [surveyed]}, NOW)
    assert registry.dated.last_change() == found[-1].n


def test_a_correction_beats_an_earlier_word_and_both_are_kept(registry: Registry) -> None:
    two_hamlets(registry)
    for site in ("s-two", "s-one", "s-two"):
        registry.load({"assignments": [{"probe": "p-one", "site": site, "valid_from_ms": 1000}]}, NOW)
    assert [row.site for row in registry.dated.history(AssignmentRow, probe="p-one")] == [
        "s-one", "s-two", "s-one", "s-two",
    ]  # fmt: skip
    assert [row.site for row in registry.dated.holding(AssignmentRow, 999)] == ["s-one"]
    assert [row.site for row in registry.dated.holding(AssignmentRow)] == ["s-two"]


def test_a_survey_moves_the_site_and_a_list_without_position_does_not_erase_it(registry: Registry) -> None:
    registry.load({"surveys": [{"site": "s-one", "lat_e7": 7, "lon_e7": 8, "how": "gnss", "valid_from_ms": 9}]}, NOW)
    registry.load({"sites": [{"code": "s-one", "hamlet": "h-dong-chuoi", "name": "Nhà văn hóa"}]}, NOW)
    site = registry.site("s-one")
    assert site is not None
    assert (site.lat_e7, site.lon_e7) == (7, 8)
    assert [row.lat_e7 for row in registry.dated.history(SurveyRow)] == [215_000_000, 7]


def test_quotas_and_limits_hold_in_their_time(registry: Registry) -> None:
    base = {"campaign": "cv", "line": "xa", "level": "commune", "what": "samples", "period": "month"}
    registry.load(
        {
            "campaigns": [{"code": "cv", "name": "Mẫu đo", "document": "5691/BTTTT-CVT", "starts_ms": 0}],
            "campaign_quotas": [
                {**base, "minimum": 300, "valid_from_ms": 0},
                {**base, "minimum": 400, "relation": ">", "valid_from_ms": 2 * NOW, "valid_to_ms": 3 * NOW},
            ],
            "limits": [
                {"code": "d4g", "name": "Tốc độ tải xuống 4G", "nature": "target", "relation": ">=",
                 "value_x1000": 40_000, "unit": "Mbit/s", "valid_from_ms": 5},
            ],
        },
        NOW,
    )  # fmt: skip
    minimum = [[row.minimum for row in registry.dated.holding(CampaignQuotaRow, at)] for at in (NOW, 2 * NOW, 3 * NOW)]
    assert minimum == [[300], [400], []]
    assert registry.dated.holding(LimitRow, 4) == []


TROUBLES: list[tuple[dict[str, Any], str]] = [
    ({"hamlet_ends": [{"hamlet": "h-dong-chuoi", "how": "merged"}]}, "one successor"),
    ({"hamlet_ends": [{"hamlet": "h-dong-chuoi", "how": "merged", "successors": "h-dong-chuoi"}]}, "into itself"),
    ({"hamlet_ends": [{"hamlet": "h-dong-chuoi", "how": "merged", "successors": "h-no"}]}, "'h-no'; list it too"),
    ({"assignments": [{"probe": "p-one", "site": "s-one", "valid_from_ms": NOW + 2 * DAY}]}, "later than now"),
    ({"surveys": [{"site": "s-x", "lat_e7": 1, "lon_e7": 2}]}, "site 's-x'"),
]


@pytest.mark.parametrize(("bad", "says"), TROUBLES, ids=[says for _, says in TROUBLES])
def test_what_cannot_be_is_refused(registry: Registry, bad: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        registry.load({"operators": [{"plmn": "45201", "name": "MobiFone"}], **bad}, NOW)
    assert "45201" not in registry.operators()


def test_all_mistakes_are_found_in_one_pass_and_nothing_is_written(registry: Registry) -> None:
    changed = registry.dated.last_change()
    report, troubles = registry.check(
        {
            "hamlets": [
                {"code": "h-3", "name": "A", "kind": "xóm", "commune": "99999"},
                {"code": "h-4", "name": "B", "kind": "xóm", "commune": "05755"},
            ],
            "sites": [{"code": "s-3", "hamlet": "h-3", "name": "A"}, {"code": "s-4", "hamlet": "h-4", "name": "B"}],
            "sims": [
                {"code": "sim-1", "plmn": "45204", "iccid_hmac": "0" * 64, "iccid_last4": "1234"},
                {"code": "sim-2", "plmn": "45204", "iccid_hmac": "0" * 64, "iccid_last4": "1234"},
            ],
        },
        NOW,
        promised={"hamlet": {"h-3"}},
    )
    assert [(t.listed, t.row, t.column, t.word, t.value) for t in troubles] == [
        ("hamlets", 1, "commune", "unknown", "99999"),
        ("sims", 2, "iccid", "taken", "sim-2"),
    ]
    assert report.added == {"hamlets": 1, "sites": 1, "sims": 1}
    assert registry.hamlet("h-4") is None
    assert registry.dated.last_change() == changed


def test_every_list_can_be_dumped_and_loaded_again_without_a_change(registry: Registry) -> None:
    two_hamlets(registry)
    registry.load({"hamlets": [{"code": "h-two", "name": "Mới", "kind": "thôn", "commune": "05758",
                                "valid_from_ms": 77, "source": "NQ 1"}]}, NOW)  # fmt: skip
    registry.load({"hamlet_ends": [{"hamlet": "h-two", "how": "merged", "successors": "h-dong-chuoi"}]}, NOW)
    names = ("provinces", "communes", "hamlets", "sites", "operators", "quotas", "sims", "campaigns", *LISTS)
    dumped = {name: registry.dated.dump(name) for name in names}
    assert [row["kind"] for row in dumped["hamlets"] if row["code"] == "h-two"] == ["bản", "thôn"]
    report = registry.load(dumped, NOW + DAY)
    assert (report.added, report.changed) == ({}, {})
    other = Registry(registry.path.with_name("other.db"))
    other.load({**dumped, "probes": registry.dated.dump("probes")}, NOW)
    assert {name: other.dated.dump(name) for name in names} == dumped
    other.close()


def test_units_are_found_by_old_and_new_names_without_marks(registry: Registry) -> None:
    registry.load(
        {
            "old_units": [
                {"code": "170", "name": "Huyện Võ Nhai", "parent": None},
                {"code": "05749", "name": "Xã Bình Long", "parent": "170"},
            ],
            "old_successors": [{"old": "05749", "new": "05755"}],
            "unit_names": [{"code": "05755", "name": "Xã Dân Tiến", "valid_from_ms": 5, "source": "NQ 1"}],
        },
        NOW,
    )
    find = registry.dated.find
    assert [(one.level, one.code) for one in find("binh long, vo nhai")] == [("old", "05749")]
    assert find("BÌNH LONG")[0].became == (("05755", "Xã Dân Tiến, Thái Nguyên"),)
    for name in ("dan tien", "phu xuyen", "05755"):
        assert [one.code for one in find(name) if one.level == "commune"] == ["05755"]
    assert [one.level for one in find("xom dong chuoi")] == ["hamlet"]
    assert find("  ") == []
    assert find("'; DROP TABLE hamlet; --") == []
    assert registry.dated.came_from("05755") == (("05749", "Xã Bình Long, Huyện Võ Nhai"),)
    assert registry.dated.became("nothing") == ()


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Xã Hoà Bình", "xa hoa binh"), ("Đắk  Lắk", "dak lak"), ("Ea H’Leo", "ea h'leo"), ("ĐÔNG_ANH ", "dong anh")],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_merged_hamlet_hands_its_sites_and_codes_to_its_successor(registry: Registry) -> None:
    two_hamlets(registry, referrals=[{"code": "TN2", "unit": "h-dong-chuoi"}, {"code": "TN3", "unit": "h-two"}])
    begun = registry.dated.last_change()
    merged = {"hamlet": "h-dong-chuoi", "how": "merged", "successors": "h-two", "valid_from_ms": 5000, "source": "NQ 9"}
    registry.load({"hamlet_ends": [merged]}, NOW)
    found = [registry.place("p-one", at) for at in (4999, 5000)]
    assert [(place.hamlet, place.commune) for place in found if place] == [
        ("h-dong-chuoi", "05755"), ("h-two", "05758"),
    ]  # fmt: skip
    assert [registry.referral_unit("TN2", at) for at in (4999, 5000)] == ["h-dong-chuoi", "h-two"]
    assert registry.referral_unit("TN1") == "05755"
    site = registry.site("s-one")
    assert site is not None
    assert site.hamlet == "h-two"
    assert {(c.what, c.code, c.from_ms) for c in registry.dated.changes(begun)} == {
        ("site_hamlet", "s-one", 5000), ("referral", "TN2", 5000),
    }  # fmt: skip
    assert registry.dated.ended() == {"h-dong-chuoi": 5000}
    before = registry.dated.last_change()
    registry.load({"hamlet_ends": [merged]}, NOW)
    assert registry.dated.last_change() == before
    registry.load({"hamlet_ends": [{"hamlet": "h-dong-chuoi", "how": "reopened", "valid_from_ms": 6000}]}, NOW)
    assert registry.dated.ended() == {}


def test_texts_are_composed_and_hidden_characters_refused_by_every_door(registry: Registry) -> None:
    registry.load({"operators": [{"plmn": "45202", "name": "Vie\u0302\u0323t"}]}, NOW)
    assert registry.operators()["45202"] == "Việt"
    for bad in ("a\u202eb", "a\u200bb", "a\nb", "a\x00b"):
        with pytest.raises(Refused, match=r"row 1: name holds the (hidden|control) character U\+"):
            registry.load({"operators": [{"plmn": "45202", "name": bad}]}, NOW)
