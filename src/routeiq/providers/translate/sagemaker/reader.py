"""Streams of SageMaker endpoints: a container's bytes out of AWS's frames, and text generation's events in them.

Each frame is a `PayloadPart` with any number of bytes, or an exception:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_ResponseStream.html
"""

from __future__ import annotations

import msgspec

from routeiq.providers import errors
from routeiq.providers.dialects.sagemaker import from_exception
from routeiq.providers.translate.chat import Delta, Ended, Finished, Started, TextDelta, Used
from routeiq.providers.translate.codec import DeltaReader
from routeiq.providers.translate.frames import LineFrames
from routeiq.providers.translate.sagemaker import wire
from routeiq.transport.eventstream import BadFrame, Framer

LIMIT = 16 * 1024 * 1024
"""Bytes of one message."""


class PartReader:
    """`DeltaReader` around the one of the container's own stream."""

    __slots__ = ("_framer", "_inner")

    def __init__(self, inner: DeltaReader) -> None:
        self._framer = Framer(LIMIT)
        self._inner = inner

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        try:
            for message in self._framer.feed(data):
                if message.headers.get(":message-type") != "event":
                    raise from_exception(message.headers, message.payload)
                if message.headers.get(":event-type") == "PayloadPart":
                    out += self._inner.feed(message.payload)
        except BadFrame as error:
            raise errors.broken_answer("", f"a broken frame: {error}") from None
        return out

    def finish(self) -> list[Delta]:
        return [] if self._framer.rest() else self._inner.finish()


class GenerationReader:
    """`DeltaReader` of text generation: lines of JSON, or server-sent events of one line each.

    https://huggingface.co/docs/text-generation-inference/conceptual/streaming,
    https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/lmi_input_output_schema.html
    """

    __slots__ = ("_ended", "_frames", "_prompt", "_size", "_started")

    def __init__(self, prompt: int) -> None:
        """`prompt` is its size in characters, to estimate tokens by."""
        self._frames = LineFrames()
        self._prompt = prompt
        self._size = 0
        self._started = False
        self._ended = False

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for line in self._frames.feed(data):
            self._line(line, out)
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._frames.rest()
        if rest.endswith(b"}"):
            try:
                wire.decode_event(rest.removeprefix(b"data:"))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return out  # cut within a line
            self._line(rest, out)
        return out

    def _line(self, line: bytes, out: list[Delta]) -> None:
        payload = line.removeprefix(b"data:").strip()
        if self._ended or not payload.startswith(b"{"):
            return  # other fields of an event, comments, [DONE]
        try:
            event = wire.decode_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise errors.broken_answer("", "an event that is no token") from None
        if event.error is not None:
            raise errors.from_event(payload, provider="")
        if not self._started:
            self._started = True
            out.append(Started())
        token = event.token
        if token is not None and token.text and not token.special:
            self._size += len(token.text)
            out.append(TextDelta(text=token.text))
        if event.generated_text is not None or event.details is not None:
            self._ended = True
            out.append(Finished(reason=wire.finish_of(event.details)))
            out.append(Used(usage=wire.usage_of(event.details, self._prompt, self._size)))
            out.append(Ended())
