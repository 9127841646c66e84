"""The catalogue of what providers do wrong, by name. For `pytest.mark.parametrize`.

`BEFORE` fail before a byte of the answer could be passed on: another attempt may still save the request.
`UNARY` and `STREAM` fail after the head of an answer. `NOISE` is odd and yet a right answer.
What needs no server (refused, black hole, bad names, bad TLS) is in `tests/support/addresses.py`.
"""

from __future__ import annotations

from email.utils import formatdate
from time import time

from support.answers import event
from support.upstream import HEAD, Script

HTML = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

BEFORE: dict[str, Script] = {
    "429 with seconds": Script(status=429, headers=[("Retry-After", "1")]),
    "429 with a date": Script(status=429, headers=[("Retry-After", formatdate(time() + 2, usegmt=True))]),
    "429 with junk": Script(status=429, headers=[("Retry-After", "soon")]),
    "500": Script(status=500),
    "502 of a proxy, HTML": Script(status=502, body=HTML, headers=[("Content-Type", "text/html")]),
    "503": Script(status=503, headers=[("Retry-After", "0")]),
    "504": Script(status=504),
    "529": Script(status=529, body={"error": {"message": "Overloaded", "type": "overloaded_error"}}),
    "reset before the head": Script(cut="rst", after=HEAD),
    "close before the head": Script(cut="fin", after=HEAD),
    "no answer": Script(cut="stall", after=HEAD),
    "slow first byte": Script(delay=30),
    "not HTTP": Script(raw=b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "half a head": Script(raw=b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "bad status line": Script(raw=b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
    "header bomb": Script(headers=[(f"X-Bomb-{n}", "b" * 1000) for n in range(2000)]),
    "one endless header": Script(raw=OK_HEAD + b"X-Long: " + b"a" * 4_000_000),
    "two lengths": Script(raw=OK_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    # To loopback only: a client that does follow must not leave this machine.
    "redirect": Script(status=302, headers=[("Location", "http://127.0.0.1:9/latest/meta-data/")], body=b""),
    "redirect 307": Script(status=307, headers=[("Location", "http://127.0.0.1:9/")], body=b""),
}

UNARY: dict[str, Script] = {
    "empty 200": Script(body=b""),
    "HTML 200": Script(body=HTML, headers=[("Content-Type", "text/html")]),
    "bad JSON": Script(body=b'{"id": "chatcmpl-1", "choices": ['),
    "bad UTF-8": Script(body=b'{"id":"c","choices":[{"message":{"content":"\xff\xfe"}}]}'),
    "JSON that is no object": Script(body=b"[1, 2, 3]"),
    "reset in the body": Script(cut="rst", after=20),
    "truncated": Script(cut="fin", after=20),
    "truncated, chunked": Script(cut="fin", after=20, framing="chunked"),
    "stall in the body": Script(cut="stall", after=20),
    "length too long": Script(content_length=100_000, close=True),
    "length too short": Script(content_length=10),
    "slow body": Script(chunk=1, interval=1.0),
    "gzip unasked, truncated": Script(gzip=True, cut="fin", after=20),
}

STREAM: dict[str, Script] = {
    "reset in the stream": Script(cut="rst", after=3),
    "closed in the stream": Script(cut="fin", after=3),
    "stall in the stream": Script(cut="stall", after=3),
    "stall before the first event": Script(cut="stall", after=0),
    "no [DONE]": Script(done=False),
    "error event": Script(error_after=3),
    "an event of 10 MB": Script(events=[event(b'{"choices":[{"delta":{"content":"' + b"x" * 10_000_000 + b'"}}]}')]),
    "an event of 20 MB": Script(events=[event(b'{"choices":[{"delta":{"content":"' + b"x" * 20_000_000 + b'"}}]}')]),
    "a line without end": Script(events=[b"data: " + b"x" * 65_536], endless=True),
    "endless": Script(endless=True),
    "HTML for a stream": Script(body=HTML, headers=[("Content-Type", "text/html")]),
    "empty stream": Script(events=[], done=False),
    "bad JSON in an event": Script(events=[event(b'{"choices": [')]),
    "bad UTF-8 in an event": Script(events=[event(b'{"choices":[{"delta":{"content":"\xff"}}]}')]),
}

NOISE: dict[str, Script] = {
    "100 first": Script(early=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 first": Script(early=b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 3),
    "drip": Script(chunk=16, interval=0.002),
    "closed each time": Script(close=True),
    "length by close": Script(framing="close"),
    "chunked body": Script(framing="chunked"),
    "chunked body in small chunks": Script(framing="chunked", chunk=7),
    "gzip unasked": Script(gzip=True),
    "stale keep-alive": Script(stale=True),
    "late first byte": Script(delay=0.2, delay_body=0.2),
}
