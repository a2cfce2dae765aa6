"""`python -m grafana`: build the boards, check their queries against an InfluxDB, draw a preview."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from grafana.alerts import files
from grafana.board import NAMES, dump
from grafana.campaign import campaign_board
from grafana.commune import commune_board
from grafana.fleet import fleet_board
from grafana.hamlet import hamlet_board
from grafana.harness import BOARDS, Asked, View, check, load_boards, view_of
from grafana.influx import Influx
from grafana.interpolate import duration_ms
from grafana.marks import settings
from grafana.operators import operators_board
from grafana.preview import page, picture
from grafana.province import province_board
from grafana.public import public_board
from grafana.words import LANGUAGES
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, EXIT_USAGE, Misconfigured, Refused, Unavailable

_EXAMPLES = """examples:
  python -m grafana build                      write grafana/boards/*.json anew
  python -m grafana build --check              exit 1 if the committed boards are not what the source gives
  python -m grafana check --url http://127.0.0.1:8086 --database dosong --from -6h --hamlet dt-lang-muoi
  python -m grafana preview --url http://127.0.0.1:8086 --hamlet dt-lang-muoi --lang vi --out board.png
"""


def built() -> dict[str, str]:
    """File name, from the folder of boards, to text of every board and alerting file."""
    makers = (province_board, commune_board, hamlet_board, operators_board, fleet_board, campaign_board)
    boards = (make(language) for make in makers for language in LANGUAGES)
    made = {f"{board['uid']}.json": dump(board) for board in boards}
    made |= {f"public/{board['uid']}.json": dump(board) for board in map(public_board, LANGUAGES)}
    alerting = files(settings()["runbook"])
    return made | {f"../provisioning/alerting/{name}": text for name, text in alerting.items()}


def build(folder: Path, *, only_check: bool) -> int:
    """Write the boards, or say which committed file differs."""
    stale = []
    for name, text in built().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not only_check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name}: differs, run `python -m grafana build`" if only_check else f"{name}: written")
    return EXIT_FAILED if stale and only_check else EXIT_OK


def _range(arguments: argparse.Namespace) -> tuple[int, int]:
    now = time.time_ns() // 1_000_000
    return now - duration_ms(arguments.start.removeprefix("-")), now


def _view(arguments: argparse.Namespace, board: dict[str, object]) -> View:
    begin, end = _range(arguments)
    return view_of(board, begin, end, hamlet=arguments.hamlet, plmn=arguments.plmn, bucket=arguments.bucket)


def _influx(arguments: argparse.Namespace) -> Influx:
    token = arguments.token_file.read_text().strip() if arguments.token_file else None
    return Influx(arguments.url, arguments.database, token)


def _report(asked: Sequence[Asked], *, as_json: bool) -> None:
    failing = [a for a in asked if a.fault is not None]
    if as_json:
        rows = [{"board": a.board, "place": a.place, "fault": a.fault, "query": a.sent} for a in failing]
        print(json.dumps({"queries": len(asked), "failing": rows}, ensure_ascii=False, indent=1))
        return
    for a in failing:
        print(f"{a.board}, {a.place}: {a.fault}\n    {a.sent}")
    print(f"{len(asked)} queries, {len(failing)} failing")


def run_check(arguments: argparse.Namespace) -> int:
    """Every panel and variable query of every board, as Grafana would send them."""
    database = _influx(arguments)
    asked = [a for board in load_boards() for a in check(database, board, _view(arguments, board))]
    _report(asked, as_json=arguments.json)
    return EXIT_FAILED if any(a.fault for a in asked) else EXIT_OK


def run_preview(arguments: argparse.Namespace) -> int:
    """Draw a board; `.html` gives the page, anything else a PNG of it."""
    board = next(b for b in load_boards() if b["uid"] == f"dosong-{arguments.board}-{arguments.lang}")
    html, height = page(_influx(arguments), board, _view(arguments, board), arguments.lang)
    if arguments.out.suffix == ".html":
        arguments.out.write_text(html, encoding="utf-8")
    else:
        picture(html, height, arguments.out)
    print(f"{arguments.out}: preview drawn from the board's own JSON and queries")
    return EXIT_OK


def _database_arguments(command: argparse.ArgumentParser, start: str) -> None:
    command.add_argument("--url", required=True, help="address of InfluxDB, e.g. http://127.0.0.1:8086")
    command.add_argument("--database", default="dosong", help="database, or the bucket's DBRP name (default dosong)")
    command.add_argument("--token-file", type=Path, help="file with the token of InfluxDB 2.7")
    command.add_argument("--from", dest="start", default=start, help=f"begin of the range before now (default {start})")
    command.add_argument("--hamlet", action="append", default=[], help="hamlet code, may be repeated (default: all)")
    command.add_argument("--plmn", action="append", default=[], help="operator code, may be repeated (default: all)")
    command.add_argument("--bucket", default=None, help="time bucket 1h, 6h, 1d, 2d or 7d (default: the board's)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grafana",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="generate the boards")
    make.add_argument("--check", action="store_true", help="write nothing, exit 1 if a committed file differs")
    make.add_argument("--folder", type=Path, default=BOARDS, help=argparse.SUPPRESS)
    judge = commands.add_parser("check", help="run every query of every board")
    _database_arguments(judge, "-24h")
    judge.add_argument("--json", action="store_true", help="machine-readable list of what fails")
    draw = commands.add_parser("preview", help="draw a board without Grafana")
    draw.add_argument("--board", choices=tuple(stem.removeprefix("dosong-") for stem in NAMES), default="hamlet")
    _database_arguments(draw, "-30d")
    draw.add_argument("--lang", choices=LANGUAGES, default="vi")
    draw.add_argument("--out", type=Path, required=True, help="FILE.png or FILE.html")
    return parser


def _joined(argv: Sequence[str]) -> list[str]:
    """Write `--from -6h` as `--from=-6h`: argparse would take the dash for another option."""
    words = list(argv)
    for place, word in enumerate(words[:-1]):
        if word == "--from":
            words[place : place + 2] = [f"--from={words[place + 1]}"]
            break
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 ok, 1 failed check, 2 usage, 78 misconfigured."""
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        if arguments.command == "build":
            return build(arguments.folder, only_check=arguments.check)
        return run_check(arguments) if arguments.command == "check" else run_preview(arguments)
    except ValueError as error:
        print(f"grafana: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (Misconfigured, Unavailable, OSError) as error:
        print(f"grafana: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except Refused as error:
        print(f"grafana: {error}", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
