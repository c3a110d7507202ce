"""Which targets a request would go to, in which order, and why."""

from support.explained import BEARER, CONFIG, HI, names, reasons


async def test_an_alias_and_a_pattern_lead_to_their_entry(ask):
    tree = await ask({"model": "quick", "messages": HI})
    assert (tree["request"]["entry"], len(tree["targets"])) == ("fast", 3)
    tree = await ask({"model": "own/qwen", "messages": HI})
    assert (tree["request"]["entry"], names(tree)) == ("own/*", ["up/qwen"])


async def test_targets_stand_in_their_order_with_their_chances(ask):
    tree = await ask({"model": "fast", "messages": HI})
    told = {target["target"]: target for target in tree["targets"]}
    assert names(tree)[2] == "gem/gemini-x"
    assert {name: each["chance"] for name, each in told.items()} == {
        "up/llama": 0.75, "ant/claude-x": 0.25, "gem/gemini-x": 1.0}  # fmt: skip
    assert [told["up/llama"]["group"], told["gem/gemini-x"]["group"]] == [1, 2]
    assert told["up/llama"]["why"] == [f"group 1, weighted: number {names(tree).index('up/llama') + 1}"]
    assert "fallbacks: gem-model" in reasons(tree)
    assert told["gem/gemini-x"]["call"]["keys"] == ["a", "b"]


async def test_nothing_waits_for_a_retry_and_every_target_is_shown_once(ask):
    tree = await ask({"model": "both", "messages": HI})
    assert names(tree) == ["up/llama", "ant/claude-x"]
    assert all(target["refused"] is None for target in tree["targets"])
    assert tree["targets"][0]["limits"] == {"max_in_flight": 4}
    assert [target["chance"] for target in tree["targets"]] == [1.0, 0.0]
    assert tree["otherwise"]["shadow"] == {"model": "gem-model", "percent": 10.0}


async def test_a_hedged_request_is_shown_as_any_other(ask):
    config = CONFIG + "[routing.hedge]\nafter_s = 0.5\n"
    tree = await ask({"model": "both", "messages": HI}, config=config)
    assert names(tree) == ["up/llama", "ant/claude-x"]
    assert all(target["call"] for target in tree["targets"])


async def test_fallbacks_of_the_request_come_before_those_of_the_configuration(ask):
    tree = await ask({"model": "fast", "messages": HI, "fallbacks": ["res"]})
    assert names(tree)[2:] == ["res/model-r", "gem/gemini-x"]
    assert all("fallbacks" not in target["call"]["body"] for target in tree["targets"])


async def test_a_rule_by_header_is_told_and_followed(ask):
    tree = await ask({"model": "fast", "messages": HI}, headers=(BEARER, "x-beta: 1"))
    assert names(tree) == ["gem/gemini-x"]
    assert reasons(tree)[:2] == [
        "rule long does not hold: about 2 tokens of input are too few",
        "rule beta testers holds: gem-model serves it",
    ]


async def test_a_rule_by_tenant_is_told_and_followed(ask):
    tree = await ask({"model": "claude", "messages": HI}, headers=("x-api-key: sk-other-secret-2",))
    assert names(tree) == ["res/model-r"]
    tree = await ask({"model": "claude", "messages": HI})
    assert reasons(tree) == ['rule team b does not hold: tenant is "team-a"']
    assert tree["otherwise"]["on_context_length"] == ["gem-model"]


async def test_a_target_that_cannot_answer_is_left_out(ask):
    tree = await ask({"model": "fast", "input": "hi"}, path="/v1/embeddings")
    assert [each["target"] for each in tree["left_out"]] == ["up/llama", "ant/claude-x"]
    tree = await ask({"model": "both", "prompt": "hi"}, path="/v1/completions")
    assert not tree["sent"]
