"""Images, documents and sound as wires write them: data URLs, media types, file names."""

from __future__ import annotations

import binascii
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import Media

TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
"""Media type by file name extension, of what models take."""
_EXTENSIONS = {media_type: extension for extension, media_type in reversed(TYPES.items())} | {"audio/mpeg": "mp3"}


_MEANT = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}


def meant(media_type: str) -> str:
    """The registered name of a media type that clients write otherwise: https://www.iana.org/assignments/media-types"""
    return _MEANT.get(media_type, media_type)


def data_url(media_type: str, data: str) -> str:
    """`data:image/png;base64,…` (RFC 2397)."""
    return f"data:{media_type};base64,{data}"


def split_url(url: str, param: str) -> tuple[str, str]:
    """(media type, base64 data) of a data URL; two empty strings for any other URL. Raises `BadRequest`."""
    if not url.startswith("data:"):
        return "", ""
    head, comma, data = url[5:].partition(",")
    media_type, *options = head.split(";")
    if not comma:
        raise BadRequest("The data URL has no data.", param=param, code="invalid_data_url")
    if "base64" in options:
        return meant(media_type) or "text/plain", data
    return media_type or "text/plain", binascii.b2a_base64(unquote_to_bytes(data), newline=False).decode()


def type_of(name: str) -> str:
    """The media type of a file name or URL by its extension; empty when it has none that is known."""
    return TYPES.get(urlsplit(name).path.rpartition(".")[2].lower(), "")


def extension_of(media_type: str) -> str:
    """`png` of `image/png`; for types not known what stands behind the slash."""
    return _EXTENSIONS.get(media_type) or media_type.partition("/")[2].partition(";")[0].partition("+")[0]


def as_text(media: Media) -> str:
    """A document of text, under its title and what it is about."""
    return "\n".join(line for line in (media.name, media.context, media.text) if line)


def kind_of(media_type: str) -> Literal["image", "document", "audio", "video"]:
    """What `Media` of this type is: a document, unless its family says otherwise."""
    match media_type.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"
