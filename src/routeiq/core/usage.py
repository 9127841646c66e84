"""What one request used: all that a provider bills by."""

from __future__ import annotations

import msgspec

MOST_TOKENS = 10**9
"""Of one answer: more is nonsense, and would not fit the counters."""
MOST_CALLS = 10**6
"""The same of images, searches and units, which cost more each."""


class Usage(msgspec.Struct, omit_defaults=True, gc=False):
    """Counts. `prompt` and `completion` are totals of tokens; other counts of tokens are parts of them.

    Of `prompt`: `cached`, `written`, `written_1h`, `audio_in`, `image_in`; none counts what another counts, but for
    `cached_audio` and `cached_image`, which are parts of `cached` and of `audio_in` or `image_in`.
    Of `completion`: `reasoning`, `audio_out`, `image_out`, with nothing in common.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    """Read from the provider's prompt cache."""
    written: int = 0
    """Written to it for the provider's usual time (Anthropic: 5 minutes)."""
    reasoning: int = 0
    estimated: bool = False
    """True when the provider sent no usage and the counts come from sizes."""
    written_1h: int = 0
    """Written to it for an hour; not counted in `written`."""
    audio_in: int = 0
    audio_out: int = 0
    cached_audio: int = 0
    image_in: int = 0
    image_out: int = 0
    cached_image: int = 0
    images_in: int = 0
    """Images sent, where they are billed apiece."""
    images: int = 0
    """Images generated, where they are billed apiece."""
    requests: int = 1
    searches: int = 0
    """Web searches the provider ran, with the usual (medium) context."""
    searches_low: int = 0
    searches_high: int = 0
    units: int = 0
    """Rerank search units."""
    seconds: float = 0.0
    """Of audio, or of computing where that is billed."""
    service_tier: str = ""
    """Where it is billed apart: `batch`, `flex`, `priority`, `fast`, as the provider says it served the request."""

    @property
    def rare(self) -> bool:
        """Whether there is more to tell than tokens of text, cached, written or not."""
        return bool(
            self.service_tier
            or self.written_1h
            or self.audio_in
            or self.audio_out
            or self.image_in
            or self.image_out
            or self.searches
            or self.seconds
            or self.units
            or self.images
            or self.images_in
            or self.searches_low
            or self.searches_high
            or self.cached_audio
            or self.cached_image
            or self.requests != 1
        )

    def bound(self) -> None:
        """Make it add up, whatever a provider said: no count below 0 or beyond `MOST_TOKENS` or `MOST_CALLS`, no part
        beyond its total.

        Audio and images that can't be among the fresh tokens of the prompt were read from the cache.
        """
        for name in _COUNTS:
            most = MOST_CALLS if name in _CALLS else MOST_TOKENS
            setattr(self, name, min(max(getattr(self, name), 0), most))
        room = self.prompt
        for name in ("cached", "written", "written_1h"):
            part = min(getattr(self, name), room)
            setattr(self, name, part)
            room -= part
        cache = self.cached
        for name, of_cache in (("audio_in", "cached_audio"), ("image_in", "cached_image")):
            part, read = getattr(self, name), getattr(self, of_cache)
            read = min(max(read, part - room), part, cache)
            fresh = min(part - read, room)
            setattr(self, name, fresh + read)
            setattr(self, of_cache, read)
            room -= fresh
            cache -= read
        room = self.completion
        for name in ("reasoning", "audio_out", "image_out"):
            part = min(getattr(self, name), room)
            setattr(self, name, part)
            room -= part


_CALLS = frozenset(("images_in", "images", "searches", "searches_low", "searches_high", "units"))
_COUNTS = tuple(
    name for name in Usage.__struct_fields__ if name not in ("estimated", "requests", "seconds", "service_tier")
)
