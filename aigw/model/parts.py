"""What a message or a tool's output is made of: text, media, refusals.

Owns the parts. Knows no wire format: a data URL, a base64 block and a file id are all one `Media`.
"""

from __future__ import annotations

from attrs import field, frozen

from aigw.model.extras import Extras, JsonObject


@frozen
class Media:
    """Where the bytes of a picture, a sound or a file are: exactly one of url, data and file_id.

    data: base64, as it travels; decoding it is nobody's business here.
    media_type: as "image/png"; needed with data, optional otherwise.
    """

    url: str | None = None
    data: str | None = None
    file_id: str | None = None
    media_type: str | None = None


@frozen
class Annotation:
    """A citation or file reference attached to a text; indices count characters of that text."""

    kind: str
    start_index: int | None = None
    end_index: int | None = None
    url: str | None = None
    title: str | None = None
    file_id: str | None = None
    filename: str | None = None
    quoted_text: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class TextPart:
    """Plain text. logprobs: one tree a token, {token, logprob, bytes, top_logprobs}."""

    text: str
    annotations: tuple[Annotation, ...] = ()
    logprobs: tuple[JsonObject, ...] = ()
    signature: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class RefusalPart:
    """The model's words for declining."""

    text: str
    logprobs: tuple[JsonObject, ...] = ()
    extras: Extras = field(factory=dict)


@frozen
class ImagePart:
    """A picture. detail: how closely to look ("low", "high", "auto")."""

    media: Media
    detail: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class AudioPart:
    """A sound, spoken by either side. id: the provider's name for an answer it can be sent back by."""

    media: Media
    transcript: str | None = None
    id: str | None = None
    expires_at: int | None = None
    extras: Extras = field(factory=dict)


@frozen
class VideoPart:
    """A film."""

    media: Media
    extras: Extras = field(factory=dict)


@frozen
class FilePart:
    """A document, as a PDF. title and context are what a caller says about it beside its content."""

    media: Media
    filename: str | None = None
    title: str | None = None
    context: str | None = None
    extras: Extras = field(factory=dict)


@frozen
class ForeignPart:
    """A part that only the format `origin` has, as that format wrote it."""

    origin: str
    tree: JsonObject
    extras: Extras = field(factory=dict)


Part = TextPart | RefusalPart | ImagePart | AudioPart | VideoPart | FilePart | ForeignPart
