"""The declaration as a decorator, for functions of the v2 programming model."""

import os
import re
from collections.abc import Callable
from dataclasses import replace

from .errors import Problem
from .grammar import PropertyProblem, declare
from .host_adapter import handler_of, is_registered, set_handler
from .indexing import described, watch
from .report import Declared, declared_of, refusal, report
from .signatures import Handler, name_of, place_of
from .wrappers import by_name, with_values


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
    """Pass a Key Vault secret to the parameter `name` of a function, at every call.

    Put it below the decorators of the app, next to the function::

        @app.route("orders")
        @key_vault_secret("api_key", secret_name="api", vault_name="my-vault", identity="system")
        def orders(req: func.HttpRequest, api_key: str) -> func.HttpResponse: ...

    Every text may contain ``%SETTING%``, which is replaced by the app setting. A problem does not
    raise: it is logged, and the function answers 500.

    Args:
        name: The parameter that receives the value, a ``str``.
        secret_name: The secret's name in the vault.
        vault_name: The vault's name, or its URI such as ``https://my-vault.vault.azure.net/``.
        identity: ``system``, or ``user`` together with `identity_id`.
        identity_id: The resource id of the user-assigned identity.
        secret_version: One version of the secret. Without it, the newest one.
        json_field: The field of a JSON secret whose text the parameter receives.
    """
    properties = {"name": name, "secret_name": secret_name, "secret_version": secret_version}
    properties |= {"json_field": json_field, "vault_name": vault_name}
    return declared("keyVault", properties | {"identity": identity, "identity_id": identity_id})


def declared(kind: str, arguments: dict[str, str]) -> Callable[[Handler], Handler]:
    """Make the decorator of a binding: its type, and its arguments.

    They are named as the properties in ``function.json``, but in snake case.
    """
    camel_case = {re.sub("_(.)", lambda sign: sign[1].upper(), one): one for one in arguments}
    properties = {name: arguments[one] for name, one in camel_case.items()}

    def decorate(function: Handler) -> Handler:
        watch()
        handler = handler_of(function) if is_registered(function) else function
        name, shown = str(properties["name"]), name_of(handler)
        known, unreadable = _known(handler)
        binding, problems = declare({**properties, "type": kind}, os.environ)
        found = unreadable + problems
        if is_registered(function):
            right = f"put it below @app.…, next to 'def {shown}'"
            found.append(("order of decorators", f"@… of {name} above @app.…", right))
        elif name in known.hidden:
            found.append(("name", name, "names of bindings must differ"))
        new = [Problem(known.place, *one) for one in found]
        report.add_problems(shown, new)
        known = replace(known, hidden=known.hidden | {name}, problems=(*known.problems, *new))
        wrapped = with_values(known, shown, [] if new else [binding])
        wrapped.__name__ = shown
        report.begin()
        if is_registered(function):
            # The worker must not see the parameter: it would refuse the whole app.
            set_handler(function, wrapped)
            return function
        return wrapped

    bare: object = properties["name"]
    if callable(bare):  # used without its arguments
        properties = {**properties, "name": ""}
        return decorate(bare)
    return decorate


def _known(handler: Handler) -> tuple[Declared, list[PropertyProblem]]:
    """What is known of a function, and why it cannot be read."""
    known = declared_of(handler)
    if known is not None and known.wrapped is handler:
        return known, []
    place, problems = place_of(handler), known.problems if known else ()
    try:  # the owner's own decorator is between, or there is none
        return Declared(by_name(handler), problems=problems, place=place), []
    except Exception as error:
        stand_in = refusal(place, problems)  # the handler may let nobody read it
        known = Declared(stand_in, problems=problems, place=place)
        return known, [("signature", "", described(error))]
