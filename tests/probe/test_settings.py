"""Settings: a good file gives the tree; each bad file gives its one sentence, and exit status 78."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.__main__ import main
from probe.settings import load
from wire.errors import EXIT_MISCONFIGURED, Misconfigured

FILES = Path(__file__).parents[1] / "data" / "settings"
BAD = sorted(FILES.glob("bad-*.toml"))


def test_good_file_gives_the_tree_with_its_defaults() -> None:
    settings = load(FILES / "good.toml")
    assert settings.modem[0].interface == "cell0"
    assert settings.engine.server_address == ("198.18.0.1", 8080)
    assert settings.engine.echo_address == ("198.18.0.1", 8080)
    assert settings.coverage.steps == 60
    assert settings.clock.trust == "adjtimex"
    assert settings.path("record.key") == FILES / "record.key"
    assert settings.path("/absolute") == Path("/absolute")


def test_modems_may_be_named_by_where_they_are_plugged_in() -> None:
    modems = load(FILES / "good-usb.toml").modem
    assert [modem.usb for modem in modems] == ["1-1.2", "1-1.3", None, "1-1.4"]
    assert [modem.backend for modem in modems] == ["auto", "auto", "hilink", "mm"]
    assert (modems[0].port, modems[0].interface, modems[2].url) == (None, None, "http://192.168.8.1")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_file_gives_its_sentence(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(Misconfigured) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.removeprefix(str(path)).lstrip(": ") == expected


def test_misconfiguration_is_exit_status_78_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(FILES / "bad-out-of-range.toml")]) == EXIT_MISCONFIGURED
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert "broker.port = 70000" in stderr


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="make it with dosong-provision"):
        load(tmp_path / "probe.toml")


def test_missing_key_file_is_misconfigured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "probe.toml").write_text((FILES / "good.toml").read_text())
    assert main(["run", "--config", str(tmp_path / "probe.toml")]) == EXIT_MISCONFIGURED
    assert "record.key" in capsys.readouterr().err
