"""Marks that all tests share."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of rates and delays get five tries: a busy machine starves a link now and then, a wrong figure stays wrong.

    Only a failed assertion is tried again; errors, time-outs and all other tests are not. They run one after the
    other, in one worker, so that they do not starve each other.
    """
    for item in items:
        if item.get_closest_marker("rates"):
            item.add_marker(pytest.mark.flaky(reruns=4, only_rerun=["AssertionError"]))
            item.add_marker(pytest.mark.xdist_group("rates"))
