"""The pages under gunicorn (gthread), in this process: one worker, several threads.

gunicorn tries a taken port for seconds and then ends with a traceback; so the address is tried first, and a taken
one is one sentence.
"""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from collector.bind import check_bind
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.settings import Settings


class Pages(BaseApplication):  # type: ignore[misc]
    """gunicorn, told by us instead of by a command line."""

    def __init__(self, settings: Settings) -> None:
        self._dosong = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what our settings say."""
        web = self._dosong.web
        chosen = {
            "bind": web.bind,
            "worker_class": "gthread",
            "workers": 1,
            "threads": web.threads,
            "timeout": 60,
            "graceful_timeout": 5,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "dosong-web",
        }
        for key, value in chosen.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        """Make the Flask application, in the worker: each process opens its own files."""
        return application(self._dosong, Registry(self._dosong.registry))


def application(settings: Settings, registry: Registry) -> Any:
    """The Flask application over the read sides. Raises Misconfigured."""
    from collector.web import create_app  # noqa: PLC0415 (receive and forward never load Flask)

    return create_app(settings, LedgerReader(settings.ledger), registry)


def serve(settings: Settings) -> None:
    """Serve the pages until SIGTERM. Raises Misconfigured if the secret or the address cannot be used."""
    registry = Registry(settings.registry)
    application(settings, registry)  # what a worker would only say in a traceback is one sentence here
    registry.close()
    check_bind(settings.web.bind)
    Pages(settings).run()
