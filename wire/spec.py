"""Writes the tables of SPEC.md from the schema, so that prose and code cannot drift apart.

`python -m wire.spec` rewrites what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; with `--check` it
only says whether the file is current (exit status 1 if not). A test does the same.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import inspect as mi

from wire import failure, notes, records, spec_words
from wire.errors import EXIT_FAILED, EXIT_OK
from wire.metrics import METRICS

SPEC = Path(__file__).with_name("SPEC.md")
_MARK = re.compile(r"(?P<begin><!-- begin (?P<name>[a-z ]+) -->\n).*?(?P<end><!-- end (?P=name) -->\n)", re.DOTALL)
_UNITS = (
    ("_dbm_x10", "0.1 dBm"),
    ("_db_x10", "0.1 dB"),
    ("_c_x10", "0.1 °C"),
    ("_x100", "0.01"),
    ("_e7", "10⁻⁷ °"),
    ("_bytes", "B"),
    ("bytes", "B"),
    ("_bps", "bit/s"),
    ("_ppm", "10⁻⁶"),
    ("_khz", "kHz"),
    ("_ms", "ms"),
    ("_us", "µs"),
    ("_mm", "mm"),
    ("_m", "m"),
)
_GROUPS = (records.Path, records.Radio, records.Reading, records.Polls, records.Position, records.Host, records.Budget)
_HEAD = tuple(records.Record.__struct_fields__)


def unit(name: str) -> str:
    """Read the unit from a field's name: the one that ends it, or that a statistic follows."""
    bare = re.sub(r"_(min|max|median|p95)$", "", name)
    return next((text for ending, text in _UNITS if bare.endswith(ending)), "")


def meaning(owner: str, name: str) -> str:
    """Return what a field means. Raises KeyError if nobody wrote it down."""
    own = f"{owner}.{name}"
    return spec_words.FIELDS[own] if own in spec_words.FIELDS else spec_words.FIELDS[name]


def _number(value: int) -> str:
    return "2^53-1" if value == records.MAX else f"{value:,}".replace(",", " ")


def type_text(shape: mi.Type) -> str:  # noqa: PLR0911 (one case a type)
    """Describe one type with its range, as a third party needs it."""
    match shape:
        case mi.UnionType():
            return " or null".join(type_text(t) for t in shape.types if not isinstance(t, mi.NoneType))
        case mi.IntType():
            return f"integer {_number(shape.ge or 0)} … {_number(shape.le or 0)}"
        case mi.BoolType():
            return "boolean"
        case mi.LiteralType():
            return ", ".join(f"`{value}`" for value in shape.values)
        case mi.StrType():
            return _string_text(shape)
        case mi.StructType():
            return f"object [{shape.cls.__name__}](#{shape.cls.__name__.lower()})"
        case _:
            return _many_text(shape)


def _string_text(shape: mi.StrType) -> str:
    if shape.pattern is None:
        return f"string of {shape.min_length or 0} to {shape.max_length} characters"
    pattern = shape.pattern.removeprefix("^").removesuffix(r"\Z").replace("|", r"\|")
    return f"string `{pattern}`"


def _many_text(shape: mi.Type) -> str:
    if isinstance(shape, mi.VarTupleType):
        inner = shape.item_type
        holes = " or null" if isinstance(inner, mi.UnionType) else ""
        count = f"{shape.max_length}" if shape.min_length == shape.max_length else f"up to {shape.max_length}"
        return f"array of {count}: {type_text(inner)}{holes}"
    if isinstance(shape, mi.DictType):
        return f"object: {type_text(shape.key_type)} → {type_text(shape.value_type)}"
    raise TypeError(f"no words for {shape!r}")


def _bare(shape: mi.Type) -> mi.Type:
    """Take `or None` off a field that may be absent."""
    if isinstance(shape, mi.UnionType) and len(shape.types) == 2:
        return next(t for t in shape.types if not isinstance(t, mi.NoneType))
    return shape


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _fields(owner: str, shape: Any, names: Sequence[str]) -> str:
    described = cast("mi.StructType", mi.type_info(shape))
    rows = [
        (f"`{f.name}`", type_text(_bare(f.type)), unit(f.name), "yes" if f.required else "", meaning(owner, f.name))
        for f in described.fields
        if f.name in names
    ]
    return _table(("key", "type and range", "unit", "always", "meaning"), rows)


def _first_line(shape: type) -> str:
    """First paragraph of a docstring."""
    return " ".join((shape.__doc__ or "").split("\n\n")[0].split())


def records_block() -> str:
    """Head, five kinds, and the groups inside them."""
    parts = ["### Head of every record\n", _fields("head", records.BootRecord, _HEAD)]
    for kind, shape in records.KINDS.items():
        own = [name for name in shape.__struct_fields__ if name not in _HEAD]
        parts += [f"### Kind `{kind}`\n", f"{_first_line(shape)}\n", _fields(kind, shape, own)]
    for group in _GROUPS:
        name = group.__name__
        parts += [f"### {name}\n", f"{_first_line(group)}\n", _fields(name, group, group.__struct_fields__)]
    return "\n".join(parts)


def notes_block() -> str:
    """Table of note types, then the fields of each."""
    rows = [
        (f"`{t.name}`", f"`<origin>/{t.signer}`", "yes" if t.leaf else "", t.purpose) for t in notes.NOTE_TYPES.values()
    ]
    parts = [_table(("type", "signed by", "leaf of the log", "purpose"), rows)]
    for note_type in notes.NOTE_TYPES.values():
        if note_type.shape is not None:
            own = note_type.shape.__struct_fields__
            parts += [f"### Note `{note_type.name}`\n", f"{_first_line(note_type.shape)}\n"]
            parts.append(_fields(note_type.name, note_type.shape, own))
    parts += ["### ModemConfig\n", f"{_first_line(notes.ModemConfig)}\n"]
    parts.append(_fields("ModemConfig", notes.ModemConfig, notes.ModemConfig.__struct_fields__))
    return "\n".join(parts)


def failures_block() -> str:
    """Stages in order, causes with who must act first, refusal reasons."""
    causes = [(f"`{c}`", failure.PARTY[c], spec_words.CAUSES[c]) for c in failure.Cause]
    refusals = [
        (f"`{r}`", "refused" if r in failure.UNAUTHENTIC else "kept, acknowledged, not counted", spec_words.REFUSALS[r])
        for r in failure.RefusalReason
    ]
    stages = "Stages, in the order in which a run passes them: " + ", ".join(f"`{s}`" for s in failure.Stage) + ".\n"
    return "\n".join(
        [
            stages,
            _table(("cause", "acts first", "meaning"), causes),
            _table(("reason", "what happens to the bytes", "meaning"), refusals),
        ]
    )


def coverage_block() -> str:
    """State letters and cause letters."""
    states = [(f"`{letter}`", word) for letter, word in failure.COVERAGE_STATES.items()]
    causes = [
        (f"`{letter}`", "-" if cause is None else f"`{cause}`", "-" if cause is None else failure.PARTY[cause])
        for letter, cause in failure.COVERAGE_CAUSES.items()
    ]
    return "\n".join([_table(("state", "means"), states), _table(("letter", "cause", "acts first"), causes)])


def metrics_block() -> str:
    """Every figure that leaves a record for a board."""
    rows = [
        (m.kind, f"`{m.name}`", m.type, m.unit, m.en, m.vi, m.source)
        for m in METRICS
    ]  # fmt: skip
    return _table(("kind", "name", "type", "unit", "meaning", "nghĩa", "source"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "records": records_block,
    "notes": notes_block,
    "failures": failures_block,
    "coverage": coverage_block,
    "metrics": metrics_block,
}


def render(text: str) -> str:
    """Return `text` with every marked block made anew. Raises KeyError for a block that nobody makes."""
    return _MARK.sub(lambda m: m["begin"] + "\n" + BLOCKS[m["name"]]() + "\n" + m["end"], text)


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite SPEC.md, or with `--check` say whether it is current; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m wire.spec", description="Write SPEC.md's tables from the schema.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is not current")
    args = parser.parse_args(argv)
    old = SPEC.read_text(encoding="utf-8")
    new = render(old)
    if args.check:
        print("current" if new == old else "SPEC.md is not current; run: python -m wire.spec")
        return EXIT_OK if new == old else EXIT_FAILED
    SPEC.write_text(new, encoding="utf-8")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
