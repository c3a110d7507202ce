"""What profiles say of a model, and what that does to a request."""

import pytest
from attrs import evolve

from aigw.config.profiles import _PATHS
from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.anthropic.request import DEFAULT_MAX_TOKENS
from aigw.dialects.endpoints import Api
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import (
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    Media,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    TextPart,
)
from aigw.upstream.catalog import CATALOG
from aigw.upstream.fitting import ANSWER_TOKENS, BUDGETS, NEUTRAL, Fitted, fit, rename_fields
from aigw.upstream.paths import change, clear, is_path, value_at
from aigw.upstream.profile import NOTHING_KNOWN, Place, Profile, ProfileBook
from aigw.upstream.profiles import PROFILES

BOOK = ProfileBook(PROFILES)
SAMPLED = Sampling(temperature=0.2, top_p=0.9)


def known(model, api=Api.CHAT, kind="any"):
    return BOOK.find(Place(kind, kind, model, api))


def fitted(model, api=Api.CHAT, kind="any", **asked):
    found = fit(Request(model, **asked), known(model, api, kind))
    return found.request, found.changed


def by_claude(model, **asked):
    return fitted(model, Api.MESSAGES, "anthropic", **asked)


@pytest.mark.parametrize("row", PROFILES, ids=lambda row: row.name)
def test_a_row_names_places_that_there_are(row):
    paths = [*row.drop, *row.drop_reasoning, *row.values, *(path for pair in row.conflicts for path in pair)]
    assert [path for path in paths if not is_path(path)] == []
    assert [path for path in row.defaults if not is_path(path) and ":" not in path] == []
    assert all(pattern == pattern.lower() for pattern in (*row.models, *row.unless))
    assert set(row.providers) <= set(CATALOG)


def test_no_two_rows_have_the_same_name():
    assert len({row.name for row in PROFILES}) == len(PROFILES)


@pytest.mark.parametrize("path", _PATHS)
def test_every_place_that_an_operator_may_name_is_there(path):
    assert is_path(path)
    assert clear(Request("m"), path) == (Request("m"), [])


@pytest.mark.parametrize("path", ["nothing", "sampling.nothing", "a.b.c", "", "sampling.", "model.upper"])
def test_other_places_are_none(path):
    assert not is_path(path)


@pytest.mark.parametrize("path", NEUTRAL)
def test_a_neutral_value_stands_at_a_place(path):
    assert is_path(path)


def test_a_change_tells_each_place_that_became_different():
    tools = (FunctionTool("a"), FunctionTool("b", strict=True), FunctionTool("c", strict=False))
    call = FunctionCall("1", "f")
    request = Request("m", tools=tools, items=(Message("user"), Message("user", name="n"), call))
    assert clear(request, "tools.strict")[1] == ["tools[1].strict", "tools[2].strict"]
    without, places = clear(request, "items.name")
    assert places == ["items[1].name"]
    assert without.items == (Message("user"), Message("user"), call)
    assert change(request, "reasoning.effort", lambda _: "low") == (request, [])
    assert value_at(request, "reasoning.effort") is None


def test_a_model_nobody_knows_keeps_everything():
    assert known("my-own-model", Api.MESSAGES) is NOTHING_KNOWN
    asked = Request("my-own-model", sampling=SAMPLED, reasoning=ReasoningOptions(effort="high"))
    assert fit(asked, NOTHING_KNOWN).request is asked


@pytest.mark.parametrize(
    "model", ["o1", "o3", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5-nano", "GPT-5"]
)
@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES])
def test_a_reasoning_model_of_openai_takes_no_sampling(model, api):
    penalized = evolve(
        SAMPLED, presence_penalty=0.5, frequency_penalty=0.5, logprobs=True, logit_bias={"1": 2}
    )
    request, changed = fitted(model, api, "openai", sampling=penalized)
    assert request.sampling == Sampling()
    assert {"sampling.temperature", "sampling.top_p", "sampling.logprobs"} < set(changed)


@pytest.mark.parametrize("model", ["gpt-5-chat-latest", "gpt-4o", "gpt-4.1", "gpt-5.1-chat-latest"])
def test_a_model_that_does_not_reason_keeps_its_sampling(model):
    assert fitted(model, sampling=SAMPLED)[1] == ()


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6-luna", "gpt-5.2-pro", "gpt-5.1-codex"])
def test_a_model_that_reasons_by_itself_takes_sampling_when_it_is_told_not_to(model):
    assert fitted(model, sampling=SAMPLED)[0].sampling == Sampling()
    off = ReasoningOptions(effort="none")
    assert fitted(model, sampling=SAMPLED, reasoning=off)[0].sampling == SAMPLED


@pytest.mark.parametrize(
    ("reasoning", "kept"),
    [(None, True), (ReasoningOptions(effort="none"), True), (ReasoningOptions(effort="low"), False)],
)
def test_a_model_that_may_reason_takes_sampling_while_it_does_not(reasoning, kept):
    request, changed = fitted("gpt-5.2", sampling=SAMPLED, reasoning=reasoning)
    assert (request.sampling == SAMPLED) is kept
    assert changed == (() if kept else ("sampling.temperature", "sampling.top_p"))


def test_what_asks_for_the_usual_is_left_out_without_a_word():
    usual = Sampling(temperature=1, top_p=1.0, presence_penalty=0, frequency_penalty=0, n=1, logprobs=False)
    request, changed = fitted("o3", sampling=usual, parallel_tool_calls=True)
    assert (request.sampling.temperature, request.parallel_tool_calls, changed) == (None, None, ())
    assert fitted("o3", parallel_tool_calls=False)[1] == ("parallel_tool_calls",)


@pytest.mark.parametrize(
    ("model", "kept"), [("o1", True), ("o3-mini", True), ("o3", False), ("o4-mini", False)]
)
def test_some_of_the_o_series_take_a_stop(model, kept):
    assert bool(fitted(model, sampling=Sampling(stop=("x",)))[0].sampling.stop) is kept


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("o3", "minimal", "low"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5-pro", "low", "high"),
        ("grok-3-mini", "medium", "low"),
        ("grok-4.5", "none", "low"),
    ],
)
def test_an_effort_that_a_model_does_not_know_becomes_the_nearest(model, asked, told):
    request, changed = fitted(model, reasoning=ReasoningOptions(effort=asked))
    assert request.reasoning.effort == told
    assert changed == (() if told == asked else ("reasoning.effort",))


def test_limits_are_kept_within_what_the_model_writes():
    assert by_claude("claude-3-5-haiku-20241022", max_output_tokens=9000)[0].max_output_tokens == 8192
    assert by_claude("claude-3-5-haiku-20241022", max_output_tokens=9000)[1] == ("max_output_tokens",)
    assert by_claude("claude-3-5-haiku-20241022", max_output_tokens=10) == (
        Request("claude-3-5-haiku-20241022", max_output_tokens=10),
        (),
    )
    # The format insists on a limit, and the usual one is more than this model writes.
    assert by_claude("claude-3-haiku-20240307")[0].max_output_tokens == 4096


THINKING_KINDS = [
    ("claude-3-5-sonnet-20241022", None),
    ("claude-3-7-sonnet-20250219", "budget"),
    ("claude-sonnet-4-20250514", "budget"),
    ("claude-opus-4-1-20250805", "budget"),
    ("claude-sonnet-4-5", "budget"),
    ("anthropic.claude-haiku-4-5-20251001-v1:0", "budget"),
    ("claude-opus-4-7", "adaptive"),
    ("claude-sonnet-5", "adaptive"),
    ("claude-fable-5-1", "adaptive"),
]


@pytest.mark.parametrize(("model", "kind"), THINKING_KINDS)
@pytest.mark.parametrize(
    "asked", [ReasoningOptions(effort="high"), ReasoningOptions(budget_tokens=5000, enabled=True)]
)
def test_claude_gets_the_kind_of_thinking_it_knows(model, kind, asked):
    reasoning = by_claude(model, reasoning=asked)[0].reasoning
    if kind is None:
        assert reasoning is None
    elif kind == "budget":
        assert (reasoning.enabled, reasoning.adaptive, reasoning.effort) == (True, None, None)
        assert reasoning.budget_tokens in {BUDGETS["high"], 23808, 5000}
    else:
        assert (reasoning.budget_tokens, reasoning.enabled) == (None, None)
        assert reasoning.effort == ("high" if asked.effort else "medium")


@pytest.mark.parametrize("limit", [None, 100, 1024, 1025, 2000, 4000, 100_000])
@pytest.mark.parametrize("effort", BUDGETS)
def test_a_budget_leaves_room_for_the_answer(limit, effort):
    model = "claude-opus-4-1"
    request, changed = by_claude(model, max_output_tokens=limit, reasoning=ReasoningOptions(effort=effort))
    if limit is not None and limit <= 1024:
        assert (request.reasoning, changed) == (None, ("reasoning",))
        return
    budget = request.reasoning.budget_tokens
    assert 1024 <= budget < (request.max_output_tokens or 32000 - 8191)


def test_both_kinds_of_thinking_pass_where_both_are_known():
    for asked in (ReasoningOptions(adaptive=True), ReasoningOptions(enabled=True, budget_tokens=2000)):
        assert by_claude("claude-opus-4-6", reasoning=asked) == (
            Request("claude-opus-4-6", reasoning=asked),
            (),
        )


def test_thinking_that_cannot_be_turned_off_stays_on_and_is_told():
    off = ReasoningOptions(enabled=False)
    assert by_claude("claude-opus-5-5", reasoning=off) == (Request("claude-opus-5-5"), ("reasoning",))
    assert by_claude("claude-opus-4-7", reasoning=off)[1] == ()
    assert fitted("gemini-2.5-pro", Api.GEMINI, reasoning=off)[1] == ("reasoning",)
    assert fitted("gemini-2.5-flash", Api.GEMINI, reasoning=off)[1] == ()


@pytest.mark.parametrize("model", ["claude-opus-4-1", "claude-sonnet-4-5-20250929", "claude-opus-4-5"])
def test_of_two_samplers_the_second_goes_where_one_is_allowed(model):
    request, changed = by_claude(model, sampling=SAMPLED)
    assert (request.sampling, changed) == (Sampling(temperature=0.2), ("sampling.top_p",))
    assert by_claude(model, sampling=Sampling(top_p=0.9))[1] == ()


def test_the_newest_of_claude_take_no_sampler_at_all():
    request, changed = by_claude("claude-opus-4-8", sampling=evolve(SAMPLED, top_k=3))
    assert request.sampling == Sampling()
    assert changed == ("sampling.temperature", "sampling.top_p", "sampling.top_k")


def test_older_claude_writes_to_no_schema():
    shape = ResponseFormat("json_schema", schema={"type": "object"})
    assert by_claude("claude-3-7-sonnet-20250219", response_format=shape)[1] == ("response_format",)
    assert by_claude("claude-sonnet-4-5", response_format=shape)[1] == ()


def test_gemini_since_2_5_takes_no_penalties():
    penalty = Sampling(presence_penalty=0.5)
    assert fitted("gemini-2.0-flash", Api.GEMINI, sampling=penalty)[1] == ()
    for model in ("gemini-2.5-flash", "gemini-3-pro-preview"):
        assert fitted(model, Api.GEMINI, sampling=penalty)[1] == ("sampling.presence_penalty",)


def test_grok_that_reasons_takes_no_stop_and_no_effort():
    asked = {"sampling": Sampling(stop=("x",)), "reasoning": ReasoningOptions(effort="low")}
    assert fitted("grok-4-fast-reasoning", **asked)[1] == ("sampling.stop", "reasoning.effort")
    assert fitted("grok-4-fast-non-reasoning", **asked)[1] == ("reasoning.effort",)
    assert fitted("grok-4.3", **asked)[1] == ("sampling.stop",)


def test_a_host_knows_older_names_and_fewer_fields():
    mistral = known("mistral-large-latest", kind="mistral")
    tree = rename_fields({"max_completion_tokens": 5, "seed": 1, "model": "m"}, mistral)
    assert tree == {"max_tokens": 5, "random_seed": 1, "model": "m"}
    asked = Request("m", store=True, user="u", items=(Message("developer", (TextPart("x"),)),))
    found = fit(asked, mistral)
    assert found.changed == ("store", "user")
    assert found.request.items[0].role == "system"
    assert known("mistral-large-latest", kind="openrouter").rename == {}


def test_groq_refuses_names_and_more_than_one_answer():
    request, changed = fitted(
        "llama", kind="groq", items=(Message("user", name="ann"),), sampling=Sampling(n=2, top_logprobs=3)
    )
    assert changed == ("sampling.top_logprobs", "sampling.n", "items[0].name")
    assert request.items[0].name is None


def test_pictures_of_tools_go_into_a_message_of_the_user():
    picture = ImagePart(Media(url="https://a/b.png"))
    items = (
        FunctionCall("1", "f"),
        FunctionCall("2", "f"),
        FunctionCallOutput("1", (TextPart("see"), picture)),
        FunctionCallOutput("2", (picture,)),
        Message("user", (TextPart("and?"),)),
    )
    request, changed = fitted("gpt-4o", items=items)
    kinds = [type(item).__name__ for item in request.items]
    assert kinds == ["FunctionCall"] * 2 + ["FunctionCallOutput"] * 2 + ["Message"] * 2
    assert request.items[2].parts == (TextPart("see"),)
    assert request.items[4] == Message("user", (picture, picture))
    assert changed == ()
    assert fitted("gpt-4o", items=items[:3])[0].items[-1] == Message("user", (picture,))


def test_reasoning_is_asked_back_where_it_would_be_lost():
    request, changed = fitted("gpt-5-mini", Api.RESPONSES, "openai")
    assert request.extras == {"openresponses:include": ["reasoning.encrypted_content"]}
    assert (request.store, changed) == (False, ())
    assert fitted("gpt-4o", Api.RESPONSES)[0] == Request("gpt-4o", store=False)
    kept = fitted("gpt-5", Api.RESPONSES, store=True, extras={"openresponses:include": []})[0]
    assert (kept.store, kept.extras) == (True, {"openresponses:include": []})


def everything(model):
    """A request that says all there is to say."""
    return Request(
        model,
        items=(
            Message("developer", (TextPart("be brief"),), name="boss"),
            Message("user", (TextPart("hi"),), name="ann"),
            FunctionCall("1", "f", "{}"),
            FunctionCallOutput("1", (TextPart("x"), ImagePart(Media(url="https://a/b.png")))),
        ),
        tools=(FunctionTool("f", strict=True),),
        parallel_tool_calls=False,
        max_output_tokens=1_000_000,
        sampling=Sampling(0.5, 0.5, 5, 0.1, 0.1, 0.1, 1.1, {"1": 1}, 1, ("x",), 2, True, 3),
        reasoning=ReasoningOptions(effort="minimal", budget_tokens=900_000, enabled=True),
        response_format=ResponseFormat("json_schema", schema={"type": "object"}),
        verbosity="low",
        service_tier="flex",
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        store=True,
    )


PLAIN_PATTERN = str.maketrans("", "", "*")
MODELS = sorted({pattern.translate(PLAIN_PATTERN) for row in PROFILES for pattern in row.models})
CODECS = {
    Api.CHAT: OPENAI_CHAT,
    Api.RESPONSES: OPENRESPONSES,
    Api.MESSAGES: ANTHROPIC,
    Api.GEMINI: GEMINI,
}


@pytest.mark.parametrize("api", CODECS)
@pytest.mark.parametrize("model", MODELS)
def test_what_fits_once_fits_ever_after_and_can_be_written(model, api):
    for kind in ("any", "groq", "mistral", "deepseek", "ollama"):
        profile = known(model, api, kind)
        once = fit(everything(model), profile)
        assert fit(once.request, profile) == Fitted(once.request)
        tree = CODECS[api].encode_request(once.request).tree
        thinking = tree.get("thinking") or {}
        assert thinking.get("budget_tokens", 0) < tree.get("max_tokens", 1)


def test_the_room_for_an_answer_is_what_the_format_asks_for_by_itself():
    assert ANSWER_TOKENS == DEFAULT_MAX_TOKENS


def test_rows_that_match_lie_over_each_other_in_their_order():
    below = Profile("a", drop=("user",), values={"verbosity": {"a": "b"}}, max_output_tokens=10)
    above = Profile("b", models=("m*",), drop=("store",), values={"verbosity": {"c": "d"}}, thinking="none")
    both = ProfileBook([below, above]).find(Place("k", "p", "m1", Api.CHAT))
    assert both.drop == ("user", "store")
    assert both.values == {"verbosity": {"a": "b", "c": "d"}}
    assert (both.max_output_tokens, both.thinking) == (10, "none")


def test_an_operators_row_lies_on_top_or_stands_in_place():
    row = Profile("catalogue", drop=("user",))
    mine = Profile("mine", models=("x",), drop=("store",))
    place = Place("k", "p", "m", Api.CHAT)
    book = ProfileBook([row], [mine])
    assert book.find(place).drop == ("user",)
    assert book.find(place, "mine").drop == ("user", "store")
    assert ProfileBook([row], [evolve(mine, replace=True)]).find(place, "mine").drop == ("store",)
    assert book.find(place, "no such").drop == ("user",)


def test_only_certain_rows_touch_a_request_in_the_providers_own_format():
    place = Place("openai", "openai", "gpt-5", Api.RESPONSES)
    assert BOOK.find(place).defaults != {}
    assert BOOK.find(place, certain=True).defaults == {}
    assert BOOK.find(place, certain=True).drop != ()


def test_what_clients_name_does_not_fill_the_memory():
    book = ProfileBook(PROFILES)
    for number in range(5000):
        book.find(Place("k", "p", f"m{number}", Api.CHAT))
    assert len(book._cache) <= 4096
