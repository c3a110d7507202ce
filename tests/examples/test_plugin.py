import configparser
import os
import shutil

import pytest

TESTED = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov")


@pytest.fixture
def plugin(examples, tmp_path):
    """A copy: building leaves files behind."""
    copy = tmp_path / "plugin"
    shutil.copytree(examples / "plugin", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return copy


async def test_its_own_tests_pass(plugin, run_python, fake_env):
    code, printed = await run_python(*TESTED, plugin, cwd=plugin, env=fake_env())
    assert code == 0, printed


@pytest.fixture
def installed(plugin, tmp_path):
    """What pip makes of it: the module, its name and version, and its entry points."""
    setup = configparser.ConfigParser()
    setup.read(plugin / "setup.cfg")
    folder = tmp_path / "installed"
    metadata = folder / "aigw_polite-1.0.0.dist-info"
    metadata.mkdir(parents=True)
    for module in setup["options"]["py_modules"].split():
        shutil.copy(plugin / f"{module}.py", folder)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {setup['metadata']['name']}\nVersion: {setup['metadata']['version']}\n"
    )
    points = setup["options.entry_points"]
    (metadata / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{points[group].strip()}\n" for group in points)
    )
    return folder


async def test_once_installed_the_gateway_finds_it_and_reads_its_section(
    installed, tmp_path, run_python, fake_env
):
    config, kept = tmp_path / "aigw.toml", fake_env()
    paths = [str(installed), *filter(None, [kept.get("PYTHONPATH")])]
    env = {**kept, "PYTHONPATH": os.pathsep.join(paths)}

    config.write_text('[plugins.polite]\nwords = "Be kind."\n')
    code, printed = await run_python("-m", "aigw", "plugins", "-c", config, env=env)
    assert code == 0, printed
    assert "polite: rewrite_request, before_call" in printed.splitlines()

    config.write_text('[plugins.polite]\nwords = ""\nheader = "X-Title"\n')
    code, printed = await run_python("-m", "aigw", "check", "-c", config, env=env)
    assert code == 1
    assert "plugins.polite.words" in printed
