"""Every infrastructure that can be rendered compiles, and deploys exactly what the answers ask for."""

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import infrastructure
import jinja2
import pytest
from answers import (
    ACTION_GROUP,
    DEFAULTS,
    GIVEN,
    IDENTITIES,
    LITERAL_ID,
    SERVICES,
    SETTER,
    VAULT_SUBSCRIPTION,
)
from baking import TEMPLATE, Bake, run_tests
from expectation import expected
from infrastructure import SITE, bicep, only
from invariants import ZONES, wrong, wrong_template

from local_extensions.facts import Facts

NEW = {"vault_source": "new"}
EXISTING = {
    "vault_source": "existing",
    "vault": "contoso-vault",
    "vault_resource_group": f"{VAULT_SUBSCRIPTION}/rg-vaults",
    "vault_access": "rbac",
    **IDENTITIES["literal"],
}
EVERYTHING = {
    **NEW,
    **IDENTITIES["created"],
    "vault_access": "rbac",
    "services": ",".join(SERVICES),
    "key": "signing-key",
    "api_scope": "api://contoso/.default",
}
PRIVATE = {**NEW, "network": "private", "services": "blob-storage,cosmos-db"}


def combinations() -> Iterator[dict[str, str]]:
    """Each identity, vault, place, access, network and set of services that go together."""
    uri = "https://contoso-vault.vault.azure.net/"
    vaults = [("new", vault, "") for vault in ("%KEY_VAULT_NAME%", "contoso-vault", uri)]
    places = ("", "rg-vaults", f"{VAULT_SUBSCRIPTION}/rg-vaults")
    vaults += [("existing", vault, place) for vault in ("contoso-vault", uri) for place in places]
    every_service = [
        ",".join(some) for n in range(4) for some in itertools.combinations(SERVICES, n)
    ]
    for identity, (source, vault, place), access, network, services in itertools.product(
        IDENTITIES.values(),
        vaults,
        ("access-policy", "rbac", "granted"),
        ("public", "private"),
        every_service,
    ):
        if (source, access) == ("new", "granted"):
            continue
        if network == "private" and "service-bus" in services:
            continue
        yield {
            **identity,
            "vault_source": source,
            "vault": vault,
            "vault_resource_group": place,
            "vault_access": access,
            "network": network,
            "services": services,
        }


def render_infra(answers: dict[str, str], folder: Path) -> Path:
    """Render infra/ alone, as `cookiecutter` does, which renders much more."""
    raw = {**DEFAULTS, **answers}
    facts = Facts(raw)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["facts"] = lambda _: facts
    root = "{{cookiecutter.project_slug}}"
    for file in sorted((TEMPLATE / root / "infra").rglob("*")):
        path = file.relative_to(TEMPLATE / root)
        if file.is_dir() or path.as_posix() in facts.left_out:
            continue
        template = environment.get_template(f"{root}/{path.as_posix()}")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(template.render(cookiecutter=raw), "utf-8")
    return folder / "infra"


def files_of(infra: Path) -> dict[str, str]:
    """The Bicep files of a project's infrastructure, by their paths."""
    return {
        file.relative_to(infra).as_posix(): file.read_text("utf-8")
        for file in sorted(infra.rglob("*.bicep*"))
    }


@pytest.mark.parametrize("answers", [NEW, EXISTING, EVERYTHING, PRIVATE])
def test_rendering_infra_alone_makes_no_difference(
    bake: Bake, answers: dict[str, str], tmp_path: Path
) -> None:
    assert files_of(render_infra(answers, tmp_path)) == files_of(bake(**answers) / "infra")


@pytest.mark.slow
def test_every_combination(compiler: Any, tmp_path: Path) -> None:
    """Compile, lint and predict each; combinations with the same files are compiled once."""
    seen: dict[str, list[str]] = {}
    found: dict[str, list[str]] = {}
    for number, answers in enumerate(combinations()):
        infra = render_infra(answers, tmp_path / str(number))
        text = json.dumps(files_of(infra))
        if text not in seen:
            warnings, template = compiler.compile(infra / "main.bicepparam")  # with main.bicep
            what_if = compiler.snapshot(infra / "main.bicepparam")
            want = expected(answers, what_if)
            seen[text] = [*warnings, *wrong(what_if, want), *wrong_template(template, want)]
        if seen[text]:
            found[str(answers)] = seen[text]
        shutil.rmtree(tmp_path / str(number))
    assert found == {}


OTHERS = "[{ name: 'kv-near' }, { name: 'kv-next', resourceGroup: 'rg-next' }, FAR]".replace(
    "FAR", f"{{ name: 'kv-far', resourceGroup: 'rg-far', subscription: '{VAULT_SUBSCRIPTION}' }}"
)
PLACES = {
    "kv-near": bicep.GROUP_ID,
    "kv-next": f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/rg-next",
    "kv-far": f"/subscriptions/{VAULT_SUBSCRIPTION}/resourceGroups/rg-far",
}
IDS = tuple(f"{place}/providers/{infrastructure.VAULT}/{name}" for name, place in PLACES.items())
# Parameters, environment variables, and what is expected then; the last of a vault of the app only.
SET: dict[str, tuple[dict[str, str], dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "queues": ({"storageQueuesAndTables": "true"}, {}, {"queues_and_tables": True}, {}),
    "vaults": ({"otherVaults": OTHERS}, {}, {"other_vaults": IDS}, {}),
    # Outside of the public cloud the host has all addresses of its storage.
    "cloud": ({"cloud": "'AzureUSGovernment'"}, {}, {"public_cloud": False}, {}),
    "people": ({}, GIVEN, {"action_group": ACTION_GROUP}, {"setter": SETTER, "recovers": True}),
}


@pytest.mark.parametrize("answers", [NEW, EXISTING, EVERYTHING, PRIVATE])
@pytest.mark.parametrize("name", SET)
def test_what_a_deployer_sets_changes_what_it_says_and_no_more(
    bake: Bake, compiler: Any, answers: dict[str, str], name: str
) -> None:
    parameters, variables, changed, of_vault = SET[name]

    what_if = compiler.snapshot(bake(**answers) / "infra/main.bicepparam", variables, **parameters)

    changed = changed | ({} if answers == EXISTING else of_vault)
    assert wrong(what_if, expected(answers, what_if, **changed)) == []
    azd = variables.get("AZURE_ENV_NAME", "secure-function-app")
    assert only(what_if, SITE)["tags"]["azd-env-name"] == azd


@pytest.mark.parametrize("slug", ["ab", "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p9"])
def test_names_fit_whatever_the_slug(bake: Bake, compiler: Any, slug: str) -> None:
    what_if = compiler.snapshot(bake(project_slug=slug) / "infra" / "main.bicepparam")

    assert wrong(what_if, expected(NEW, what_if)) == []


SHARED_ZONES = "Microsoft.Network/privateDnsZones"


@pytest.mark.parametrize("answers", [NEW, PRIVATE], ids=["public", "private"])
def test_two_apps_in_one_group_touch_nothing_of_each_other(
    bake: Bake, compiler: Any, answers: dict[str, str]
) -> None:
    """They share the DNS zones alone, which neither of them changes once they exist."""
    first, second = (
        {
            one["id"]: one
            for one in compiler.snapshot(
                bake(**answers, project_slug=slug) / "infra" / "main.bicepparam"
            )["predictedResources"]
        }
        for slug in ("secure-function-app", "secure-function-api")
    )

    shared = first.keys() & second.keys()
    assert {first[one]["type"] for one in shared} <= {SHARED_ZONES}
    assert all(first[one] == second[one] for one in shared)
    assert len(shared) == (3 if answers == PRIVATE else 0)


def test_azd_finds_the_app_by_its_tag(bake: Bake) -> None:
    """The tag is an invariant: the_properties_are_exactly_these."""
    text = (bake() / "azure.yaml").read_text("utf-8")

    assert re.findall(r"^services:\n  (\w+):", text, re.M) == ["api"]


def test_roles_are_exactly_those_that_are_assigned(bake: Bake, compiler: Any) -> None:
    for answers in (NEW, EVERYTHING, EXISTING):
        project = bake(**answers)
        roles = (project / "infra/modules/access.bicep").read_text("utf-8").partition("\n}\n")[0]
        listed = re.findall(r": '([0-9a-f-]{36})'", roles)

        what_if = compiler.snapshot(
            project / "infra" / "main.bicepparam", GIVEN, storageQueuesAndTables="true"
        )

        assigned = {
            one["properties"]["roleDefinitionId"].rpartition("/")[2].rstrip("')]")
            for one in bicep.resources(what_if, infrastructure.ROLE)
        }
        assert set(listed) == assigned


def test_the_vaults_network_appears_in_private_projects_only(bake: Bake) -> None:
    words = re.compile("private(?! half| key)|virtual ?network|subnet", re.IGNORECASE)
    for answers in ({}, EVERYTHING):
        for name, text in files_of(bake(**answers) / "infra").items():
            assert not words.findall(text) or name.startswith("github"), name


# Each cloud's domains of vaults, storage and the portal, and the names that Azure documents for its
# zones: https://learn.microsoft.com/azure/private-link/private-endpoint-dns
CLOUDS = """
vault.azure.net         core.windows.net         com vaultcore.azure.net         documents.azure.com
vault.azure.cn          core.chinacloudapi.cn    cn  vaultcore.azure.cn          documents.azure.cn
vault.usgovcloudapi.net core.usgovcloudapi.net   us  vaultcore.usgovcloudapi.net documents.azure.us
"""


@pytest.mark.parametrize("cloud", CLOUDS.strip().splitlines())
def test_zones_have_the_names_of_their_cloud(cloud: str) -> None:
    vaults, storage, portal, *names = cloud.split()
    values = {
        "environment().portal": f"https://portal.azure.{portal}",
        "environment().suffixes.keyvaultDns": f".{vaults}",
        "environment().suffixes.storage": storage,
    }
    functions = {"replace": str.replace, "split": str.split, "format": str.format}
    for group, name in {"vault": names[0], "blob": f"blob.{storage}", "Sql": names[1]}.items():
        expression = ZONES[group]
        for function, value in values.items():
            expression = expression.replace(function, repr(value))
        assert eval(expression, functions) == f"privatelink.{name}"


# The contract tests of a rendered project: what its owner reads after a change.


def contract(project: Path, **variables: str) -> str:
    """Run the project's own tests of its infrastructure, as its owner would."""
    return run_tests(project, "tests/contract/test_infrastructure.py", status=None, **variables)


@pytest.fixture
def change(bake: Bake, compiler: Any, tmp_path: Path) -> Callable[..., str]:
    """Change the first declaration of a project or add a function; what its own tests say then."""

    def change(
        declaration: dict[str, str] | None = None,
        binding: dict[str, str] | None = None,
        parameters: str = "",
    ) -> str:
        project = Path(shutil.copytree(bake(), tmp_path / "project"))
        file = project / "src" / "functions" / "read_secret" / "function.json"
        content = json.loads(file.read_text("utf-8"))
        for one in content["bindings"]:
            if one["type"] == "keyVault":
                one.update(declaration or {})
        file.write_text(json.dumps(content), "utf-8")
        if binding:
            folder = file.parent.with_name("another")
            folder.mkdir()
            trigger = {"name": "item", "direction": "in", **binding}
            (folder / "function.json").write_text(json.dumps({"bindings": [trigger]}), "utf-8")
            (folder / "__init__.py").write_text("def main(item) -> None: ...\n", "utf-8")
        if parameters:
            bicepparam = project / "infra" / "main.bicepparam"
            text = bicepparam.read_text("utf-8")
            name = parameters.partition("=")[0]
            text = re.sub(rf"^{name}= .*$", parameters, text, flags=re.M)
            bicepparam.write_text(text, "utf-8")
        return contract(project)

    return change


def test_the_contract_names_another_identity(change: Callable[..., str]) -> None:
    said = change({"identity": "user", "identityId": LITERAL_ID})

    assert f"as {LITERAL_ID.lower()!r}, and infra/ does not grant it" in said
    assert "test_the_app_has_the_identities_that_its_functions_declare" in said


QUEUES = "set `param storageQueuesAndTables = true` in infra/main.bicepparam"
TRIGGERS = {
    "timer": ({"type": "timerTrigger", "schedule": "0 0 * * * *"}, ""),
    "Event Grid": ({"type": "eventGridTrigger"}, ""),
    "queue": ({"type": "queueTrigger", "queueName": "orders"}, QUEUES),
    "queue of the host": (
        {"type": "queueTrigger", "queueName": "orders", "connection": "AzureWebJobsStorage"},
        QUEUES,
    ),
    "blob": ({"type": "blobTrigger", "path": "c/{n}", "source": "EventGrid"}, QUEUES),
    "Durable": ({"type": "activityTrigger"}, QUEUES),
    "blob by polling": ({"type": "blobTrigger", "path": "c/{n}"}, "needs source EventGrid"),
    "queue elsewhere": (
        {"type": "queueTrigger", "queueName": "orders", "connection": "ORDERS"},
        "the connection 'ORDERS' of queueTrigger is not configured: add ORDERS__…",
    ),
    "Service Bus": (
        {"type": "serviceBusTrigger", "queueName": "orders", "connection": "BUS"},
        "another, serviceBusTrigger needs Azure Service Bus Data Receiver on …/queues/orders",
    ),
    "Service Bus topic": (
        {
            "type": "serviceBusTrigger",
            "topicName": "orders",
            "subscriptionName": "app",
            "connection": "BUS",
        },
        "another, serviceBusTrigger needs Azure Service Bus Data Receiver on …/topics/orders",
    ),
    "Cosmos DB": (
        {
            "type": "cosmosDBTrigger",
            "databaseName": "shop",
            "containerName": "orders",
            "connection": "DB",
        },
        "the connection 'DB' of cosmosDBTrigger is not configured: add DB__accountEndpoint",
    ),
}


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        pytest.param(*given, id=name, marks=[] if name == "queue" else [pytest.mark.slow])
        for name, given in TRIGGERS.items()
    ],
)
def test_the_contract_knows_what_each_trigger_needs(
    change: Callable[..., str], binding: dict[str, str], sentence: str
) -> None:
    on = "needs source" in sentence
    said = change(binding=binding, parameters="param storageQueuesAndTables = true" if on else "")

    if sentence:
        assert sentence in said
    else:
        assert re.search(r"\n\d+ passed", said)


@pytest.mark.slow
@pytest.mark.parametrize("trigger", ["queue", "blob", "Durable"])
def test_with_the_parameter_the_trigger_is_served(change: Callable[..., str], trigger: str) -> None:
    said = change(binding=TRIGGERS[trigger][0], parameters="param storageQueuesAndTables = true")

    assert re.search(r"\n\d+ passed", said)


def test_without_a_compiler_the_contract_says_so(bake: Bake, tmp_path: Path) -> None:
    said = contract(bake(), BICEP="", PATH="", HOME=str(tmp_path), AZURE_CONFIG_DIR="")

    assert re.search(r"\d+ skipped in ", said)
    assert "failed" not in said
    assert "no Bicep compiler: set BICEP, or install one with `az bicep install`" in said
