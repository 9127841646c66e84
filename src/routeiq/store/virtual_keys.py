"""Rows of `virtual_keys`: a record of ours, or the JSON older versions read and wrote."""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.periods import check_duration
from routeiq.store.records import Limits, VirtualKey

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 2_592_000}


class _Older(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key as versions before 0008 know it."""

    id: str
    name: str = ""
    admin: bool = False
    models: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    max_budget: int | None = None
    budget_seconds: int = 0
    expires: float | None = None
    blocked: bool = False
    tags: tuple[str, ...] = ()


_decode_older = msgspec.json.Decoder(_Older).decode
_decode = msgspec.json.Decoder(VirtualKey).decode
_encode = msgspec.json.Encoder().encode


def decode_key(digest: str, key: str, data: str | None, updated_at: float, workspace_id: str | None) -> VirtualKey:
    """The record of a row.

    Its workspace is what the column says: versions before 0013 write the record without it.
    """
    if data is not None:
        record = _decode(data)
        if record.workspace_id != (workspace_id or ""):
            record = msgspec.structs.replace(record, workspace_id=workspace_id or "")
        return record
    older = _decode_older(key)
    return VirtualKey(
        digest=digest,
        alias=older.name,
        admin=older.admin,
        models=older.models,
        expires=older.expires,
        blocked=older.blocked,
        workspace_id=workspace_id or "",
        tags=older.tags,
        created_at=updated_at,
        updated_at=updated_at,
        limits=Limits(
            rpm_limit=older.rpm,
            tpm_limit=older.tpm,
            max_parallel_requests=older.max_parallel_requests,
            max_budget=older.max_budget,
            budget_duration=_duration(older.budget_seconds),
        ),
    )


def key_columns(record: VirtualKey) -> dict[str, Any]:
    """What stands beside a record."""
    return {
        "digest": record.digest,
        "key": _encode(_older(record)).decode(),
        "updated_at": record.updated_at,
        "alias": record.alias or None,
        "name": record.name or None,
        "user_id": record.user_id or None,
        "team_id": record.team_id or None,
        "organization_id": record.organization_id or None,
        "budget_id": record.budget_id or None,
        "workspace_id": record.workspace_id or None,
        "expires": record.expires,
        "created_at": record.created_at,
    }


def _older(record: VirtualKey) -> _Older:
    """What an older version makes of it: its own limits, and no call at all where it could not see who is blocked."""
    limits = record.limits
    special = any(name.startswith(("all-", "no-default-")) for name in record.models)
    chained = bool(
        record.team_id or record.organization_id or record.budget_id or record.user_id or record.workspace_id
    )
    return _Older(
        id=record.digest,
        name=record.alias or record.name,
        admin=record.admin,
        models=() if special else record.models,
        rpm=limits.rpm_limit,
        tpm=limits.tpm_limit,
        max_parallel_requests=limits.max_parallel_requests,
        max_budget=limits.max_budget,
        budget_seconds=_seconds(limits.budget_duration),
        expires=record.expires,
        blocked=record.blocked or chained or bool(record.allowed_routes),
        tags=record.tags,
    )


def _duration(seconds: int) -> str:
    """Of a budget that was counted in seconds; for ever where the calendar has no such period."""
    try:
        check_duration(f"{seconds}s")
    except ValueError:
        return ""
    return f"{seconds}s"


def _seconds(duration: str) -> int:
    number = duration.rstrip("smhdwo")
    return int(number) * _SECONDS.get(duration[len(number) :], 0) if number else 0
