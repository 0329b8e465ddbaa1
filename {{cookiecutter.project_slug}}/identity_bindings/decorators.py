"""The declaration as a decorator, for functions of the v2 programming model."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from azure.functions.decorators.function_app import FunctionBuilder

from . import redaction
from .errors import Problem
from .grammar import declare
from .injection import Handler, Injection, inject, present, signature_of, without
from .report import report
from .sources import pool


def key_vault_secret(
    name: str,
    *,
    secret_name: str = "",
    vault_name: str = "",
    identity: str = "",
    identity_id: str = "",
    secret_version: str = "",
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
    """
    properties = {
        "name": name,
        "secretName": secret_name,
        "secretVersion": secret_version,
        "vaultName": vault_name,
        "identity": identity,
        "identityId": identity_id,
    }
    return _decorator("keyVault", properties)


@dataclass(frozen=True)
class _Declared:
    """What the decorators of this package have made of a function so far."""

    handler: Handler
    injections: tuple[Injection, ...] = ()
    hidden: frozenset[str] = frozenset()


_ATTRIBUTE = "__identity_bindings__"


def _decorator(kind: str, properties: dict[str, str]) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        redaction.install()
        built = handler if isinstance(handler, FunctionBuilder) else None
        if built is not None:
            handler = built._function.get_user_function()
        before = getattr(handler, _ATTRIBUTE, _Declared(handler))
        parameter = properties["name"]
        function = getattr(before.handler, "__name__", "?")
        file = f"{getattr(before.handler, '__module__', '?')}.{function}"
        problems: list[Problem] = []
        binding = declare(
            {**properties, "type": kind},
            os.environ,
            lambda prop, value, allowed: problems.append(Problem(file, prop, value, allowed)),
        )
        if parameter not in signature_of(before.handler).parameters:
            problems.append(Problem(file, "name", parameter, "the function has no such parameter"))
        if built is not None:
            order = f"put it below @app.…, next to 'def {function}'"
            problems.append(Problem(file, "order of decorators", f"@{kind} above @app.…", order))
        injections = before.injections
        if problems:
            report.add_problems(function, problems)
        else:
            injections += (Injection(function, binding, pool.source(binding)),)
            report.injections += injections[-1:]
        now = _Declared(before.handler, injections, before.hidden | {parameter})
        wrapped = _wrap(now, function)
        setattr(wrapped, _ATTRIBUTE, now)
        report.begin()
        if built is None:
            return wrapped
        # The worker must not see the parameter: it would refuse the whole app.
        built._function._func = wrapped
        return built

    return decorate


def _wrap(declared: _Declared, function: str) -> Handler:
    visible = without(signature_of(declared.handler), declared.hidden)
    if function not in report.problems:
        return present(inject(declared.handler, declared.injections), visible)
    answer = functools.wraps(declared.handler)(report.refuse(function))
    return present(answer, visible)
