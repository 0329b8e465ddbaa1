"""The engine's log on ``stderr``, where the Functions host does not lose it.

The worker hands log records to the host, and the host drops those that belong to no running call:
all that is told while the app loads, and by the threads of this package. Lines on ``stderr`` reach
its log and Application Insights at any time.

Sources: GrpcWorkerChannel.Log and WorkerProcess in github.com/Azure/azure-functions-host, and
https://github.com/Azure/azure-functions-python-worker/issues/1358
"""

import logging
import os
import sys
from contextlib import suppress

from .credentials import in_azure
from .errors import logger


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # a stream that is closed must not fail a read
            print(self.format(record), file=sys.stderr, flush=True)


def install() -> None:
    """Tell the host what the engine logs, where there is one: in Azure, and under Core Tools."""
    hosted = in_azure() or "AZURE_FUNCTIONS_ENVIRONMENT" in os.environ
    if hosted and not any(isinstance(one, _OnStderr) for one in logger.handlers):
        handler = _OnStderr()
        # The host takes a line's level from its words "warning" and "error".
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
