"""The command line teaches: every command's help shows an example that the parser takes."""

import argparse
import re

import pytest

from sim.__main__ import main, parser


def _leaves(command, path=()):
    """(words, parser) of every command that runs something."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from _leaves(child, (*path, name))
            return
    yield path, command


LEAVES = dict(_leaves(parser("site")))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_help_ends_with_an_example_that_is_right(words):
    example = re.search(r"example:\n  dosong-sim (.*)", LEAVES[words].format_help())
    assert example
    shown = example.group(1).split(" -- ")[0].split()
    assert tuple(shown[: len(words)]) == words
    assert parser("site").parse_args(shown).run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["site", "up", "a", "--down", "fast"], "20mbit"),
        (["site", "wifi", "a", "maybe"], "neither on nor off"),
        (["site", "up", "a", "--modem", "nokia"], "huawei-e3372"),
    ],
)
def test_wrong_usage_says_what_is_right_and_exits_2(capsys, words, said):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_site_that_is_not_up_is_named_and_exits_78(capsys, tmp_path):
    assert main(["site", "plug", "a", "--state-dir", str(tmp_path / "run")]) == 78
    assert "no site 'a' is up" in capsys.readouterr().err
    assert not (tmp_path / "run").exists(), "asking makes nothing"


@pytest.mark.parametrize("words", [["site", "gps", "a", "move"], ["site", "exec", "a"]])
def test_incomplete_words_exit_2(capsys, tmp_path, words):
    assert main([*words, "--state-dir", str(tmp_path / "run")]) == 2
    assert "dosong-sim:" in capsys.readouterr().err
