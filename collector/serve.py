"""The pages under gunicorn (gthread), in this process: one worker, several threads.

gunicorn tries a taken port for seconds and then ends with a traceback; so the address is tried first, and a taken
one is one sentence.
"""

from __future__ import annotations

import itertools
import logging
from functools import partial
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from collector.bind import check_bind
from collector.ca_line import ask
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.settings import EnrolSettings, Settings
from wire.errors import Misconfigured


class OurLines(Logger):  # type: ignore[misc]
    """gunicorn's own lines in the form of all others."""

    def setup(self, cfg: Any) -> None:
        """Take the form of the root logger."""
        super().setup(cfg)
        for ours, its in itertools.product(logging.getLogger().handlers, self.error_log.handlers):
            its.setFormatter(ours.formatter)


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
            "logger_class": OurLines,
        }
        for key, value in chosen.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        """Make the Flask application, in the worker: each process opens its own files."""
        return application(self._dosong, Registry(self._dosong.registry))


class Door(BaseApplication):  # type: ignore[misc]
    """The enrolment door under gunicorn, with TLS of its own unless a proxy stands before it."""

    def __init__(self, settings: Settings, enrol: EnrolSettings) -> None:
        self._dosong, self._enrol = settings, enrol
        super().__init__()

    def load_config(self) -> None:
        """Set what our settings say."""
        enrol = self._enrol
        chosen: dict[str, object] = {
            "bind": enrol.bind,
            "worker_class": "gthread",
            "threads": 4,
            "timeout": 60,
            "graceful_timeout": 5,
            "control_socket_disable": True,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "dosong-enrol",
            "umask": 0o007,
        }
        if enrol.cert_file is not None and enrol.tls_key_file is not None:
            chosen["certfile"] = str(self._dosong.path(enrol.cert_file))
            chosen["keyfile"] = str(self._dosong.path(enrol.tls_key_file))
        for key, value in chosen.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        """Make the Flask application, in the worker."""
        from collector.web.enrol import create_door  # noqa: PLC0415 (as below)

        line = partial(ask, self._dosong.path(self._enrol.ca_socket))
        return create_door(line, behind_proxy=self._enrol.bind.startswith("unix:"))


def serve_enrol(settings: Settings) -> None:
    """Serve the enrolment door until SIGTERM. Raises Misconfigured if its address or its TLS files cannot be used."""
    enrol = settings.enrol
    if enrol is None:
        raise Misconfigured("[enrol] is missing in the settings; write them anew: dosong-provision configure")
    for name, text in (("cert_file", enrol.cert_file), ("tls_key_file", enrol.tls_key_file)):
        if text is not None and not settings.path(text).is_file():
            raise Misconfigured(f"enrol.{name}: {settings.path(text)} is missing; make it: dosong-provision ca renew")
    check_bind(enrol.bind)
    Door(settings, enrol).run()


def application(settings: Settings, registry: Registry) -> Any:
    """The Flask application over the read sides. Raises Misconfigured."""
    from collector.web import create_app  # noqa: PLC0415 (receive and forward never load Flask)

    return create_app(settings, LedgerReader(settings.ledger), registry)


def serve(settings: Settings) -> None:
    """Serve the pages until SIGTERM. Raises Misconfigured if the secret or the address cannot be used."""
    registry = Registry(settings.registry)
    tried = application(settings, registry)  # what a worker would only say in a traceback is one sentence here
    tried.extensions["gate"].close()
    registry.close()
    check_bind(settings.web.bind)
    Pages(settings).run()
