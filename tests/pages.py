"""Code blocks of Markdown pages."""

from pathlib import Path

from markdown_it import MarkdownIt


def blocks(page: Path, language: str, after: str = "") -> list[str]:
    """List the code blocks of a page in one language, from a line of its text on if one is given."""
    text = page.read_text("utf-8")
    if after:
        _, line, text = text.partition(f"\n{after}\n")
        assert line, f"{page} has no line {after}"
    found = MarkdownIt().parse(text)
    return [one.content for one in found if one.type == "fence" and one.info == language]
