"""Every route by which text leaves an app, each run in a process of its own.

    python routes.py ENGINE FOLDER PLAIN SIGNS

Each route runs with the engine imported and a value registered. What the route writes is in FOLDER,
in a file with the route's name. The processes are forks of one that has imported what does not bind
a stream or a logger, because that takes most of the time.
"""

from __future__ import annotations

import faulthandler
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("app.orders")
bound_write = sys.stdout.write  # as an app may, before it imports the engine


def _handler(text: str = "%(message)s") -> logging.Handler:
    stream = open(1, "w", closefd=False)  # noqa: SIM115 - a stream without a mask
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(text))
    log.addHandler(handler)
    return handler


def log_stack(value: str) -> None:
    _handler()
    exec(compile("log.error('it', stack_info=True)", value, "exec"), {"log": log})


def log_filter_adds(value: str) -> None:
    handler = _handler("%(message)s %(key)s")
    add: Any = lambda record: setattr(record, "key", value) or True  # noqa: E731
    handler.addFilter(add)
    log.error("it is")


def log_formatter_adds(value: str) -> None:
    class Adds(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps({"message": record.getMessage(), "key": value})

    _handler().setFormatter(Adds())
    log.error("it is")


def log_formatter_adds_for_later_handlers(value: str) -> None:
    class Adds(logging.Formatter):
        def formatException(self, ei: Any) -> str:
            return f"locals: {value}"

    class Ships(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            os.write(1, str(record.exc_text).encode())

    _handler().setFormatter(Adds())
    log.addHandler(Ships())
    log.error("failed", exc_info=ValueError("no"))


def thread_dies(value: str) -> None:
    def run() -> None:
        raise ValueError(value)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def uncaught(value: str) -> None:
    raise ValueError(value)


def unraisable(value: str) -> None:
    class Dies:
        def __del__(self) -> None:
            raise ValueError(value)

    Dies()


def exits(value: str) -> None:
    sys.exit(f"it is {value}")


def loguru_stderr(value: str) -> None:
    from loguru import logger

    logger.bind(key=value).error("it is {}", value)
    try:
        raise ValueError(value)
    except ValueError:
        logger.exception("failed")  # `diagnose` shows the local variables


def loguru_to_logging(value: str) -> None:
    from loguru import logger

    logger.remove()
    logger.add(_handler(), format="{message} {extra}")
    logger.bind(key=value).error("it is {}", value)


def loguru_kept_stream(value: str) -> None:
    loguru_before.error("it is {}", value)  # its sink was made before the engine came


def structlog_stdlib(value: str) -> None:
    import structlog

    handler = _handler()
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    merge = structlog.contextvars.merge_contextvars
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=[merge])
    )
    structlog.configure(
        processors=[merge, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.contextvars.bind_contextvars(key=value)
    structlog.get_logger("app.orders").error("it is", value=value)
    log.error("of logging itself")


def rich_traceback(value: str) -> None:
    import rich.console

    try:
        raise ValueError(value)
    except ValueError:
        rich.console.Console(width=500).print_exception(show_locals=True)


def bound_early(value: str) -> None:
    bound_write(value)


def buffer(value: str) -> None:
    sys.stdout.buffer.write(value.encode())


def second_wrapper(value: str) -> None:
    io.TextIOWrapper(sys.stdout.buffer, "utf-8", write_through=True).write(value)


def os_write(value: str) -> None:
    os.write(2, value.encode())


def child_process(value: str) -> None:
    subprocess.run(["printf", "%s", value], check=True)


def two_writes(value: str) -> None:
    half = len(value) // 2
    print(value[:half], end="")
    print(value[half:])


def file_of_the_app(value: str) -> None:
    from loguru import logger

    logger.add(io.FileIO(1, "wb", closefd=False).write, format="{message}")  # type: ignore[call-overload]
    with open(1, "w", closefd=False) as file:
        file.write(value)


def raw_handler(value: str) -> None:
    class Ships(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            os.write(1, str(vars(record)).encode())

    add: Any = lambda record: setattr(record, "key", value) or True  # noqa: E731
    log.addFilter(add)
    log.addHandler(Ships())
    log.error("it is")


def fault_handler(value: str) -> None:
    code = compile("import faulthandler; faulthandler.dump_traceback(2)", value, "exec")
    exec(code, {"faulthandler": faulthandler})


def wrapped_by_a_tool(value: str) -> None:
    import rich.console

    rich.console.Console(width=len(value) // 2 + 1).print(value, markup=False)


ROUTES: dict[str, Callable[[str], None]] = {
    name: one
    for name, one in list(vars().items())
    if callable(one) and getattr(one, "__module__", "") == __name__ and not name.startswith("_")
}
NOT_COVERED = (
    *("bound_early", "buffer", "second_wrapper", "os_write", "child_process", "two_writes"),
    *("file_of_the_app", "fault_handler", "wrapped_by_a_tool", "raw_handler"),
)

if __name__ == "__main__":
    import azure.functions  # noqa: F401 - the engine imports it
    import structlog  # noqa: F401

    engine, folder, plain, signs = sys.argv[1:]
    sys.path.insert(0, engine)
    del sys.argv[1:]
    for route, run in ROUTES.items():
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        output = os.open(f"{folder}/{route}", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if route == "loguru_kept_stream":
            from loguru import logger as loguru_before
        from identity_bindings import masking

        value = plain if route in NOT_COVERED else signs
        masking.register(value)
        run(value)
        break
