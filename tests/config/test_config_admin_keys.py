"""`ADMIN_API_KEYS`: keys of the management API."""

from __future__ import annotations

import hashlib

from config_helpers import Compile

KEY, OTHER = "0123456789abcdef-one", "0123456789abcdef-two"
MODEL = "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k}}]\n"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def both(key: str) -> tuple[str, str]:
    return sha(key), sha(f"sk-riq-{key}")


def test_the_environment_names_them(compiled: Compile) -> None:
    result = compiled(MODEL, ADMIN_API_KEYS=f" {KEY}, sk-riq-{OTHER},, short ,{KEY}")
    assert result.snapshot.auth.admin_keys == (*both(KEY), *both(OTHER), *both("short"))
    (warning,) = result.warnings
    assert warning.message == "ADMIN_API_KEYS holds a key of fewer than 16 characters"
    assert not compiled(MODEL, ADMIN_API_KEYS="").snapshot.auth.admin_keys
    (error,) = compiled(MODEL, ADMIN_API_KEYS="has space").errors
    assert "not visible ASCII" in error.message
    assert "has space" not in str(error)


def test_they_alone_close_a_gateway(compiled: Compile) -> None:
    auth = compiled(MODEL, {"HOME": "/home/someone"}, ADMIN_API_KEYS=KEY).snapshot.auth
    assert (auth.open, auth.master_key) == (False, None)
