from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from aigw.dialects.endpoints import ENDPOINTS, Api
from aigw.errors import ClientError, ErrorKind
from aigw.upstream.kind import ProviderKind, endpoint_path, fill_path, query_for

CHAT = "/v1/chat/completions"
DEPLOYMENT = "/openai/deployments/{model}{endpoint}"


@pytest.mark.parametrize(
    ("base_url_path", "base_path", "wanted"),
    [
        ("", None, "/v1/chat/completions"),
        ("/v1", None, "/chat/completions"),
        ("/openai/v1", None, "/chat/completions"),
        ("/v1beta", None, "/chat/completions"),
        ("/api/paas/v4", None, "/chat/completions"),
        ("/proxy", None, "/v1/chat/completions"),
        ("/version1", None, "/v1/chat/completions"),
        ("/v1/openai", None, "/v1/chat/completions"),
        ("", "/v1", "/chat/completions"),
        ("", "/v1/", "/chat/completions"),
        ("/v1", "/v1", "/chat/completions"),
        ("/v1", "", "/v1/chat/completions"),
        ("", "/v1/chat", "/completions"),
        ("", "/v2", "/v1/chat/completions"),
        ("", "/v1/ch", "/v1/chat/completions"),
    ],
)
def test_an_endpoint_meets_its_base_url_with_one_version_in_between(base_url_path, base_path, wanted):
    assert endpoint_path(CHAT, base_url_path, base_path) == wanted


@given(
    st.sampled_from([endpoint.path for endpoint in ENDPOINTS]),
    st.lists(st.text("abcopenai-", min_size=1, max_size=8), max_size=3),
    st.sampled_from(["", "/v1"]),
)
def test_no_base_url_makes_the_version_stand_twice(path, segments, version):
    base = "".join(f"/{segment}" for segment in segments) + version
    assert (base + endpoint_path(path, base, None)).count("/v1") == 1


def test_a_template_takes_the_endpoint_without_its_version():
    assert fill_path("/v1beta/openai{endpoint}", "/v1/embeddings", "") == "/v1beta/openai/embeddings"


def test_a_model_in_a_path_is_quoted():
    path = fill_path(DEPLOYMENT, CHAT, "my gpt/4o?x=1#y")
    assert path == "/openai/deployments/my%20gpt%2F4o%3Fx%3D1%23y/chat/completions"


def test_a_model_that_looks_like_a_template_is_no_template():
    assert fill_path(DEPLOYMENT, CHAT, "{endpoint}") == "/openai/deployments/%7Bendpoint%7D/chat/completions"


@given(st.one_of(st.text(), st.text("./\\%2eE5;?#{}@:")))
@example("..%2f..")
@example("%2e%2e")
@example("..;")
@example("...")
@example("a/../..")
def test_a_model_name_cannot_leave_its_path_segment(model):
    try:
        path = fill_path(DEPLOYMENT, CHAT, model)
    except ClientError:
        assert not model.strip(".")
        return
    # yarl resolves dot segments, and turns %2E into a dot before it does.
    seen = URL("https://example.test" + path)
    root, openai, deployments, name, *rest = seen.raw_path.split("/")
    assert (root, openai, deployments, rest) == ("", "openai", "deployments", ["chat", "completions"])
    assert unquote(name) == model
    assert (seen.query_string, seen.fragment) == ("", "")


@pytest.mark.parametrize("model", ["", ".", "..", "..."])
def test_a_model_of_nothing_but_dots_is_not_found(model):
    with pytest.raises(ClientError, match=r"not a name") as caught:
        fill_path(DEPLOYMENT, CHAT, model)
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND


def test_a_query_names_the_version_of_its_row():
    kind = ProviderKind(
        "x", "X", "", query={"api-version": "{api_version}", "a": "b"}, api_version="2024-10-21"
    )
    assert query_for(kind) == {"api-version": "2024-10-21", "a": "b"}
    assert query_for(kind, Api.CHAT) == query_for(kind)


def test_one_api_may_have_a_query_of_its_own():
    kind = ProviderKind("x", "X", "", query={"a": "b"}, queries={Api.RESPONSES: {}})
    assert query_for(kind, Api.RESPONSES) == {}
    assert query_for(kind, Api.CHAT) == {"a": "b"}
