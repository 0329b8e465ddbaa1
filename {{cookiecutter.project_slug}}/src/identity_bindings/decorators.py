"""The declaration as a decorator, for functions of the v2 programming model."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from azure.functions.decorators.function_app import Function, FunctionBuilder, FunctionRegister

from . import masking
from .errors import Problem, logger
from .grammar import declare, is_parameter
from .injection import Injection, inject, injections_for
from .report import report, tell_host
from .worker_rules import Handler, mismatches, present, signature_of, signature_with, without


def key_vault_secret(
    name: str = "",
    *,
    secret_name: str = "",
    vault_name: str = "",
    identity: str = "",
    identity_id: str = "",
    secret_version: str = "",
    json_field: str = "",
) -> Callable[[Handler], Handler]:
    """Fill the parameter `name` of a function with a secret of a Key Vault, at every call.

    It stands below the decorators of the app, next to the function::

        @app.route("orders")
        @key_vault_secret("api_key", secret_name="api", vault_name="my-vault", identity="system")
        def orders(req: func.HttpRequest, api_key: str) -> func.HttpResponse: ...

    All texts may hold ``%SETTING%``, which stands for an app setting. A mistake does not raise: it
    is logged, and the function answers 500.

    Args:
        name: The parameter that receives the value, a ``str``.
        secret_name: The secret's name in the vault.
        vault_name: The vault's name, or its URI such as ``https://my-vault.vault.azure.net/``.
        identity: ``system``, or ``user`` together with `identity_id`.
        identity_id: The resource id of the user-assigned identity.
        secret_version: One version of the secret. Without it, the newest one.
        json_field: The field of a JSON secret whose text the parameter receives.
    """
    properties = {"name": name, "secretName": secret_name, "secretVersion": secret_version}
    properties |= {"jsonField": json_field, "vaultName": vault_name}
    return declared("keyVault", properties | {"identity": identity, "identityId": identity_id})


def declared(kind: str, properties: dict[str, str]) -> Callable[[Handler], Handler]:
    """Make a decorator that fills in a parameter with a binding of this package.

    Args:
        kind: The binding's type, such as ``keyVault``.
        properties: Its properties, as ``function.json`` names them.
    """

    def decorate(handler: Handler) -> Handler:
        masking.install()
        tell_host()
        built = handler if isinstance(handler, FunctionBuilder) else None
        if built is not None:
            handler = built._function.get_user_function()
        before: _Declared = getattr(handler, _ATTRIBUTE, _Declared(handler))
        if before.wrapped not in (None, handler):  # somebody's own decorator stands between
            before = _Declared(handler, problems=before.problems)
        name, function = str(properties["name"]), getattr(handler, "__name__", "?")
        file = f"{handler.__module__}.{function}"
        binding, mistakes = declare({**properties, "type": kind}, os.environ)
        if name in before.hidden:
            mistakes.append(("name", name, "names of bindings must differ"))
        elif is_parameter(name) and name not in signature_of(before.handler).parameters:
            mistakes.append(("name", name, "the function has no such parameter; add it"))
        if built is not None:
            right = f"put it below @app.…, next to 'def {function}'"
            mistakes.append(("order of decorators", f"@… of {name} above @app.…", right))
        problems = tuple(Problem(file, *mistake) for mistake in mistakes)
        now = replace(before, hidden=before.hidden | {name}, problems=before.problems + problems)
        _watch_indexing()
        report.add_problems(function, problems)
        if not problems:
            injections = injections_for(function, [binding], before.handler)
            now = replace(now, injections=(*before.injections, *injections))
            report.injections += injections
        filled = not now.problems and inject(now.handler, now.injections)
        answer = filled or report.refuse(function, now.problems)
        visible = without(signature_of(now.handler), now.hidden)
        wrapped = present(functools.wraps(now.handler)(answer), visible)
        setattr(wrapped, _ATTRIBUTE, replace(now, wrapped=wrapped))
        report.begin()
        if built is not None:
            # The worker must not see the parameter: it would refuse the whole app.
            built._function._func = wrapped
        return built or wrapped

    bare: Any = properties["name"]
    if callable(bare):  # it stands without its arguments
        properties = {**properties, "name": ""}
        return decorate(bare)
    return decorate


@dataclass(frozen=True)
class _Declared:
    """What the decorators of this package have made of a function so far."""

    handler: Handler
    injections: tuple[Injection, ...] = ()
    hidden: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    wrapped: Handler | None = None


_ATTRIBUTE = "__identity_bindings__"


def _watch_indexing() -> None:
    """Make functions in error fit for the worker, which would refuse the whole app for one.

    With an HTTP trigger they answer 500, whatever their parameters are. With another trigger the
    worker is not told of them: it would give them messages that they cannot handle.
    """
    indexes = FunctionRegister.get_functions
    original = getattr(indexes, "original", indexes)  # else each would wrap the one before

    @functools.wraps(original)
    def get_functions(app: FunctionRegister) -> list[Function]:
        return [function for function in original(app) if _is_fit(function)]

    get_functions.original = original  # type: ignore[attr-defined]
    FunctionRegister.get_functions = get_functions  # type: ignore[assignment]


def _is_fit(function: Function) -> bool:
    """Whether the worker may be told of a function. One that is in error is made fit."""
    name, handler = str(function.get_function_name()), function.get_user_function()
    declared: _Declared | None = getattr(handler, _ATTRIBUTE, None)
    problems = declared.problems if declared else ()
    if declared and not problems:  # now that all its decorators are known
        bindings = [{"name": binding.name} for binding in function.get_bindings()]
        wrong = mismatches(signature_of(handler), bindings, ())
        problems = tuple(Problem(name, "name", binding, allowed) for binding, allowed in wrong)
        report.add_problems(name, problems)
    if problems and not function.is_http_function():
        logger.error("Function '%s' is in error, and not registered.", name)
        return False
    if problems:
        names = [one.name for one in function.get_bindings() if one.name != "$return"]
        function._func = present(report.refuse(name, problems), signature_with(names))
    return True
