"""A configuration full of secrets, and requests to be explained with it."""

KEY = "sk-caller-secret-1"
BEARER = f"Authorization: Bearer {KEY}"
SECRETS = (KEY, "sk-other-secret-2", "sk-up-secret-3", "sk-ant-secret-4", "header-secret-5", "query-secret-6",
           "sk-pool-secret-7", "sk-pool-secret-8", "proxy-secret-9")  # fmt: skip
CONFIG = """
[auth]
keys = [
  { key = "sk-caller-secret-1", tenant = "team-a", name = "ci" },
  { key = "sk-other-secret-2", tenant = "team-b", models = ["claude"] },
]
[providers.up]
base_url = "UP/v1"
api_key = "sk-up-secret-3"
apis = ["chat"]
headers = { x-extra = "header-secret-5" }
query = { sig = "query-secret-6" }
[providers.ant]
base_url = "UP"
kind = "anthropic"
api_key = "sk-ant-secret-4"
apis = ["messages"]
[providers.gem]
base_url = "UP/v1beta"
kind = "gemini"
api_keys = [{ key = "sk-pool-secret-7", name = "a" }, { key = "sk-pool-secret-8", name = "b" }]
apis = ["gemini"]
[providers.res]
base_url = "UP/v1"
proxy = "http://user:proxy-secret-9@127.0.0.1:9"
api_key = "sk-up-secret-3"
apis = ["responses"]
[models.fast]
targets = [{ provider = "up", model = "llama", weight = 3 }, { provider = "ant", model = "claude-x" }]
aliases = ["quick"]
fallbacks = ["gem-model"]
rules = [{ name = "long", use = "claude", when = { min_context_tokens = 5000 } }]
[models.claude]
targets = ["ant/claude-x"]
on_context_length = ["gem-model"]
[models.gem-model]
targets = ["gem/gemini-x"]
[models.res]
targets = ["res/model-r"]
[models."own/*"]
targets = ["up/*"]
[models.both]
strategy = "priority"
targets = [{ provider = "up", model = "llama", max_in_flight = 4 }, "ant/claude-x"]
shadow = { target = "gem-model", percent = 10 }
retry = { retries = 3, backoff_s = 30.0, max_backoff_s = 60.0, patience_s = 90.0 }
[[routing.rules]]
name = "beta testers"
use = "gem-model"
models = ["fast"]
when = { header = { x-beta = "1" } }
[[routing.rules]]
name = "team b"
use = "res"
models = ["claude"]
when = { tenant = "team-b" }
"""
HI = [{"role": "user", "content": "hi"}]


def no_file(name):
    raise AssertionError(f"nothing names the file {name}")


def to_tree(text, url):
    import tomllib

    return tomllib.loads(text.replace("UP", url))


def names(tree):
    return [target["target"] for target in tree["targets"]]


def reasons(tree):
    return [each["reason"] for each in tree["decisions"] if not each["target"]]


FORMATS = {
    "chat": ({"messages": HI, "temperature": 0.5}, "/v1/chat/completions"),
    "messages": ({"messages": HI, "max_tokens": 64, "system": "be kind"}, "/v1/messages"),
    "responses": ({"input": "hi", "temperature": 0.5}, "/v1/responses"),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        "/v1beta/models/{}:generateContent",
    ),
}
