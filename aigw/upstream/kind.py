"""What there is to know of a vendor's API before its key: one `ProviderKind` is one row of the catalogue.

Pure data and the three rules that turn it into URLs. Opens no connection, reads no environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from attrs import field, frozen

from aigw.dialects.endpoints import Api
from aigw.errors import ClientError, ErrorKind

_VERSIONED = re.compile(r"/v\d+[a-z0-9]*$")


@frozen
class ProviderKind:
    """One vendor.

    name: what configuration calls it. title: what people call it.
    base_url: with or without a version at its end; empty where every user has an own one.
    key_env: environment variables that may hold its key, first one set wins. url_env: likewise for base_url.
    key_required: False for servers on one's own machine.
    auth: how the key is sent, as (header, prefix), where it is not the way of the API that is spoken.
    path: template of the path below base_url, from {endpoint} ("/chat/completions") and {model}; empty for
        the usual rule (see `endpoint_path`). paths: the same for one API only.
    base_path: part of the endpoint's path that base_url stands for already ("/v1").
    query, headers: sent with every call. queries: the query of one API, in place of the other.
    api_version: fills an `{api_version}` in a query; configuration may name another.
    stream_usage: "ask", "always" or "never": how token counts come in a stream.
    done_optional: its streams may end without `[DONE]`.
    compacts: it has `/v1/responses/compact`, whose output it alone can read.
    hosted_tools: types of tools that it runs itself when it is asked for a response ("web_search", "mcp").
    families: patterns of the bare model names that are unmistakably this vendor's.
    models_path: where it lists its models, as an endpoint ("/models"); empty where it does not.
    """

    name: str
    title: str
    base_url: str
    apis: frozenset[Api] = frozenset({Api.CHAT})
    key_env: tuple[str, ...] = ()
    url_env: tuple[str, ...] = ()
    key_required: bool = True
    auth: tuple[str, str] | None = None
    path: str = ""
    paths: Mapping[Api, str] = field(factory=dict)
    base_path: str | None = None
    query: Mapping[str, str] = field(factory=dict)
    queries: Mapping[Api, Mapping[str, str]] = field(factory=dict)
    api_version: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    stream_usage: str = "ask"
    done_optional: bool = False
    compacts: bool = False
    hosted_tools: frozenset[str] = frozenset()
    families: tuple[str, ...] = ()
    models_path: str = "/models"
    docs: str = ""


def endpoint_path(path: str, base_url_path: str, base_path: str | None) -> str:
    """Return what to append to a base URL so that no version stands in it twice.

    A client calls /v1/chat/completions. Behind https://host that path is right as it is; behind
    https://host/openai/v1 the version is there already. `base_path` says so for a base URL that does
    not show it (https://api.deepseek.com serves /chat/completions): it is stripped from the endpoint.
    """
    if base_path is None:
        base_path = _own_version(path) if _VERSIONED.search(base_url_path) else ""
    base_path = base_path.rstrip("/")
    if base_path and path.startswith(base_path + "/"):
        return path[len(base_path) :]
    return path


def _own_version(path: str) -> str:
    """Return the version at the head of an endpoint: "/v1", or "/v1beta" of Google's."""
    head = "/" + path.lstrip("/").partition("/")[0]
    return head if _VERSIONED.search(head) else ""


def fill_path(template: str, path: str, model: str) -> str:
    """Fill a path template; the model is quoted, so that it cannot leave its segment.

    Raises ClientError on a model of nothing but dots: quoting leaves them, and `..` climbs.
    """
    if "{model}" in template and not model.strip("."):
        raise ClientError(f'model "{model}": not a name', kind=ErrorKind.MODEL_NOT_FOUND, param="model")
    return template.format(endpoint=path.removeprefix("/v1"), model=quote(model, safe=""))


def query_for(kind: ProviderKind, api: Api | None = None) -> dict[str, str]:
    """Return the query to send with a call of this API, its version filled in; None is the model list."""
    query = kind.queries.get(api, kind.query) if api else kind.query
    return {name: value.format(api_version=kind.api_version) for name, value in query.items()}
