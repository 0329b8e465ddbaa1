"""Rendering a project in a test."""

from collections.abc import Callable
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent

# bake(identity="user") renders a project and returns its folder.
Bake = Callable[..., Path]
