"""The project's README: every command runs as pasted, and every snippet works."""

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import SETS
from baking import TEMPLATE, Bake, change, run, run_tests
from pages import blocks

SHELLS = ["bash", "zsh"]
SUBSCRIPTION = "00000000-0000-0000-0000-00000000a110"


@pytest.fixture(params=SETS)
def project(bake: Bake, request: pytest.FixtureRequest) -> Path:
    return bake(**SETS[request.param])


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param}")
    return str(request.param)


def following(page: Path, line: str, language: str) -> str:
    """The first code block of a language after a line of the text."""
    return blocks(page, language, after=line)[0]


# How commands are written


def test_every_block_can_be_pasted(project: Path, shell: str) -> None:
    found = blocks(project / "README.md", "sh")

    run([shell, "-n"], project, typed="\n".join(found))

    for block in found:
        assert not re.search(r"(^|\s)#", block), f"zsh does not accept a pasted comment: {block}"
    for block in found + blocks(project / "README.md", "powershell"):
        # The process list and the shell's history show arguments.
        assert not re.search(r"--value|--header \"x-functions-key", block), block


def test_every_shell_block_that_differs_has_a_windows_form(project: Path) -> None:
    """The section of a block that PowerShell cannot run says what to run instead."""
    text = (project / "README.md").read_text("utf-8")
    for section in re.split(r"^##+ ", text, flags=re.M):
        for found in re.finditer(r"^```sh\n(.*?)^```", section, re.M | re.S):
            if re.search(r"^(make|cp|export|\w+=|\()|\| curl|python3", found[1], re.M):
                assert re.search("Windows|PowerShell", section), found[1]


def test_the_commands_for_windows_are_those_of_make(project: Path) -> None:
    makefile = (project / "Makefile").read_text("utf-8")
    recipes = {
        target: re.findall(r"\$\(RUN\) (.+)", recipe)
        for target, recipe in re.findall(r"^([a-z]+):.*\n((?:\t.*\n)+)", makefile, re.M)
    }
    rows = re.findall(
        r"^\| [^|]+ \| `make (\w+)` \| (.+) \|$", (project / "README.md").read_text("utf-8"), re.M
    )

    assert {target for target, _ in rows} == {"test", "format", "lint", "lock", "check"}
    for target, commands in rows:
        printed = re.findall(r"\.venv\\Scripts\\python ([^`]+)`", commands)
        expected = [command.replace(" --quiet", "") for command in recipes[target]]
        assert [command.replace("\\", "/") for command in printed] == expected


# Local runs


def stub(folder: Path, *names: str, script: str) -> dict[str, str]:
    """Put commands of these names on the path; each runs the same script."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"#!{sys.executable}\n{script}", "utf-8")
        (folder / name).chmod(stat.S_IRWXU)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def app(bake: Bake, tmp_path: Path) -> Callable[..., Path]:
    """Copy a project."""
    return lambda **answers: Path(shutil.copytree(bake(**answers), tmp_path / "app"))


FUNC = """
import json, os, pathlib, sys
settings = json.loads(pathlib.Path("local.settings.json").read_text("utf-8"))["Values"]
print(sys.argv[1:], json.dumps(settings), flush=True)
"""


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_start_in_a_clone(app: Callable[..., Path], tmp_path: Path, shell: str) -> None:
    """A clone has no local.settings.json; `make start` writes it, and keeps one that is there."""
    project = app()
    settings = project / "src" / "local.settings.json"
    rendered = json.loads(settings.read_text("utf-8"))
    settings.unlink()
    stubs = stub(tmp_path / "stubs", "func", script=FUNC)
    # What the tests need is installed.
    stub(project / ".venv", "installed", script="")
    stub(project / ".venv/bin", "activate", script="")
    start = following(project / "README.md", "## Run locally", "sh")

    def make_start() -> str:
        return run([shell, "-euc", start], project, env=stubs)

    assert "['start']" in make_start()
    assert json.loads(settings.read_text("utf-8")) == rendered
    assert (project / "secrets.local.json").is_file()

    mine = {"IsEncrypted": False, "Values": {"MINE": "1"}}
    settings.write_text(json.dumps(mine), "utf-8")
    assert '{"MINE": "1"}' in make_start()


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_refuses_an_old_python_in_one_line(bake: Bake, tmp_path: Path) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    old = "import sys; sys.exit('version_info' in ' '.join(sys.argv))"
    stubs = stub(tmp_path / "stubs", "python3", script=old)

    assert "Python 3.11 or newer is required" in run(["make", "test"], project, status=2, env=stubs)
    assert not (project / ".venv").exists()


# Deployment

AZURE = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
call = [pathlib.Path(__file__).name, *sys.argv[1:]]
text = " ".join(call)
with (here / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps([*call, "" if sys.stdin.isatty() else sys.stdin.read()]) + "\\n")
for pattern, answer in {
    "signed-in-user": "me", "identity show": "the-identity", "get-value AZURE_RESOURCE_GROUP": "rg",
    "appName": "func-1", "appUrl": "https://func-1.example", "vaultName": "kv-1",
    "identityPrincipalId": "principal-1", "keys list": "the-key", "action-group show": "group-id",
    "keyvault show": "vault-id", "role definition list": "role-id", "ad app create": "the-api",
    "import uuid": "the-scope", "get-access-token": "the-token",
}.items():
    if pattern in text:
        print(answer)
"""


# Each set in one way and shell, those whose commands differ in both.
IN_SHELLS = [
    ("default", "bash", "azd"),
    ("default", "zsh", "az"),
    ("given-identity-named-vault", "zsh", "azd"),
    ("given-identity-named-vault", "bash", "az"),
    ("decorators", "bash", "azd"),
    ("vault-in-another-cloud", "zsh", "az"),
    ("decorators-with-everything", "bash", "az"),
]


@pytest.fixture
def calls(tmp_path: Path, shell: str) -> Callable[[Path, str], list[list[str]]]:
    """Run shell code in a project with stubs of Azure's command lines; give what was called."""
    stubs = tmp_path / "stubs"
    environment = stub(
        stubs, "az", "azd", "func", "curl", "gh", "make", "python3", "xargs", script=AZURE
    )

    def calls(project: Path, script: str) -> list[list[str]]:
        run([shell, "-euc", script], project, typed="", env=environment)
        lines = (stubs / "calls.jsonl").read_text("utf-8").splitlines()
        return [list(json.loads(line)) for line in lines]

    return calls


WAYS = {"azd": "### With the Azure Developer CLI", "az": "### With the Azure CLI and Core Tools"}


@pytest.mark.parametrize(("name", "shell", "way"), IN_SHELLS, indirect=["shell"])
def test_every_command_from_the_deployment_on_runs(
    bake: Bake, calls: Callable[[Path, str], list[list[str]]], name: str, way: str
) -> None:
    """In the README's order, with the variables that it sets."""
    project, function = bake(**SETS[name]), SETS[name].get("function_name", "read_secret")
    readme = project / "README.md"
    steps = [following(readme, WAYS[way], "sh")]
    if way == "azd":
        steps.append(following(readme, "The commands below use these variables:", "sh"))
    steps.append(following(readme, "### Set the secrets", "sh"))
    after = blocks(readme, "sh", after="### Call the function")
    steps += [block for block in after if "OWNER/REPOSITORY" not in block]

    made = calls(project, "\n".join(steps))

    group = {"azd": "rg", "az": f"rg-{project.name}"}[way]
    create = f"az deployment group create --resource-group {group} --name {project.name}"
    files = "--template-file infra/main.bicep --parameters infra/main.bicepparam"
    keys = f"az functionapp function keys list --resource-group {group} --name func-1"
    deploy = {
        "azd": ["azd up"],
        "az": [f"{create} {files}", "func azure functionapp publish func-1 --python"],
    }
    words = [" ".join(call[:-1]) for call in made]
    for expected in (*deploy[way], "python3 scripts/set_secrets.py --vault kv-1"):
        assert expected in words
    asked = {one for one in words if "functionapp function keys" in one}
    assert asked == {f"{keys} --function-name {function} --query default --output tsv"}
    url = f"https://func-1.example/api/{function}"
    assert ["curl", "--header", "@-", url, "x-functions-key: the-key\n"] in made
    assert len(made) > len(steps)
    for call in made:
        assert "" not in call[:-1], f"a variable is empty: {call}"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_commands_for_a_platform_team_run(
    bake: Bake, calls: Callable[[Path, str], list[list[str]]]
) -> None:
    made = calls(bake(), "\n".join(blocks(TEMPLATE / "docs/enterprise.md", "sh")))

    words = [" ".join(call) for call in made]
    assert (
        sum("role assignment create --assignee-object-id the-identity" in one for one in words) == 4
    )
    assert not any("" in call[:-1] for call in made)


PARSE = """
import os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
environment = {{**os.environ, "AZURE_CONFIG_DIR": str(here / "azure")}}
words = ["{cli}", *sys.argv[1:]]
run = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
with (here / "parsed").open("a") as parsed:
    parsed.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] != "login" and run.returncode != 1:
    with (here / "wrong").open("a") as wrong:
        wrong.write(f"{{sys.argv[1:]}}: {{run.returncode}}: {{run.stderr}}\\n")
print("00000000-0000-0000-0000-000000000000")
"""


@pytest.mark.slow
def test_the_azure_cli_parses_every_command(bake: Bake, azure_cli: Path, tmp_path: Path) -> None:
    """Signed in to nothing, it ends with 1; with 2 if it cannot parse."""
    stubs = tmp_path / "stubs"
    environment = stub(stubs, "azd", "func", "curl", "make", "python3", script=AZURE)
    stub(stubs, "az", script=PARSE.format(cli=azure_cli))
    pages = [bake(**answers) / "README.md" for answers in SETS.values()]
    pages += [TEMPLATE / "docs" / name for name in ("enterprise.md", "existing-apps.md")]
    found = {block for page in pages for block in blocks(page, "sh") if re.search(r"\baz ", block)}

    for block in sorted(found):
        # An extension, which the Azure CLI installs when it is first used.
        block = re.sub("^az monitor app-insights.*", "", block, flags=re.M)
        script = "GROUP=g; APP=a; URL=u; VAULT=v; PRINCIPAL=p\n" + block
        run(["bash", "-uc", script], tmp_path, status=None, env=environment)

    wrong = stubs / "wrong"
    assert not wrong.exists(), wrong.read_text("utf-8")
    assert len((stubs / "parsed").read_text("utf-8").splitlines()) > len(found) > 10


# Snippets

PARAMETER = "my_application_secret: str"
ANOTHER = f"{PARAMETER}, another_secret: str"


def declare_another_secret(project: Path, vault: str) -> None:
    """Add the documented entry to function.json, and a parameter to the handler."""
    entry = json.loads(following(project / "README.md", "### Add a secret", "json"))
    declare(project, ANOTHER, entry | {"vaultName": vault})


def declare(project: Path, parameters: str, binding: dict[str, str]) -> None:
    """Add a declaration to function.json, and a parameter to the handler."""
    folder = project / "src/functions/read_secret"
    declaration = json.loads((folder / "function.json").read_text("utf-8"))
    declaration["bindings"].append(binding)
    (folder / "function.json").write_text(json.dumps(declaration), "utf-8")
    change(folder / "__init__.py", PARAMETER, parameters)


@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_another_secret_and_a_timer_as_documented(app: Callable[..., Path], model: str) -> None:
    project = app(programming_model=model)
    readme = project / "README.md"
    timer = "### Add a function, for example a timer"
    if model == "decorators":
        entry = project / "src/function_app.py"
        declaration = following(readme, "### Add a secret", "python")
        change(entry, "@key_vault_secret(", f"{declaration}@key_vault_secret(")
        change(entry, PARAMETER, ANOTHER)
        with entry.open("a", encoding="utf-8") as file:
            file.write("\n\n" + following(readme, timer, "python"))
    else:
        declare_another_secret(project, "%KEY_VAULT_NAME%")
        folder = project / "src/functions/nightly"
        folder.mkdir()
        (folder / "function.json").write_text(following(readme, timer, "json"), "utf-8")
        (folder / "__init__.py").write_text(following(readme, timer, "python"), "utf-8")

    run_tests(project, "tests/contract/test_app.py", CI_OUTPUT=str(project))
    assert "nightly" in (project / "functions.txt").read_text("utf-8").split()


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="default", marks=pytest.mark.slow),
        pytest.param({"network": "private", "vault_access": "rbac"}, id="private"),
    ],
)
def test_what_is_set_in_bicep_as_documented(
    app: Callable[..., Path], answers: dict[str, str]
) -> None:
    project = app(**answers)
    readme, infra = project / "README.md", project / "infra"
    settings = infra / "main.bicep"
    begin = r"(name: 'appsettings'\n(?:  //.*\n)?(?:  dependsOn: \[\n(?:    .*\n)*  \]\n)?  properties: \{\n)"
    (found,) = re.findall(begin, settings.read_text("utf-8"))
    change(settings, found, found + following(readme, "### Add an app setting", "bicep"))
    parameters = infra / "main.bicepparam"
    for heading in (
        "### Triggers and their storage",
        "### Use another vault",
    ):
        snippet = following(readme, heading, "bicep")
        text = re.sub(rf"(?m)^param {snippet.split()[1]} = .*\n", "", parameters.read_text("utf-8"))
        parameters.write_text(f"{text}\n{snippet}", "utf-8")
    change(infra / "github.bicepparam", "param otherVaults = []\n", snippet)
    declare_another_secret(project, "their-vault")
    use_another_identity(project)

    run_tests(project, "tests/contract")


def use_another_identity(project: Path) -> None:
    """Declare, assign and give access to an identity, as documented."""
    assigned, access, *_ = blocks(project / "README.md", "bicep", after="### Use another identity")
    for name, value in {"/ID/": f"/{SUBSCRIPTION}/", "GROUP": "rg-ids", "NAME": "id-other"}.items():
        assigned, access = assigned.replace(name, value), access.replace(name, value)
    main = project / "infra/main.bicep"
    change(main, "  identity: { type: 'SystemAssigned' }\n", assigned)
    right = "'Microsoft.ManagedIdentity/userAssignedIdentities/read'"
    change(
        main.with_name("modules") / "github-access.bicep",
        "planActions = [",
        f"planActions = [\n  {right}",
    )
    with main.open("a", encoding="utf-8") as file:
        file.write("\n" + access)
    (identity_id,) = re.findall(r"'(/subscriptions/.*)'", assigned)
    other = {"name": "other", "type": "keyVault", "direction": "in", "secretName": "other"}
    other |= {"vaultName": "%KEY_VAULT_NAME%", "identity": "user", "identityId": identity_id}
    declare(project, f"{PARAMETER}, other: str", other)
