"""What credentials that are renewed are made of."""

from __future__ import annotations

import msgspec


class Signing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials that can't be rendered into a head ahead of time: they are made or renewed as time goes by."""

    id: str
    """The same for all who share credentials."""
    scheme: str
    """`aws` (SigV4 over the body), or a bearer token that is renewed: `google`, `azure_ad`, `watsonx`, `databricks`."""
    params: dict[str, str] = {}
    """What the scheme needs, as configured: may hold secrets."""

    def __repr__(self) -> str:
        return f"Signing(id={self.id!r}, scheme={self.scheme!r})"
