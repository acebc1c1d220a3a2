"""Logging: structlog to standard error, readable on a terminal, one JSON object a line elsewhere.

Keys and credentials never reach a log: values of the names in `SECRET_NAMES`, and user:password in URLs, are masked.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_NAMES = frozenset({"authorization", "api_key", "key_text", "password", "token_text", "secret"})
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


def mask_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: masks secret values and credentials inside URLs."""
    for name, value in event.items():
        if name.lower() in SECRET_NAMES:
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = mask_url(value)
    return event


def mask_url(text: str) -> str:
    """`redis://user:secret@host` → `redis://***@host`."""
    return _URL_CREDENTIALS.sub("***@", text)


def configure(level: str = "INFO", json_lines: bool | None = None) -> None:
    """Sets up structlog and the standard library's logging. `json_lines`: None means 'unless on a terminal'."""
    if json_lines is None:
        json_lines = not sys.stderr.isatty()
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for talkative in ("alembic", "httpx", "httpcore"):
        logging.getLogger(talkative).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get_logger(name: str) -> Any:
    """A bound logger that carries the module's name."""
    return structlog.get_logger(module=name)  # `logger` is an argument of structlog itself
