from aigw.model import (
    AudioPart,
    Choice,
    FilePart,
    ForeignItem,
    ForeignPart,
    FunctionCall,
    FunctionCallOutput,
    ImagePart,
    Media,
    Message,
    Reasoning,
    RefusalPart,
    Request,
    Response,
    TextPart,
    map_request_text,
    map_response_text,
)


def redact(text):
    return text.replace("secret", "***")


def map_items(*items):
    mapped = map_request_text(Request("m", items), redact).items
    assert map_response_text(Response(choices=(Choice(items),)), redact).items == mapped
    return mapped


def map_parts(*parts):
    return map_items(Message("user", parts))[0].parts


def test_instructions_and_messages_are_mapped():
    request = Request("m", (Message("user", (TextPart("a secret"),)),), instructions="secret")
    mapped = map_request_text(request, redact)
    assert mapped.instructions == "***"
    assert mapped.items[0].text == "a ***"
    assert request.items[0].text == "a secret"


def test_every_kind_of_text_part_is_mapped():
    assert map_parts(
        RefusalPart("secret"),
        AudioPart(Media(data="AA"), transcript="secret"),
        FilePart(Media(file_id="f"), filename="n", title="secret", context="secret"),
        ForeignPart("d", {"type": "secret", "text": "secret", "inner": [{"content": ["secret"]}]}),
    ) == (
        RefusalPart("***"),
        AudioPart(Media(data="AA"), transcript="***"),
        FilePart(Media(file_id="f"), filename="n", title="***", context="***"),
        ForeignPart("d", {"type": "secret", "text": "***", "inner": [{"content": ["***"]}]}),
    )


def test_media_stay():
    image = ImagePart(Media(url="https://secret.org"))
    assert map_parts(image) == (image,)


def test_token_probabilities_go_when_the_text_changed():
    kept, gone = map_parts(TextPart("a", logprobs=({"token": "a"},)), TextPart("secret", logprobs=({},)))
    assert kept.logprobs == ({"token": "a"},)
    assert gone.logprobs == ()


def test_arguments_are_mapped_inside_their_json():
    (call,) = map_items(FunctionCall("c", "f", '{"a": ["\\u0073ecret"], "n": 1}'))
    assert call.arguments == '{"a":["***"],"n":1}'


def test_arguments_that_do_not_change_keep_their_spelling():
    (call,) = map_items(FunctionCall("c", "f", '{ "a" : 1.0 }'))
    assert call.arguments == '{ "a" : 1.0 }'


def test_arguments_that_are_no_json_or_free_text_are_mapped_as_text():
    broken, free = map_items(
        FunctionCall("c", "f", '{"secret'), FunctionCall("c", "f", '"secret"', freeform=True)
    )
    assert broken.arguments == '{"***'
    assert free.arguments == '"***"'


def test_tool_outputs_reasoning_and_foreign_items_are_mapped():
    output, thinking, foreign = map_items(
        FunctionCallOutput("c", (TextPart("secret"),)),
        Reasoning(
            ("secret",),
            ("secret",),
            signature="secret",
            extras={"d:details": [{"text": "secret", "id": "secret"}]},
        ),
        ForeignItem("d", {"query": "secret", "id": "secret"}),
    )
    assert output.parts == (TextPart("***"),)
    assert thinking == Reasoning(
        ("***",), ("***",), signature="secret", extras={"d:details": [{"text": "***", "id": "secret"}]}
    )
    assert foreign.tree == {"query": "***", "id": "secret"}
