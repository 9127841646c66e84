"""Log lines and what is taken out of them."""

from __future__ import annotations

import io
import json
import logging

import pytest

from routeiq.observe.logs import JsonFormatter, TextFormatter
from routeiq.observe.redact import redact

CANARY = "c4n4ryV4lu3Xyz0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"key sk-{CANARY}",
        f"key sk-ant-api03-{CANARY}-_{CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization: {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f'{{"x-api-key": "{CANARY}"}}',
        f'{{\\"api_key\\": \\"{CANARY}\\"}}',
        f"[(b'x-api-key', b'ok')] api-key={CANARY}&x=1",
        f"https://host/path?api_key={CANARY}",
        f"postgresql+psycopg://user:{CANARY}@db:5432/routeiq",
        f"redis://:{CANARY}@cache",
        f"postgresql://user:p@ss/{CANARY}@db/routeiq",
        f"AIza{CANARY}",
        f"gsk_{CANARY}",
        f"password={CANARY}",
        f"aws_secret_access_key: {CANARY}",
        f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
        f"Basic {CANARY}==",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert CANARY not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "worker 1 exited with code 1 after 0.3 s",
        "GET /v1/chat/completions?model=gpt-4o 200",
        "http://127.0.0.1:4000 revision abcdef123456",
        "sqlite:////var/lib/routeiq/routeiq.db",
        "task-runner asked for a risk-assessment",
    ],
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_line_holds_no_secret_wherever_it_came_from(formatter: logging.Formatter) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("routeiq.test")
    logger.addHandler(handler)
    try:
        raise RuntimeError(f"refused sk-{CANARY}")
    except RuntimeError:
        logger.exception("call with Bearer %s", CANARY, extra={"headers": {"x-api-key": CANARY}, "count": 3})
    line = stream.getvalue()
    assert CANARY not in line
    assert "RuntimeError" in line


def test_json_lines_carry_their_fields() -> None:
    record = logging.makeLogRecord(
        {"name": "routeiq.x", "msg": "hi %s", "args": ("you",), "levelname": "INFO", "pid": 7}
    )
    record.created = 1_700_000_000.5
    assert json.loads(JsonFormatter().format(record)) == {
        "ts": "2023-11-14T22:13:20.500Z",
        "level": "info",
        "logger": "routeiq.x",
        "message": "hi you",
        "pid": 7,
    }
