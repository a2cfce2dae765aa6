"""What `bench/engine.py` found, kept in a file after each run, so that an interrupted measurement can go on."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.engine_bed import HAS_RELAY, Link, Row, window_of

Job = tuple[str, Link, str]


class Rows:
    """All rows; `is_kept`: those of the file too, else it begins anew. A row that is added is on disk at once."""

    def __init__(self, path: Path, *, is_kept: bool) -> None:
        self._path = path
        self.all: list[Row] = self._read() if is_kept else []

    def _read(self) -> list[Row]:
        try:
            return [Row(**row) for row in json.loads(self._path.read_text())["rows"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def forget(self, jobs: list[Job]) -> list[Job]:
        """Drop what was known of the links of these jobs; returns the jobs."""
        links = {(kind, link.words()) for kind, link, _tool in jobs}
        self.all = [row for row in self.all if (row.kind, row.link) not in links]
        return jobs

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs that no rows stand for yet; as many times as a job is wanted."""
        known = Counter((row.kind, row.link, row.window, row.tool) for row in self.all if row.direction == "downlink")
        left = []
        for job in jobs:
            kind, link, tool = job
            key = (kind, link.words(), window_of(link), tool)
            if known[key]:
                known[key] -= 1
            else:
                left.append(job)
        return left

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows in and write all."""
        self.all += rows
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        shaper = "relay" if HAS_RELAY else "tbf"
        said = {**machine, "shaper": shaper, "rows": [vars(row) for row in self.all]}
        self._path.parent.mkdir(exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(said, indent=1) + "\n")
        fresh.replace(self._path)
