"""Every infrastructure that can be rendered compiles, and gives exactly the rights asked for."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import infrastructure
import pytest
from answers import (
    COMBINATIONS,
    IDENTITIES,
    LITERAL_ID,
    OPTION_COMBINATIONS,
    OPTIONS,
    VARIABLES,
    VAULT_SUBSCRIPTION,
)
from baking import Bake
from expectation import expected
from infrastructure import SITE, bicep, compiled, host_storage, only, start_compiler, unformatted
from invariants import wrong, wrong_template

SETTER = "44444444-4444-4444-4444-444444444444"
ACTION_GROUP = (
    f"/subscriptions/{VAULT_SUBSCRIPTION}/resourceGroups/rg-on-call/providers"
    "/Microsoft.Insights/actionGroups/on-call"
)
# What a deployer may set, beside what must be set.
GIVEN = {
    "SECRET_SETTER_OBJECT_ID": SETTER,
    "ALERT_ACTION_GROUP_ID": ACTION_GROUP,
    "RECOVER_VAULT": "true",
    "AZURE_ENV_NAME": "prod",
}


@pytest.fixture(scope="module")
def generous_compiler() -> Iterator[Any]:
    """The compiler of a deployer who sets everything that may be set."""
    yield from start_compiler(VARIABLES | GIVEN)


def _name(answers: dict[str, str]) -> str:
    identity = answers.get("identity_id", "") or answers["identity"]
    return "-".join(
        (
            identity.rpartition("/")[2],
            answers["vault_source"],
            answers["vault"].replace("https://", "uri ").partition(".")[0],
            answers["vault_resource_group"][-14:] or "same group",
            answers["vault_access"],
            *filter(None, (answers.get(one) for one in ("services", "key", "api_scope"))),
        )
    )


ALL_COMBINATIONS = COMBINATIONS + OPTION_COMBINATIONS
# Every identity with every vault, always. Of the options, test_combinations.py has every pair.
RUN = [
    *(pytest.param(answers, id=_name(answers)) for answers in COMBINATIONS),
    *(
        pytest.param(answers, id=_name(answers), marks=pytest.mark.slow)
        for answers in OPTION_COMBINATIONS
    ),
]


@pytest.mark.parametrize("answers", RUN)
def test_a_combination(bake: Bake, compiler: Any, answers: dict[str, str]) -> None:
    infra = bake(**answers) / "infra"

    warnings, template = compiled(compiler, infra)
    assert warnings == []
    assert unformatted(compiler, infra) == []
    forecast = compiler.snapshot(infra / "main.bicepparam")
    want = expected(answers, forecast)
    assert wrong(forecast, want) == []
    assert wrong_template(template, want) == []


NEW = [answers for answers in COMBINATIONS if answers["vault_source"] == "new"]
EXISTING = [answers for answers in COMBINATIONS if answers["vault_source"] == "existing"]
EVERYTHING = next(
    answers
    for answers in OPTION_COMBINATIONS
    if all(answers[option] for option in ("key", "api_scope")) and "," in answers["services"]
)


@pytest.mark.parametrize("answers", NEW, ids=map(_name, NEW))
def test_who_is_named_may_set_secrets_and_hears_of_denials_and_the_vault_comes_back(
    bake: Bake, generous_compiler: Any, answers: dict[str, str]
) -> None:
    forecast = generous_compiler.snapshot(bake(**answers) / "infra" / "main.bicepparam")

    assert wrong(forecast, expected(answers, forecast, SETTER, True, ACTION_GROUP)) == []
    assert only(forecast, SITE)["tags"]["azd-env-name"] == "prod"


def test_nobody_sets_secrets_in_a_vault_of_others(bake: Bake, generous_compiler: Any) -> None:
    for answers in EXISTING[::7]:
        forecast = generous_compiler.snapshot(bake(**answers) / "infra" / "main.bicepparam")

        assert wrong(forecast, expected(answers, forecast, SETTER, action_group=ACTION_GROUP)) == []


def test_denials_are_told_from_a_private_network_too(bake: Bake, generous_compiler: Any) -> None:
    answers = {**NEW[0], "network": "private"}

    forecast = generous_compiler.snapshot(bake(**answers) / "infra" / "main.bicepparam")

    assert wrong(forecast, expected(answers, forecast, SETTER, True, ACTION_GROUP)) == []


def test_an_identity_that_is_not_given_stops_the_deployment_with_a_sentence(
    bake: Bake, compiler: Any
) -> None:
    infra = bake(identity="user", identity_id="%ANOTHER_IDENTITY%") / "infra"

    with pytest.raises(RuntimeError, match="Set ANOTHER_IDENTITY to the resource id"):
        compiler.snapshot(infra / "main.bicepparam")


@pytest.mark.parametrize("slug", ["ab", "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p9"])
def test_names_fit_whatever_the_slug(bake: Bake, compiler: Any, slug: str) -> None:
    forecast = compiler.snapshot(bake(project_slug=slug) / "infra" / "main.bicepparam")

    assert wrong(forecast, expected(NEW[0], forecast)) == []


def test_two_projects_in_one_group_share_nothing(bake: Bake, compiler: Any) -> None:
    first, second = (
        {
            one["id"]
            for one in compiler.snapshot(bake(project_slug=slug) / "infra" / "main.bicepparam")[
                "predictedResources"
            ]
        }
        for slug in ("secure-function-app", "secure-function-api")
    )

    assert first.isdisjoint(second)


@pytest.mark.parametrize("python_version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_site_runs_the_python_of_the_answer(
    bake: Bake, compiler: Any, python_version: str
) -> None:
    infra = bake(python_version=python_version) / "infra"

    forecast = compiler.snapshot(infra / "main.bicepparam")

    runtime = only(forecast, SITE)["properties"]["functionAppConfig"]["runtime"]
    assert runtime == {"name": "python", "version": python_version}


def test_azd_finds_the_app_by_its_tag(bake: Bake) -> None:
    project = bake()

    services = re.findall(
        r"^services:\n  (\w+):", (project / "azure.yaml").read_text("utf-8"), re.M
    )
    tags = re.findall(
        r"'azd-service-name': '(\w+)'", (project / "infra/modules/app.bicep").read_text("utf-8")
    )

    assert services == tags == ["api"]


@pytest.mark.parametrize("answers", [NEW[0], EXISTING[-1], EVERYTHING], ids=_name)
def test_other_vaults_get_the_same_grant(
    bake: Bake, compiler: Any, answers: dict[str, str], tmp_path: Path
) -> None:
    infra = Path(shutil.copytree(bake(**answers) / "infra", tmp_path / "infra"))
    others = [
        "{ name: 'kv-near' }",
        "{ name: 'kv-next', resourceGroup: 'rg-next' }",
        f"{{ name: 'kv-far', resourceGroup: 'rg-far', subscription: '{VAULT_SUBSCRIPTION}' }}",
    ]
    parameters = infra / "main.bicepparam"
    with parameters.open("a", encoding="utf-8") as file:
        file.write("\n".join(["", "param otherVaults = [", *others, "]", ""]))

    diagnostics, _ = compiler.compile(parameters)
    forecast = compiler.snapshot(parameters)

    assert diagnostics == []
    places = (
        bicep.GROUP_ID,
        f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/rg-next",
        f"/subscriptions/{VAULT_SUBSCRIPTION}/resourceGroups/rg-far",
    )
    others = [
        f"{place}/providers/{infrastructure.VAULT}/{name}"
        for place, name in zip(places, ("kv-near", "kv-next", "kv-far"), strict=True)
    ]
    want = replace(expected(answers, forecast), other_vaults=tuple(others))
    assert wrong(forecast, want) == []


def test_every_secret_has_its_command(bake: Bake, compiler: Any) -> None:
    infra = bake(secrets="one, Two-2", vault="contoso-vault") / "infra"

    forecast = compiler.snapshot(infra / "main.bicepparam")

    assert forecast["outputs"]["setSecretCommands"] == [
        f'az keyvault secret set --vault-name contoso-vault --name {name} --value "$VALUE"'
        for name in ("one", "Two-2")
    ]


def test_no_file_names_a_cloud(bake: Bake) -> None:
    for answers in (NEW[-1], EXISTING[-1]):
        for file in (bake(**answers) / "infra").rglob("*.bicep"):
            text = "".join(
                line for line in file.read_text("utf-8").splitlines() if "//" not in line[:4]
            )
            assert not [word for word in ("azure.net", "windows.net", "azure.com") if word in text]


# What must not slip through: each breaks a good forecast in one place, and names who must notice.
def _grant_more(forecast: dict[str, Any]) -> None:
    (policy,) = only(forecast, infrastructure.POLICY)["properties"]["accessPolicies"]
    policy["permissions"]["secrets"].append("list")


def _grant_keys(forecast: dict[str, Any]) -> None:
    (policy,) = only(forecast, infrastructure.POLICY)["properties"]["accessPolicies"]
    policy["permissions"]["keys"] = ["get"]


def _grant_another(forecast: dict[str, Any]) -> None:
    (policy,) = only(forecast, infrastructure.POLICY)["properties"]["accessPolicies"]
    policy["objectId"] = SETTER


def _replace_policies(forecast: dict[str, Any]) -> None:
    policy = only(forecast, infrastructure.POLICY)
    policy["id"] = policy["id"].replace("/add", "/replace")


def _widen_a_role(forecast: dict[str, Any]) -> None:
    role = bicep.resources(forecast, infrastructure.ROLE)[0]
    role["properties"]["roleDefinitionId"] = role["properties"]["roleDefinitionId"][:-36] + (
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"  # Owner
    )


def _widen_a_scope(forecast: dict[str, Any]) -> None:
    role = bicep.resources(forecast, infrastructure.ROLE)[0]
    role["id"] = role["id"].replace(host_storage(forecast)["id"], bicep.GROUP_ID, 1)


def _carry_a_second_identity(forecast: dict[str, Any]) -> None:
    site = only(forecast, SITE)
    site["identity"]["type"] = "SystemAssigned, UserAssigned"


def _allow_shared_keys(forecast: dict[str, Any]) -> None:
    host_storage(forecast)["properties"]["allowSharedKeyAccess"] = True


def _allow_ftp(forecast: dict[str, Any]) -> None:
    only(forecast, SITE)["properties"]["siteConfig"]["ftpsState"] = "AllAllowed"


def _allow_http(forecast: dict[str, Any]) -> None:
    only(forecast, SITE)["properties"]["httpsOnly"] = False


def _allow_passwords(forecast: dict[str, Any]) -> None:
    kind = f"{SITE}/basicPublishingCredentialsPolicies"
    bicep.resources(forecast, kind)[0]["properties"]["allow"] = True


def _allow_telemetry_of_anybody(forecast: dict[str, Any]) -> None:
    only(forecast, infrastructure.INSIGHTS)["properties"]["DisableLocalAuth"] = False


def _allow_purging(forecast: dict[str, Any]) -> None:
    del only(forecast, infrastructure.VAULT)["properties"]["enablePurgeProtection"]


def _set_a_key(forecast: dict[str, Any]) -> None:
    settings = only(forecast, f"{SITE}/config")["properties"]
    settings["AzureWebJobsStorage"] = "DefaultEndpointsProtocol=https;AccountKey=a2V5"


def _name_another_vault(forecast: dict[str, Any]) -> None:
    only(forecast, f"{SITE}/config")["properties"]["KEY_VAULT_NAME"] = "another-vault"


def _add_a_resource(forecast: dict[str, Any]) -> None:
    forecast["predictedResources"].append({"type": "Microsoft.Web/connections", "id": "x"})


def _tell_a_key(forecast: dict[str, Any]) -> None:
    forecast["outputs"]["storageKey"] = "[listKeys('x', '2026-04-01').keys[0].value]"


def _allow_keys_of_cosmos(forecast: dict[str, Any]) -> None:
    only(forecast, infrastructure.COSMOS)["properties"]["disableLocalAuth"] = False


def _allow_keys_of_service_bus(forecast: dict[str, Any]) -> None:
    only(forecast, infrastructure.BUS)["properties"]["disableLocalAuth"] = False


def _lose_messages(forecast: dict[str, Any]) -> None:
    queue = bicep.resources(forecast, f"{infrastructure.BUS}/queues")[0]
    queue["properties"]["deadLetteringOnMessageExpiration"] = False


def _write_orders(forecast: dict[str, Any]) -> None:
    properties = only(forecast, infrastructure.COSMOS_ROLE)["properties"]
    properties["roleDefinitionId"] = f"{properties['roleDefinitionId'][:-1]}2"


def _read_all_of_cosmos(forecast: dict[str, Any]) -> None:
    properties = only(forecast, infrastructure.COSMOS_ROLE)["properties"]
    properties["scope"] = properties["scope"].partition("/dbs/")[0]


def _decrypt(forecast: dict[str, Any]) -> None:
    only(forecast, infrastructure.KEY)["properties"]["keyOps"].append("decrypt")


def _connect_with_a_key(forecast: dict[str, Any]) -> None:
    settings = only(forecast, f"{SITE}/config")["properties"]
    settings["ORDERS_BUS"] = "Endpoint=sb://x/;SharedAccessKeyName=x;SharedAccessKey=x"


def _ignore_the_vaults_mode(forecast: dict[str, Any]) -> None:
    uri = forecast["outputs"]["vaultUri"]
    forecast["outputs"]["vaultUri"] = uri.replace(".vaultUri", ".properties.vaultUri")


def _move_to_another_plan(forecast: dict[str, Any]) -> None:
    only(forecast, "Microsoft.Web/serverfarms")["sku"] = {"name": "Y1", "tier": "Dynamic"}


def _fetch_the_package_with_a_key(forecast: dict[str, Any]) -> None:
    config = only(forecast, SITE)["properties"]["functionAppConfig"]
    config["deployment"]["storage"]["authentication"] = {"type": "StorageAccountConnectionString"}


def _take_a_name_of_others(forecast: dict[str, Any]) -> None:
    host_storage(forecast)["name"] = "storage"


BREAKAGES: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_grant_more, "the_rights_are_exactly_these"),
    (_grant_keys, "the_rights_are_exactly_these"),
    (_grant_another, "the_rights_are_exactly_these"),
    (_replace_policies, "the_rights_are_exactly_these"),
    (_widen_a_role, "the_rights_are_exactly_these"),
    (_widen_a_scope, "the_rights_are_exactly_these"),
    (_carry_a_second_identity, "the_site_carries_the_one_identity"),
    (_allow_shared_keys, "storage_knows_no_keys"),
    (_allow_ftp, "the_site_has_no_other_door"),
    (_allow_http, "the_site_has_no_other_door"),
    (_allow_passwords, "the_site_has_no_other_door"),
    (_allow_telemetry_of_anybody, "logs_know_no_keys"),
    (_allow_purging, "the_vault_is_safe"),
    (_set_a_key, "the_settings_are_exactly_these"),
    (_name_another_vault, "the_settings_are_exactly_these"),
    (_add_a_resource, "it_makes_nothing_else"),
    (_tell_a_key, "nothing_secret_leaves"),
    (_ignore_the_vaults_mode, "a_vault_in_the_other_mode_is_refused"),
    (_move_to_another_plan, "the_site_runs_on_flex_consumption"),
    (_fetch_the_package_with_a_key, "the_site_runs_on_flex_consumption"),
    (_take_a_name_of_others, "names_are_unique_and_short"),
]
# The same in a project with every option.
OPTION_BREAKAGES: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_allow_keys_of_cosmos, "services_know_no_keys"),
    (_allow_keys_of_service_bus, "services_know_no_keys"),
    (_lose_messages, "no_message_is_lost"),
    (_write_orders, "the_rights_are_exactly_these"),
    (_read_all_of_cosmos, "the_rights_are_exactly_these"),
    (_decrypt, "a_key_that_is_made_signs_and_no_more"),
    (_connect_with_a_key, "the_settings_are_exactly_these"),
    (_connect_with_a_key, "nothing_secret_leaves"),
]


@pytest.mark.parametrize(
    ("answers", "breaks", "noticed_by"),
    [(NEW[0], *one) for one in BREAKAGES] + [(EVERYTHING, *one) for one in OPTION_BREAKAGES],
)
def test_the_invariants_notice(
    bake: Bake,
    compiler: Any,
    answers: dict[str, str],
    breaks: Callable[[dict[str, Any]], None],
    noticed_by: str,
) -> None:
    good = compiler.snapshot(bake(**answers) / "infra" / "main.bicepparam")
    broken = copy.deepcopy(good)

    breaks(broken)

    found = wrong(broken, expected(answers, good))
    assert noticed_by in [sentence.partition(":")[0] for sentence in found]


def _hear_outages_too(alert: dict[str, Any]) -> None:
    alert["criteria"]["allOf"][0]["query"] = 'traces | where message has "The last value is kept"'


def _be_content_with_silence(alert: dict[str, Any]) -> None:
    alert["autoMitigate"] = True


def _look_too_seldom(alert: dict[str, Any]) -> None:
    alert["evaluationFrequency"] = alert["windowSize"] = "PT15M"


def _tell_nobody(alert: dict[str, Any]) -> None:
    alert["actions"]["actionGroups"] = []


@pytest.mark.parametrize(
    "breaks", [_hear_outages_too, _be_content_with_silence, _look_too_seldom, _tell_nobody]
)
def test_the_invariants_notice_an_alert_of_no_use(
    bake: Bake, generous_compiler: Any, breaks: Callable[[dict[str, Any]], None]
) -> None:
    forecast = generous_compiler.snapshot(bake(**NEW[0]) / "infra" / "main.bicepparam")
    want = expected(NEW[0], forecast, SETTER, True, ACTION_GROUP)

    breaks(only(forecast, infrastructure.ALERT)["properties"])

    (found,) = wrong(forecast, want)
    assert found.startswith("the_alert_hears_of_a_denial_in_time: ")


def _generated_test(project: Path, **variables: str) -> str:
    """Run the project's own test of its infrastructure, as its owner would."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/test_infrastructure.py",
        ],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout


@pytest.fixture
def changed(bake: Bake, compiler: Any, tmp_path: Path) -> Callable[..., str]:
    """Change the default project's declaration, and give what its own test says then."""

    def change(**properties: str | None) -> str:
        project = Path(shutil.copytree(bake(), tmp_path / "project"))
        file = project / "functions" / "read_secret" / "function.json"
        declaration = json.loads(file.read_text("utf-8"))
        for binding in declaration["bindings"]:
            if binding["type"] == "keyVault":
                binding.update(properties)
        if not properties:
            declaration["bindings"] = [
                b for b in declaration["bindings"] if b["type"] != "keyVault"
            ]
            handler = file.with_name("__init__.py")
            text = handler.read_text("utf-8").replace(", my_application_secret: str", "")
            handler.write_text(text.replace(": my_application_secret", ': ""'), "utf-8")
        file.write_text(json.dumps(declaration), "utf-8")
        return _generated_test(project)

    return change


@pytest.mark.parametrize("answers", ALL_COMBINATIONS[::7], ids=map(_name, ALL_COMBINATIONS[::7]))
def test_the_programming_model_makes_no_difference(bake: Bake, answers: dict[str, str]) -> None:
    """So what holds for the combinations above holds for both models."""

    def infra(**model: str) -> dict[str, bytes]:
        project = bake(**answers, **model)
        files = [file for file in (project / "infra").rglob("*") if file.is_file()]
        return {file.relative_to(project).as_posix(): file.read_bytes() for file in files}

    assert infra(programming_model="decorators") == infra()


@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_the_generated_test_passes_as_rendered(bake: Bake, compiler: Any, model: str) -> None:
    for identity in IDENTITIES.values():
        assert "\n6 passed in " in _generated_test(bake(**identity, programming_model=model))


def test_the_generated_test_tells_what_infra_lacks(changed: Callable[..., str]) -> None:
    said = changed(vaultName="another-vault")

    assert (
        "a function (read_secret, my_application_secret) needs the right to 'get secrets' in the"
        " vault 'another-vault' as 'system', and infra/ does not give it" in said
    )


def test_the_generated_test_reads_decorators_too(bake: Bake, compiler: Any, tmp_path: Path) -> None:
    made = bake(programming_model="decorators", **OPTIONS[-1])
    project = Path(shutil.copytree(made, tmp_path / "project"))
    for name in ("function_app.py", "blueprints/sign_document.py"):
        text = (project / name).read_text("utf-8").replace("%KEY_VAULT_NAME%", "another-vault")
        (project / name).write_text(text, "utf-8")

    said = _generated_test(project)

    assert (
        "a function (sign_document, key) needs the right to 'get keys' in the vault 'anot" in said
    )
    assert "infra/ gives 'system' the right to 'get keys' in the vault 'kv-" in said


def test_the_generated_test_tells_of_another_identity(changed: Callable[..., str]) -> None:
    said = changed(identity="user", identityId=LITERAL_ID)

    assert f"as {LITERAL_ID.lower()!r}, and infra/ does not give it" in said
    assert "infra/ gives 'system' the right to 'get secrets' in the vault 'kv-" in said
    assert "test_the_app_carries_the_identities_that_its_functions_declare" in said


def test_the_generated_test_tells_what_infra_gives_in_vain(changed: Callable[..., str]) -> None:
    said = changed()

    assert "infra/ gives 'system' the right to 'get secrets' in the vault 'kv-" in said
    assert "and no function declares that: take it out of infra/" in said


def test_without_a_compiler_the_generated_test_says_so(bake: Bake, tmp_path: Path) -> None:
    said = _generated_test(bake(), BICEP="", PATH="", HOME=str(tmp_path), AZURE_CONFIG_DIR="")

    assert "\n6 skipped in " in said
    assert "no Bicep compiler: set BICEP, or install one with `az bicep install`" in said
