"""The masks that keep values out of logs, on ``logging`` and the standard streams.

Every record of every logger is masked (arguments, extras, exception, stack) before a filter or
handler sees it, its message whenever it is formatted, and its final text once more in
``Handler.format``, which covers what filters and formatters add. Of each standard stream the instance
attribute ``write`` is replaced: ``print``, tracebacks, ``warnings`` and libraries that keep the
stream pass it.
"""

import logging
import marshal
import os
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter, is_
from threading import Lock, local
from traceback import TracebackException, format_tb
from typing import Any

from .errors import IdentityBindingError, logger, say_once
from .forms import SHORTEST, GramTable, forms_of
from .timing import held_at_fork

MASK = "***"

_NO_TEXT = "<exception str() failed>"
_WIDEST_GROUP = 10_000  # Python's own default leaves out all but 15 members
_GENERATIONS = 32  # of a secret that is rotated: those before the newest stay masked too
_STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
# Not makeLogRecord(): the app's record factory may add fields.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, None, None, None)))
_NAMES = "name threadName taskName processName pathname filename module funcName"
_TEXTS = _STANDARD.intersection(_NAMES.split())  # taskName: from Python 3.12 on
_texts_of = attrgetter(*(_TEXTS - {"filename", "module"}))  # which are in the pathname
_PLAIN = frozenset({str, int, float, bool, type(None)})
_ITERABLE = frozenset({dict, list, tuple, set, frozenset})
_FOLDER = os.path.dirname((lambda: None).__code__.co_filename)
_lock = held_at_fork(Lock())
_values: dict[Hashable, dict[str, set[bytes]]] = {}  # owner → value → forms
_table = GramTable(MASK)

mask = _table.replace
"""Return a text with every registered value, in any of its forms, replaced by ``***``."""


class _Own(local):
    message = ""  # what the engine is logging
    clean: Any = None  # the texts of the last record that showed no value


_own = _Own()
"""What this thread is logging."""


def register(value: str, owner: Hashable = None) -> None:
    """Mask `value` and the forms it takes in logs from now on.

    A value of fewer than 8 characters is not masked, and the log says so once.

    Args:
        value: What must not be shown.
        owner: Whose value it is. The last 32 values of each owner are masked.
    """
    if len(value.strip()) < SHORTEST:
        say_once("A secret of fewer than %d characters is not masked in logs.", SHORTEST)
        return
    with _lock:
        values = _values.setdefault(owner, {})
        known = values.pop(value, None)
        if known is None:
            known = {form.encode("utf-8", "surrogatepass") for form in forms_of(value)}
            _table.add(known)
        values[value] = known
        if len(values) > _GENERATIONS:
            _table.remove(values.pop(next(iter(values))))


def install() -> None:
    """Put the masks on ``logging`` and the standard streams, in place of earlier ones."""
    for owner, name, wrap in _routes():
        with suppress(AttributeError):  # there is no such stream, or it takes no attributes
            replace(owner, name, wrap)


def uninstall() -> None:
    """Take the masks off again. What somebody has wrapped since stays as it is."""
    for owner, name, _ in _routes():
        method: Any = getattr(owner, name, None)
        if (original := _original(method)) is not method:
            delattr(owner, name)
            if getattr(owner, name, None) != original:  # of a stream its class has it
                setattr(owner, name, original)


def _routes() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    yield logging.Logger, "handle", _masked_handle
    yield logging.Handler, "format", _masked_format
    for stream in _STREAMS:
        yield getattr(sys, stream), "write", _masked_write


def replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Replace a method by what `wrap` makes of it, and an earlier replacement by the new one."""
    original = _original(getattr(owner, name))
    made = wrap(original)
    made.original, made.replaces = original, made
    setattr(owner, name, made)


def _original(method: Any) -> Any:
    # Not of one that wraps ours: `functools.wraps` copies attributes.
    is_ours = getattr(method, "replaces", _original) is method
    return method.original if is_ours else method


def _masked_handle(original: Callable[[logging.Logger, logging.LogRecord], None]) -> Any:
    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.name != logger.name or os.path.dirname(record.pathname) != _FOLDER:
            _mask_message(record)
            _mask_rest(record)
            return original(self, record)
        # The engine's own: it holds no value, and no secret's text may take its words away.
        _mask_rest(record)
        _own.message = record.getMessage()
        try:
            original(self, record)
        finally:
            _own.message = ""

    return handle


def _masked_format(original: Callable[[logging.Handler, logging.LogRecord], Any]) -> Any:
    def format(self: logging.Handler, record: logging.LogRecord) -> Any:
        text = original(self, record)
        if record.exc_text:
            record.exc_text = mask(record.exc_text)  # for the handlers that come after
        return _mask_all_but_own(text) if isinstance(text, str) else _mask_object(text)

    return format


def _masked_write(original: Callable[[str], int]) -> Any:
    def write(text: str, /) -> int:
        if not isinstance(text, str):
            return original(text)  # which says what it takes
        line = text.removesuffix("\n")  # logging has masked it already
        original(_mask_all_but_own(line) + text[len(line) :])
        return len(text)

    return write


def _mask_all_but_own(text: str) -> str:
    own = _own.message
    return own.join(map(mask, text.split(own))) if own else mask(text)


def _mask_message(record: logging.LogRecord) -> None:
    """Mask the message and each argument, and keep their number and order for formatters.

    A message of texts and numbers is formatted here. Any other is masked by its arguments, and the
    text that a handler makes of them in ``Handler.format``: formatting them twice may cost much.
    """
    template: Any = record.msg
    args: Any = record.args
    plain = type(template) is str and type(args) is tuple and _PLAIN.issuperset(map(type, args))
    message = _message(template, args) if plain else None
    is_clean = message is None or mask(message) is message
    if message is not None and is_clean and all(a in message for a in args if type(a) is str):
        return
    record.msg = _mask_object(template)
    # One by one where it can be: a number may be a value.
    record.args = tuple(map(_mask_object, args)) if plain else _mask_object(args)
    if is_clean and record.msg is template and record.args is args:
        return
    masked = mask(_message(template, args) or (template if isinstance(template, str) else ""))
    if _message(record.msg, record.args) != masked:
        # What the format makes of the masked arguments is something else: it is text from now on.
        unused = len(args) if isinstance(args, tuple) else 0
        record.msg = masked.replace("%", "%%") + "%.0s" * unused


def _message(template: Any, args: Any) -> str | None:
    with suppress(Exception):  # logging reports a format that does not fit, unless it shows a value
        return str(template) % args if args else str(template)
    return None


def _mask_rest(record: logging.LogRecord) -> None:
    fields = vars(record)
    if (texts := (_table.added, _texts_of(record))) != _own.clean:  # mostly as in the record before
        _mask_fields(fields, _TEXTS)
        _own.clean = texts if texts[1] == _texts_of(record) else None
    if record.exc_text or record.stack_info or len(fields) != len(_STANDARD):
        _mask_fields(fields, ["exc_text", "stack_info", *(fields.keys() - _STANDARD)])
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        error = without_secrets(record.exc_info[1])
        if error is not record.exc_info[1]:
            record.exc_info = (type(error), error, error.__traceback__)


def _mask_fields(fields: dict[str, Any], names: Iterable[str]) -> None:
    if not _is_clean([(name, fields[name]) for name in names]):  # mostly all of them at once
        fields.update({mask(name): _mask_object(fields.pop(name)) for name in names})


def _is_clean(value: Any) -> bool:
    """Whether `value` holds no secret and is made of Python's plain types, which `marshal` takes.

    Their texts are in the result as UTF-8. Numbers are not: one shows a value only in a text.
    """
    try:
        return not _table.may_be_in(marshal.dumps(value))
    except ValueError:
        return False


def _mask_object(value: Any, inside: frozenset[int] = frozenset()) -> Any:
    """`value` without what must not be shown; the same object where there is nothing to hide."""
    if isinstance(value, str):
        return mask(value)
    kind: Any = type(value)
    if kind not in _PLAIN and _is_clean(value):
        return value
    named = isinstance(value, Mapping)
    walk = (named or kind in _ITERABLE) and id(value) not in inside
    try:
        # What is in one that shows a value is not rendered again, or deep ones would take long.
        if not (walk and inside and kind in _ITERABLE):
            text = repr(value) if kind.__str__ is object.__str__ else f"{value!r}\n{value!s}"
            if mask(text) is text:
                return value
    except Exception:
        if not walk:  # an object that cannot be shown shows nothing; what is in a list may
            return value
    try:
        if walk:  # one that holds itself is masked as its text is
            items = [*value, *value.values()] if named else [*value]
            masked = [_mask_object(item, inside | {id(value)}) for item in items]
            if all(map(is_, items, masked)):
                return value
            pairs = zip(masked, masked[len(value) :], strict=False)
            return dict(pairs) if named else kind(masked)
        return mask(str(value))
    except Exception:
        return MASK


def without_secrets(error: BaseException) -> BaseException:
    """Return `error` itself where its rendered text shows no secret, else a stand-in.

    The rendered text is what ``traceback`` makes of it, and what the worker sends to the log. `error`
    is not changed: the application may still use it. A stand-in has the name of the class and the
    masked ``str()``. It keeps the traceback if that shows no secret, and no notes, chain or members.
    It is an ``Exception`` of a class of its own; only FastAPI's ``HTTPException`` stays one, since
    the caller must get its status, and the engine's own error keeps its type and text.
    """
    if _is_own(error) and not (error.__context__ or error.__cause__ or hasattr(error, "__notes__")):
        return error
    with suppress(BaseException):  # what cannot be rendered may show anything
        whole = (type(error), error, error.__traceback__)
        text = "".join(TracebackException(*whole, max_group_width=_WIDEST_GROUP).format())
        if issubclass(type(error), _http_exception()):
            text += str(error.headers)  # type: ignore[attr-defined]
        if mask(text) == text:
            return error
    stand_in: BaseException = _stand_in(error)
    with suppress(BaseException):
        traceback = "".join(format_tb(error.__traceback__))
        if mask(traceback) == traceback:
            return stand_in.with_traceback(error.__traceback__)
    return stand_in


def _is_own(error: BaseException) -> bool:
    # Not isinstance(): it asks the exception for its class.
    return issubclass(type(error), IdentityBindingError) and getattr(error, "own", False)


def _http_exception() -> Any:
    return getattr(sys.modules.get("starlette.exceptions"), "HTTPException", ())


def _stand_in(error: Any) -> Any:
    kind: type[Exception] = Exception
    try:  # the class's own metaclass, and the exception's own methods, may raise anything
        if _is_own(error):
            own: Any = type(error)(*error.args)
            own.own = True
            return own
        name, names = mask(type(error).__name__), {"__module__": mask(str(type(error).__module__))}
        kind = type(name, (Exception,), names)
        if not issubclass(type(error), _http_exception()):
            return kind(mask(str(error)))
        http = type(name, (_http_exception(),), names)
        return http(error.status_code, _mask_object(error.detail), _mask_object(error.headers))
    except BaseException:
        return kind(_NO_TEXT)
