"""Where a deployment is: its base URL taken apart, and the proxy on the way there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?)*\.?")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
DEFAULT_PORTS = {"http": 80, "https": 443}
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL. `host` is lower case, an IPv6 address without brackets; `path` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The `Host` header (RFC 9110 7.2): with the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def public(self) -> bool:
        """Whether the host looks reachable over the open network: a dotted name or a global address."""
        try:
            return ipaddress.ip_address(self.host).is_global
        except ValueError:
            private = (".local", ".internal", ".localhost", ".lan", ".home.arpa", ".svc", ".test", ".example")
            return "." in self.host.rstrip(".") and not self.host.endswith(private)


def parse_base(text: str) -> Address:
    """A base URL's parts. Raises `ValueError` with the reason; the reason never repeats the text."""
    parts = _split(text)
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https://")
    host, port = _host_port(parts)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if "?" in text or "#" in text:
        raise ValueError("must not hold a query or a fragment")
    if not _PATH.fullmatch(parts.path):
        raise ValueError("has a path with characters that are not allowed in a URL")
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        raise ValueError("must not hold . or .. in its path")
    return Address(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))


def check_proxy(text: str) -> str:
    """A proxy's URL, given back when it is one. Raises `ValueError`; the reason never repeats the text."""
    parts = _split(text)
    if parts.scheme not in PROXY_SCHEMES:
        raise ValueError(f"must begin with {', '.join(f'{scheme}://' for scheme in PROXY_SCHEMES)}")
    _host_port(parts)
    return text


def _split(text: str) -> SplitResult:
    if any(c <= " " or c >= "\x7f" for c in text):
        raise ValueError("must hold no spaces, control or non-ASCII characters")
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("is not a URL") from None


def _host_port(parts: SplitResult) -> tuple[str, int | None]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    if port == 0:
        raise ValueError("has a port that is not a number from 1 to 65535")
    if not host or not is_host(host):
        raise ValueError("has no valid host name")
    return host, port


def is_host(text: str) -> bool:
    """Whether text is a host name, an IPv4 or an IPv6 address (without brackets)."""
    if ":" in text:
        try:
            return ipaddress.ip_address(text).version == 6 and "%" not in text
        except ValueError:
            return False
    return _HOST.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost` and below it, 127.0.0.0/8, ::1."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith(".localhost")


def environment_proxy(address: Address, environ: Mapping[str, str]) -> str | None:
    """The proxy the environment asks for: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` less `NO_PROXY`, either case.

    This machine is never reached through a proxy. Raises `ValueError` when the proxy is not a URL.
    """
    if address.loopback or _exempt(address, _either(environ, "no_proxy")):
        return None
    proxy = _either(environ, f"{address.scheme}_proxy") or _either(environ, "all_proxy")
    if not proxy:
        return None
    return check_proxy(proxy if "://" in proxy else f"http://{proxy}")


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _exempt(address: Address, no_proxy: str) -> bool:
    """`NO_PROXY`: `*`, host names with all below them, addresses and networks, each with an optional `:port`."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*":
            return True
        name, _, port = entry.rpartition(":")
        if name and ":" not in name and port.isdigit():
            if int(port) != address.port:
                continue
            entry = name
        entry = entry.strip("[]").removeprefix("*").lstrip(".")
        if entry and (address.host == entry or address.host.endswith(f".{entry}") or _in_network(address.host, entry)):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
