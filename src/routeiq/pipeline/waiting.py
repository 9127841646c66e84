"""Requests that wait for an answer of another process: each of them ends, whatever comes of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Exchange
from routeiq.pipeline.settle import refuse

log = logging.getLogger("routeiq.pipeline")


async def wait(exchange: Exchange, work: Awaitable[bool]) -> None:
    """Take the request on when the work is done, unless it says False or the client went away; refuse it where the
    work raises.
    """
    try:
        goes_on = await work
    except Exception as error:
        refuse(exchange, failure(exchange, error))
    else:
        if goes_on and not exchange.settled:
            exchange.plan.resume(exchange)


def failure(exchange: Exchange, error: Exception) -> GatewayError:
    """What the client is told; the log has what is not the client's to know."""
    if isinstance(error, GatewayError):
        return error
    log.error("a request failed", exc_info=error, extra={"call_id": exchange.call_id})
    return GatewayError("The gateway failed to handle this request.", code="internal_error")
