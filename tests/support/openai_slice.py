"""OpenAI's published description as checks: what its lists, items and conversations look like."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

SPEC = Path(os.environ.get("AIGW_SPEC") or Path(__file__).parents[2].parent / "shared" / "spec")
DESCRIPTION = SPEC / "openai-2026-08-slice.openapi.json"


@cache
def _validator(name):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is needed to validate what is written")
    schemas = json.loads(DESCRIPTION.read_text(encoding="utf-8"))["components"]["schemas"]
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    )


def check(name, tree):
    """Hold a tree to a schema of the description, where that is at hand."""
    if DESCRIPTION.exists():
        _validator(name).validate(tree)
