"""The boundary at which an exception leaves the app: its rendered text must show no secret.

The worker sends an exception's text and traceback to the log, and FastAPI may send it to the caller.
The exception itself is never changed, because the application may still use it.
"""

import sys
from collections.abc import Callable
from traceback import TracebackException, format_tb
from typing import Any

Mask = Callable[[str], str]

_NO_TEXT = "<exception str() failed>"
_WIDEST_GROUP = 10_000  # Python's own default leaves out all but 15 members


def without_secrets(error: BaseException, mask: Mask) -> BaseException:
    """Return `error` itself where its rendered text shows no secret, else a stand-in.

    The rendered text is what ``traceback`` makes of it: class and message, traceback with source
    lines, notes, chain and group. A stand-in has the name of the class and the masked ``str()``.
    It keeps the traceback if that shows no secret, and nothing else: no notes, chain or members.
    It is an ``Exception`` of a class of its own; only FastAPI's ``HTTPException`` stays one, since
    the caller must get its status.

    Args:
        error: The exception. It is not changed.
        mask: Returns a text with every secret in it masked.
    """
    try:
        text = "".join(
            TracebackException(
                type(error), error, error.__traceback__, max_group_width=_WIDEST_GROUP
            ).format()
        )
        if mask(text) == text:
            return error
    except Exception:  # what cannot be rendered may show anything
        text = ""
    stand_in = _stand_in(error, mask)
    traceback = "".join(format_tb(error.__traceback__))
    return stand_in.with_traceback(error.__traceback__ if mask(traceback) == traceback else None)


def _stand_in(error: BaseException, mask: Mask) -> Exception:
    name, names = mask(type(error).__name__), {"__module__": mask(type(error).__module__)}
    plain: type[Exception] = type(name, (Exception,), names)
    with_status: Any = getattr(sys.modules.get("starlette.exceptions"), "HTTPException", None)
    try:
        if with_status is None or not isinstance(error, with_status):
            return plain(mask(str(error)))
        kind: type[Exception] = type(name, (with_status,), names)
        headers = {key: mask(value) for key, value in (error.headers or {}).items()}
        return kind(error.status_code, _masked(error.detail, mask), headers or None)
    except Exception:
        return plain(_NO_TEXT)


def _masked(detail: Any, mask: Mask) -> Any:
    """`detail` as it is, or as a masked text where it shows a secret."""
    return detail if mask(str(detail)) == str(detail) else mask(str(detail))
