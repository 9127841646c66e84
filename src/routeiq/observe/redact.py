"""Takes secrets out of text that leaves the process: log lines, error reports."""

from __future__ import annotations

import re

MASK = "***"

_QUOTE = r"""\\?["']?"""
_NAMES = (
    r"(?:proxy-)?authorization|x-api-key|api[-_]key|x-goog-api-key|x-litellm-api-key|x-amz-security-token"
    r"|aws_secret_access_key|aws_session_token|master_key|client_secret|access_token|refresh_token|id_token"
    r"|password|passwd|secret|set-cookie|cookie"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host, also in database URLs (postgresql+psycopg://…)
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{1,30}://[^\s/:@'\"]{0,200}):[^\s'\"]{1,500}@"), rf"\1:{MASK}@"),
    # `authorization: …`, `"api_key": "…"`, `password=…`: the whole value, whatever it looks like
    (
        re.compile(
            rf"(?i)(?<![a-z0-9])({_NAMES})({_QUOTE}\s*[:=]\s*(?:b?\\?[\"'])?)"
            r"((?:bearer|basic|token)\s+)?(?!\s)[^\s\"',;&)}\]\\]+"
        ),
        rf"\1\2\3{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    # Keys known by their form: OpenAI and Anthropic, Google, Groq, xAI, AWS, GitHub, Hugging Face
    (
        re.compile(r"\b(sk-|AIza|gsk_|xai-|AKIA|ASIA|ghp_|github_pat_|hf_|pplx-|nvapi-|r8_)[A-Za-z0-9_\-]{6,}"),
        rf"\1{MASK}",
    ),
    # JSON web tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
)


def redact(text: str) -> str:
    """`text` with keys, bearer tokens, values of secret-looking headers and passwords in URLs replaced by `***`."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
