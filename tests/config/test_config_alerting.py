"""`alerting`: what is served of it, and what it needs."""

from __future__ import annotations

import pytest
from config_helpers import Compile

TEXT = """
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: k}}
general_settings: {alerting: [webhook]}
"""


def test_a_webhook(compiled: Compile) -> None:
    result = compiled(TEXT, WEBHOOK_URL="https://hooks.example.com/x?token=s3cret")
    assert not result.errors
    alerting = result.snapshot.alerting
    assert alerting is not None
    assert alerting.webhook == "https://hooks.example.com/x?token=s3cret"
    assert "s3cret" not in repr(result.snapshot)
    other = compiled(TEXT, WEBHOOK_URL="https://hooks.example.com/y")
    assert other.snapshot.revision != result.snapshot.revision
    assert compiled(TEXT.replace("webhook", "")).snapshot.alerting is None


@pytest.mark.parametrize("url", ["", "ftp://example.com", "https://user:pass@example.com/", "https:///x", "nonsense"])
def test_what_is_no_webhook_is_refused(compiled: Compile, url: str) -> None:
    assert compiled(TEXT, WEBHOOK_URL=url).errors


def test_what_else_is_not_served_is_said(compiled: Compile) -> None:
    result = compiled(TEXT.replace("[webhook]", "[slack]"))
    assert "slack is not served" in result.warning("general_settings.alerting[0]").message
