"""Asks a provider about a response that it keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from routeiq.core.snapshot import RESPONSES
from routeiq.pipeline.attempt import unpack
from routeiq.pipeline.call import signature
from routeiq.process.ask import Question
from routeiq.providers import errors

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Route
    from routeiq.pipeline.services import Services

ANSWER_SECONDS = 60.0


async def forward(
    services: Services, route: Route, method: bytes, ident: str, rest: bytes, query: bytes
) -> tuple[int, bytes]:
    """Status and body of `METHOD …/responses/{ident}{rest}?query` at the deployment. Raises `UpstreamError`."""
    spec = route.target.spec
    line, _, fields = spec.heads[RESPONSES].partition(b"\r\n")
    target = _target(line.split(b" ")[1], ident, rest, query)
    head = b"%b %b HTTP/1.1\r\n%b" % (method, target, fields)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if spec.signing is not None:
                signer = services.credentials.signer(spec) or await services.credentials.fetch(spec)
                head += signature(signer, head, ())
            question = Question((), services.loop.create_future())
            try:
                if route.origin is None:
                    services.library.send(question, spec, head)
                else:
                    question.payload = (head + (b"Content-Length: 0\r\n\r\n" if method == b"POST" else b"\r\n"),)
                    route.origin.send(question)
                status, body = await question.answer
            finally:
                question.close()
    except TimeoutError:
        raise errors.timeout(spec.provider, ANSWER_SECONDS, "did not answer", 504) from None
    except OSError as error:
        raise errors.unreachable(spec.provider, "closed", str(error)) from None
    return status, unpack(body) if body[:2] == b"\x1f\x8b" else body


def _target(path: bytes, ident: str, rest: bytes, query: bytes) -> bytes:
    """Path and query: a provider's own query, `api-version`, stays."""
    path, _, own = path.partition(b"?")
    queries = b"&".join(part for part in (own, query) if part)
    return b"%b/%b%b%b" % (path, quote(ident, safe="").encode(), rest, b"?" + queries if queries else b"")
