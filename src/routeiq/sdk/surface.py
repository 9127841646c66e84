"""The calls that the module's functions and a Router have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, overload

import msgspec

from routeiq.core.snapshot import CHAT, EMBEDDING, RESPONSES
from routeiq.providers.dialects.faces import FACES
from routeiq.sdk.call import Call
from routeiq.sdk.errors import BadRequestError
from routeiq.sdk.feed import Stream
from routeiq.sdk.response import Response


class Surface(ABC):
    """Six calls. What `options` may hold besides OpenAI's parameters is each subclass's to say.

    A parameter that is `None` counts as left out; `extra_body` is merged into the request. All raise `APIError`.
    """

    @overload
    def completion(
        self, model: str, messages: Iterable[Any], *, stream: Literal[False] = False, **options: Any
    ) -> Response: ...
    @overload
    def completion(self, model: str, messages: Iterable[Any], *, stream: Literal[True], **options: Any) -> Stream: ...
    @overload
    def completion(self, model: str, messages: Iterable[Any], *, stream: bool, **options: Any) -> Response | Stream: ...
    def completion(
        self, model: str, messages: Iterable[Any], *, stream: bool = False, **options: Any
    ) -> Response | Stream:
        """A chat completion, or the Stream of its chunks."""
        return self._call(CHAT, model, {"messages": _listed(messages)}, options, stream).wait()

    @overload
    async def acompletion(
        self, model: str, messages: Iterable[Any], *, stream: Literal[False] = False, **options: Any
    ) -> Response: ...
    @overload
    async def acompletion(
        self, model: str, messages: Iterable[Any], *, stream: Literal[True], **options: Any
    ) -> Stream: ...
    @overload
    async def acompletion(
        self, model: str, messages: Iterable[Any], *, stream: bool, **options: Any
    ) -> Response | Stream: ...
    async def acompletion(
        self, model: str, messages: Iterable[Any], *, stream: bool = False, **options: Any
    ) -> Response | Stream:
        """The same, awaited."""
        return await self._call(CHAT, model, {"messages": _listed(messages)}, options, stream).wait_async()

    @overload
    def responses(self, model: str, input: Any, *, stream: Literal[False] = False, **options: Any) -> Response: ...
    @overload
    def responses(self, model: str, input: Any, *, stream: Literal[True], **options: Any) -> Stream: ...
    @overload
    def responses(self, model: str, input: Any, *, stream: bool, **options: Any) -> Response | Stream: ...
    def responses(self, model: str, input: Any, *, stream: bool = False, **options: Any) -> Response | Stream:
        """An answer of the Responses API, or the Stream of its events."""
        return self._call(RESPONSES, model, {"input": input}, options, stream).wait()

    @overload
    async def aresponses(
        self, model: str, input: Any, *, stream: Literal[False] = False, **options: Any
    ) -> Response: ...
    @overload
    async def aresponses(self, model: str, input: Any, *, stream: Literal[True], **options: Any) -> Stream: ...
    @overload
    async def aresponses(self, model: str, input: Any, *, stream: bool, **options: Any) -> Response | Stream: ...
    async def aresponses(self, model: str, input: Any, *, stream: bool = False, **options: Any) -> Response | Stream:
        """The same, awaited."""
        return await self._call(RESPONSES, model, {"input": input}, options, stream).wait_async()

    def embedding(self, model: str, input: Any, **options: Any) -> Response:
        """Embeddings of one text or several."""
        return cast(Response, self._call(EMBEDDING, model, {"input": input}, options, False).wait())

    async def aembedding(self, model: str, input: Any, **options: Any) -> Response:
        """The same, awaited."""
        return cast(Response, await self._call(EMBEDDING, model, {"input": input}, options, False).wait_async())

    @abstractmethod
    def _start(self, call: Call, model: str, settings: Mapping[str, Any]) -> None:
        """Begin a call. `settings` are the options that are not the request's. Raises `APIError`."""

    @abstractmethod
    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        """Take the options out that are not the request's. Raises `APIError`."""

    @abstractmethod
    def _timeout(self, settings: Mapping[str, Any]) -> float | None:
        """Seconds the call as a whole may take."""

    def _call(self, endpoint: str, model: str, asked: dict[str, Any], options: dict[str, Any], stream: bool) -> Call:
        if endpoint not in FACES:
            raise BadRequestError(
                f"{endpoint} requests are not served yet.", status_code=400, code="unsupported_endpoint"
            )
        options = {name: value for name, value in options.items() if value is not None}
        settings = self._settings(options)
        more = options.pop("extra_body", {})
        if not isinstance(more, Mapping):
            raise BadRequestError(
                "extra_body: must be a dict", status_code=400, code="invalid_type", param="extra_body"
            )
        body = {"model": model, **asked, **options, **more}
        if stream:
            body["stream"] = True
        call = Call(endpoint, _encoded(body), stream=stream, timeout=self._timeout(settings))
        self._start(call, model, settings)
        return call


def _listed(messages: Any) -> list[Any]:
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise BadRequestError(
            "messages: must be a list, for instance [user_message('Hello')]",
            status_code=400,
            code="invalid_type",
            param="messages",
        )
    return list(messages)


def _plain(value: Any) -> Any:
    """What `msgspec` does not know: answers that are sent back, objects of pydantic and of OpenAI's SDK."""
    dump = getattr(value, "model_dump", None)
    if dump is None or isinstance(value, type):
        raise NotImplementedError(f"there is no JSON for {type(value).__name__}")
    return (
        dump()
        if hasattr(value, "routeiq") or type(value).__module__.startswith("routeiq.")
        else dump(exclude_none=True)
    )


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return _encode(body)
    except (TypeError, NotImplementedError, ValueError, RecursionError) as error:
        raise BadRequestError(
            f"The request can't be written as JSON: {error}", status_code=400, code="invalid_type"
        ) from None
