"""The engine's log on ``stderr``, where the Functions host does not lose it.

The worker hands log records to the host, and the host drops those that belong to no running call: all
that is logged while the app loads, and by the threads of this package. Lines on ``stderr`` reach its
log and Application Insights at any time.

Sources: GrpcWorkerChannel.Log and WorkerProcess in github.com/Azure/azure-functions-host, and
https://github.com/Azure/azure-functions-python-worker/issues/1358
"""

import logging
import os

from .credentials import in_azure
from .errors import logger

_loading = True


def install() -> None:
    """Write to ``stderr`` what is logged outside of calls, if the Functions host runs this app."""
    hosted = in_azure() or "AZURE_FUNCTIONS_ENVIRONMENT" in os.environ
    if hosted and not logger.handlers:
        handler = logging.StreamHandler()
        # The host takes a line's level from its words "warning" and "error".
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        handler.addFilter(_is_outside_of_calls)
        logger.addHandler(handler)


def app_is_loaded() -> None:
    """Note that from now on calls run. What they log reaches the host as records."""
    global _loading
    _loading = False


def _is_outside_of_calls(record: logging.LogRecord) -> bool:
    return _loading or str(record.threadName).startswith("identity-")
