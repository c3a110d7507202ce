import shutil

import pytest

TESTED = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov")


@pytest.fixture
def folder(examples, tmp_path):
    """A copy: a test that records leaves files behind."""
    copy = tmp_path / "testing"
    shutil.copytree(examples / "testing", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


async def test_its_own_tests_pass_with_the_tapes_that_are_there(folder, run_python, fake_env):
    before = tapes(folder)
    code, printed = await run_python(*TESTED, folder, cwd=folder, env=fake_env())
    assert code == 0, printed
    assert tapes(folder) == before


async def test_its_tapes_can_be_recorded_anew_as_its_readme_says(folder, run_python, fake_env):
    names = list(tapes(folder))
    for name in names:
        (folder / "tapes" / name).unlink()
    env = fake_env(AIGW_TAPES="record_missing")
    code, printed = await run_python(
        *TESTED, "-k", "model_said or piece_by_piece", folder, cwd=folder, env=env
    )
    assert code == 0, printed
    assert list(tapes(folder)) == names


def tapes(folder):
    """The tapes by name."""
    return {file.name: file.read_bytes() for file in sorted((folder / "tapes").iterdir())}
