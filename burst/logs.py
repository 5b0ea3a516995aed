"""One logging set-up for the programs that run for long: text for people, JSON for machines.

A log line names what is done, and gives ids as fields::

    _log.info("frame published", extra={"job_id": job_id, "frame": frame})

which reads ``10:04:31 manager frame published job_id=shot-k3x9ab frame=12`` or, with
``BURST_LOG_FORMAT=json``, is one JSON object a line. Everything goes to stderr.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from burst.errors import ConfigError

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
"""What every record has; the rest was given as ``extra``. uvicorn adds the last one."""

_LEVELS = ("debug", "info", "warning", "error")


def configure(program: str, level: str = "info") -> None:
    """Set logging up for this process; what was set up before is replaced.

    Args:
        program: goes into every line: ``manager``, ``worker``, ``cli``.
        level: the least severe level that is written.

    Raises:
        ConfigError: the level, or ``BURST_LOG_FORMAT``, is unknown.
    """
    if level.lower() not in _LEVELS:
        raise ConfigError(f"{level!r} is no log level", hint=f"levels are {', '.join(_LEVELS)}")
    wanted = os.environ.get("BURST_LOG_FORMAT") or "text"
    formatters = {"text": _TextFormatter, "json": _JsonFormatter}
    if wanted not in formatters:
        raise ConfigError(
            f"BURST_LOG_FORMAT is {wanted!r}", hint=f"formats are {', '.join(formatters)}"
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatters[wanted](program))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What libraries tell at this level, of every request or migration, drowns what burst tells.
    for library in ("httpx", "uvicorn", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)


def readable(line: str) -> str | None:
    """Return a line for people that a program in a pod wrote as JSON; None if it is no such one."""
    try:
        said = dict(json.loads(line))
        at = datetime.fromisoformat(said.pop("time"))
        severity, program, message = (said.pop(key) for key in _HEAD)
    except (ValueError, TypeError, KeyError):
        return None
    said.pop("logger", None)
    trouble = said.pop("exception", "")
    level = "" if severity in ("DEBUG", "INFO") else f"{severity.lower()}: "
    text = _text(at, program, f"{level}{message}", said)
    return f"{text}\n{trouble}" if trouble else text


_HEAD = ("severity", "program", "message")


class _TextFormatter(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        at = datetime.fromtimestamp(record.created, UTC)
        line = _text(at, self._program, f"{level}{record.getMessage()}", _fields(record))
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _JsonFormatter(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname,
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _text(at: datetime, program: str, told: str, fields: Mapping[str, Any]) -> str:
    more = "".join(f" {key}={_plain(value)}" for key, value in fields.items())
    return f"{at.astimezone():%H:%M:%S} {program} {told}{more}"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
