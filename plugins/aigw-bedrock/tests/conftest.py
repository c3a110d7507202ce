"""Bedrock as a local server: it verifies every signature, and speaks Amazon's event stream."""

import base64
import datetime as dt
import json
import struct
from types import SimpleNamespace
from zlib import crc32

import pytest
from aigw_bedrock import Bedrock
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.clouds import WHOLE, chat_clients, messages_clients, start_gateway, url_of

ACCESS_KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "session+token/with=signs"
API_KEY = "bedrock-api-key-0123456789"
REGION = "eu-central-1"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"

AWS_VARIABLES = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
]


@pytest.fixture(autouse=True)
def no_aws_of_ones_own(monkeypatch, tmp_path):
    """Whatever AWS account this machine knows, it is not what is tested."""
    for name in AWS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def header(name, value):
    """Write one header of an event stream: type 7 is text."""
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()


def message(payload=b"", **headers):
    """Write one message of an event stream, as the specification has it."""
    head = b"".join(header(":" + name.replace("_", "-"), value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return whole + struct.pack("!I", crc32(whole))


def chunk(tree):
    """Write one event of Anthropic's as Bedrock wraps it, with the padding it adds."""
    inner = base64.b64encode(json.dumps(tree).encode()).decode()
    payload = json.dumps({"bytes": inner, "p": "abcdefgh"}).encode()
    return message(payload, message_type="event", event_type="chunk", content_type="application/json")


def exception(name, text):
    payload = json.dumps({"message": text}).encode()
    return message(payload, message_type="exception", exception_type=name, content_type="application/json")


def frames_of(*blocks, stop="end_turn"):
    """Return the events of one answer of Anthropic's; a block is a text, or a tool's name with its input."""
    usage = {"input_tokens": 12, "output_tokens": 1}
    start = {**WHOLE, "content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(blocks):
        if isinstance(block, str):
            content, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block}
        else:
            content = {"type": "tool_use", "id": "toolu_1", "name": block[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block[1])}
        yield {"type": "content_block_start", "index": index, "content_block": content}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    last = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": last, "usage": {"output_tokens": 7}}
    yield {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 12}}


class FakeBedrock:
    """Answers what a test says, to requests whose signature is right; refuses all others as AWS does."""

    def __init__(self):
        self.seen = []
        self.answers = []
        self.url = ""
        self.secret = SECRET

    def answer(self, body, *, status=200, content_type="application/json", headers=None):
        """Script an answer: a tree, or pieces of a body."""
        pieces = [json.dumps(body).encode()] if isinstance(body, dict) else list(body)
        self.answers.append((status, {"Content-Type": content_type, **(headers or {})}, pieces))

    def events(self, *pieces):
        self.answer(pieces, content_type="application/vnd.amazon.eventstream")

    async def handle(self, request):
        body = await request.read()
        refusal = self.refusal(request, body)
        if refusal is not None:
            error, text = refusal
            headers = {"x-amzn-errortype": f"{error}:http://internal.amazon.com/coral/"}
            return web.json_response({"message": text}, status=403, headers=headers)
        self.seen.append(
            SimpleNamespace(
                path=request.raw_path, headers=request.headers, json=json.loads(body), size=len(body)
            )
        )
        status, headers, pieces = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    def refusal(self, request, body):  # noqa: PLR0911 - one for each way to be refused
        """Recompute the signature from what has arrived, with the scope that the request names."""
        given = request.headers.get("Authorization", "")
        if given == f"Bearer {API_KEY}":
            return None
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return "MissingAuthenticationTokenException", "Missing Authentication Token"
        fields = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(","))
        access_key, date, region, service, _ = fields["Credential"].split("/")
        stamp = request.headers["X-Amz-Date"]
        sent_at = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        age_s = (dt.datetime.now(dt.UTC) - sent_at).total_seconds()
        if access_key != ACCESS_KEY or region != REGION or abs(age_s) > 300 or not stamp.startswith(date):
            return "UnrecognizedClientException", "The security token included in the request is invalid"
        if service != ("bedrock-mantle" if "/v1/" in request.path else "bedrock"):
            return "InvalidSignatureException", "Credential should be scoped to correct service"
        names = fields["SignedHeaders"].split(";")
        wanted = {"host", "x-amz-date", "content-type"}
        if "X-Amz-Security-Token" in request.headers:
            wanted.add("x-amz-security-token")
        if not wanted <= set(names):
            return "InvalidSignatureException", "headers that must be signed are not"
        copy = AWSRequest(
            method=request.method,
            url=f"http://{request.host}{request.raw_path}",
            headers={name: request.headers[name] for name in names},
            data=body,
        )
        copy.context["timestamp"] = stamp
        signer = SigV4Auth(Credentials(access_key, self.secret), service, region)
        text = signer.string_to_sign(copy, signer.canonical_request(copy))
        if signer.signature(text, copy) != fields["Signature"]:
            return "InvalidSignatureException", "The request signature we calculated does not match"
        return None


@pytest.fixture
async def bedrock(aiohttp_server):
    fake = FakeBedrock()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/{tail:.*}", fake.handle)
    server = await aiohttp_server(app)
    fake.url = url_of(server)
    return fake


@pytest.fixture
def serve(bedrock, aiohttp_server):
    """Run a gateway from configuration; return its URL."""

    async def start(options=None, models=None, **section):
        options = {
            "region": REGION,
            **({"access_key": ACCESS_KEY, "secret": SECRET} if options is None else options),
        }
        provider = {"kind": "bedrock", "base_url": bedrock.url, "options": options, **section}
        tree = {"providers": {"aws": provider}, "models": models or {"claude": f"aws/{CLAUDE}"}}
        return await start_gateway(aiohttp_server, Bedrock, tree)

    return start


@pytest.fixture
async def chat_client():
    async with chat_clients() as make:
        yield make


@pytest.fixture
async def messages_client():
    async with messages_clients() as make:
        yield make


@pytest.fixture
def wire():
    """What tests need of this file: it is no module they could import."""
    return SimpleNamespace(
        message=message, chunk=chunk, exception=exception, frames_of=frames_of, whole=WHOLE,
        access_key=ACCESS_KEY, secret=SECRET, token=TOKEN, api_key=API_KEY, region=REGION, claude=CLAUDE,
    )  # fmt: skip
