"""What owners do to their project: its contract tests stay green, or turn red and name the fault."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baking import Bake

MODELS = ("function.json", "decorators")
VAULT = "%KEY_VAULT_NAME%"
OTHER_IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-00000000a110/resourceGroups/rg-test/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/id-other"
)
HTTP: list[dict[str, Any]] = [
    {"name": "req", "type": "httpTrigger", "authLevel": "function", "methods": ["get"]},
    {"name": "$return", "type": "http", "direction": "out"},
]
TIMER: dict[str, Any] = {"name": "timer", "type": "timerTrigger", "schedule": "0 0 5 * * *"}
QUEUE: dict[str, Any] = {
    "name": "message",
    "type": "queueTrigger",
    "queueName": "orders",
    "connection": "AzureWebJobsStorage",
}
BLOB: dict[str, Any] = {
    "name": "blob",
    "type": "blobTrigger",
    "path": "uploads/{name}",
    "source": "EventGrid",
    "connection": "AzureWebJobsStorage",
}
DURABLE = """
import azure.durable_functions as df

durable = df.Blueprint()


@durable.orchestration_trigger(context_name="context")
def orchestrate(context):
    yield context.call_activity("work", "order")


@durable.activity_trigger(input_name="order")
def work(order):
    return "done"


@durable.route(route="start")
@durable.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    return func.HttpResponse(await client.start_new("orchestrate"))


app.register_functions(durable)
"""
NAMESPACE = """
resource bus 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: 'orders-bus'
}

resource receives 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(bus.id, principalId, 'receives')
  scope: bus
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
    )
  }
}
"""
# What `func new` appends to function_app.py, apart from its comments.
FUNC_NEW = """
@app.route(route="http_trigger", auth_level=func.AuthLevel.FUNCTION)
def http_trigger(req: func.HttpRequest) -> func.HttpResponse:
    name = req.params.get("name")
    return func.HttpResponse(f"Hello, {name}.")
"""


def secret(name: str = "extra", **properties: str) -> dict[str, Any]:
    entry = {"name": name, "type": "keyVault", "secretName": "extra", "vaultName": VAULT}
    return entry | {"identity": "system"} | properties


class Owner:
    """The owner of a project, who changes it."""

    def __init__(self, project: Path, model: str) -> None:
        self.project, self.v2 = project, model == "decorators"
        self.src, self.tests, self.infra = project / "src", project / "tests", project / "infra"
        self.entry = self.src / "function_app.py"
        self.first = self.src / "functions/read_secret"

    def edit(self, file: Path, old: str, new: str) -> None:
        text = file.read_text("utf-8")
        assert old in text, f"{file} has no {old!r}"
        file.write_text(text.replace(old, new), "utf-8")

    def edit_first(self, old: str, new: str) -> None:
        """Edit the first function's handler."""
        self.edit(self.entry if self.v2 else self.first / "__init__.py", old, new)

    def add(
        self,
        name: str,
        *bindings: dict[str, Any],
        parameters: str = "",
        before: str = "",
        body: str = "pass",
    ) -> None:
        """Add a function in the project's model."""
        names = [one["name"] for one in bindings if one["name"] != "$return"]
        handler = f"({parameters or ', '.join(names)}):\n    {body}\n"
        if not self.v2:
            folder = self.src / "functions" / name
            folder.mkdir(parents=True)
            (folder / "function.json").write_text(json.dumps({"bindings": bindings}), "utf-8")
            (folder / "__init__.py").write_text(f"{before}\ndef main{handler}", "utf-8")
            return
        lines = ["", before, f"@app.function_name({name!r})"]
        for binding in bindings:
            given = {key: value for key, value in binding.items() if key not in ("name", "type")}
            if binding["type"] == "keyVault":
                given = {re.sub("([A-Z])", r"_\1", key).lower(): one for key, one in given.items()}
                kind, given = "key_vault_secret", {"name": binding["name"], **given}
            else:
                way = "output" if given.pop("direction", "in") == "out" else "input"
                trigger = binding["type"].endswith("Trigger")
                kind = "app.generic_trigger" if trigger else f"app.generic_{way}_binding"
                given = {"arg_name": binding["name"], "type": binding["type"], **given}
            lines.append(f"@{kind}(**{given!r})")
        self.edit(
            self.entry,
            self.entry.read_text("utf-8"),
            self.entry.read_text("utf-8") + ("\n".join([*lines, f"def {name}{handler}"])),
        )

    def without_first(self) -> None:
        """Delete the first function, and its tests with it."""
        (self.tests / "test_read_secret.py").unlink()
        if not self.v2:
            shutil.rmtree(self.first)
            return
        text = self.entry.read_text("utf-8")
        self.entry.write_text(text[: text.index("\n\n@app.route")] + "\n", "utf-8")

    def setting(self, name: str, value: str) -> None:
        """Define an app setting in infra/."""
        before = "    KEY_VAULT_DNS_SUFFIX:"
        file = self.infra / "main.bicep"
        self.edit(file, before, f"    {name}: {value}\n{before}")

    def parameter(self, line: str) -> None:
        """Set a parameter of the deployment."""
        file = self.infra / "main.bicepparam"
        name = line.partition(" ")[0]
        text = re.sub(rf"^param {name} = .*$", "", file.read_text("utf-8"), flags=re.MULTILINE)
        file.write_text(f"{text}\nparam {line}\n", "utf-8")

    def run_tests(self, *files: str) -> tuple[int, str]:
        """Run the contract tests, or some files, and return the exit status and the output."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
            cwd=self.project,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr


APP = ("tests/contract/test_app.py",)
INFRA = ("tests/contract/test_infrastructure.py",)
OWN = ("tests/test_read_secret.py",)


# Changes that leave everything green


def renamed(owner: Owner) -> None:
    test = owner.tests / "test_read_secret.py"
    owner.edit(test, "read_secret", "fetch")
    test.rename(owner.tests / "test_fetch.py")
    if owner.v2:
        owner.edit(owner.entry, "read_secret", "fetch")
    else:
        owner.first.rename(owner.first.with_name("fetch"))


def rewritten(owner: Owner) -> None:
    owner.edit_first('json.dumps({"arrived": arrived})', 'json.dumps({"count": len(arrived)})')
    owner.edit_first("arrived = [name", "secrets.clear()\n    arrived = [name")
    (owner.tests / "test_read_secret.py").unlink()


def deleted(owner: Owner) -> None:
    owner.without_first()


def disabled(owner: Owner) -> None:
    if owner.v2:
        pytest.skip("function.json only")
    owner.edit(owner.first / "function.json", '"bindings"', '"disabled": true, "bindings"')
    (owner.tests / "test_read_secret.py").unlink()


def another_route(owner: Owner) -> None:
    if owner.v2:
        owner.edit(owner.entry, '@app.route("read_secret"', '@app.route("v1/secrets/{id}"')
    else:
        route = '"type": "httpTrigger", "route": "v1/secrets/{id}"'
        owner.edit(owner.first / "function.json", '"type": "httpTrigger"', route)


def another_trigger(owner: Owner) -> None:
    owner.without_first()
    key = secret("my_application_secret", secretName="my-application-secret")
    owner.add("read_secret", TIMER, key)


def timer(owner: Owner) -> None:
    owner.add("nightly", TIMER)


def blob_and_queue(owner: Owner) -> None:
    owner.add("on_upload", BLOB)
    owner.add("on_message", QUEUE)
    owner.parameter("storageQueuesAndTables = true")


def second_secret(owner: Owner) -> None:
    owner.add("with_secret", *HTTP, secret(), body="return extra")
    owner.edit_first("my_application_secret: str,", "my_application_secret: str,\n    extra: str,")
    owner.edit_first("secrets = {", 'secrets = {"extra": extra,')
    if owner.v2:
        decorator = f'@key_vault_secret("extra", secret_name="extra", vault_name="{VAULT}",'
        owner.edit(
            owner.entry, "def read_secret", f'{decorator} identity="system")\ndef read_secret'
        )
    else:
        file = owner.first / "function.json"
        content = json.loads(file.read_text("utf-8"))
        content["bindings"].append(secret())
        file.write_text(json.dumps(content), "utf-8")


def func_new(owner: Owner) -> None:
    owner.entry.write_text(owner.entry.read_text("utf-8") + FUNC_NEW, "utf-8")


def shared_modules(owner: Owner) -> None:
    (owner.src / "prices.py").write_text("RATE = 2\n", "utf-8")
    before = "from prices import RATE"
    if not owner.v2:
        shared = owner.src / "functions/shared"
        shared.mkdir()
        (shared / "__init__.py").write_text("", "utf-8")
        (shared / "texts.py").write_text("GREETING = 'Hello'\n", "utf-8")
        before += "\nfrom shared.texts import GREETING\nfrom ..shared import texts"
        owner.edit_first("import json", "import json\n\nfrom shared.texts import GREETING")
    owner.add("priced", *HTTP, before=before, body="return str(RATE)")


def setting_at_import(owner: Owner) -> None:
    owner.setting("MAX_ITEMS", "'25'")
    before = 'import os\nLIMIT = int(os.environ["MAX_ITEMS"])'
    owner.add("limited", *HTTP, before=before, body="return str(LIMIT)")


def fields_and_a_pinned_version(owner: Owner) -> None:
    entries = [secret("whole"), secret("field", jsonField="user")]
    owner.add(
        "parts", *HTTP, *entries, secret("old", secretVersion="1234abcd"), body="return field"
    )


def role_on_a_whole_namespace(owner: Owner) -> None:
    owner.setting("BUS__fullyQualifiedNamespace", "'bus.servicebus.windows.net'")
    with (owner.infra / "modules/access.bicep").open("a", encoding="utf-8") as file:
        file.write(NAMESPACE)
    access = owner.infra / "modules/github-access.bicep"
    owner.edit(
        access, "planActions = [", "planActions = [\n  'Microsoft.ServiceBus/namespaces/read'"
    )
    topic = {"type": "serviceBusTrigger", "topicName": "orders", "subscriptionName": "app"}
    owner.add("on_topic", {"name": "message", **topic, "connection": "BUS"})
    owner.setting("PARCELS", "'parcels'")
    owner.add(
        "on_parcel", {**QUEUE, "type": topic["type"], "queueName": "%PARCELS%", "connection": "BUS"}
    )


def durable_functions(owner: Owner) -> None:
    owner.entry.write_text(owner.entry.read_text("utf-8") + DURABLE, "utf-8")
    owner.parameter("storageQueuesAndTables = true")


def extra_folders(owner: Owner) -> None:
    for name in ("tools", "notebooks", "docs/adr"):
        (owner.project / name).mkdir(parents=True)
        (owner.project / name / "example.py").write_text("raise SystemExit\n", "utf-8")


def no_local_settings(owner: Owner) -> None:
    (owner.src / "local.settings.json").unlink()


GREEN: list[Callable[[Owner], None]] = [
    *(another_route, timer, second_secret, func_new, shared_modules, setting_at_import),
    *(extra_folders, no_local_settings, blob_and_queue, fields_and_a_pinned_version),
    *(role_on_a_whole_namespace, durable_functions),
]
GREEN_ALONE = [renamed, rewritten, deleted, disabled, another_trigger]


# Changes that turn a test red, with the words that name the fault


def setting(owner: Owner) -> None:
    owner.add("faulty", *HTTP, secret(vaultName="%KEY_VALUT_NAME%"))


def setting_of_a_queue(owner: Owner) -> None:
    owner.add("faulty_queue", QUEUE | {"queueName": "%QEUE%"})


def property_of_ours(owner: Owner) -> None:
    entry = secret()
    entry["secretNmae"] = entry.pop("secretName")
    owner.add("faulty_property", *HTTP, entry)


def property_of_a_trigger(owner: Owner) -> None:
    owner.add("faulty_trigger", *HTTP, {"name": "row", "type": "table", "conection": "ORDERS"})


def value(owner: Owner) -> None:
    owner.add("faulty_value", *HTTP, secret(identity="sytem"))


def type_of_ours(owner: Owner) -> None:
    owner.add("faulty_type", *HTTP, {**secret(), "type": "keyVualt"})


def parameter(owner: Owner) -> None:
    owner.add("faulty_parameter", *HTTP, secret(), parameters="req, another")


def host_json_at_the_top(owner: Owner) -> None:
    shutil.copy(owner.src / "host.json", owner.project)


def entry_at_the_top(owner: Owner) -> None:
    shutil.copy(owner.entry, owner.project)


def second_name_of_the_app(owner: Owner) -> None:
    owner.entry.write_text(owner.entry.read_text("utf-8") + "\napplication = app\n", "utf-8")


def json_of(file: str) -> Callable[[Owner], None]:
    """Break a file that the host reads."""

    def change(owner: Owner) -> None:
        (owner.src / file).write_text('{"version": "2.0",', "utf-8")

    change.__name__ = file
    return change


def misspelt_file(owner: Owner) -> None:
    (owner.src / "functions/orders").mkdir(parents=True)
    (owner.src / "functions/orders/functions.json").write_text('{"bindings": []}', "utf-8")


def host_of_another_version(owner: Owner) -> None:
    owner.edit(owner.src / "host.json", '"2.0"', '"3.0"')


def function_in(place: str) -> Callable[[Owner], None]:
    """Put a function into a folder of the project where it is not found."""

    def change(owner: Owner) -> None:
        (owner.project / place).mkdir(parents=True)
        (owner.project / place / "function.json").write_text('{"bindings": []}', "utf-8")

    change.__name__ = place
    return change


def function_that_nobody_registers(owner: Owner) -> None:
    if not owner.v2:
        pytest.skip("function_app.py registers it")
    folder = owner.src / "functions/orders"
    folder.mkdir(parents=True)
    (folder / "function.json").write_text(json.dumps({"bindings": HTTP}), "utf-8")
    (folder / "__init__.py").write_text("def main(req):\n    return 'ok'\n", "utf-8")


RED: dict[Callable[[Owner], None], str] = {
    setting: r"vaultName: '%KEY_VALUT_NAME%': the app setting 'KEY_VALUT_NAME' is not set",
    setting_of_a_queue: r"faulty_queue, message: '%QEUE%': no app setting 'QEUE' in infra/",
    property_of_ours: r"secretNmae|unexpected keyword argument 'secret_nmae'",
    property_of_a_trigger: r"faulty_trigger, row: 'conection': did you mean 'connection'\?",
    value: r"extra.identity: 'sytem': 'system', or 'user' together with identityId",
    type_of_ours: r"faulty_type, extra: 'keyVualt': did you mean 'keyVault'\?",
    parameter: r"the (handler|function) has no such parameter",
    host_json_at_the_top: r"host.json is not deployed.*move it to src/",
    entry_at_the_top: r"function_app.py is not deployed.*move it to src/",
    function_in(
        "orders"
    ): r"orders/function.json is not deployed.*move it to src/functions/orders/",
    function_in(
        "functions/orders"
    ): r"functions/orders/function.json is not deployed.*src/functions/orders/",
    function_in("src/orders"): r"src/orders/function.json is not deployed.*src/functions/orders/",
    second_name_of_the_app: r"exactly one app under one name is expected, not 2",
    json_of("host.json"): r"src/host.json: line 1 is not valid JSON",
    json_of("local.settings.json"): r"src/local.settings.json: line 1 is not valid JSON",
    misspelt_file: r"functions/orders/functions.json: did you mean function.json\?",
    host_of_another_version: r"src/host.json: version: '3.0': '2.0' is expected",
    function_that_nobody_registers: r"functions/orders/function.json is not registered",
}


# The same for infra/: they are made together, and each is named.


def vault_without_a_grant(owner: Owner) -> None:
    owner.add("elsewhere", *HTTP, secret(vaultName="kv-elsewhere"))


def unused_vault_and_connection(owner: Owner) -> None:
    owner.parameter("otherVaults = [{ name: 'kv-unused' }]")
    owner.add("on_order", QUEUE | {"connection": "ORDERS"})


def unused_identity_and_queue(owner: Owner) -> None:
    identity = f"type: 'SystemAssigned, UserAssigned', userAssignedIdentities: {{ '{OTHER_IDENTITY}': {{}} }}"
    owner.edit(owner.infra / "main.bicep", "type: 'SystemAssigned'", identity)
    owner.add("on_order", QUEUE)


def blob_without_event_grid(owner: Owner) -> None:
    owner.parameter("storageQueuesAndTables = true")
    owner.add("on_upload", {name: one for name, one in BLOB.items() if name != "source"})


def parameter_for_a_setting(owner: Owner) -> None:
    owner.add("nightly", TIMER | {"schedule": "%location%"})  # of main.bicep, and no app setting


RED_INFRA: dict[Callable[[Owner], None], tuple[str, ...]] = {
    vault_without_a_grant: (
        r"a function \(elsewhere, extra\) needs 'secrets: get' in the vault"
        r" 'kv-elsewhere'.*add the vault to otherVaults in infra/main.bicepparam",
    ),
    unused_vault_and_connection: (
        r"infra/ grants 'system' 'secrets: get' in the vault 'kv-unused', and no"
        r" function declares that",
        r"on_order: the connection 'ORDERS' of queueTrigger is not configured",
    ),
    unused_identity_and_queue: (
        r"no function uses these identities: remove them from infra/",
        r"on_order: queueTrigger needs queues and tables of the host: set"
        r" `param storageQueuesAndTables = true` in infra/main.bicepparam",
    ),
    parameter_for_a_setting: (r"nightly, timer: infra/ has no app setting \{'location'\}",),
    blob_without_event_grid: (
        r"on_upload: on Flex Consumption a blobTrigger needs source EventGrid",
    ),
}


@pytest.fixture
def owner(bake: Bake, tmp_path: Path, model: str) -> Owner:
    return Owner(Path(shutil.copytree(bake(programming_model=model), tmp_path / "app")), model)


@pytest.mark.parametrize("model", MODELS)
def test_changes_together_stay_green(owner: Owner) -> None:
    for change in GREEN:
        change(owner)

    status, output = owner.run_tests(*APP, *OWN, *INFRA)

    assert status == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("change", [*GREEN, *GREEN_ALONE], ids=lambda one: one.__name__)
def test_a_change_stays_green(owner: Owner, change: Callable[[Owner], None]) -> None:
    change(owner)
    files = [str(file.relative_to(owner.project)) for file in owner.tests.glob("test_*.py")]

    # Together they are compared with infra/ above.
    infra = INFRA if change in (deleted, another_trigger) else ()
    status, output = owner.run_tests(*APP, *infra, *files)

    assert status == 0, output


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            one, id=one.__name__, marks=() if one is setting_of_a_queue else pytest.mark.slow
        )
        for one in RED
    ],
)
def test_a_change_turns_red_and_names_it(owner: Owner, change: Callable[[Owner], None]) -> None:
    change(owner)

    status, output = owner.run_tests(APP[0])

    assert status in (1, 4), output  # 4: while the fixtures are loaded
    assert re.search(RED[change], output), output
    print(*re.findall(r"^E +(?:Failed|AssertionError|assert).*", output, re.MULTILINE), sep="\n")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            one, id=one.__name__, marks=() if len(RED_INFRA[one]) > 1 else pytest.mark.slow
        )
        for one in RED_INFRA
    ],
)
def test_infra_that_does_not_match_turns_red(owner: Owner, change: Callable[[Owner], None]) -> None:
    if owner.v2 and len(RED_INFRA[change]) > 1:
        pytest.skip("the model makes no difference to infra/")
    change(owner)

    status, output = owner.run_tests(*INFRA)

    assert status == 1, output
    for words in RED_INFRA[change]:
        assert re.search(words, output), output


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_own_vault_may_be_unused(owner: Owner) -> None:
    owner.without_first()

    status, output = owner.run_tests(*INFRA)

    assert status == 0, output
    assert "UserWarning: infra/ grants 'system' 'secrets: get'" in output
