"""Modules of the app that cannot be imported, and must not harm the others."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import Problem
from .indexing import watch
from .masking import mask
from .report import report


def import_problem(file: str, error: BaseException) -> Problem:
    """Return the problem of a module whose import raised `error`."""
    try:
        text = " ".join(f"{type(error).__name__}: {error}".split())
    except Exception:
        text = type(error).__name__
    missing = "; add the package to requirements.txt" if _is_missing_package(error) else ""
    return Problem(file, "import", mask(text), f"the module must load{missing}", error)


@contextmanager
def isolated(file: str) -> Iterator[None]:
    """Import and register a blueprint so that its faults harm no other function::

        with isolated("blueprints/orders.py"):
            from blueprints.orders import blueprint as orders

            app.register_functions(orders)

    What it raises is logged with the file's name, and its functions are not registered.

    Args:
        file: The blueprint's file, as the log shall name it.
    """
    watch()
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: the app's other functions must run
        report.add_problems(file, [import_problem(file, error)])


def _is_missing_package(error: BaseException) -> bool:
    return isinstance(error, ModuleNotFoundError)
