"""Log lines on stderr, as JSON or as text, with secrets taken out of the finished line."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from routeiq.observe.redact import redact

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode


def extras(record: logging.LogRecord) -> dict[str, object]:
    """What the caller passed as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def timestamp(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """`{"ts":…,"level":…,"logger":…,"message":…}` and the extras, one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: _plain(value) for name, value in extras(record).items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(_encode(line).decode())


class TextFormatter(logging.Formatter):
    """`time level logger message key=value …`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{timestamp(record.created)} {record.levelname.lower():<8} {record.name}: {record.getMessage()}"
        more = extras(record)
        if more:
            line += " " + " ".join(f"{name}={value}" for name, value in more.items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


def setup(level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Send every log record to `stream` (stderr): called once, by a composition root.

    Unknown levels mean `info`.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(LEVELS.get(level.lower(), logging.INFO))


def _plain(value: object) -> object:
    """Numbers, strings and lists as they are, everything else as text."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
