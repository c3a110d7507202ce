"""Google as a local server: a token endpoint that verifies assertions, and Vertex AI behind it."""

import json
import time
from types import SimpleNamespace

import jwt
import pytest
from aigw_vertex import Vertex
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.clouds import chat_clients, messages_clients, start_gateway, url_of

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
EMAIL = "gateway@my-project.iam.gserviceaccount.com"
AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever the token_uri, says google-auth
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_REGION",
)


@pytest.fixture(autouse=True)
def no_google_of_ones_own(monkeypatch, tmp_path):
    """Whatever Google account this machine knows, it is not what is tested."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


class FakeGoogle:
    """Gives tokens for good assertions, and answers what a test says to requests with a good token."""

    def __init__(self):
        self.url = ""
        self.life_s = 3600
        self.outage = None
        self.issued = {}
        self.asked = 0
        self.seen = []
        self.answers = []

    def answer(self, body, *, status=200, headers=None):
        """Script an answer: a tree, or frames of a stream."""
        is_stream = isinstance(body, bytes)
        content_type = "text/event-stream" if is_stream else "application/json"
        raw = body if is_stream else json.dumps(body).encode()
        self.answers.append((status, {"Content-Type": content_type, **(headers or {})}, raw))

    def sse(self, *events):
        """Script Anthropic's or Gemini's frames."""
        frames = []
        for event in events:
            head = f"event: {event['type']}\n" if "type" in event else ""
            frames.append(f"{head}data: {json.dumps(event)}\n\n".encode())
        self.answer(b"".join(frames))

    async def token(self, request):
        self.asked += 1
        form = await request.post()
        if self.outage is not None:
            return web.json_response({"error": "unavailable"}, status=self.outage)
        try:
            claims = jwt.decode(form["assertion"], KEY.public_key(), ["RS256"], audience=AUDIENCE)
        except jwt.InvalidTokenError as error:
            return web.json_response({"error": "invalid_grant", "error_description": str(error)}, status=400)
        if (
            form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer"
            or claims["iss"] != EMAIL
            or claims["scope"] != SCOPE
        ):
            return web.json_response({"error": "unauthorized_client"}, status=401)
        token = f"ya29.token-{self.asked}"
        self.issued[token] = time.monotonic() + self.life_s
        return web.json_response({"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"})

    async def vertex(self, request):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.issued.get(token, 0) < time.monotonic():
            error = {"code": 401, "message": "invalid credentials", "status": "UNAUTHENTICATED"}
            return web.json_response({"error": error}, status=401)
        self.seen.append(
            SimpleNamespace(
                path=request.raw_path, headers=request.headers, json=await request.json(), token=token
            )
        )
        status, headers, raw = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, headers=headers, body=raw)

    def account(self, **changes):
        """Return the content of a service account's file."""
        return {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "k1",
            "private_key": PEM,
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
            **changes,
        }


@pytest.fixture
async def google(aiohttp_server):
    fake = FakeGoogle()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/token", fake.token)
    app.router.add_post("/{tail:.*}", fake.vertex)
    server = await aiohttp_server(app)
    fake.url = url_of(server)
    return fake


@pytest.fixture
def account_file(google, tmp_path):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(google.account()))
    return path


@pytest.fixture
def serve(google, account_file, aiohttp_server):
    """Run a gateway from configuration; return its URL."""

    async def start(options=None, models=None, **section):
        options = (
            {"location": "europe-west1", "credentials_file": str(account_file)}
            if options is None
            else options
        )
        provider = {"kind": "vertex", "base_url": google.url, "options": options, **section}
        known = {"claude": "g/claude-sonnet-4-5@20250929", "gemini": "g/gemini-2.5-flash"}
        tree = {"providers": {"g": provider}, "models": models or known}
        return await start_gateway(aiohttp_server, Vertex, tree)

    return start


@pytest.fixture
async def chat_client():
    async with chat_clients() as make:
        yield make


@pytest.fixture
async def messages_client():
    async with messages_clients() as make:
        yield make
