"""One request with the standard library, where nobody waits: a token endpoint, a webhook."""

from __future__ import annotations

import urllib.request
from http.client import HTTPResponse
from typing import Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who is asked is where the configuration says, and what it is sent follows nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def send(request: urllib.request.Request, seconds: float) -> HTTPResponse:
    """The answer, to be closed. Raises `urllib.error.HTTPError` from status 300 on, and `OSError`, `HTTPException`."""
    answer: HTTPResponse = urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds)
    return answer
