"""What every command of `dosong-collector` shares: --config, and errors as one sentence with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from collector import log_lines
from collector.settings import read_settings
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, Misconfigured, Refused, Unavailable

CONFIG_VARIABLE = "DOSONG_COLLECTOR_CONFIG"


def sentence(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn our errors into one sentence on stderr and the exit code that belongs to them."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Misconfigured as error:
            click.echo(f"dosong-collector: {error}", err=True)
            sys.exit(EXIT_MISCONFIGURED)
        except (Unavailable, Refused) as error:
            click.echo(f"dosong-collector: {error}", err=True)
            sys.exit(EXIT_FAILED)

    return wrapped


def with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and hand the settings that it names to the command."""

    @click.option(
        "--config", "config", required=True, envvar=CONFIG_VARIABLE, type=click.Path(path_type=Path),
        help=f"Settings file (TOML); without it the one that {CONFIG_VARIABLE} names.",
    )  # fmt: skip
    @wraps(function)
    def wrapped(config: Path, **kwargs: Any) -> Any:
        settings = read_settings(config)
        log_lines.use(settings.log_format, click.get_current_context().info_name or "collector")
        return function(settings, **kwargs)

    return sentence(wrapped)


def first_line(path: Path | None) -> str | None:
    """The first line of a file; None if there is none. Raises Misconfigured."""
    try:
        return None if path is None else path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError) as error:
        raise Misconfigured(f"cannot read a password in {path}; write it on its first line") from error
