"""What the threads of this process share, and what a forked child does with it.

A fork copies memory, but of the threads only the one that forks: a lock that another thread holds
is never released in the child, and neither is Python's lock of a module that it imports.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any


def at_fork(**hooks: Callable[[], Any]) -> None:
    """Register what happens when the process is forked, where a process can be: not on Windows."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)


def held_at_fork(lock: Any) -> Any:
    """Have a fork wait for `lock`: the child finds whole what it guards, and never waits for it."""
    at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


making = held_at_fork(RLock())
"""Held while something shared is made, such as the SDK's clients."""


def shared(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make one object for equal arguments, and keep it. A forked child makes its own."""
    made = cache(make)
    at_fork(after_in_child=made.cache_clear)

    def get(*arguments: Any) -> Any:
        with making:
            return made(*arguments)

    return get


@shared
def load(module: str) -> Any:
    """Import a module at the first read, since the SDK needs as long as the app's start."""
    return import_module(module, __package__)
