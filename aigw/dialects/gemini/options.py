"""`generationConfig`: sampling, depth of thinking, shape of the output.

Source: GenerationConfig in the Gemini API reference, and the guides to thinking and structured output,
read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, text_of
from aigw.dialects.gemini.fields import NAME, camel, int_or_none, keep, object_at, restore
from aigw.dialects.gemini.schema import for_gemini, from_openapi
from aigw.errors import ClientError
from aigw.model import Extras, ReasoningOptions, Request, ResponseFormat, Sampling

_NUMBERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "candidateCount": "n",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
    "logprobs": "top_logprobs",
}
_WHOLE = frozenset(("topK", "candidateCount", "seed", "logprobs"))
_UNKNOWN_SAMPLING = ("min_p", "repetition_penalty", "logit_bias")
_KNOWN = frozenset(
    (
        *_NUMBERS,
        "maxOutputTokens",
        "stopSequences",
        "responseLogprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseModalities",
        "thinkingConfig",
    )
)
_THINKING = frozenset(("thinkingBudget", "thinkingLevel", "includeThoughts"))
_SCOPE = "@generation/"
_OPENAPI = f"{NAME}:@schema"
_JSON = "application/json"
_LEVEL = f"{NAME}:@level"
# Models before Gemini 3 know no levels; Google's own OpenAI endpoint counts them so.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = {"max": "high", "xhigh": "high"}


def decode_options(config: Tree, extras: Extras) -> dict[str, Any]:
    """Read the config into fields of a Request; what of it is unknown goes to `extras`.

    Raises ClientError on what is no number where one belongs.
    """
    extras |= keep(config, _KNOWN, _SCOPE)
    values: dict[str, Any] = {name: _number(config, key) for key, name in _NUMBERS.items()}
    logprobs = config.get("responseLogprobs")
    stop = tuple(text_of(value) for value in list_of(config.get("stopSequences")))
    sampling = Sampling(stop=stop, logprobs=logprobs if isinstance(logprobs, bool) else None, **values)
    return {
        "sampling": sampling,
        "max_output_tokens": int_or_none(config.get("maxOutputTokens")),
        "reasoning": _decode_thinking(config),
        "response_format": _decode_format(config, extras),
        "modalities": tuple(text_of(value).lower() for value in list_of(config.get("responseModalities"))),
    }


def _number(config: Tree, key: str) -> float | None:
    value = config.get(key)
    if value is None:
        return None
    number = int_or_none(value) if key in _WHOLE else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        path = f"generationConfig.{key}"
        raise ClientError(f"{path}: expected a number, got {type(value).__name__}", param=path)
    return number


def _decode_thinking(config: Tree) -> ReasoningOptions | None:
    if not isinstance(config.get("thinkingConfig"), dict):
        return None
    thinking = object_at(config, "thinkingConfig")
    extras = keep(thinking, _THINKING)
    budget = int_or_none(thinking.get("thinkingBudget"))
    level = text_of(thinking.get("thinkingLevel"))
    if level and level != level.lower():
        extras[_LEVEL] = level
    shown = thinking.get("includeThoughts")
    return ReasoningOptions(
        effort=level.lower() or None,
        budget_tokens=budget if budget is not None and budget > 0 else None,
        enabled=False if budget == 0 else None,
        adaptive=True if budget == -1 else None,
        include_thoughts=shown if isinstance(shown, bool) else None,
        extras=extras,
    )


def _decode_format(config: Tree, extras: Extras) -> ResponseFormat | None:
    mime = text_of(config.get("responseMimeType"))
    own = {key: config[key] for key in ("responseSchema", "responseJsonSchema") if config.get(key)}
    if mime not in {"", _JSON, "text/plain"}:  # text/x.enum is Gemini's alone
        extras |= keep({"responseMimeType": mime, **own}, frozenset(), _SCOPE)
        return None
    if isinstance(schema := own.get("responseJsonSchema"), dict):
        return ResponseFormat("json_schema", schema=schema)
    if isinstance(schema := own.get("responseSchema"), dict):
        return ResponseFormat("json_schema", schema=from_openapi(schema), extras={_OPENAPI: schema})
    if mime == _JSON:
        return ResponseFormat("json_object")
    return ResponseFormat("text") if mime else None


def encode_options(request: Request, dropped: list[str]) -> Tree:
    """Write the config."""
    config: Tree = {}
    sampling = request.sampling
    for key, name in _NUMBERS.items():
        if (value := getattr(sampling, name)) is not None:
            config[key] = value
    dropped += [f"sampling.{name}" for name in _UNKNOWN_SAMPLING if getattr(sampling, name) is not None]
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if sampling.logprobs is not None:
        config["responseLogprobs"] = sampling.logprobs
    if request.max_output_tokens is not None:
        config["maxOutputTokens"] = request.max_output_tokens
    if request.modalities:
        config["responseModalities"] = [modality.upper() for modality in request.modalities]
    if request.reasoning is not None and (
        thinking := _encode_thinking(request.reasoning, request.model, dropped)
    ):
        config["thinkingConfig"] = thinking
    if request.response_format is not None:
        config |= _encode_format(request.response_format)
        dropped += ["response_format.description"] if request.response_format.description else []
    return config | restore(request.extras, _SCOPE)


def _encode_thinking(options: ReasoningOptions, model: str, dropped: list[str]) -> Tree:
    thinking: Tree = {}
    effort = options.effort
    if options.budget_tokens is not None:
        thinking["thinkingBudget"] = options.budget_tokens
    elif options.enabled is False or effort == "none":
        thinking["thinkingBudget"] = 0
    elif options.adaptive:
        thinking["thinkingBudget"] = -1
    if effort not in {None, "none"}:
        told = _encode_effort(str(effort), options, model, thinking)
        dropped += [] if told else ["reasoning.effort"]
        thinking |= told
    if options.include_thoughts is not None:
        thinking["includeThoughts"] = options.include_thoughts
    elif options.summary is not None:
        thinking["includeThoughts"] = True
    return thinking | restore(options.extras)


def _encode_effort(effort: str, options: ReasoningOptions, model: str, told: Tree) -> Tree:
    # Only one of level and budget may be told; a budget is the more exact.
    if told:
        return {}
    if "gemini-2" in model:
        return {"thinkingBudget": _BUDGETS[effort]} if effort in _BUDGETS else {}
    level = _LEVELS.get(effort, effort)
    spelt = options.extras.get(_LEVEL, "")
    return {"thinkingLevel": spelt if spelt.lower() == effort else level}


def _encode_format(response_format: ResponseFormat) -> Tree:
    if response_format.kind == "text":
        return {"responseMimeType": "text/plain"}
    config: Tree = {"responseMimeType": _JSON}
    original = response_format.extras.get(_OPENAPI)
    if isinstance(original, dict) and from_openapi(original) == response_format.schema:
        config["responseSchema"] = original
    elif response_format.schema is not None:
        config["responseJsonSchema"] = for_gemini(response_format.schema)
    return config


def config_of(tree: Tree) -> Tree:
    """Return the generationConfig of a request. Raises ClientError when it is no object."""
    config = tree.get("generationConfig")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ClientError("generationConfig: expected an object", param="generationConfig")
    return camel(config)
