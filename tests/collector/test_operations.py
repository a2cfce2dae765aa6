"""docs/operations.md names only commands and options that there are; `make faults` runs all of them as printed."""

from __future__ import annotations

import re
import subprocess

import click

from collector.__main__ import main
from tests.faults.operations import PAGE, blocks


def command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that some words call, and what is left of them."""
    here: click.Command = main
    while isinstance(here, click.Group) and words and words[0] in here.commands:
        here, words = here.commands[words[0]], words[1:]
    return here, words


def test_every_deed_has_its_commands() -> None:
    heads = {head for head, _ in blocks()}
    assert {"Every day", "Watching it", "Backup", "Upgrade", "Disaster", "Only the ledger was put back"} <= heads


def test_every_block_is_a_script_and_its_commands_exist() -> None:
    for head, text in blocks():
        checked = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, timeout=30, check=False)
        assert checked.returncode == 0, (head, checked.stderr)
        for line in re.findall(r"dosong-collector ([a-z][^;|#>'\n]*)", text):
            if line.startswith("/"):
                continue
            found, rest = command(line.split())
            assert not isinstance(found, click.Group), (head, line)
            known = {option for param in found.params for option in param.opts}
            assert {word for word in rest if word.startswith("--")} <= known, (head, line)


def test_every_setting_that_the_page_names_is_one() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for word in ("refused_bytes_days", "idle_deliveries_days", "log_format"):
        assert word in text
