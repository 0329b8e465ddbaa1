"""Wrong answers are refused before anything is made, right ones arrive as they are."""

import json
import os
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baking import TEMPLATE, Bake
from click.testing import CliRunner, Result
from cookiecutter.cli import main as cookiecutter_command
from cookiecutter.main import cookiecutter
from hypothesis import given, settings
from hypothesis import strategies as st

from local_extensions.answers import QUESTIONS, problems
from local_extensions.facts import facts_of
from local_extensions.refusal import as_argument

IDENTITY_ID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shared-group"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shared-identity"
)
DEFAULTS = {
    prompt: first[0] if isinstance(first, list) else first for prompt, first in QUESTIONS.items()
} | {"project_slug": "secure-function-app"}

Answers = dict[str, Any]
Cli = Callable[..., Result]

# What is refused: the answers, the prompt that is named, and what the line says.
REFUSED: list[tuple[Answers, str, str]] = [
    ({"project_name": " "}, "project_name", "1 to 100 characters"),
    ({"project_name": "x" * 101}, "project_name", "1 to 100 characters"),
    ({"project_name": "two\nlines"}, "project_name", "more than one line"),
    ({"project_name": "bell\a"}, "project_name", "invisible character U+0007"),
    ({"project_name": "txt\u202egpj"}, "project_name", "invisible character U+202E"),
    ({"project_slug": ""}, "project_slug", "2 to 32"),
    ({"project_slug": "a"}, "project_slug", "2 to 32"),
    ({"project_slug": "a" * 33}, "project_slug", "2 to 32"),
    ({"project_slug": "../../x"}, "project_slug", "2 to 32"),
    ({"project_slug": "/tmp/x"}, "project_slug", "2 to 32"),
    ({"project_slug": "C:\\x"}, "project_slug", "2 to 32"),
    ({"project_slug": "App"}, "project_slug", "lower-case"),
    ({"project_slug": "an_app"}, "project_slug", "2 to 32"),
    ({"project_slug": "app."}, "project_slug", "2 to 32"),
    ({"project_slug": "app "}, "project_slug", "2 to 32"),
    ({"project_slug": "-app"}, "project_slug", "2 to 32"),
    ({"project_slug": "an--app"}, "project_slug", "single hyphens"),
    ({"project_slug": "app\n"}, "project_slug", "'app\\n'"),
    ({"project_slug": "\u0430pp"}, "project_slug", "'\\u0430pp'"),  # a Cyrillic a
    ({"project_slug": "aux"}, "project_slug", "Windows"),
    ({"project_slug": "com1"}, "project_slug", "Windows"),
    ({"project_slug": "my-microsoft-app"}, "project_slug", "Azure refuses"),
    ({"project_slug": "login-page"}, "project_slug", "Azure refuses"),
    ({"description": ""}, "description", "1 to 1000 characters"),
    ({"description": "x" * 1001}, "description", "1 to 1000 characters"),
    ({"description": "\x1b[31mred"}, "description", "invisible character U+001B"),
    ({"description": "a\rb"}, "description", "invisible character U+000D"),
    ({"description": "a\u2028b"}, "description", "invisible character U+2028"),
    ({"description": "a\ud800b"}, "description", "invisible character U+D800"),
    ({"description": "a\uffffb"}, "description", "invisible character U+FFFF"),
    ({"function_name": ""}, "function_name", "a letter first"),
    ({"function_name": "read-secret"}, "function_name", "underscores"),
    ({"function_name": "1st"}, "function_name", "a letter first"),
    ({"function_name": "_hidden"}, "function_name", "a letter first"),
    ({"function_name": "../up"}, "function_name", "underscores"),
    ({"function_name": "größe"}, "function_name", "underscores"),
    ({"function_name": "x" * 65}, "function_name", "1 to 64"),
    ({"function_name": "import"}, "function_name", "keyword"),
    ({"function_name": "Host"}, "function_name", "route of the Functions host"),
    ({"function_name": "adminTask"}, "function_name", "route of the Functions host"),
    ({"function_name": "NUL"}, "function_name", "Windows"),
    ({"function_name": "azure"}, "function_name", "module"),
    ({"function_name": "Json"}, "function_name", "module"),
    ({"function_name": "identity_bindings"}, "function_name", "module"),
    ({"identity_id": IDENTITY_ID}, "identity_id", "identity=user"),
    ({"identity_id": "%MY_ID%"}, "identity_id", "identity=user"),
    ({"identity_id": "nonsense"}, "identity_id", "no resource id"),
    ({"identity": "user", "identity_id": "my-identity"}, "identity_id", "no resource id"),
    ({"identity": "user", "identity_id": f"{IDENTITY_ID}/"}, "identity_id", "no resource id"),
    (
        {"identity": "user", "identity_id": IDENTITY_ID.replace("1111-", "111-")},
        "identity_id",
        "no resource id",
    ),
    (
        {"identity": "user", "identity_id": IDENTITY_ID.replace("userAssignedIdentities", "x")},
        "identity_id",
        "no resource id",
    ),
    (  # a long s, which is one without regard to case
        {"identity": "user", "identity_id": IDENTITY_ID.replace("/sub", "/\u017fub")},
        "identity_id",
        "'/\\u017fub",
    ),
    (  # the sign of Kelvin
        {"identity": "user", "identity_id": f"{IDENTITY_ID}\u212a"},
        "identity_id",
        "no resource id",
    ),
    ({"identity": "user", "identity_id": "%MY-ID%"}, "identity_id", "no %SETTING%"),
    ({"identity": "user", "identity_id": "%IDENTITY_ENDPOINT%"}, "identity_id", "of its own"),
    ({"identity": "user", "identity_id": "%UID%"}, "identity_id", "of its own"),
    ({"identity": "user", "identity_id": "%GITHUB_IDENTITY%"}, "identity_id", "of its own"),
    ({"identity": "user", "identity_id": "%key_vault_name%"}, "identity_id", "at once"),
    ({"identity": "user", "vault": "%KEY_VAULT_IDENTITY_ID%"}, "vault", "at once"),
    ({"vault": ""}, "vault", "no vault name"),
    ({"vault": "ab"}, "vault", "3 to 24"),
    ({"vault": "a" * 25}, "vault", "3 to 24"),
    ({"vault": "1vault"}, "vault", "a letter first"),
    ({"vault": "my_vault"}, "vault", "good: 'my-vault'"),
    ({"vault": "my--vault"}, "vault", "single hyphens"),
    ({"vault": "vault-"}, "vault", "single hyphens"),
    ({"vault": "v\u0430ult"}, "vault", "'v\\u0430ult'"),  # a Cyrillic a
    ({"vault": "http://my-kv.vault.azure.net"}, "vault", "good: 'https://my-kv.vault.azure.net/'"),
    ({"vault": "my-kv.vault.azure.net"}, "vault", "good: 'https://my-kv.vault.azure.net/'"),
    ({"vault": "https://my-kv.vault.azure.net/secrets/x"}, "vault", "no vault's URI"),
    ({"vault": "https://my-kv.vault.azure.net:8443/"}, "vault", "no vault's URI"),
    ({"vault": "https://my-kv.vault.azure.net.evil.com/"}, "vault", "no vault's URI"),
    ({"vault": "https://user@my-kv.vault.azure.net/"}, "vault", "no vault's URI"),
    ({"vault": "https://my-kv.vault.microsoftazure.de/"}, "vault", "no vault's URI"),
    (
        {"vault": "https://my-kv.vault.u\u017fgovcloudapi.net/"},
        "vault",
        "'https://my-kv.vault.u\\u017f",
    ),
    ({"vault": "https://my-hsm.managedhsm.azure.net/"}, "vault", "managed HSM"),
    ({"vault": "%KEY VAULT%"}, "vault", "no %SETTING%"),
    ({"vault": "%AzureWebJobsStorage%"}, "vault", "of its own"),
    ({"vault": "%website_site_name%"}, "vault", "of its own"),
    ({"vault": "%SECRET_REFRESH_SECONDS%"}, "vault", "of its own"),
    ({"vault": "%FUNCTIONS_WORKER_RUNTIME%"}, "vault", "of its own"),
    ({"vault": "%APPLICATIONINSIGHTS_CONNECTION_STRING%"}, "vault", "of its own"),
    ({"vault_source": "existing"}, "vault", "names no vault"),
    ({"vault_resource_group": "my-group"}, "vault_resource_group", "vault_source=existing"),
    (
        {"vault_source": "existing", "vault": "my-kv", "vault_resource_group": "group."},
        "vault_resource_group",
        "no resource group",
    ),
    (
        {"vault_source": "existing", "vault": "my-kv", "vault_resource_group": "sub/group"},
        "vault_resource_group",
        "no subscription-id/group",
    ),
    ({"secrets": ""}, "secrets", "no secret's name"),
    ({"secrets": "my_secret"}, "secrets", "good: 'my-secret'"),
    ({"secrets": "a,b_c"}, "secrets", "contains 'b_c'"),
    ({"secrets": "a,"}, "secrets", "contains ''"),
    ({"secrets": "Token,token"}, "secrets", "twice"),
    ({"secrets": "x" * 128}, "secrets", "1 to 127"),
    ({"secrets": ",".join(f"s{n}" for n in range(21))}, "secrets", "more than 20"),
    ({"key": "my_key"}, "key", "good: 'my-key'"),
    ({"key": "k" * 128}, "key", "1 to 127"),
    ({"key": "k\u0435y"}, "key", "'k\\u0435y'"),  # a Cyrillic e
    ({"services": "queue"}, "services", "none of blob-storage, cosmos-db, service-bus"),
    ({"services": "Blob Storage, cosmos"}, "services", "good: 'blob-storage,cosmos-db'"),
    ({"services": "cosmos-db,"}, "services", "contains ''"),
    ({"services": "cosmos-db,cosmos-db"}, "services", "twice"),
    ({"api_scope": "api://my-api"}, "api_scope", "good: 'api://my-api/.default'"),
    ({"api_scope": "User.Read"}, "api_scope", "no scope"),
    ({"api_scope": "http://my-api/.default"}, "api_scope", "no scope"),
    ({"api_scope": "api://{name}/.default"}, "api_scope", "no scope"),
    ({"api_scope": "api://my api/.default"}, "api_scope", "no scope"),
    ({"api_scope": "api://a/.default\nx"}, "api_scope", "no scope"),
    ({"api_scope": f"api://{'x' * 250}/.default"}, "api_scope", "no scope"),
    ({"key": "k", "function_name": "Sign_Document"}, "function_name", "that key brings"),
    (
        {"services": "cosmos-db", "function_name": "read_order"},
        "function_name",
        "that services brings",
    ),
    (
        {"api_scope": "api://a/.default", "function_name": "call_api"},
        "function_name",
        "that api_scope brings",
    ),
    (
        {"network": "private", "services": "cosmos-db,service-bus"},
        "services",
        "no private endpoints below its tier Premium; good: 'cosmos-db'",
    ),
    ({"network": "private", "services": "service-bus"}, "services", "good: empty"),
    ({"network": "secret"}, "network", "is none of public, private"),
    (
        {"programming_model": "decorators", "function_name": "app"},
        "function_name",
        "that function_app.py uses",
    ),
    ({"programming_model": "annotations"}, "programming_model", "function.json, decorators"),
    ({"vault": "%DOCUMENTS%"}, "vault", "of its own"),
    ({"vault": "%orders_bus__credential%"}, "vault", "of its own"),
    ({"vault": "%API_URL%"}, "vault", "of its own"),
    ({"identity": "nobody"}, "identity", "is none of system, user"),
    ({"python_version": "2.7"}, "python_version", "is none of"),
    ({"description": None}, "description", "is no text"),
    ({"project_slug": ["a", "b"]}, "project_slug", "is no text"),
]

ACCEPTED: list[Answers] = [
    {},
    {"project_slug": "a1"},
    {"project_slug": "9-lives"},
    {"project_slug": "a" * 32},
    {
        "description": 'It\'s "quoted" \\ {{ 7*7 }} {% x %} %d $HOME ${x} <b> é 日本 \U0001f600\n\ttwo'
    },
    {"function_name": "readSecret2"},
    {"function_name": "app"},
    {"programming_model": "decorators"},
    {"identity": "user"},
    {"identity": "user", "identity_id": IDENTITY_ID},
    {"identity": "user", "identity_id": IDENTITY_ID.replace("resourceG", "resourceg")},
    {"identity": "user", "identity_id": "%SHARED_ID%"},
    {"identity": "user", "identity_id": "%KEY_VAULT_IDENTITY_ID%"},
    {"vault": "%MY_VAULT%"},
    {"vault": "my-kv"},
    {"vault": "https://my-kv.vault.azure.net"},
    {"vault": "https://my-kv.vault.azure.net:443/"},
    {"vault": "https://My-KV.vault.usgovcloudapi.net/"},
    {"vault": "https://my-kv.vault.azure.cn/"},
    {"vault": "https://my-kv.vault.sovcloud-api.fr/"},
    {"vault_source": "existing", "vault": "my-kv"},
    {"vault_source": "existing", "vault": "my-kv", "vault_resource_group": "Rg_(größe).1"},
    {
        "vault_source": "existing",
        "vault": "my-kv",
        "vault_resource_group": "11111111-2222-3333-4444-555555555555/group",
    },
    {"api_scope": f"api://{'x' * 249}/.default"},
    {"secrets": " one , two-2 , 3three "},
    {"secrets": ",".join(f"s{n}" for n in range(20))},
]


@pytest.mark.parametrize(("answers", "prompt", "said"), REFUSED)
def test_a_wrong_answer_is_told_in_one_line(answers: Answers, prompt: str, said: str) -> None:
    found = problems(DEFAULTS | answers)

    assert [problem.prompt for problem in found] == [prompt]
    line = str(found[0])
    assert line.startswith(f"{prompt}: ")
    assert said in line
    assert "good: " in line
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize(("answers", "prompt", "said"), REFUSED)
def test_the_good_value_is_good(answers: Answers, prompt: str, said: str) -> None:
    (problem,) = problems(DEFAULTS | answers)

    assert problems(DEFAULTS | answers | {prompt: problem.good}) == []


@pytest.mark.parametrize("answers", ACCEPTED)
def test_a_right_answer_is_no_problem(answers: Answers) -> None:
    assert problems(DEFAULTS | answers) == []


def _some(prompt: str, first: Any) -> st.SearchStrategy[str]:
    if isinstance(first, list):
        return st.sampled_from(first)
    wrong = [value for answers, _, _ in REFUSED if isinstance(value := answers.get(prompt), str)]
    right = [answers[prompt] for answers in ACCEPTED if prompt in answers]
    return st.just(DEFAULTS[prompt]) | st.sampled_from([*wrong, *right, ""]) | st.text()


@settings(max_examples=300, deadline=None, database=None)
@given(st.fixed_dictionaries({prompt: _some(prompt, first) for prompt, first in QUESTIONS.items()}))
def test_good_values_are_good_together(answers: Answers) -> None:
    """Otherwise the command at the end of a refusal would be refused itself."""
    for _ in range(2):  # a corrected answer may make a pair that cannot go together
        answers = answers | {problem.prompt: problem.good for problem in problems(answers)}

    assert problems(answers) == []
    facts_of(answers)


def test_every_prompt_has_its_text_and_every_choice_its_label() -> None:
    configuration = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    prompts = configuration["__prompts__"]

    assert list(prompts) == list(QUESTIONS)
    for prompt, first in QUESTIONS.items():
        if isinstance(first, list) and prompt != "python_version":
            assert set(prompts[prompt]) == {"__prompt__", *first}


# The ways in


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Call cookiecutter as the command line does, into tmp_path/out, with a home of its own."""
    configuration = tmp_path / "config.yaml"
    configuration.write_text(f"replay_dir: {tmp_path}\ncookiecutters_dir: {tmp_path}\n")
    (tmp_path / "out").mkdir()

    def call(*words: str, typed: str | None = None, answers: Answers | None = None) -> Result:
        given = [f"{prompt}={as_argument(value)}" for prompt, value in (answers or {}).items()]
        options = ["--config-file", str(configuration), "--output-dir", str(tmp_path / "out")]
        return CliRunner().invoke(
            cookiecutter_command, [str(TEMPLATE), *given, *options, *words], input=typed
        )

    return call


def assert_refused(result: Result, folder: Path, *lines: str) -> None:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for line in lines:
        assert f"  {line}" in result.output
    assert list(folder.iterdir()) == []


WRONG = {"project_slug": "../../x", "vault": "my_vault", "secrets": "a,A"}
LINES = ("project_slug: '../../x' ", "vault: 'my_vault' ", "secrets: 'a,A' ")


@pytest.mark.parametrize(
    "words",
    [
        ["--no-input"],
        ["--no-input", "--accept-hooks", "no"],
        ["--no-input", "__check=passed"],
        ["--no-input", "__check=passed", "--accept-hooks", "no"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_at_once(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    assert_refused(cli(*words, answers=WRONG), tmp_path / "out", *LINES)


def test_wrong_typed_answers_are_refused_where_nobody_can_be_asked(
    cli: Cli, tmp_path: Path
) -> None:
    typed = "".join(f"{WRONG.get(prompt, '')}\n" for prompt in QUESTIONS)

    assert_refused(cli(typed=typed), tmp_path / "out", *LINES)


@pytest.mark.parametrize("words", [[], ["--accept-hooks", "no"]], ids=" ".join)
def test_a_forged_replay_is_refused(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps({"cookiecutter": DEFAULTS | WRONG | {"__check": "passed"}}))

    # It brings no extension along: that of this template's cookiecutter.json must do.
    assert cli("--replay-file", str(forged), *words).exit_code != 0
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--accept-hooks", "no"]], ids=" ".join)
def test_an_edited_replay_is_refused(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    assert cli("--no-input").exit_code == 0
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (replay,) = tmp_path.glob("*.json")
    kept = json.loads(replay.read_text("utf-8"))
    kept["cookiecutter"] |= WRONG
    replay.write_text(json.dumps(kept))

    assert_refused(cli("--replay", *words), tmp_path / "out", *LINES)


def test_a_configuration_is_checked_and_kept(cli: Cli, tmp_path: Path) -> None:
    with (tmp_path / "config.yaml").open("a") as configuration:
        configuration.write("default_context: {identity: user, vault: my_vault, secrets: x}\n")

    result = cli("--no-input", answers={"identity": "system"})

    assert_refused(result, tmp_path / "out", "vault: 'my_vault' ")
    command = shlex.split(result.output.strip().splitlines()[-1])
    assert {"identity=system", "vault=my-vault", "secrets=x"} <= set(command)


def test_the_refusal_ends_with_a_command_that_is_right(cli: Cli, tmp_path: Path) -> None:
    description = 'It\'s "{{ 7*7 }}"\n$HOME \\ 日本 \U0001f600\u200b.'
    answers = WRONG | {"project_name": "Größe & Co", "description": description, "identity": "user"}

    result = cli("--no-input", answers=answers)
    command = result.output.strip().splitlines()[-1]
    assert command.isprintable()
    done = subprocess.run(  # as a person pastes it
        f"{shlex.quote(sys.executable)} -m {command.strip()}", shell=True, capture_output=True
    )

    assert done.returncode == 0, done.stdout
    (project,) = (tmp_path / "out").iterdir()
    assert project.name == "my-x-app"
    readme = (project / "README.md").read_text("utf-8")
    assert readme.startswith("# Größe & Co\n")
    assert description in readme


def test_a_library_call_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="vault: 'my_vault'"):
        cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context={"vault": "my_vault"},
            output_dir=str(tmp_path / "out"),
            default_config=True,
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["-f"], ["-f", "-s"]], ids=" ".join)
def test_an_existing_folder_is_never_lost(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    own = tmp_path / "out" / "secure-function-app" / "identity_bindings" / "own.py"
    own.parent.mkdir(parents=True)
    own.write_text("mine")

    wrong = cli("--no-input", *words, answers={"vault": "my_vault"})
    assert wrong.exit_code == 1
    right = cli("--no-input", *words)
    assert right.exit_code == (0 if words else 1)

    assert own.read_text() == "mine"


# On a terminal


class Terminal:
    """Cookiecutter in a terminal of its own, with somebody who types."""

    def __init__(self, *words: str, **variables: str) -> None:
        pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
        ours, theirs = pty.openpty()
        self._ours = ours
        self.text = self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--default-config", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "dumb", "COLUMNS": "200"} | variables,
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Read until the screen says `text`, after what was waited for before."""
        while text not in self.text:
            assert self._read(), self.text
        self.text = self.text.partition(text)[2]

    def answer(self, prompt: str, line: str = "") -> None:
        """Wait for a prompt, and type a line."""
        self.wait_for(prompt)
        # Where a line ends at the terminal's width, no space follows.
        while not self.text.rstrip(" ").endswith(":"):
            assert self._read(), self.text
        self.text = ""
        self.type(f"{line}\n")

    def type(self, text: str) -> None:
        """Type without waiting."""
        os.write(self._ours, text.encode())

    def answer_all(self, **answers: str) -> None:
        """Answer cookiecutter's prompts, most of them with Enter."""
        for number, prompt in enumerate(QUESTIONS, 1):
            self.answer(f"[{number}/{len(QUESTIONS)}]", answers.get(prompt, ""))

    def finish(self) -> int:
        """Read to the end, and return the exit status."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(timeout=30)

    def _read(self) -> bytes:
        if not select.select([self._ours], [], [], 30)[0]:
            self.process.kill()
            pytest.fail(f"nothing more came after: {self.text}")
        try:
            read = os.read(self._ours, 65536)
        except OSError:  # the other side has closed
            return b""
        self.text += read.decode(errors="replace")
        self.screen += read.decode(errors="replace")
        return read


def test_a_person_is_asked_only_the_wrong_ones_again(tmp_path: Path) -> None:
    terminal = Terminal("--output-dir", str(tmp_path))
    terminal.answer_all(
        project_name="My App",
        description="{{ 7*7 }} {% raw",
        function_name="import",
        identity_id=IDENTITY_ID,
        vault="my_vault",
        vault_access="2",
    )
    terminal.wait_for("function_name: 'import' is a Python keyword")
    terminal.answer("Name of the first function", "fetch")
    # Of a pair the other half comes first; with the identity of a user, the id is right.
    terminal.answer("Whose identity", "2")
    terminal.answer("Vault: its name")  # Enter takes the good value

    assert terminal.finish() == 0, terminal.text
    project = tmp_path / "my-app"
    assert "{{ 7*7 }} {% raw" in (project / "README.md").read_text("utf-8")
    *_, declared = json.loads((project / "functions/fetch/function.json").read_text())["bindings"]
    assert declared["identityId"] == IDENTITY_ID
    assert declared["vaultName"] == "my-vault"


def test_a_slug_follows_a_name_that_was_asked_again(tmp_path: Path) -> None:
    terminal = Terminal("--output-dir", str(tmp_path))
    terminal.answer_all(project_name="x" * 101)
    terminal.wait_for("project_name: ")
    terminal.answer("Name of the project", "Better")

    assert terminal.finish() == 0, terminal.text
    assert [folder.name for folder in tmp_path.iterdir()] == ["better"]


def test_a_script_on_a_terminal_is_not_asked(tmp_path: Path) -> None:
    terminal = Terminal("--no-input", "vault=my_vault", "--output-dir", str(tmp_path))

    assert terminal.finish() == 1
    assert "vault: 'my_vault'" in terminal.text
    assert list(tmp_path.iterdir()) == []


# Two versions of the template in one process, as cruft renders them


TWO_VERSIONS = """
import os, pathlib, sys
import click
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

def render(secrets):
    answers = {"secrets": ",".join(f"s{n}" for n in range(secrets))}
    cookiecutter("template", no_input=True, extra_context=answers, default_config=True,
                 overwrite_if_exists=True)

def render_both():
    render(20)
    # The other version stands in the same folder, its files have the same size and time.
    rules = pathlib.Path("template", "local_extensions", "answers.py")
    time = rules.stat().st_mtime_ns
    rules.write_text(rules.read_text("utf-8").replace("SECRETS = 20", "SECRETS = 10"), "utf-8")
    os.utime(rules, ns=(time, time))
    render(10)
    try:
        render(11)
    except FailedHookException as refusal:
        print(refusal)

if sys.argv[1] == "as a command":
    with click.Context(click.Command("cookiecutter")) as context:
        render_both()
    # The facts of each version, and the second one's refusal: each is loaded once only.
    print(f"{len(context.meta['local_extensions'])} modules")
else:
    render_both()
"""


@pytest.mark.parametrize("way", ["as a command", "as a library"])
def test_each_version_renders_with_its_own_code(tmp_path: Path, way: str) -> None:
    shutil.copytree(
        TEMPLATE, tmp_path / "template", ignore=lambda *_: {".git", ".venv", "build", "tests"}
    )

    done = subprocess.run(
        [sys.executable, "-c", TWO_VERSIONS, way],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )

    assert "names more than 10 secrets" in done.stdout, done.stderr
    assert ("\n3 modules\n" in done.stdout) == (way == "as a command"), done.stdout


# What arrives


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Secure Function App", "secure-function-app"),
        ("Größe & Straße", "grosse-strasse"),
        ("日本", "ri-ben"),
        ("!!!", "secure-function-app"),
        ("Ein sehr langer Name für eine einzige kleine App", "ein-sehr-langer-name-fur-eine-ei"),
        ("It's {{ 7*7 }} 'quoted'", "it-s-7-7-quoted"),
    ],
)
def test_the_slug_is_derived_from_any_name(bake: Bake, name: str, slug: str) -> None:
    project = bake(project_name=name)

    assert project.name == slug
    assert (project / "README.md").read_text("utf-8").startswith(f"# {name}\n")
