"""`os.environ/NAME`: values that stand in the environment and not in the file.

Any string that begins with it is replaced, at any depth. `environment_variables` in the file wins over the
process environment, as LiteLLM has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from routeiq.config.report import Path, Report
from routeiq.config.source import Node

PREFIX = "os.environ/"
SECTION = "environment_variables"
MASK = "***"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_SECRET = re.compile(r"key|token|secret|passw|credential|auth|private|dsn|database_url|redis_url|proxy|headers", re.I)
_PUBLIC = re.compile(
    r"per_token|cost_per_\w+_token$|token_cost|_tokens$|max_token|key_header|header_name|key_lookup|allow_unauth|key_file|keyfile",
    re.I,
)
_SECRET_MAPS = (
    "headers",
    "extra_headers",
    "static_headers",
    "env",
    "vertex_credentials",
    "vertex_ai_credentials",
    "credential_values",
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


def effective_environment(root: Node, environ: Mapping[str, str], report: Report) -> dict[str, str]:
    """The process environment with the file's `environment_variables` over it."""
    out = dict(environ)
    section = root.get((SECTION,))
    if section is None or section.value is None:
        return out
    if not isinstance(section.value, dict):
        report.error(section.mark, (SECTION,), "must be a map of names to values")
        return out
    for name, node in section.value.items():
        value = node.value
        if isinstance(value, bool):
            out[name] = "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            text = _resolve(str(value), environ, node, (SECTION, name), report)
            if text is not None:
                out[name] = text
        elif value is not None:
            report.error(node.mark, (SECTION, name), "must be text or a number")
    return out


def resolve(root: Node, environ: Mapping[str, str], report: Report) -> None:
    """Replace every reference in the tree in place; one to a variable that is not set is an error."""
    for path, node in root.walk():
        if path[:1] == (SECTION,) or not isinstance(node.value, str) or not node.value.startswith(PREFIX):
            continue
        name = node.value.removeprefix(PREFIX)
        node.value = _resolve(node.value, environ, node, path, report)
        node.broken = node.value is None
        node.secret = bool(_SECRET.search(name))


def _resolve(text: str, environ: Mapping[str, str], node: Node, path: Path, report: Report) -> str | None:
    if not text.startswith(PREFIX):
        return text
    name = text.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        report.error(node.mark, path, f"{PREFIX} must be followed by the name of a variable and nothing else")
        return None
    if name not in environ:
        report.error(node.mark, path, f"the environment variable {name} is not set", f"set {name}")
        return None
    return environ[name]


def is_secret(path: Path, node: Node) -> bool:
    """Whether a value must not be shown: by where it came from or by the name it stands under."""
    if node.secret or path[:1] == (SECTION,):
        return True
    names = [part for part in path if isinstance(part, str)]
    if any(name in _SECRET_MAPS for name in names[:-1]):
        return True
    if not names or isinstance(node.value, (bool, int, float)) or node.value is None:
        return False
    return bool(_SECRET.search(names[-1])) and not _PUBLIC.search(names[-1])


def masked(node: Node, path: Path = ()) -> object:
    """The tree as plain data with secrets as `***`."""
    if isinstance(node.value, dict):
        return {key: masked(child, (*path, key)) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [masked(child, (*path, index)) for index, child in enumerate(node.value)]
    if node.value is not None and is_secret(path, node):
        return MASK
    return _USERINFO.sub(f"{MASK}@", node.value) if isinstance(node.value, str) else node.value
