"""A person without a script finds things by their words; and the demonstration's logins are those of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.web.demo import DEMO_LOGINS
from sim import demo_seed
from sim.visitor import Lost, Visitor
from tests.web.scene import scene, served


def test_logins_of_the_demonstration_are_those_of_the_pages() -> None:
    assert [name for name, _ in demo_seed.LOGINS] == [one.name for one in DEMO_LOGINS]
    assert {one.password for one in DEMO_LOGINS} == {demo_seed.PASSWORD}


def test_a_visitor_reads_presses_and_fills_in(tmp_path: Path) -> None:
    with scene(tmp_path, demo=True) as made, served(made) as address:
        person = Visitor(address)
        person.open("/")
        person.press("Các xóm")
        assert person.url == f"{address}/hamlets"
        with pytest.raises(Lost, match=r"nothing to press that reads 'Bánh mì'.*Các xóm"):
            person.press("Bánh mì")
        person.log_in("lanhdao", demo_seed.PASSWORD)
        person.open("/why/05755")
        with pytest.raises(Lost, match="no field"):
            person.fill("Mật khẩu", "x")
        person.press("Phản đối")
        person.fill("Vì sao phải tính", demo_seed.OBJECTION)
        person.press("Phản đối")
        assert person.url.endswith("/cases/1")
        assert person.sees(demo_seed.OBJECTION)
        person.log_in("nhamang", demo_seed.PASSWORD)
        assert person.url == f"{address}/cases"
        with pytest.raises(Lost, match="403"):
            person.open("/official")
        person.log_in("kiemtra", demo_seed.PASSWORD)
        person.press("Hôm nay")
        with pytest.raises(Lost, match="403"):
            person.open("/heads")
