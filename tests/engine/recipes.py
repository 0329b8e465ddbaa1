"""The files of docs/recipes.md: tests run what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def files(heading: str) -> dict[str, str]:
    """Return the files that a recipe shows, by their path in a project."""
    (section,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.M | re.S
    )
    found = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", section, re.M | re.S)
    assert found, heading
    return dict(found)
