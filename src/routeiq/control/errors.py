"""Every error of the control plane in OpenAI's shape."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from routeiq.core.errors import BadRequest, GatewayError, Overloaded, UnknownPath

log = logging.getLogger("routeiq.control")


def install(app: FastAPI) -> None:
    """Handlers for our own errors, the framework's, and those nobody expected."""
    app.add_exception_handler(GatewayError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    # A missing table is one that is still being made.
    for kind in (OperationalError, InterfaceError, ProgrammingError, PoolTimeout):
        app.add_exception_handler(kind, _no_database)
    app.add_exception_handler(Exception, _unexpected)


def answer(error: GatewayError, headers: dict[str, str] | None = None) -> Response:
    """An error as a response."""
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return Response(error.body(), error.status, headers, "application/json")


async def _ours(_: Request, error: Any) -> Response:
    return answer(error)


async def _http(request: Request, error: Any) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return answer(UnknownPath(f"There is no {request.scope['path'][:200]} here."), headers)
    code = "method_not_allowed" if error.status_code == 405 else None
    return answer(BadRequest(str(error.detail), status=error.status_code, code=code), headers)


async def _invalid(_: Request, error: Any) -> Response:
    first = error.errors()[0]
    if first["type"] == "unsupported":
        name = first["ctx"]["field"]
        return answer(BadRequest(first["msg"], param=name, code="unsupported_parameter"))
    name = ".".join(str(part) for part in first["loc"][1:])
    message = f"{name}: {first['msg']}" if name else first["msg"]
    param = name or first.get("ctx", {}).get("field")
    return answer(BadRequest(message, param=param, code="invalid_parameter"))


async def _no_database(_: Request, error: Exception) -> Response:
    log.error("the database does not answer: %s", str(error).partition("\n")[0])
    return answer(Overloaded("The gateway's database does not answer.", code="database_unavailable", retry_after=5.0))


async def _unexpected(_: Request, __: Exception) -> Response:
    # The framework raises it again after the answer is sent, and the server logs it with its traceback.
    return answer(GatewayError("The control plane failed; its log says why."))
