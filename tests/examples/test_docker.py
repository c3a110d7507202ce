import json
import re
import shlex

import pytest
import yaml

from aigw import cli
from aigw.config import load
from aigw.stores.choose import default_path

FOLDER = "docker"


@pytest.fixture
def root(examples):
    return examples.parent


@pytest.fixture
def instructions(examples):
    """The Dockerfile as (instruction, rest) pairs, comments and continued lines resolved."""
    text = (examples / FOLDER / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture
def compose(examples):
    return yaml.safe_load((examples / FOLDER / "compose.yaml").read_text())


def of(instructions, name):
    return [rest for word, rest in instructions if word == name]


def health_check(instructions):
    [rest] = of(instructions, "HEALTHCHECK")
    return json.loads(rest.partition("CMD ")[2])


def test_every_instruction_is_one_that_docker_knows(instructions):
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {word for word, _ in instructions} == known
    assert instructions[0][0] == "FROM"


def test_the_image_is_slim_and_its_user_is_nobody_special(instructions):
    assert all(rest.startswith("python:3.13-slim") for rest in of(instructions, "FROM"))
    assert of(instructions, "USER") == ["10001"]
    words = [word for word, _ in instructions]
    assert words.index("USER") > max(at for at, word in enumerate(words) if word == "RUN")
    assert "useradd --uid 10001" in " ".join(of(instructions, "RUN"))


def test_what_is_copied_exists_and_is_not_ignored(instructions, root, examples):
    kept = {
        line[1:]
        for line in (examples / FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for rest in of(instructions, "COPY"):
        sources = shlex.split(rest)[:-1]
        if not sources[0].startswith("--from=build"):
            copied.update(sources)
    assert copied == kept
    assert all((root / source).exists() for source in copied)


def test_what_the_package_is_built_from_is_copied(root, instructions):
    copied = " ".join(of(instructions, "COPY"))
    for name in re.findall(
        r"^(?:long_description = file:|license_files =) *(\S+)$",
        (root / "setup.cfg").read_text(),
        re.MULTILINE,
    ):
        assert name in copied


def test_the_extras_that_are_installed_exist(instructions, root):
    extras = re.search(r"\.\[([a-z,]+)\]", " ".join(of(instructions, "RUN")))[1].split(",")
    assert extras == ["fast", "yaml"]
    assert all(re.search(rf"^{extra} =$", (root / "setup.cfg").read_text(), re.MULTILINE) for extra in extras)


def test_the_commands_arguments_are_accepted(instructions):
    [rest] = of(instructions, "CMD")
    program, *arguments = json.loads(rest)
    options = cli.parser().parse_args(arguments)
    assert (program, options.run, options.host) == ("aigw", cli.serve, "0.0.0.0")
    assert of(instructions, "EXPOSE") == [str(options.port)]
    assert f":{options.port}/livez" in health_check(instructions)[2]


async def test_a_gateway_for_all_addresses_needs_a_key(instructions, run_python, fake_env, tmp_path):
    [rest] = of(instructions, "CMD")
    arguments = ["-m", "aigw", *json.loads(rest)[1:]]
    code, printed = await run_python(*arguments, cwd=tmp_path, env=fake_env())
    assert code == 1
    assert "AIGW_API_KEY" in printed


async def test_the_health_check_tells_a_running_gateway_from_none(
    instructions, serve_python, run_python, fake_env, tmp_path
):
    _, *check = health_check(instructions)

    def at(port):
        return [word.replace(":8080/", f":{port}/") for word in check]

    env, seen = fake_env(), r"listens on http://127\.0\.0\.1:(\d+)"
    served = serve_python("-m", "aigw", "serve", "--port", "0", pattern=seen, cwd=tmp_path, env=env)
    async with served as port:
        assert await run_python(*at(port)) == (0, "")
    code, _ = await run_python(*at(port))
    assert code == 1


def test_compose_builds_from_the_root_with_files_that_exist(compose, examples, root):
    service = compose["services"]["aigw"]
    folder = examples / FOLDER
    assert (folder / service["build"]["context"]).resolve() == root.resolve()
    assert (root / service["build"]["dockerfile"]).is_file()
    assert (folder / service["env_file"]).is_file()
    config, state = service["volumes"]
    assert (folder / config.split(":")[0]).is_file()
    assert state.split(":")[0] in compose["volumes"]


def test_responses_are_kept_where_the_user_may_write_and_compose_has_a_volume(compose, examples):
    text = (examples / FOLDER / "Dockerfile").read_text()
    folder = default_path(
        {"XDG_STATE_HOME": re.search(r"^ENV XDG_STATE_HOME=(\S+)$", text, re.MULTILINE)[1]}
    ).parent
    assert f"install -d -o 10001 -m 700 {folder}" in text
    assert compose["services"]["aigw"]["volumes"][1].split(":")[1] == str(folder)


def test_compose_gives_the_container_no_rights_and_time_to_drain(compose):
    service = compose["services"]["aigw"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["stop_grace_period"].removesuffix("s")) > 30


def test_the_configuration_takes_its_secrets_from_composes_files(compose, examples, tmp_path):
    text = (examples / FOLDER / "aigw.toml").read_text()
    wanted = set(re.findall(r"\$\{file:/run/secrets/(\w+)\}", text))
    assert wanted == set(compose["services"]["aigw"]["secrets"]) == set(compose["secrets"])
    for name in wanted:
        (tmp_path / name).write_text(f"the {name}\n")
    path = tmp_path / "aigw.toml"
    path.write_text(text.replace("/run/secrets", str(tmp_path)))
    lines = (examples / FOLDER / "aigw.env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    config = load(path, env)
    assert config.providers["openai"].api_key.reveal() == "the openai_api_key"
    assert config.auth.keys[0].key.reveal() == "the gateway_key"
    assert config.server.drain_timeout_s == 30
    assert config.server.max_body_bytes == 64 * 2**20
