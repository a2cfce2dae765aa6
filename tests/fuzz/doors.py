"""All doors."""

from __future__ import annotations

from tests.fuzz import doors_collector, doors_probe, doors_wire

DOORS = doors_wire.DOORS + doors_probe.DOORS + doors_collector.DOORS
