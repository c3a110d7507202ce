"""What each setting may be, and that secrets stay secret."""

import copy
import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.config import (
    AuthConfig,
    Config,
    KeyConfig,
    ModelConfig,
    ProviderConfig,
    Secret,
    ServerConfig,
    TargetConfig,
    Wanted,
)

SHA = "sha256:" + "0" * 64


def test_an_empty_config_is_valid():
    config = Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)
    assert config.server.max_body_bytes == 64 * 1024 * 1024
    assert config.providers == config.models == {}


@given(st.text(min_size=8))
def test_a_secret_shows_itself_to_nobody(text):
    secret = Secret(text)
    held = ProviderConfig(kind="openai", headers={"x-a": secret}) if text.isprintable() else secret
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>3}", repr([secret])):
        assert shown in ("***", "[***]")
    assert text not in repr(held)
    assert secret.reveal() == text


def test_a_secret_is_equal_hashed_and_true_by_its_content():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("")}) == 2
    assert Secret("a")
    assert not Secret("")
    assert copy.deepcopy(Secret("a")) == copy.copy(Secret("a")) == Secret("a")


def test_a_secret_is_no_str_and_refuses_to_be_pickled_or_joined():
    assert not isinstance(Secret("a"), str)
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter22"))
    with pytest.raises(TypeError):
        "a" + Secret("hunter22")


def test_the_repr_and_dict_of_a_config_hold_no_secret():
    config = Config(
        auth=AuthConfig(keys=(KeyConfig(key=Secret("hunter22")),)),
        providers={
            "a": ProviderConfig(
                kind="openai",
                api_key=Secret("hunter22"),
                headers={"authorization": Secret("hunter22")},
                proxy=Secret("http://u:hunter22@proxy"),
                query={"key": "hunter22"},
                options={"password": "hunter22"},
            )
        },
    )
    assert "hunter22" not in repr(config)
    assert "hunter22" not in repr(attrs.asdict(config)["auth"])


@pytest.mark.parametrize(
    ("text", "size"),
    [("32MiB", 2**25), ("10MB", 10**7), ("1 GiB", 2**30), ("5KB", 5000), ("7B", 7), ("12", 12), (9, 9)],
)
def test_a_body_size_may_have_a_unit(text, size):
    assert ServerConfig(max_body_bytes=text).max_body_bytes == size


@pytest.mark.parametrize("text", ["", "MB", "1.5MB", "-1MB", "10 megs", "10mb", "0", "0MB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(Wanted):
        ServerConfig(max_body_bytes=text)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": 65536},
        {"workers": 0},
        {"workers": 257},
        {"drain_timeout_s": 0},
        {"ping_interval_s": float("inf")},
        {"keepalive_timeout_s": float("nan")},
        {"cors_origins": ("https://a.example/path",)},
        {"tls_cert_file": "cert.pem"},
        {"host": ""},
    ],
)
def test_a_server_out_of_range_is_refused(settings):
    with pytest.raises(Wanted):
        ServerConfig(**settings)


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com",
        "//host/v1",
        "ftp://host",
        "http://",
        "http://u:p@host",
        "http://host?key=1",
        "http://host#x",
        "http://ho st",
        "http://host:99999",
        "http://[::1",
        "",
    ],
)
def test_a_base_url_that_is_not_absolute_http_is_refused(url):
    with pytest.raises(Wanted) as caught:
        ProviderConfig(base_url=url)
    assert "http://" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "https://host", "HTTPS://Host/", "http://[::1]:1/"]
)
def test_an_absolute_http_url_is_a_base_url(url):
    assert ProviderConfig(base_url=url).base_url == url


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": ""},
        {"kind": "a", "apis": ()},
        {"kind": "a", "api_key": Secret("")},
        {"kind": "a", "api_key": Secret("sk-1\n")},
        {"kind": "a", "api_key": "sk-plain"},
        {"kind": "a", "headers": {"a b": Secret("c")}},
        {"kind": "a", "headers": {"a": Secret("b\r\nc: d")}},
        {"kind": "a", "forward_headers": ("a:",)},
        {"kind": "a", "proxy": Secret("socks5://host")},
        {"kind": "a", "base_path": "v1"},
    ],
)
def test_a_provider_that_cannot_work_is_refused(settings):
    with pytest.raises(Wanted):
        ProviderConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"key": Secret("a"), "key_hash": SHA},
        {"key": Secret("")},
        {"key_hash": "0" * 64},
        {"key_hash": SHA.upper()},
        {"key": Secret("a"), "models": ("",)},
    ],
)
def test_a_key_is_text_or_hash_and_not_both(settings):
    with pytest.raises(Wanted):
        KeyConfig(**settings)


def test_two_keys_alike_are_a_mistake_also_when_one_is_a_hash():
    key = KeyConfig(key=Secret("a"))
    with pytest.raises(Wanted, match="not that of"):
        AuthConfig(keys=(key, KeyConfig(key_hash=key.digest)))


def test_a_target_may_be_written_as_provider_and_model():
    assert TargetConfig.from_text("openai/gpt-5") == TargetConfig("openai", "gpt-5")
    assert TargetConfig.from_text("router/meta/llama") == TargetConfig("router", "meta/llama")
    assert TargetConfig.from_text("openai") == TargetConfig("openai")
    for text in ("", "/gpt", "openai/"):
        with pytest.raises(Wanted):
            TargetConfig.from_text(text)


def test_a_model_needs_a_target_that_weighs_something():
    with pytest.raises(Wanted):
        ModelConfig(targets=())
    with pytest.raises(Wanted):
        ModelConfig(targets=(TargetConfig("a", weight=0),))
    with pytest.raises(Wanted):
        TargetConfig("a", weight=-1)
    assert ModelConfig(targets=(TargetConfig("a", weight=0), TargetConfig("b")))
