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
from infrastructure import NETWORK, ZONE, WhatIf, bicep
from invariants import wrong

EVERYTHING = {"identity": "user", "vault_access": "rbac", **OPTIONS}
PRIVATE = {"network": "private", "services": "blob-storage,cosmos-db"}
DECIDES = ("identity", "properties")
# The id of these says where access is given.
GRANTS = ("roleAssignments", "accessPolicies")
# Properties that give no access: a deployment with another value of these fails, or works as well.
FREE = re.compile(
    r"roleAssignments properties\.principalType"
    r"|(sqlDatabases|containers|serverfarms) properties.*"
    r"|scheduledQueryRules properties\.(description|displayName)"
    r"|accessPolicies properties\.accessPolicies\.0\.tenantId"
    r"|(privateEndpoints|privateDnsZoneGroups) properties\.private\w+\.0\.name"
)


def paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Give the path of a value, and of each value in it."""
    yield path
    inside = value.items() if isinstance(value, dict) else ()
    for name, one in enumerate(value) if isinstance(value, list) else inside:
        yield from paths(one, (*path, name))


def changes(what_if: WhatIf, path: tuple[Any, ...]) -> Iterator[tuple[str, WhatIf]]:
    """Change one value: give another one, leave it out, add to a list."""
    for how in ("another", "none", "one more"):
        changed = copy.deepcopy(what_if)
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


def is_noticed(what_if: WhatIf, want: Expected) -> bool:
    try:
        return bool(wrong(what_if, want))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return True  # such a what-if cannot even be read


@pytest.fixture
def predict(bake: Bake, compiler: Any) -> Callable[..., tuple[WhatIf, Expected]]:
    def predict(**answers: str) -> tuple[WhatIf, Expected]:
        parameters = bake(**answers) / "infra" / "main.bicepparam"
        what_if = compiler.snapshot(parameters, GIVEN)
        want = expected(answers, what_if, setter=SETTER, recovers=True, action_group=ACTION_GROUP)
        assert wrong(what_if, want) == []
        return what_if, want

    return predict


@pytest.mark.parametrize("answers", [{}, EVERYTHING, PRIVATE], ids=["default", "all", "private"])
def test_every_value_that_matters_is_looked_at(
    predict: Callable[..., tuple[WhatIf, Expected]], answers: dict[str, str]
) -> None:
    what_if, want = predict(**answers)
    unnoticed = set()
    tried = 0
    for number, resource in enumerate(what_if["predictedResources"]):
        kind = resource["type"].rpartition("/")[2]
        for part in (*DECIDES, "id") if kind in GRANTS else DECIDES:
            for path in paths(resource.get(part), ("predictedResources", number, part)):
                name = f"{kind} {'.'.join(map(str, path[2:]))}"
                for how, changed in changes(what_if, path) if part in resource else ():
                    tried += 1
                    if not FREE.fullmatch(name) and not is_noticed(changed, want):
                        unnoticed.add((name, how))

    assert unnoticed == set()
    assert tried > 100


BREAKAGES: dict[str, Callable[[WhatIf], Any]] = {
    "a resource": lambda what_if: what_if["predictedResources"].append({"type": "x", "id": "x"}),
    "no resource": lambda what_if: what_if["predictedResources"].pop(),
    "an output": lambda what_if: what_if["outputs"].update(key="[listKeys('x', 'y').keys[0]]"),
    "subnets of others": lambda what_if: bicep.resources(what_if, NETWORK)[0]["properties"].update(
        subnets=[]
    ),
    "a tag on a shared zone": lambda what_if: bicep.resources(what_if, ZONE)[0].update(tags={}),
}


@pytest.mark.parametrize("breaks", BREAKAGES.values(), ids=BREAKAGES)
def test_the_invariants_notice(
    predict: Callable[..., tuple[WhatIf, Expected]], breaks: Callable[[WhatIf], Any]
) -> None:
    what_if, want = predict(**PRIVATE)

    breaks(what_if)

    assert is_noticed(what_if, want)
