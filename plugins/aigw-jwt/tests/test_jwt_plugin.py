import asyncio
import json
import re
import time
import tomllib
from pathlib import Path

import jwt
import pytest
from aigw_jwt import Jwt, JwtConfig
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import aigw
from aigw.config import Secret
from aigw.config.structure import structure

SECRET = "not a secret, but longer than thirty-two bytes"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def claims(**more):
    return {"sub": "jane", "tenant": "acme", "exp": int(time.time()) + 300, **more}


def hs(payload=None, key=SECRET, **header):
    return jwt.encode(payload or claims(), key, "HS256", headers=header or None)


def config(**fields):
    if not {"public_key_file", "jwks_file", "jwks_url", "secret_file"} & set(fields):
        fields.setdefault("secret", Secret(SECRET))
    fields.setdefault("algorithms", ("HS256",))
    return JwtConfig(**fields)


def pem(key):
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key, algorithm, **fields):
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**made, "use": "sig", **fields}


class Who:
    """Keeps who asked."""

    def __init__(self):
        self.identities = []

    async def admit(self, exchange):
        self.identities.append(exchange.identity)


@pytest.fixture
def serve(aiohttp_client):
    async def start(settings):
        gateway = aigw.Gateway()
        gateway.models.register("*", aigw.DemoProvider("demo"))
        plugin, who = Jwt(settings), Who()
        gateway.hooks.register(plugin, name="jwt")
        gateway.hooks.register(who, name="who")
        client = await aiohttp_client(gateway.make_app())
        client.plugin, client.identities = plugin, who.identities
        return client

    return start


async def ask(client, token, model="m"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/chat/completions", json=body, headers=headers) as answer:
        text = await answer.text()
        assert not token or token not in text
        return answer.status, text


async def test_a_good_token_names_tenant_and_person(serve):
    client = await serve(config())
    assert (await ask(client, hs()))[0] == 200
    identity = client.identities[0]
    assert (identity.tenant, identity.name, identity.models) == ("acme", "jane", ("*",))
    assert identity.claims["sub"] == "jane"


@pytest.mark.parametrize(
    ("settings", "token", "said"),
    [
        ({}, lambda: hs(claims(exp=int(time.time()) - 5)), "expired"),
        ({}, lambda: hs(claims(nbf=int(time.time()) + 60)), "not valid yet"),
        ({}, lambda: hs(claims(exp="soon")), "cannot be decoded"),
        ({}, lambda: hs(key="another secret that is longer than 32 bytes"), "signature is wrong"),
        ({}, lambda: hs({"sub": "jane", "tenant": "acme"}), 'no claim \\"exp\\"'),
        ({}, lambda: jwt.encode(claims(), None, "none"), 'signed with \\"none\\"'),
        ({}, lambda: jwt.encode(claims(), SECRET * 2, "HS512"), "HS512"),
        ({"audience": "aigw"}, hs, 'no claim \\"aud\\"'),
        ({"audience": "aigw"}, lambda: hs(claims(aud="else")), "another audience"),
        ({"issuer": ("https://a", "https://b")}, lambda: hs(claims(iss="https://c")), "another issuer"),
        ({"required": ("exp", "org")}, hs, 'no claim \\"org\\"'),
    ],
)
async def test_a_bad_token_is_refused_with_its_reason(serve, settings, token, said):
    client = await serve(config(**settings))
    status, text = await ask(client, token())
    assert status == 401
    assert said in text
    assert client.identities == []


async def test_leeway_audiences_and_issuers_are_honoured(serve):
    client = await serve(config(leeway_s=30.0, audience=("x", "aigw"), issuer="https://a"))
    token = hs(claims(exp=int(time.time()) - 5, aud=["aigw"], iss="https://a"))
    assert (await ask(client, token))[0] == 200


async def test_an_audience_in_a_token_is_no_fault_where_none_is_asked_for(serve):
    client = await serve(config())
    assert (await ask(client, hs(claims(aud="else"))))[0] == 200


@pytest.mark.parametrize("credential", ["sk-static", "a.b.c", "", "eyJhbGciOiJIUzI1NiJ9.x", "x" * 20_000])
async def test_what_is_no_token_is_left_to_other_plugins(credential):
    class Exchange:
        pass

    exchange = Exchange()
    exchange.credential = credential or None
    assert await Jwt(config()).authenticate(exchange) is None


async def test_static_keys_go_on_working_beside_tokens(aiohttp_client):
    made = aigw.config.Config(
        auth=aigw.config.AuthConfig(keys=(aigw.config.KeyConfig(key=Secret("sk-static-key-1")),))
    )
    gateway = aigw.Gateway(made)
    gateway.models.register("*", aigw.DemoProvider("demo"))
    gateway.hooks.register(Jwt(config()), name="jwt")
    client = await aiohttp_client(gateway.make_app())
    assert (await ask(client, "sk-static-key-1"))[0] == 200
    assert (await ask(client, hs()))[0] == 200
    assert (await ask(client, "sk-other"))[0] == 401


@pytest.mark.parametrize(
    ("settings", "more", "wanted"),
    [
        ({"tenant_claim": "org.id"}, {"org": {"id": 7}}, "7"),
        ({"tenant_claim": "https://x.org/tenant"}, {"https://x.org/tenant": "t"}, "t"),
        ({"tenant_claim": "org", "default_tenant": "all"}, {}, "all"),
    ],
)
async def test_the_tenant_is_found_by_name_by_path_or_by_default(serve, settings, more, wanted):
    client = await serve(config(**settings))
    assert (await ask(client, hs(claims(**more))))[0] == 200
    assert client.identities[0].tenant == wanted


async def test_a_token_without_a_tenant_is_forbidden(serve):
    client = await serve(config(tenant_claim="org"))
    status, text = await ask(client, hs())
    assert status == 403
    assert 'claim \\"org\\"' in text


@pytest.mark.parametrize(
    ("scope", "models"),
    [("fast openai/*", ("fast", "openai/*")), (["fast"], ("fast",)), ([], ()), (None, ("*",))],
)
async def test_models_come_from_a_list_or_from_words(serve, scope, models):
    client = await serve(config(models_claim="models"))
    more = {} if scope is None else {"models": scope}
    status, _ = await ask(client, hs(claims(**more)), "fast")
    assert status == (200 if models else 403)
    if models:
        assert client.identities[0].models == models
        assert (await ask(client, hs(claims(**more)), "slow"))[0] == (200 if "*" in models else 403)


async def test_models_of_a_wrong_type_are_forbidden(serve):
    client = await serve(config(models_claim="models"))
    assert (await ask(client, hs(claims(models=7))))[0] == 403


async def test_a_token_is_verified_once_and_never_outlives_itself(serve, monkeypatch):
    client = await serve(config(cache_size=2))
    token = hs(claims(exp=int(time.time()) + 2))
    calls = []
    decode = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *args, **options: calls.append(1) or decode(*args, **options))
    for _ in range(3):
        assert (await ask(client, token))[0] == 200
    assert len(calls) == 1
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3)
    assert client.plugin.cache.get(token) is None
    for name in "abcd":
        client.plugin.cache.put(name, claims())
    assert len(client.plugin.cache) == 2


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA), ("PS256", RSA), ("ES256", EC), ("EdDSA", ED)])
async def test_public_keys_verify_from_pem_and_from_jwks(serve, tmp_path, algorithm, key):
    token = jwt.encode(claims(), key, algorithm, headers={"kid": "k1"})
    (tmp_path / "key.pem").write_bytes(pem(key))
    keys = [jwk(key, algorithm, kid="k1"), {"kty": "oct", "k": "AAAA", "kid": "k2"}, {"kty": "new"}]
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": keys}))
    for source in ({"public_key_file": tmp_path / "key.pem"}, {"jwks_file": tmp_path / "jwks.json"}):
        client = await serve(config(algorithms=(algorithm,), **source))
        assert (await ask(client, token))[0] == 200
        assert (await ask(client, token[:-8] + "AAAAAAAA"))[0] == 401


async def test_a_token_without_a_key_id_needs_the_one_key_that_fits(serve, tmp_path):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk(RSA, "RS256", kid="a"), jwk(EC, "ES256", kid="b")]}))
    client = await serve(config(algorithms=("RS256", "ES256"), jwks_file=path))
    assert (await ask(client, jwt.encode(claims(), EC, "ES256")))[0] == 200
    path.write_text(json.dumps({"keys": [jwk(RSA, "RS256", kid="a"), jwk(OTHER_RSA, "RS256", kid="b")]}))
    client = await serve(config(algorithms=("RS256",), jwks_file=path))
    assert (await ask(client, jwt.encode(claims(), RSA, "RS256")))[0] == 401


async def test_a_public_key_is_never_taken_for_a_secret(serve, tmp_path):
    (tmp_path / "key.pem").write_bytes(pem(RSA))
    client = await serve(config(algorithms=("RS256",), public_key_file=tmp_path / "key.pem"))
    head, body = (part.decode().rstrip("=") for part in map(encode, ({"alg": "HS256"}, claims())))
    assert (await ask(client, f"{head}.{body}.AAAA"))[0] == 401
    with pytest.raises(aigw.ConfigError, match="a public key is none"):
        Jwt(config(secret_file=tmp_path / "key.pem"))


def encode(tree):
    import base64

    return base64.urlsafe_b64encode(json.dumps(tree).encode())


class Issuer:
    """A server of keys that can be changed, and broken."""

    def __init__(self):
        self.keys = []
        self.is_up = True
        self.asked = 0

    async def answer(self, request):
        self.asked += 1
        return web.json_response({"keys": self.keys}) if self.is_up else web.Response(status=500)


@pytest.fixture
async def issuer(aiohttp_server):
    made = Issuer()
    app = web.Application()
    app.router.add_get("/jwks", made.answer)
    server = await aiohttp_server(app)
    made.url = str(server.make_url("/jwks"))
    return made


def rs(key, kid):
    return jwt.encode(claims(), key, "RS256", headers={"kid": kid})


async def test_a_key_id_not_seen_before_is_asked_for_but_not_more_often_than_allowed(serve, issuer):
    issuer.keys = [jwk(RSA, "RS256", kid="a")]
    client = await serve(config(algorithms=("RS256",), jwks_url=issuer.url, min_refresh_gap_s=0.2))
    assert (await ask(client, rs(RSA, "a")))[0] == 200
    issuer.keys.append(jwk(OTHER_RSA, "RS256", kid="b"))
    assert (await ask(client, rs(OTHER_RSA, "b")))[0] == 401
    assert issuer.asked == 1
    await asyncio.sleep(0.25)
    many = await asyncio.gather(*[ask(client, rs(OTHER_RSA, "b")) for _ in range(5)])
    assert [status for status, _ in many] == [200] * 5
    assert issuer.asked == 2


async def test_an_outage_keeps_the_old_keys(serve, issuer, caplog):
    issuer.keys = [jwk(RSA, "RS256", kid="a")]
    client = await serve(config(algorithms=("RS256",), jwks_url=issuer.url, refresh_s=0.05))
    issuer.is_up = False
    await asyncio.sleep(0.2)
    assert issuer.asked > 1
    assert (await ask(client, rs(RSA, "a")))[0] == 200
    assert "the old ones stay in use" in caplog.text


async def test_a_key_that_was_withdrawn_is_no_good_any_more(serve, issuer):
    issuer.keys = [jwk(RSA, "RS256", kid="a")]
    client = await serve(config(algorithms=("RS256",), jwks_url=issuer.url, refresh_s=0.05))
    assert (await ask(client, rs(RSA, "a")))[0] == 200
    issuer.keys = [jwk(OTHER_RSA, "RS256", kid="b")]
    await asyncio.sleep(0.2)
    assert (await ask(client, rs(RSA, "a")))[0] == 401


async def test_without_keys_tokens_are_refused_for_now_until_keys_come(serve, issuer):
    issuer.is_up = False
    client = await serve(config(algorithms=("RS256",), jwks_url=issuer.url, min_refresh_gap_s=0.1))
    status, text = await ask(client, rs(RSA, "a"))
    assert status == 503
    assert "try again" in text
    issuer.is_up, issuer.keys = True, [jwk(RSA, "RS256", kid="a")]
    await asyncio.sleep(0.25)
    assert (await ask(client, rs(RSA, "a")))[0] == 200


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"secret": SECRET}, "plugins.jwt.algorithms"),
        ({"secret": SECRET, "algorithms": []}, "at least one"),
        ({"secret": SECRET, "algorithms": ["none"]}, "plugins.jwt.algorithms[0]"),
        ({"secret": SECRET, "algorithms": ["RS256"]}, "for secret only"),
        ({"public_key_file": "k.pem", "algorithms": ["RS256", "HS256"]}, "for public_key_file only"),
        ({"jwks_url": "https://x.org/jwks", "algorithms": ["HS256"]}, "for jwks_url only"),
        ({"algorithms": ["HS256"]}, "exactly one of"),
        ({"secret": SECRET, "jwks_url": "https://x.org", "algorithms": ["HS256"]}, "exactly one of"),
        ({"jwks_url": "jwks", "algorithms": ["RS256"]}, "plugins.jwt.jwks_url"),
    ],
)
def test_a_configuration_that_is_not_safe_is_refused(section, said):
    problems = []
    assert structure(JwtConfig, section, "plugins.jwt", problems) is None
    assert said in "\n".join(problems)
    assert SECRET not in "\n".join(problems)


def test_a_configuration_is_read_with_one_issuer_or_several():
    section = {"algorithms": ["HS256"], "secret": SECRET, "issuer": "a", "audience": ["b", "c"]}
    problems = []
    made = structure(JwtConfig, section, "plugins.jwt", problems)
    assert problems == []
    assert (made.issuers, made.audiences) == (("a",), ("b", "c"))


@pytest.mark.parametrize(
    ("settings", "content", "said"),
    [
        ({"secret": Secret("short")}, None, "at least 32 bytes"),
        ({"secret_file": "f"}, b"short\n", "at least 32 bytes"),
        ({"secret_file": "f"}, None, "that can be read"),
        ({"public_key_file": "f", "algorithms": ("RS256",)}, b"nonsense", "PEM file"),
        ({"public_key_file": "f", "algorithms": ("ES256",)}, pem(RSA), "fits ES256"),
        ({"jwks_file": "f", "algorithms": ("ES256",)}, b"{}", "no list"),
        ({"jwks_file": "f", "algorithms": ("ES256",)}, b'{"keys": []}', "no key that could"),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path, settings, content, said):
    settings = {name: tmp_path / value if value == "f" else value for name, value in settings.items()}
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    with pytest.raises(aigw.ConfigError, match=said):
        Jwt(config(**settings))


def test_every_example_of_the_readme_is_read():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"toml", "python"}
    for kind, block in blocks:
        if kind == "python":
            exec(block, {})
            continue
        problems = []
        section = tomllib.loads(block)["plugins"]["jwt"]
        assert structure(JwtConfig, section, "plugins", problems) is not None, problems
