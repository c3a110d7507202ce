"""The canonical vocabulary: what every wire format is translated to and from.

Owns items, tools, requests, responses and stream events as plain values, and the folding of a stream
into a whole. Knows no wire format, no HTTP, no clock. Its words are OpenResponses', and a superset.
"""

from aigw.model.events import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Failed,
    Finished,
    Foreign,
    ItemClosed,
    ItemOpened,
    PartAdded,
    ReasoningDelta,
    ReasoningKind,
    RefusalDelta,
    Started,
    TextDelta,
    UsageReported,
)
from aigw.model.extras import Extras, JsonObject
from aigw.model.fold import MAX_FOLD_CHARS, Fold, fold
from aigw.model.items import ForeignItem, FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from aigw.model.options import ReasoningOptions, ResponseFormat, Sampling
from aigw.model.parts import (
    Annotation,
    AudioPart,
    FilePart,
    ForeignPart,
    ImagePart,
    Media,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)
from aigw.model.request import Request
from aigw.model.response import Choice, FinishReason, Response
from aigw.model.texts import map_request_text, map_response_text
from aigw.model.tools import CustomTool, ForeignTool, ForeignToolChoice, FunctionTool, Tool, ToolChoice
from aigw.model.unfold import unfold
from aigw.model.usage import Usage

__all__ = [
    "MAX_FOLD_CHARS",
    "Annotation",
    "AnnotationAdded",
    "ArgumentsDelta",
    "AudioDelta",
    "AudioPart",
    "Choice",
    "ChoiceFinished",
    "CustomTool",
    "Event",
    "Extras",
    "ExtrasAdded",
    "Failed",
    "FilePart",
    "FinishReason",
    "Finished",
    "Fold",
    "Foreign",
    "ForeignItem",
    "ForeignPart",
    "ForeignTool",
    "ForeignToolChoice",
    "FunctionCall",
    "FunctionCallOutput",
    "FunctionTool",
    "ImagePart",
    "Item",
    "ItemClosed",
    "ItemOpened",
    "JsonObject",
    "Media",
    "Message",
    "Part",
    "PartAdded",
    "Reasoning",
    "ReasoningDelta",
    "ReasoningKind",
    "ReasoningOptions",
    "RefusalDelta",
    "RefusalPart",
    "Request",
    "Response",
    "ResponseFormat",
    "Sampling",
    "Started",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolChoice",
    "Usage",
    "UsageReported",
    "VideoPart",
    "fold",
    "map_request_text",
    "map_response_text",
    "unfold",
]
