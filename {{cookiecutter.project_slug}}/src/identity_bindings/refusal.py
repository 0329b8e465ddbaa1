"""What runs in place of a function that is in error."""

from collections.abc import Sequence
from typing import Any

from . import host_adapter
from .errors import IdentityBindingError, Problem, logger
from .signatures import Handler


def refusal(function: str, problems: Sequence[Problem]) -> Handler:
    """Return a handler that logs the problems and answers an HTTP request with 500.

    The caller of the HTTP function gets no reason. For any other trigger the handler raises the
    reason: there is no caller to answer.
    """

    def refuse(**arguments: Any) -> Any:
        if not any(map(host_adapter.is_request, arguments.values())):
            reason = "; ".join(map(str, problems))
            raise IdentityBindingError(f"Function '{function}' is in error: {reason}")
        for problem in problems:
            logger.error("Function '%s' is in error: %s", function, problem)
        return host_adapter.error_response("This function is in error. Its log says why.")

    return refuse
