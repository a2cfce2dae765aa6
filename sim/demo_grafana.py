"""Grafana for the demonstration: started and provisioned if this machine has one, explained if it has none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sim.demo_world import World
from sim.programs import free_port, listens

HERE = Path(__file__).resolve().parent.parent


def _program() -> list[str] | None:
    """Command that starts Grafana; since 13 `grafana server`, before that `grafana-server`."""
    if found := shutil.which("grafana"):
        return [found, "server"]
    if found := shutil.which("grafana-server"):
        return [found]
    return None


def start(world: World, step: Callable[[str], AbstractContextManager[None]]) -> None:
    """Start and provision a Grafana of our own if one is installed; its own service is left alone."""
    program = _program()
    if program is None:
        return
    with step("Grafana with our data source and boards"):
        folder = world.root / "grafana"
        port = free_port(3000)
        _provision(world, folder)
        settings = {
            "GF_PATHS_DATA": folder / "data", "GF_PATHS_LOGS": folder / "log",
            "GF_PATHS_PROVISIONING": folder / "provisioning", "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": port, "GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false", "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        }  # fmt: skip
        environment = [f"{key}={value}" for key, value in settings.items()]
        home = os.environ.get("GRAFANA_HOME", "/usr/share/grafana")
        world.programs.start("grafana", ["env", *environment, *program, "--homepath", home])
        world.programs.wait_ready("grafana", lambda: listens(port), patience_s=60)
    (world.scratch / "grafana-url").write_text(f"http://127.0.0.1:{port}")


def _provision(world: World, folder: Path) -> None:
    sources = folder / "provisioning" / "datasources"
    boards = folder / "provisioning" / "dashboards"
    for path in (sources, boards):
        path.mkdir(parents=True, exist_ok=True)
    (sources / "dosong.yaml").write_text(
        "apiVersion: 1\ndatasources:\n"
        "  - {name: dosong InfluxDB, uid: dosong-influxql, type: influxdb, access: proxy, "
        f"url: '{world.influx_url}', jsonData: {{dbName: dosong, httpMode: POST, timeInterval: 10s}}}}\n"
    )
    (boards / "dosong.yaml").write_text(
        "apiVersion: 1\nproviders:\n"
        "  - {name: dosong, orgId: 1, folder: Chất lượng mạng, folderUid: dosong, type: file, "
        f"options: {{path: '{HERE / 'grafana' / 'boards'}'}}}}\n"
    )


def instructions(world: World) -> list[str]:
    """Lines that tell where the boards are, or how to see them."""
    started = world.scratch / "grafana-url"
    if started.exists():
        return [f"Grafana    {started.read_text()}    folder Chất lượng mạng"]
    return [
        "Grafana    none is installed here. On a machine with containers: docker compose up  (compose.yaml).",
        "           On an existing Grafana: see grafana/README.md; the boards are in grafana/boards/.",
    ]
