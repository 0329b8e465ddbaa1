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
from baking import Bake, change
from pages import blocks

MODELS = ("function.json", "decorators")
VAULT = "%KEY_VAULT_NAME%"
OTHER_IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-00000000a110/resourceGroups/rg-test/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/id-other"
)
Binding = dict[str, Any]
HTTP: list[Binding] = [
    {"name": "req", "type": "httpTrigger", "authLevel": "function", "methods": ["get"]},
    {"name": "$return", "type": "http", "direction": "out"},
]
TIMER: Binding = {"name": "timer", "type": "timerTrigger", "schedule": "0 0 5 * * *"}
HOST = {"connection": "AzureWebJobsStorage"}
QUEUE: Binding = {"name": "message", "type": "queueTrigger", "queueName": "orders", **HOST}
BLOB: Binding = {"name": "blob", "type": "blobTrigger", "path": "uploads/{name}", **HOST}
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


def secret(name: str = "extra", **properties: str) -> Binding:
    entry = {"name": name, "type": "keyVault", "secretName": "extra", "vaultName": VAULT}
    return entry | {"identity": "system"} | properties


class Owner:
    """The owner of a project, who changes it."""

    def __init__(self, project: Path, model: str) -> None:
        self.project, self.v2 = project, model == "decorators"
        self.src, self.tests, self.infra = project / "src", project / "tests", project / "infra"
        self.entry = self.src / "function_app.py"
        self.first = self.src / "functions/read_secret"

    def append(self, file: Path, text: str) -> None:
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    def edit_first(self, old: str, new: str) -> None:
        """Edit the first function's handler."""
        change(self.entry if self.v2 else self.first / "__init__.py", old, new)

    def add(
        self,
        name: str,
        *bindings: Binding,
        parameters: str = "",
        before: str = "",
        body: str = "pass",
        v2: bool | None = None,
    ) -> None:
        """Add a function, in the project's model unless `v2` names one."""
        names = [one["name"] for one in bindings if one["name"] != "$return"]
        handler = f"({parameters or ', '.join(names)}):\n    {body}\n"
        if not (self.v2 if v2 is None else v2):
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
        self.append(self.entry, "\n".join([*lines, f"def {name}{handler}"]))

    def without_first(self) -> None:
        """Delete the first function, and its tests with it."""
        (self.tests / "test_read_secret.py").unlink()
        if self.v2:
            text = self.entry.read_text("utf-8")
            self.entry.write_text(text[: text.index("\n\n@app.route")] + "\n", "utf-8")
        else:
            shutil.rmtree(self.first)

    def setting(self, name: str, value: str) -> None:
        """Define an app setting in infra/."""
        before = "    KEY_VAULT_DNS_SUFFIX:"
        change(self.infra / "main.bicep", before, f"    {name}: {value}\n{before}")

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


Change = Callable[[Owner], None]
APP = "tests/contract/test_app.py"
INFRA = "tests/contract/test_infrastructure.py"


# Changes that leave everything green


def renamed(owner: Owner) -> None:
    test = owner.tests / "test_read_secret.py"
    for file in (test, owner.entry):
        file.write_text(file.read_text("utf-8").replace("read_secret", "fetch"), "utf-8")
    test.rename(owner.tests / "test_fetch.py")
    if not owner.v2:
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
    change(owner.first / "function.json", '"bindings"', '"disabled": true, "bindings"')
    (owner.tests / "test_read_secret.py").unlink()


def another_route(owner: Owner) -> None:
    if owner.v2:
        change(owner.entry, '@app.route("read_secret"', '@app.route("v1/secrets/{id}"')
    else:
        route = '"type": "httpTrigger", "route": "v1/secrets/{id}"'
        change(owner.first / "function.json", '"type": "httpTrigger"', route)


def another_trigger(owner: Owner) -> None:
    owner.without_first()
    key = secret("my_application_secret", secretName="my-application-secret")
    owner.add("read_secret", TIMER, key)


def timer_blob_and_queue(owner: Owner) -> None:
    owner.add("nightly", TIMER)
    owner.add("on_upload", BLOB | {"source": "EventGrid"})
    owner.add("on_message", QUEUE)
    owner.parameter("storageQueuesAndTables = true")


def second_secret(owner: Owner) -> None:
    owner.add("with_secret", *HTTP, secret(), body="return extra")
    owner.edit_first("my_application_secret: str,", "my_application_secret: str,\n    extra: str,")
    owner.edit_first("secrets = {", 'secrets = {"extra": extra,')
    if owner.v2:
        decorator = f'@key_vault_secret("extra", secret_name="extra", vault_name="{VAULT}",'
        owner.edit_first("def read_secret", f'{decorator} identity="system")\ndef read_secret')
    else:
        entry = f'"bindings": [{json.dumps(secret())},'
        change(owner.first / "function.json", '"bindings": [', entry)


def of_the_other_model(owner: Owner) -> None:
    """Add a function of the other model, as the README says."""
    if owner.v2:
        (snippet,) = (
            block
            for block in blocks(owner.project / "README.md", "python")
            if block.startswith("from pathlib") and "register_functions" in block
        )
        owner.append(owner.entry, f"\n\n{snippet}")
    else:
        change(owner.entry, "import register", "import key_vault_secret, register")
    owner.add("by_hand", *HTTP, secret(), body="return extra", v2=not owner.v2)


def func_new(owner: Owner) -> None:
    owner.append(owner.entry, FUNC_NEW)


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
    old = secret("old", secretVersion="1234abcd")
    owner.add("parts", *HTTP, *entries, old, body="return field")


def role_on_a_whole_namespace(owner: Owner) -> None:
    owner.setting("BUS__fullyQualifiedNamespace", "'bus.servicebus.windows.net'")
    owner.append(owner.infra / "modules/access.bicep", NAMESPACE)
    actions = "planActions = ["
    read = f"{actions}\n  'Microsoft.ServiceBus/namespaces/read'"
    change(owner.infra / "modules/github-access.bicep", actions, read)
    topic = {"name": "message", "type": "serviceBusTrigger", "connection": "BUS"}
    owner.add("on_topic", {**topic, "topicName": "orders", "subscriptionName": "app"})
    owner.setting("PARCELS", "'parcels'")
    owner.add("on_parcel", {**topic, "queueName": "%PARCELS%"})


def durable_functions(owner: Owner) -> None:
    owner.append(owner.entry, DURABLE)
    owner.parameter("storageQueuesAndTables = true")


def extra_folders(owner: Owner) -> None:
    for name in ("tools", "notebooks", "docs/adr"):
        (owner.project / name).mkdir(parents=True)
        (owner.project / name / "example.py").write_text("raise SystemExit\n", "utf-8")


def no_local_settings(owner: Owner) -> None:
    (owner.src / "local.settings.json").unlink()


GREEN: list[Change] = [
    *(another_route, second_secret, of_the_other_model, func_new, shared_modules),
    *(setting_at_import, extra_folders, no_local_settings, timer_blob_and_queue),
    *(fields_and_a_pinned_version, role_on_a_whole_namespace, durable_functions),
]
GREEN_ALONE = [renamed, rewritten, deleted, disabled, another_trigger]


# Changes that turn a test red, with the words that name the fault: an HTTP function with a binding, …
EXTRA = secret()
MISSPELT = {"secretNmae" if name == "secretName" else name: one for name, one in EXTRA.items()}
FAULTY: dict[str, tuple[Binding, str]] = {
    "setting": (
        secret(vaultName="%KEY_VALUT_NAME%"),
        "vaultName: '%KEY_VALUT_NAME%': the app setting 'KEY_VALUT_NAME' is not set",
    ),
    "queue": (
        QUEUE | {"type": "queue", "direction": "out", "queueName": "%QEUE%"},
        "faulty, message: '%QEUE%': no app setting 'QEUE' in infra/",
    ),
    "property": (MISSPELT, "secretNmae|unexpected keyword argument 'secret_nmae'"),
    "property-of-the-platform": (
        {"name": "row", "type": "table", "conection": "ORDERS"},
        r"faulty, row: 'conection': did you mean 'connection'\?",
    ),
    "value": (
        secret(identity="sytem"),
        "extra.identity: 'sytem': 'system', or 'user' together with identityId",
    ),
    "type": (
        {**EXTRA, "type": "keyVualt"},
        r"faulty, extra: 'keyVualt': did you mean 'keyVault'\?",
    ),
    "parameter": (EXTRA, "the (handler|function) has no such parameter"),
}
# … and a file, its content and the words.
FUNCTION, IN_FUNCTIONS = '{"bindings": []}', "is not deployed.*move it to src/functions/orders/"
BROKEN, TWO_NAMES = (
    '{"version": "2.0",',
    "import azure.functions\napp = same = azure.functions.FunctionApp()",
)
FILES = [
    ("host.json", "{}", "host.json is not deployed.*move it to src/"),
    ("function_app.py", "", "function_app.py is not deployed.*move it to src/"),
    *(
        (f"{where}orders/function.json", FUNCTION, f"{where}orders/function.json {IN_FUNCTIONS}")
        for where in ("", "functions/", "src/")
    ),
    (
        "src/functions/orders/functions.json",
        FUNCTION,
        r"functions.json: did you mean function.json\?",
    ),
    ("src/host.json", BROKEN, "src/host.json: line 1 is not valid JSON"),
    ("src/host.json", '{"version": "3.0"}', "src/host.json: version: '3.0': '2.0' is expected"),
    ("src/local.settings.json", BROKEN, "src/local.settings.json: line 1 is not valid JSON"),
    ("src/function_app.py", TWO_NAMES, "exactly one app under one name is expected, not 2"),
]


# The same for infra/: they are made together, and each is named.


def vault_without_a_grant(owner: Owner) -> None:
    owner.add("elsewhere", *HTTP, secret(vaultName="kv-elsewhere"))


def unused_vault_and_connection(owner: Owner) -> None:
    owner.parameter("otherVaults = [{ name: 'kv-unused' }]")
    owner.add("on_order", QUEUE | {"connection": "ORDERS"})


def unused_identity_and_queue(owner: Owner) -> None:
    identity = f"type: 'SystemAssigned, UserAssigned', userAssignedIdentities: {{ '{OTHER_IDENTITY}': {{}} }}"
    change(owner.infra / "main.bicep", "type: 'SystemAssigned'", identity)
    owner.add("on_order", QUEUE)


def blob_without_event_grid(owner: Owner) -> None:
    owner.parameter("storageQueuesAndTables = true")
    owner.add("on_upload", BLOB)


def parameter_for_a_setting(owner: Owner) -> None:
    owner.add("nightly", TIMER | {"schedule": "%location%"})  # of main.bicep, and no app setting


def setting_that_only_this_machine_has(owner: Owner) -> None:
    change(owner.infra / "main.bicep", "KEY_VAULT_NAME:", "KEYVAULT_NAME:")


def connection_string_of_the_host(owner: Owner) -> None:
    owner.setting("AzureWebJobsStorage", "'AccountKey=…'")


RED_INFRA: dict[Change, tuple[str, ...]] = {
    vault_without_a_grant: (
        r"a function \(elsewhere, extra\) needs 'secrets: get' in the vault"
        r" 'kv-elsewhere'.*add the vault to otherVaults in infra/main.bicepparam",
    ),
    unused_vault_and_connection: (
        r"Failed: infra/ grants 'system' 'secrets: get' in the vault 'kv-unused', and no"
        r" function declares that",
        r"on_order: the connection 'ORDERS' of queueTrigger is not configured",
    ),
    unused_identity_and_queue: (
        r"no function uses these identities: remove them from infra/",
        r"on_order: queueTrigger needs queues and tables of the host: set"
        r" `param storageQueuesAndTables = true` in infra/main.bicepparam",
    ),
    setting_that_only_this_machine_has: (
        r"vaultName: '%KEY_VAULT_NAME%': the app setting 'KEY_VAULT_NAME' is not set",
    ),
    connection_string_of_the_host: (r"AzureWebJobsStorage is a connection string: use an",),
    parameter_for_a_setting: (r"nightly, timer: infra/ has no app setting \{'location'\}",),
    blob_without_event_grid: (
        r"on_upload: on Flex Consumption a blobTrigger needs source EventGrid",
    ),
}


@pytest.fixture(params=MODELS)
def owner(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Owner:
    project = bake(programming_model=request.param)
    return Owner(Path(shutil.copytree(project, tmp_path / "app")), request.param)


def fails(owner: Owner, tests: str, *words: str) -> None:
    """Expect that a file of tests is red, and says this."""
    status, output = owner.run_tests(tests)

    assert status in (1, 4), output  # 4: while the fixtures are loaded
    for expected in words:
        assert re.search(expected, output), output


def test_changes_together_stay_green(owner: Owner) -> None:
    for made in GREEN:
        made(owner)

    status, output = owner.run_tests(APP, "tests/test_read_secret.py", INFRA)

    assert status == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("made", [*GREEN, *GREEN_ALONE], ids=lambda one: one.__name__)
def test_a_change_stays_green(owner: Owner, made: Change) -> None:
    made(owner)
    files = [str(file.relative_to(owner.project)) for file in owner.tests.glob("test_*.py")]

    # Together they are compared with infra/ above.
    infra = [INFRA] if made in (deleted, another_trigger) else []
    status, output = owner.run_tests(APP, *infra, *files)

    assert status == 0, output
    if made is deleted:  # the project's own vault may be unused
        assert "UserWarning: infra/ grants 'system' 'secrets: get'" in output


@pytest.mark.parametrize(
    "name", [one if one == "queue" else pytest.param(one, marks=pytest.mark.slow) for one in FAULTY]
)
def test_a_fault_is_named(owner: Owner, name: str) -> None:
    binding, words = FAULTY[name]
    parameters = "req, other" if name == "parameter" else ""
    owner.add("faulty", *HTTP, binding, parameters=parameters)

    fails(owner, APP, words)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "content", "words"), FILES)
def test_a_file_that_the_app_cannot_have_is_named(
    owner: Owner, name: str, content: str, words: str
) -> None:
    file = owner.project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")

    fails(owner, APP, words)


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["decorators"], indirect=True)
def test_a_function_that_nobody_registers_is_named(owner: Owner) -> None:
    owner.add("orders", *HTTP, v2=False)

    fails(owner, APP, "functions/orders/function.json is not registered")


@pytest.mark.parametrize(
    ("owner", "made"),
    [
        pytest.param(model, one, marks=() if len(words) > 1 else pytest.mark.slow)
        for one, words in RED_INFRA.items()
        for model in MODELS[: 1 if len(words) > 1 else 2]
    ],
    indirect=["owner"],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_infra_that_does_not_match_turns_red(owner: Owner, made: Change) -> None:
    made(owner)

    fails(owner, INFRA, *RED_INFRA[made])
