"""`aigw explain` in a test: as a function that tells a tree, and as the command itself."""

import json
from pathlib import Path

import pytest
from support.explained import BEARER, CONFIG, SECRETS, no_file, to_tree

from aigw.cli import main
from aigw.config import loads
from aigw.explain.asked import Flags, read_request
from aigw.explain.dry_run import dry_run
from aigw.explain.masking import mask_for
from aigw.explain.report import report
from aigw.hooks.loader import Found


@pytest.fixture
def ask(upstream):
    """Explain a request; nobody is called, whatever comes of it, and no secret is told."""

    async def run(
        body=None, *, path=None, headers=(BEARER,), config=CONFIG, plugins=(), method=None, env=None
    ):
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        asked = read_request(Flags(None, path, method, tuple(headers), data), no_file)
        settings = loads(to_tree(config, upstream.url), env or {}, known_providers=None)
        installed = {plugin.name: Found(plugin.name, "test", lambda made=plugin: lambda: made)
                     for plugin in plugins}  # fmt: skip
        done = await dry_run(asked, settings, env or {}, installed=installed)
        credential = done.exchange.credential if done.exchange else None
        tree = report(done, mask_for(done.gateway.config, env or {}, credential))
        assert upstream.seen == []
        told = json.dumps(tree)
        assert [secret for secret in SECRETS if secret in told] == []
        return tree

    return run


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run `aigw explain` in a folder with a configuration; return (exit code, what it printed)."""
    monkeypatch.chdir(tmp_path)
    for name in ("AIGW_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("aigw.toml").write_text(CONFIG.replace("UP", "http://127.0.0.1:9"), encoding="utf-8")

    def run(*words):
        try:
            code = main(["explain", *words])
        except SystemExit as leaving:
            code = leaving.code
        told = capsys.readouterr()
        assert not [secret for secret in SECRETS if secret in told.out + told.err]
        return code, told.out or told.err

    return run
