"""A row of the table of endpoints: what is served where, and who may ask for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from routeiq.control.access import OPERATIONS, Access
from routeiq.control.auth import Guard, require

if TYPE_CHECKING:
    from fastapi import FastAPI

    from routeiq.control.plane import Plane


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. Raises `ValueError` when it does not say who may use it."""

    method: str
    path: str
    access: Access
    endpoint: Callable[..., Any]
    """Synchronous ones run in a thread."""
    operation: str = ""
    """With `Access.MANAGE`: a name of `OPERATIONS`."""
    response: Any = None
    """The pydantic model of the answer, for the description."""
    open: bool = False
    """Served by a gateway that asks for no key, too: only what changes nothing and tells no secret."""

    def __post_init__(self) -> None:
        managed = self.access is Access.MANAGE
        if managed != bool(self.operation) or (managed and self.operation not in OPERATIONS):
            raise ValueError(f"{self.method} {self.path} does not say which operation it is")


class Guarded(APIRoute):
    """A route whose guard is asked before anything of the request is read."""

    guard: ClassVar[Guard]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handler = super().get_route_handler()
        guard = type(self).guard

        async def handle(request: Request) -> Response:
            await guard(request)
            return await handler(request)

        return handle


def add(app: FastAPI, plane: Plane, routes: Iterable[Route]) -> None:
    """Put routes on the app, each behind the guard of its access."""
    for route in routes:
        guard = require(route.access, plane, path=route.path, operation=route.operation, serve_open=route.open)
        app.router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            route_class_override=type("Guarded", (Guarded,), {"guard": staticmethod(guard)}),
            include_in_schema=route.access is not Access.INTERNAL,
            response_model=None,
            responses={200: {"model": route.response}} if route.response is not None else None,
            tags=[route.operation.partition(":")[0] or "gateway"],
        )
