"""The command line, as a person runs it."""

import os
import subprocess
import sys

import pytest

import aigw
from aigw.cli import _flags, configured, parser

KEPT = ("PATH", "LANG", "HOME", "PYTHONPATH", "XDG_STATE_HOME")
CLEAN = {name: os.environ[name] for name in KEPT if name in os.environ}

GOOD = """
[auth]
keys = [{ key = "sk-very-secret" }]
[providers.up]
base_url = "http://127.0.0.1:1/v1"
api_key = "sk-also-secret"
[models.fast]
targets = ["up/llama", "demo/x"]
aliases = ["quick"]
"""

BAD = """
[server]
port = 99999
workerz = 2
[auth]
keys = [{ key = "sk-very-secret", key_hash = "x" }]
[providers.up]
kind = "nobody"
api_key = "sk-also-secret"
[models.fast]
targets = 3
"""


@pytest.fixture
def cli(tmp_path):
    """Run a command in a folder of its own, in an environment without keys."""

    def run(*arguments, config=None, **env):
        if config is not None:
            (tmp_path / "aigw.toml").write_text(config)
        command = [sys.executable, "-W", "error", "-m", "aigw", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**CLEAN, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    return run


def test_version_is_said(cli):
    done = cli("--version")
    assert (done.returncode, done.stdout) == (0, f"aigw {aigw.__version__}\n")


def test_check_says_what_a_sound_configuration_means(cli):
    done = cli("check", config=GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "127.0.0.1:8080, 1 key\n" in done.stdout
    assert "providers: demo, up\n" in done.stdout
    assert "models: fast\n" in done.stdout
    assert "plugins: keys, metrics, access-log\n" in done.stdout
    assert "secret" not in done.stdout


def test_check_lists_every_mistake_and_no_secret(cli):
    done = cli("check", config=BAD)
    assert (done.returncode, done.stdout) == (1, "")
    for path in ("server.port", "workerz", "auth.keys[0]", "models.fast.targets"):
        assert path in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("aigw.toml: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["check", "--config", "no-such.toml"], "no-such.toml: cannot be read"),
        (["--config", "no-such.toml", "check"], "no-such.toml: cannot be read"),
        (["serve", "--port", "70000"], "--port 70000: "),
        (["--port", "70000"], "--port 70000: "),
        (["serve", "--host", "0.0.0.0"], 'server.host: got "0.0.0.0" without any key'),
        (["serve", "--host", "0.0.0.0", "--workers", "2"], 'server.host: got "0.0.0.0" without any key'),
    ],
)
def test_what_cannot_be_is_told_in_a_line(cli, command, told):
    done = cli(*command)
    assert done.returncode == 1
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == 1


def test_a_certificate_of_no_use_is_found_before_serving(cli):
    done = cli("check", config='[server]\ntls_cert_file = "none.pem"\ntls_key_file = "none.key"\n')
    assert done.returncode == 1
    assert done.stderr.startswith('server.tls_cert_file: cannot use "none.pem"')


def test_a_providers_authority_of_no_use_is_found_before_serving(cli):
    done = cli(
        "check", config=GOOD + '[providers.own]\nbase_url = "https://x"\ntls = { ca_file = "no.pem" }\n'
    )
    assert done.returncode == 1
    assert done.stderr.startswith('providers.own.tls: cannot use "no.pem"')


def test_a_target_that_leads_nowhere_is_told_with_what_was_meant(cli):
    done = cli("check", config=GOOD.replace("up/llama", "upp/llama"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        'models.fast.targets[0].provider: got "upp", wanted one of the providers: demo, up; '
        'did you mean "up"?\n'
    )


def test_a_disabled_plugin_that_nobody_has_is_a_note(cli):
    done = cli("check", config='[plugins]\ndisabled = ["acces-log"]\n')
    assert (done.returncode, done.stderr) == (0, "")
    assert 'note: plugins.disabled[0]: no plugin is called "acces-log" here; did you mean' in done.stdout


NEEDY = """
from attrs import frozen

@frozen
class Settings:
    word: str

class Needy:
    Config = Settings

    def __init__(self, config): ...

    def on_complete(self, record): ...
"""


def test_plugins_lists_every_plugin_with_what_is_wrong_with_one(cli, tmp_path):
    info = tmp_path / "site" / "aigw_needy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aigw-needy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aigw.plugins]\nneedy = aigw_needy:Needy\n")
    (tmp_path / "site" / "aigw_needy.py").write_text(NEEDY)
    done = cli("plugins", PYTHONPATH=str(tmp_path / "site"))
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert "access-log: on_complete" in lines
    assert "needy: plugins.needy.word: missing, wanted text" in lines
    assert any(
        "needy: plugins.needy: aigw-needy 1.0 is installed but not configured" in line for line in lines
    )


@pytest.mark.parametrize("flags", [["--prot", "1"], ["nonsense"], ["serve", "--port", "many"]])
def test_wrong_flags_exit_with_2(cli, flags):
    done = cli(*flags)
    assert done.returncode == 2
    assert "usage: aigw" in done.stderr


def test_models_are_listed_with_their_targets(cli):
    done = cli("models", config=GOOD)
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert {"fast -> up/llama, demo/x", "quick = fast", "up/*", "demo/demo-image"} <= set(lines)


def test_plugins_are_listed_with_their_hooks(cli):
    lines = cli("plugins", config=GOOD).stdout.splitlines()
    assert lines[0] == "keys: authenticate"
    assert "access-log: on_complete" in lines


def test_providers_are_listed_with_the_variables_of_their_keys(cli):
    done = cli("providers", OPENAI_API_KEY="sk-very-secret")
    assert done.stdout.startswith("in use: openai (")
    assert "OPENAI_API_KEY" in done.stdout
    assert "secret" not in done.stdout


# flags, without a process


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ([], []),
        (["serve", "--port", "1"], ["--port", "1"]),
        (["--port", "1", "serve"], ["--port", "1"]),
        (["--host", "h", "serve", "--port", "1"], ["--host", "h", "--port", "1"]),
        (["--port", "2", "serve", "--port", "1"], ["--port", "1"]),
        (["-c", "x.toml", "--reload"], ["--config", "x.toml"]),
    ],
)
def test_a_flag_means_the_same_before_and_behind_the_command(arguments, flags):
    assert _flags(parser().parse_args(arguments)) == flags


@pytest.mark.parametrize("arguments", [["--reload"], ["--reload", "serve"], ["serve", "--reload"]])
def test_reload_is_a_flag_of_both(arguments):
    assert parser().parse_args(arguments).reload


def test_flags_come_before_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aigw.toml").write_text('[server]\nport = 1\nhost = "::1"\n')
    config = configured(parser().parse_args(["--port", "2"]))
    assert (config.server.host, config.server.port) == ("::1", 2)
