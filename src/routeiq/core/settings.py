"""What a build of the configuration hands to the supervisor: findings, server settings, the encoded Snapshot.

The build runs in a process of its own and answers in msgpack, so that nothing else has to import pydantic.
"""

from __future__ import annotations

import msgspec

ERROR = "error"
WARNING = "warning"
SECRETS_KEY_ENV = "ROUTEIQ_SECRETS_KEY"
"""How `ServerSettings.secrets_key` travels between processes."""
BUILD_ENV = "ROUTEIQ_BUILD"
"""The builder's arguments as a JSON array, for the control plane, which tries changes before it stores them."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to tell the operator. Holds names and positions, never a secret's value."""

    level: str
    """`error` or `warning`."""
    message: str
    path: str = ""
    """Dotted path of the setting: `model_list[2].litellm_params.rpm`."""
    file: str = ""
    line: int = 0
    """From 1; 0 when the finding has no place in a file."""
    column: int = 0
    hint: str = ""
    """What to do about it, for instance `did you mean gpt-4o?`."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.level}: {path}{self.message}{hint}"


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the command line says over environment and files; `None` says nothing."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None
    state_dir: str | None = None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor needs beside the Snapshot. A change takes effect at a restart, not at a reload."""

    host: str = "127.0.0.1"
    port: int = 4000
    workers: int = 1
    state_dir: str
    """Absolute directory of the journal, the counters and the ledger; may not exist yet."""
    database_url: str
    """Where the ledger lives, as `core.database` reads it. May hold a password: never log it."""
    secrets_key: str = ""
    """What secrets in the database are encrypted under: LITELLM_SALT_KEY, else the master key; empty without either.
    Never log it."""
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    json_logs: bool = False
    agents: bool = False
    """Whether there is a process with MCP."""

    def __repr__(self) -> str:
        return f"ServerSettings(host={self.host!r}, port={self.port!r}, state_dir={self.state_dir!r})"


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one build. `ok` is true when there are no errors; then `snapshot` and `server` are set."""

    ok: bool
    snapshot: bytes | None = None
    """A `core.snapshot.Snapshot` in msgpack. Holds secrets: never log it, never write it to disk."""
    server: ServerSettings | None = None
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    files: tuple[str, ...] = ()
    """Every configuration file that was read, absolute, the first one first."""


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(BuildResult).decode
