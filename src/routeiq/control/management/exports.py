"""`/api/v1/routeiq/exports`: the files the ledger's days are written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Response
from pydantic import BaseModel

from routeiq.control.access import Access
from routeiq.control.management.desk import answer
from routeiq.control.management.shown import moment
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest

if TYPE_CHECKING:
    from routeiq.control.plane import Plane

_PATH = "/api/v1/routeiq/exports"


class ExportedFile(BaseModel):
    """One day."""

    day: str
    name: str
    requests: int
    size: int
    skipped: bool
    """It was there before; its requests and its size were not looked at."""


class Exports(BaseModel):
    """What is configured, and what came of the last run."""

    configured: bool
    output: str | None
    format: str | None
    last_run: str | None
    trouble: str | None
    files: list[ExportedFile]


def routes(plane: Plane) -> tuple[Route, ...]:
    """To look at, and to have written now."""

    def get_exports() -> Response:
        """The files of the last run, which is once an hour."""
        settings, exporter = plane.current().ledger.export, plane.exporter
        files = exporter.files if exporter is not None else ()
        return answer(
            Exports(
                configured=settings is not None,
                output=settings.output if settings is not None else None,
                format=settings.format if settings is not None else None,
                last_run=moment(exporter.at) if exporter is not None and exporter.at else None,
                trouble=exporter.trouble if exporter is not None else None,
                files=[
                    ExportedFile(
                        day=file.day, name=file.name, requests=file.requests, size=file.size, skipped=file.skipped
                    )
                    for file in files
                ],
            ).model_dump()
        )

    def run_export() -> Response:
        """Write what is missing now; answers when it is done."""
        settings = plane.current().ledger.export
        if settings is None or plane.exporter is None:
            raise BadRequest("No export is configured: set routeiq.export.output.", code="export_not_configured")
        plane.exporter.run(settings)
        return get_exports()

    return (
        Route("GET", _PATH, Access.ADMIN_VIEW, get_exports, response=Exports),
        Route("POST", _PATH, Access.ADMIN, run_export, response=Exports),
    )
