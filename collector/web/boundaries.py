"""Boundaries that a deployment brings itself: one GeoJSON file, checked when the pages start.

The settings name it (`web.map_file`). Polygons and lines of a FeatureCollection are drawn under the hamlets; names of
properties are never shown, and nothing of the file is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wire.errors import Misconfigured

MOST_BYTES = 5_000_000
SHAPES = frozenset({"Polygon", "MultiPolygon", "LineString", "MultiLineString"})
WEST, EAST, SOUTH, NORTH = 90.0, 130.0, 0.0, 35.0


def read_boundaries(path: Path) -> bytes:
    """The file's geometries as compact JSON. Raises Misconfigured with a sentence that says what to put right."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Misconfigured(f"web.map_file: {path} is over 5 MB; simplify it first, a phone must load it")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"web.map_file: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise Misconfigured(f"web.map_file: {path} is no JSON ({error}); export it again as GeoJSON") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise Misconfigured(f"web.map_file: {path} is no GeoJSON FeatureCollection; export it again as one")
    kept = [_feature(feature, number, path) for number, feature in enumerate(features, start=1)]
    return json.dumps({"type": "FeatureCollection", "features": kept}, separators=(",", ":")).encode()


def _feature(feature: Any, number: int, path: Path) -> dict[str, Any]:
    shape = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(shape, dict) or shape.get("type") not in SHAPES:
        raise Misconfigured(f"web.map_file: {path}, feature {number}: a polygon or line is expected")
    if not _inside(shape.get("coordinates")):
        raise Misconfigured(
            f"web.map_file: {path}, feature {number}: coordinates must be longitude, latitude in degrees, in Vietnam"
        )
    return {"type": "Feature", "properties": {}, "geometry": {k: shape[k] for k in ("type", "coordinates")}}


def _inside(coordinates: Any) -> bool:
    """Whether every position, however deep, is a place in or around Vietnam."""
    if not isinstance(coordinates, list) or not coordinates:
        return False
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in coordinates):
        return len(coordinates) >= 2 and WEST <= coordinates[0] <= EAST and SOUTH <= coordinates[1] <= NORTH
    return all(_inside(one) for one in coordinates)
