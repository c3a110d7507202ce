"""Requests without a canonical form, turned from one API's trees into another's."""

import openai.types
import pytest
from google.genai import types

from aigw.dialects.bodies import BODIES, body_codec
from aigw.dialects.endpoints import ENDPOINTS, Api
from aigw.errors import ClientError, ErrorKind, ProtocolError

PATHS = {endpoint.path: endpoint for endpoint in ENDPOINTS}
IMAGES = "/v1/images/generations"


def codec(path, *apis, model="m"):
    return body_codec(PATHS[path], apis, model)


def of_gemini(method, *apis):
    return codec(f"/v1beta/models/{{model}}:{method}", *apis)


def asked(path, tree, *apis, model="m"):
    encoded = codec(path, *(apis or (Api.GEMINI,)), model=model).encode_request({"model": model, **tree})
    return encoded.tree, encoded.dropped


def test_every_row_is_for_a_url_that_there_is_and_leads_to_another_api():
    for path, codecs in BODIES.items():
        assert PATHS[path].codec is None
        assert all(row.endpoint.api is not PATHS[path].api for row in codecs)


def test_there_is_no_way_between_others():
    assert codec("/v1/embeddings", Api.CHAT, Api.MESSAGES) is None
    assert codec("/v1/messages/count_tokens", Api.CHAT, Api.RESPONSES) is None
    assert codec("/v1/moderations", Api.GEMINI) is None
    assert of_gemini("embedContent", Api.MESSAGES) is None


def test_what_the_other_side_cannot_embed_is_named():
    tree = {
        "requests": [
            {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8},
            {"content": {"parts": [{"text": "b"}]}, "title": "t", "outputDimensionality": 9},
        ]
    }
    encoded = of_gemini("batchEmbedContents", Api.EMBEDDINGS).encode_request({"model": "m", **tree})
    assert encoded.tree == {"model": "m", "input": ["a", "b"], "dimensions": 8}
    assert encoded.dropped == (
        "requests[0].taskType",
        "requests[1].title",
        "requests[1].outputDimensionality",
    )
    one = of_gemini("embedContent", Api.EMBEDDINGS).encode_request(
        {"model": "m", "content": {"parts": [{"text": "a"}]}, "task_type": "X"}
    )
    assert (one.tree, one.dropped) == ({"model": "m", "input": ["a"]}, ("taskType",))


def test_what_is_no_text_is_refused_by_a_side_that_embeds_only_texts():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    with pytest.raises(ClientError, match="texts") as caught:
        of_gemini("embedContent", Api.EMBEDDINGS).encode_request(
            {"model": "m", "content": {"parts": [picture]}}
        )
    assert (caught.value.kind, caught.value.param) == (ErrorKind.UNSUPPORTED, "requests[0].content")


def test_a_picture_is_asked_of_a_gemini_model_in_its_proportions():
    tree, dropped = asked(IMAGES, {"prompt": "a cat", "size": "1024x1024", "response_format": "b64_json"})
    assert tree == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}},
    }
    assert dropped == ()


@pytest.mark.parametrize(
    ("size", "gemini", "imagen"),
    [
        ("1536x1024", "3:2", "4:3"),
        ("1024x1536", "2:3", "3:4"),
        ("1792x1024", "16:9", "16:9"),
        ("1024x1792", "9:16", "9:16"),
        ("256x256", "1:1", "1:1"),
    ],
)
def test_of_another_size_only_the_nearest_proportions_are_kept(size, gemini, imagen):
    tree, dropped = asked(IMAGES, {"prompt": "p", "size": size})
    assert tree["generationConfig"]["imageConfig"]["aspectRatio"] == gemini
    assert dropped == ("size",)
    tree, dropped = asked(IMAGES, {"prompt": "p", "size": size}, model="imagen-4.0-generate-001")
    assert (tree["parameters"]["aspectRatio"], dropped) == (imagen, ("size",))


def test_the_usual_is_no_loss_and_the_unusual_is_named():
    usual = {
        "size": "auto",
        "quality": "auto",
        "background": "auto",
        "output_format": "png",
        "n": 1,
        "user": None,
    }
    assert asked(IMAGES, {"prompt": "p", **usual})[1] == ()
    unusual = {
        "quality": "high",
        "background": "transparent",
        "n": 2,
        "style": "vivid",
        "response_format": "url",
    }
    assert set(asked(IMAGES, {"prompt": "p", **unusual})[1]) == set(unusual)


@pytest.mark.parametrize(("n", "count", "dropped"), [(None, 1, ()), (3, 3, ()), (9, 4, ("n",))])
def test_imagen_draws_up_to_four(n, count, dropped):
    tree, lost = asked(IMAGES, {"prompt": "p", "n": n}, model="imagen-4.0-fast-generate-001")
    assert tree == {"instances": [{"prompt": "p"}], "parameters": {"sampleCount": count}}
    assert lost == dropped


@pytest.mark.parametrize(
    ("tree", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["p"]}, "prompt"),
        ({"prompt": "p", "size": "big"}, "size"),
        ({"prompt": "p", "size": "0x5"}, "size"),
        ({"prompt": "p", "stream": True}, "stream"),
    ],
)
@pytest.mark.parametrize("model", ["gemini-2.5-flash-image", "imagen-4.0-generate-001"])
def test_a_wish_for_a_picture_that_makes_no_sense_is_refused(tree, param, model):
    with pytest.raises(ClientError) as caught:
        asked(IMAGES, tree, model=model)
    assert caught.value.param == param


def test_pictures_come_back_as_base64_with_their_kind():
    picture = {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}
    thought = {**picture, "thought": True}
    tree = {
        "candidates": [
            {"content": {"parts": [{"text": "here"}, thought, picture]}, "finishReason": "STOP"},
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295},
    }
    told = codec(IMAGES, Api.GEMINI).decode_response(tree, {})
    assert told["data"] == [{"b64_json": "AAAA"}]
    assert told["output_format"] == "jpeg"
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (5, 1290)
    openai.types.ImagesResponse.model_validate({"created": 1, **told})
    drawn = {"predictions": [{"bytesBase64Encoded": "AA==", "mimeType": "image/png"}] * 2}
    told = codec(IMAGES, Api.GEMINI, model="imagen-4").decode_response(drawn, {})
    assert told == codec(IMAGES, Api.GEMINI, model="Imagen-4").decode_response(drawn, {})
    assert told["data"] == [{"b64_json": "AA=="}] * 2


@pytest.mark.parametrize(
    ("tree", "error"),
    [
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, ClientError),
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, ClientError),
        ({"candidates": [{"content": {"parts": [{"text": "no"}]}, "finishReason": "STOP"}]}, ProtocolError),
        ({"candidates": 1}, ProtocolError),
        ({}, ProtocolError),
    ],
)
def test_an_answer_without_a_picture_is_a_failure(tree, error):
    with pytest.raises(error):
        codec(IMAGES, Api.GEMINI).decode_response(tree, {})
    with pytest.raises(ClientError, match="people"):
        codec(IMAGES, Api.GEMINI, model="imagen-4").decode_response(
            {"predictions": [{"raiFilteredReason": "people"}]}, {}
        )


def test_a_count_of_tokens_crosses_both_ways():
    row = codec("/v1/messages/count_tokens", Api.GEMINI)
    messages = [{"role": "user", "content": "hi"}]
    encoded = row.encode_request({"model": "g", "system": "be brief", "messages": messages})
    inner = encoded.tree["generateContentRequest"]
    types.CreateCachedContentConfig.model_validate({"contents": inner["contents"]})
    assert inner["model"] == "models/g"
    assert inner["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert inner["systemInstruction"] == {"parts": [{"text": "be brief"}]}
    assert row.decode_response({"totalTokens": 7}, {}) == {"input_tokens": 7}

    back = of_gemini("countTokens", Api.MESSAGES)
    encoded = back.encode_request({"model": "c", "contents": inner["contents"]})
    assert encoded.tree == {"model": "c", "messages": messages}
    assert back.decode_response({"input_tokens": 7}, {}) == {"totalTokens": 7}
    for broken in ({}, {"input_tokens": "x"}):
        with pytest.raises(ProtocolError):
            back.decode_response(broken, {})
