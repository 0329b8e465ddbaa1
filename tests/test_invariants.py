"""No change of a deployment that matters goes unnoticed by invariants.py."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from answers import ACTION_GROUP, GIVEN, SETTER
from answers import EVERYTHING as OPTIONS
from baking import Bake
from expectation import Expected, expected
from infrastructure import NETWORK, SUBNET, ZONE, Forecast, bicep
from invariants import wrong

EVERYTHING = {"identity": "user", "vault_access": "rbac", **OPTIONS}
PRIVATE = {"network": "private", "services": "blob-storage,cosmos-db"}
DECIDES = ("identity", "properties")
# The id of these says where access is given.
GRANTS = ("roleAssignments", "accessPolicies")
# Properties that give no access: a deployment with another value of these fails, or works as well.
FREE = re.compile(
    r"roleAssignments properties\.principalType"
    r"|(sqlDatabases|containers) properties.*"
    r"|scheduledQueryRules properties\.(description|displayName)"
    r"|components properties\.Application_Type"
    r"|accessPolicies properties\.accessPolicies\.0\.tenantId"
    r"|workspaces properties\.(retentionInDays|sku.*)"
    r"|serverfarms properties.*"
    r"|sites properties\.(serverFarmId|functionAppConfig\.(runtime.*|deployment\.storage\.type))"
    r"|subnets properties\.(defaultOutboundAccess|delegations\.0\.name)"
    r"|(privateEndpoints|privateDnsZoneGroups) properties\.private\w+\.0\.name"
)


def paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Give the path of a value, and of each value in it."""
    yield path
    inside = value.items() if isinstance(value, dict) else ()
    for name, one in enumerate(value) if isinstance(value, list) else inside:
        yield from paths(one, (*path, name))


def changes(forecast: Forecast, path: tuple[Any, ...]) -> Iterator[tuple[str, Forecast]]:
    """Change one value: give another one, leave it out, add to a list."""
    for how in ("another", "none", "one more"):
        changed = copy.deepcopy(forecast)
        at: Any = changed
        for name in path[:-1]:
            at = at[name]
        value = at[path[-1]]
        if how == "none":
            del at[path[-1]]
        elif how == "one more" and isinstance(value, list):
            value.append(copy.deepcopy(value[0]) if value else "another")
        elif how == "another" and not isinstance(value, dict | list):
            at[path[-1]] = not value if isinstance(value, bool) else "another"
        else:
            continue
        yield how, changed


def is_noticed(forecast: Forecast, want: Expected) -> bool:
    try:
        return bool(wrong(forecast, want))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return True  # such a forecast cannot even be read


@pytest.fixture
def predict(bake: Bake, compiler: Any) -> Callable[..., tuple[Forecast, Expected]]:
    def predict(**answers: str) -> tuple[Forecast, Expected]:
        parameters = bake(**answers) / "infra" / "main.bicepparam"
        forecast = compiler.snapshot(parameters, GIVEN)
        want = expected(answers, forecast, SETTER, True, ACTION_GROUP)
        assert wrong(forecast, want) == []
        return forecast, want

    return predict


@pytest.mark.parametrize("answers", [{}, EVERYTHING, PRIVATE], ids=["default", "all", "private"])
def test_every_value_that_matters_is_looked_at(
    predict: Callable[..., tuple[Forecast, Expected]], answers: dict[str, str]
) -> None:
    forecast, want = predict(**answers)
    unnoticed = set()
    tried = 0
    for number, resource in enumerate(forecast["predictedResources"]):
        kind = resource["type"].rpartition("/")[2]
        for part in (*DECIDES, "id") if kind in GRANTS else DECIDES:
            for path in paths(resource.get(part), ("predictedResources", number, part)):
                name = f"{kind} {'.'.join(map(str, path[2:]))}"
                for how, changed in changes(forecast, path) if part in resource else ():
                    tried += 1
                    if not FREE.fullmatch(name) and not is_noticed(changed, want):
                        unnoticed.add((name, how))

    assert unnoticed == set()
    assert tried > 100


def _subnet(forecast: Forecast, name: str, prefix: str) -> None:
    (subnet,) = (one for one in bicep.resources(forecast, SUBNET) if one["name"].endswith(name))
    subnet["properties"]["addressPrefix"] = prefix


BREAKAGES: dict[str, Callable[[Forecast], Any]] = {
    "a resource": lambda forecast: forecast["predictedResources"].append({"type": "x", "id": "x"}),
    "no resource": lambda forecast: forecast["predictedResources"].pop(),
    "an output": lambda forecast: forecast["outputs"].update(key="[listKeys('x', 'y').keys[0]]"),
    "a small subnet": lambda forecast: _subnet(forecast, "/app", "10.0.0.0/28"),
    "subnets overlap": lambda forecast: _subnet(forecast, "/endpoints", "10.0.0.32/27"),
    "subnets of others": lambda forecast: bicep.resources(forecast, NETWORK)[0][
        "properties"
    ].update(subnets=[]),
    "a tag on a shared zone": lambda forecast: bicep.resources(forecast, ZONE)[0].update(tags={}),
}


@pytest.mark.parametrize("breaks", BREAKAGES.values(), ids=BREAKAGES)
def test_the_invariants_notice(
    predict: Callable[..., tuple[Forecast, Expected]], breaks: Callable[[Forecast], Any]
) -> None:
    forecast, want = predict(**PRIVATE)

    breaks(forecast)

    assert is_noticed(forecast, want)
