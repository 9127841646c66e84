"""The control plane's ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

import routeiq
from routeiq.control import errors
from routeiq.control.endpoints import mount
from routeiq.control.plane import Plane


def create_app(plane: Plane) -> FastAPI:
    """The application over one Plane. Paths match exactly: no redirect for a slash, no documentation pages."""
    app = FastAPI(
        title="RouteIQ",
        version=routeiq.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    mount(app, plane)
    return app
