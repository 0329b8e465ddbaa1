"""What an app imports from the engine, and which engine it is."""

from __future__ import annotations

import importlib
import re
from typing import Any


def test_the_package_is_these_names_and_a_version() -> None:
    engine: Any = importlib.import_module("identity_bindings")
    taken: dict[str, Any] = {}

    exec("from identity_bindings import *", taken)  # what the package offers

    offered = taken.keys() - {"__builtins__"}
    assert offered == {
        *("BindingUnavailableError", "Secret", "isolated", "key_vault_secret"),
        *("refresh_secret", "register_functions"),
    }
    assert all(taken[name] is getattr(engine, name) for name in offered)
    assert re.fullmatch(r"\d+\.\d+\.\d+", engine.__version__)
