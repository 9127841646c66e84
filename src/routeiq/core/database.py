"""Database URLs: `sqlite:///` and a path, or `postgresql://user:password@host:port/name?parameters`.

The parameters are libpq's: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS. Those of
Prisma, which LiteLLM's users have in their URLs, are understood or named:
https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

SQLITE, POSTGRES = "sqlite", ("postgresql", "postgres")
DATABASE_URL_ENV = "ROUTEIQ_LEDGER_URL"
"""How the URL travels between processes: command lines are everybody's to read."""

LIBPQ = frozenset(
    (
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname", "gssencmode", "host",
        "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
        "krbsrvname", "load_balance_hosts", "options", "passfile", "password", "port", "require_auth", "service",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcrl", "sslkey", "sslmode",
        "sslnegotiation", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
    )
)  # fmt: skip
PRISMA = frozenset(
    ("connection_limit", "pgbouncer", "pool_timeout", "socket_timeout", "sslaccept", "sslidentity",
     "statement_cache_size")
)  # fmt: skip
"""What only Prisma's client makes use of."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where a PostgreSQL database is. Its text has no secret in it."""

    parameters: dict[str, str] = field(repr=False)
    """Names and values as libpq takes them, the password with them."""
    url: str = field(repr=False)
    unused: tuple[str, ...] = ()
    """Parameters of the URL that have no effect."""

    def __str__(self) -> str:
        host = self.parameters.get("host") or "localhost"
        port = self.parameters.get("port")
        name = self.parameters.get("dbname") or ""
        return f"postgresql://{host}{f':{port}' if port else ''}/{name}"


Database = Path | Postgres
"""A file of SQLite's, or a database of a PostgreSQL server."""


def scheme_of(url: str) -> str:
    """The scheme without a driver: `postgresql` of `postgresql+psycopg://…`; empty where there is none."""
    scheme, colon, _ = url.partition(":")
    return scheme.partition("+")[0].lower() if colon else ""


def parse_database(url: str) -> Database:
    """What a URL names. Raises `ValueError` with a text that has nothing of the URL's values in it."""
    scheme = scheme_of(url)
    _, _, rest = url.partition(":")
    if scheme == SQLITE:
        path = rest.removeprefix("///") if rest.startswith("///") else ""
        if not path or path == ":memory:" or "?" in path or "\0" in path:
            raise ValueError("must be sqlite:/// and the path of a file")
        return Path(path)
    if scheme not in POSTGRES:
        raise ValueError("must begin with sqlite:/// or postgresql://")
    if not rest.startswith("//") or "\0" in unquote(rest):
        raise ValueError("must be postgresql://user:password@host:port/name")
    return _postgres(url, rest[2:])


def _postgres(url: str, text: str) -> Postgres:
    text, _, query = text.partition("?")
    address, _, name = text.partition("/")
    user, _, hosts = address.rpartition("@")
    found: dict[str, str] = {}
    if user:
        name_of_user, _, password = user.partition(":")
        found |= {"user": unquote(name_of_user), "password": unquote(password)}
    if "/" in name or "#" in text:
        raise ValueError("has a character in it that must be percent-encoded, as / in a password is %2F")
    if hosts:
        pairs = [_host(item) for item in hosts.split(",")]
        found["host"] = ",".join(host for host, _ in pairs)
        if any(port for _, port in pairs):
            found["port"] = ",".join(port for _, port in pairs)
    found["dbname"] = unquote(name)
    unused: list[str] = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in LIBPQ:
            found[key] = value
        elif key == "schema":
            if not value.replace("_", "a").isalnum():
                raise ValueError("the parameter schema must be a plain name")
            found["options"] = f"{found.get('options', '')} -c search_path={value}".strip()
        elif key in PRISMA:
            unused.append(key)
        else:
            # Only what looks like a name is repeated: the rest of a password may have ended up here.
            named = f" {key}" if key.isidentifier() and not found.get("password") else ""
            raise ValueError(f"has a parameter{named} that PostgreSQL does not know")
    return Postgres({key: value for key, value in found.items() if value}, url, tuple(unused))


def _host(text: str) -> tuple[str, str]:
    """Host and port; the brackets of an IPv6 address taken off."""
    host, bracket, after = text.rpartition("]")
    if bracket:
        host, port = host.removeprefix("["), after.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise ValueError("the port is not a number; characters such as : and / in a password must be percent-encoded")
    return unquote(host), port
