"""However an answer is given, it arrives, is refused in one line, or is ignored with a warning."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from answers import DEFAULTS, IDENTITY_ID, as_argument
from baking import copy_questions, run
from click.testing import Result
from desk import Answers, Desk

from local_extensions.answers import QUESTIONS


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, whose project holds the answers alone."""
    return copy_questions(tmp_path_factory.mktemp("template") / "questions")


@pytest.fixture
def desk(tmp_path: Path, questions: Path) -> Desk:
    return Desk(tmp_path, questions)


@pytest.fixture
def whole(tmp_path: Path) -> Desk:
    """A desk with the whole template."""
    return Desk(tmp_path)


def assert_arrived(desk: Desk, result: Result, expected: Answers) -> None:
    assert result.exit_code == 0, result.output
    answers = desk.answers()
    assert {prompt: answers[prompt] for prompt in QUESTIONS} == DEFAULTS | expected


def assert_refused(desk: Desk, result: Result, *lines: str) -> None:
    """Expect these lines, no other, no traceback and no folder."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    _, _, refused = result.output.partition("Some answers are not valid:\n")
    found = refused.splitlines()
    assert len(found) == len(lines), result.output
    for line, words in zip(found, lines, strict=True):
        assert re.match(f"  {words}", line), result.output
    assert desk.made() == []


SLUGS = {
    "Größe & Straße": "grosse-strasse",
    "日本": "ri-ben",
    "!!!": "secure-function-app",
    "Ein sehr langer Name für eine einzige kleine App": "ein-sehr-langer-name-fur-eine-ei",
    "It's {{ 7*7 }} 'quoted'": "it-s-7-7-quoted",
}
# What is given, and the answers that it becomes.
ARRIVES: dict[str, list[tuple[Any, Answers]]] = {
    "config": [
        ("{ci: off, network: private}", {"ci": "none", "network": "private"}),
        ("{ci: no, secrets: later}", {"ci": "none", "secrets": "later"}),
        ('{ci: "off", secrets: later}', {"ci": "none", "secrets": "later"}),
        ("{ci: yes, secrets: later}", {"secrets": "later"}),
        ("{python_version: 3.14, secrets: later}", {"python_version": "3.14", "secrets": "later"}),
        ("{services: [service-bus]}", {"services": "service-bus"}),
        ("{services: [cosmos-db, Blob-Storage]}", {"services": "cosmos-db,blob-storage"}),
        ("{secrets: [one, two]}", {"secrets": "one,two"}),
        ("{secrets: [1, 007]}", {"secrets": "1,007"}),
        ("{identity: User, secrets: later}", {"identity": "user", "secrets": "later"}),
        ("{identity: [user], secrets: later}", {"identity": "user", "secrets": "later"}),
        ('{programming_model: " Decorators "}', {"programming_model": "decorators"}),
        ("{key: null, secrets: later}", {"secrets": "later"}),
        ("{project_name: 2024}", {"project_name": "2024", "project_slug": "2024"}),
        ("{project_name: 3.10}", {"project_name": "3.10", "project_slug": "3-10"}),
        ("{project_name: No}", {"project_name": "No", "project_slug": "no"}),
        ("{ci: off, description: '{{ 7 * 7 }}'}", {"ci": "none", "description": "49"}),
        ("{full_name: Ann Example, email: a@b.example, secrets: later}", {"secrets": "later"}),
    ],
    "config, at the prompts": [("{key: 5}", {"key": "5"})],
    "argument": [
        ("secrets=one, two", {"secrets": "one, two"}),
        ("services=Blob-Storage", {"services": "blob-storage"}),
        (("network=private", "secrets=a", "secrets=b"), {"network": "private", "secrets": "b"}),
        *(
            (f"project_name={as_argument(name)}", {"project_name": name, "project_slug": slug})
            for name, slug in SLUGS.items()
        ),
        (f"description={as_argument('{{ 7 }} {% raw')}", {"description": "{{ 7 }} {% raw"}),
    ],
    "--replay": [
        ({"secrets": ["one", "two"]}, {"secrets": "one,two"}),
        ({"services": []}, {}),
        ({"ci": False}, {"ci": "none"}),
        ({"python_version": 3.12}, {"python_version": "3.12"}),
        # How cookiecutter renders is the template's own matter.
        ({"_copy_without_render": ["*"], "_new_lines": "x", "key": "k"}, {"key": "k"}),
    ],
    "--replay-file": [({"identity": "User", "key": None}, {"identity": "user"})],
    "few": [({"secrets": "one"}, {"secrets": "one"})],
    "Python": [
        (
            {"secrets": "one,two", "key": None, "project_name": 2024},
            {"secrets": "one,two", "project_name": "2024", "project_slug": "2024"},
        ),
    ],
    "typed": [
        (
            {"project_name": "Orders", "identity": "2", "secrets": "one,two", "ci": "2"},
            {"project_name": "Orders", "project_slug": "orders"}
            | {"identity": "user", "secrets": "one,two", "ci": "none"},
        ),
    ],
}
# What is given, and the lines that refuse it.
ARGUMENTS = [
    ("vaultname=kv-x", "vaultname: 'kv-x' is not a prompt; did you mean vault?"),
    ("vault_name=kv-x", "vault_name: 'kv-x' is not a prompt; did you mean vault?"),
    ("apiscope=api://x/.default", "apiscope: .* did you mean api_scope?"),
    ("Secrets=a", "Secrets: 'a' .* did you mean secrets?"),
    ("secret=a", "secret: 'a' .* did you mean secrets?"),
    ("slug=app", "slug: 'app' .* did you mean project_slug?"),
    ("full_name=Ann", "full_name: 'Ann' is not a prompt; "),
    ("vau\x1blt=x", r"vau\\x1blt: 'x' is not a prompt; did you mean vault"),
    ("__check=passed", "__check: 'passed' is not a prompt"),
    ("_new_lines=x", "_new_lines: 'x' is not a prompt"),
    ("description={{", "description: '{{' cannot be rendered by Jinja .*; accepted: text"),
    ("description={% raw", "description: '{% raw' cannot be rendered by Jinja"),
]
REFUSED: dict[str, list[tuple[Any, ...]]] = {
    "config": [
        ("{project_name: {a: b}}", r"project_name: \{'a': 'b'\} is not text"),
        ("{identity: nobody, secrets: later}", "identity: 'nobody' .* accepted: system, user"),
        ("{python_version: 3.10}", "python_version: '3.10' .* accepted: 3.13"),
        (
            "{ci: perhaps, secrets: a_b}",
            "secrets: 'a_b' .* digits",
            "ci: 'perhaps' .* github, none",
        ),
        ("{secrets: null}", "secrets: None is not text; accepted: names, separated by commas"),
        ("{identity: null}", "identity: None is not accepted"),
        ("{network: no}", "network: 'no' is not accepted"),
        ("{secrets: [[one], {two: 2}]}", "secrets: .* is not text"),
        ("{identity: [system, user]}", r"identity: \['system', 'user'\] .* accepted: system"),
        ("{__check: passed}", "__check: 'passed' is not a prompt"),
        (
            "{services: [], secrets: a_b}",
            r"services: \[\] is not text; accepted: names",
            "secrets: 'a_b' ",
        ),
        ("{ci: []}", r"ci: \[\] is not accepted; accepted: github, none"),
        ("{secrets: 2024-01-01}", "secrets: '2024-01-01' is not text in YAML; accepted: it in"),
        ("{secrets: [a, 2024-01-01]}", "secrets: .* is not text in YAML"),
        ("{description: !!binary aGVsbG8=, vault: a_b}", "description: \"b'hello'\"", "vault: "),
        ("{description: '{{ 1/0 }}'}", r"description: .* Jinja \(division by zero\); accepted: "),
        ("{project_slug: '{{ cookiecutter.x }}'}", "project_slug: .* has no attribute 'x'"),
    ],
    "config, at the prompts": [
        ("{ci: off}", "ci: 'github' is not the answer of your config, 'none'"),
    ],
    "argument": [
        ("description=", "description: '' must be"),
        (
            ("vaultname=x", "secrets=a,A", "project_slug=/"),
            "vaultname: ",
            "project_slug: ",
            "secrets: ",
        ),
        *ARGUMENTS,
    ],
    "argument, at the prompts": ARGUMENTS,
    "--replay": [
        ({"vaultname": "kv-x"}, "vaultname: 'kv-x' is not a prompt; did you mean vault?"),
        ({"vault": "my_vault", "secrets": "a,A"}, "vault: 'my_vault' ", "secrets: 'a,A' "),
        ({"secrets": {"a": 1}, "__check": "passed"}, r"secrets: \{'a': 1\} is not text"),
        ({"project_slug": "../../x"}, "project_slug: '../../x' "),
    ],
    "few": [({"secrets": "a_b"}, "secrets: 'a_b' is not a secret name")],
    "Python": [
        ({"vault": "my_vault"}, "vault: 'my_vault' is not a vault name"),
        ({"secrets": ["one", "two"]}, r"secrets: \['one', 'two'\] is a list"),
        ({"description": {"a": "b"}}, "description: .* is not text"),
        ({"description": True}, "description: True is not text"),
        ({"project_name": {"a": "b"}}, "project_name: .* is not text"),
        ({"__check": "passed", "vault": "my_vault"}, "vault: 'my_vault' is not a vault name"),
    ],
    "typed": [
        (
            {"project_slug": "../../x", "secrets": "a,A"},
            "project_slug: '../../x' ",
            "secrets: 'a,A' ",
        ),
    ],
}


@pytest.mark.parametrize(
    ("way", "given", "expected"), [(way, *row) for way, rows in ARRIVES.items() for row in rows]
)
def test_an_answer_arrives(desk: Desk, way: str, given: Any, expected: Answers) -> None:
    result = desk.give(way, given)

    assert_arrived(desk, result, expected)
    assert "Warning: " not in result.output


@pytest.mark.parametrize(
    ("way", "given", "lines"),
    [(way, given, lines) for way, rows in REFUSED.items() for given, *lines in rows],
)
def test_an_answer_is_refused(desk: Desk, way: str, given: Any, lines: list[str]) -> None:
    assert_refused(desk, desk.give(way, given), *lines)


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        *(("Vault", "vault"), ("vaul", "vault"), ("vaults", "vault"), ("fault", "vault")),
        *(("vualt", "vault"), ("sercets", "secrets"), ("apiscope", "api_scope")),
        *(("email", None), ("vlaut", None), ("v", None)),
    ],
)
def test_a_near_miss_in_the_config_is_a_warning(desk: Desk, name: str, prompt: str | None) -> None:
    result = desk.give("config", f"{{{name}: x}}")

    assert_arrived(desk, result, {})
    warning = f"Warning: {name} in your config is not a prompt and is ignored; did you mean "
    assert result.output.count(warning) == bool(prompt)
    assert prompt is None or f"{warning}{prompt}?" in result.output


def test_an_argument_wins_over_the_config(desk: Desk) -> None:
    desk.answer_by_config("{identity: User, ci: off, secrets: [one, two]}")

    result = desk.call("--no-input", "ci=github", "secrets=three")

    assert_arrived(desk, result, {"identity": "user", "secrets": "three"})


@pytest.mark.parametrize("by", ["COOKIECUTTER_CONFIG", "HOME"])
def test_a_config_is_found_where_cookiecutter_finds_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    desk.answer_by_config("{ci: off, secrets: [one, two]}")
    monkeypatch.delenv("COOKIECUTTER_CONFIG", raising=False)
    file = desk.config.rename(desk.home / ".cookiecutterrc")
    where = {"COOKIECUTTER_CONFIG": file, "HOME": desk.home}[by]

    words = [sys.executable, "-m", "cookiecutter", desk.template, "--no-input", "-o", desk.out]
    run(words, desk.home, env={by: str(where)})

    answers = desk.answers()
    assert (answers["ci"], answers["secrets"]) == ("none", "one,two")


def test_cookiecutter_itself_refuses_an_argument_that_is_not_a_choice(desk: Desk) -> None:
    result = desk.call("--no-input", "identity=User")

    assert str(result.exception) == (
        "User provided for choice variable identity, but the choices are ['system', 'user']."
    )
    assert desk.made() == []


@pytest.mark.parametrize("words", [["--no-input"], []], ids=["no-input", "at the prompts"])
@pytest.mark.parametrize("hooks", ["no", "ask"])
def test_hooks_are_needed(desk: Desk, words: list[str], hooks: str) -> None:
    result = desk.call("--accept-hooks", hooks, *words, typed="y\n" + "\n" * 40)

    assert result.exit_code == 1
    assert re.search(f"--accept-hooks {hooks}: .*; accepted: yes\n$", result.output), result.output
    assert desk.made() == []


# At the prompts


def test_what_the_config_could_not_offer_is_asked_again(desk: Desk) -> None:
    desk.answer_by_config("{ci: off, secrets: later, vault: my-kv, Key: x}")
    person = desk.terminal()
    person.wait_for("Warning: Key in your config is not a prompt and is ignored; did you mean key?")
    person.answer_all(vault="my-own-kv")

    person.wait_for("Your config answers these too")
    person.answer("(my-kv)", "my-own-kv")
    person.answer("(later)")
    person.answer("none")

    assert person.finish() == 0, person.screen
    answers = desk.answers()
    assert (answers["ci"], answers["secrets"], answers["vault"]) == ("none", "later", "my-own-kv")


def test_only_wrong_answers_are_asked_again_and_enter_takes_the_default(desk: Desk) -> None:
    """The default is that of the prompt, which is nothing for an id or a scope."""
    person = desk.terminal()
    wrong = ("function_name", "identity_id", "vault", "secrets", "api_scope")
    typed = {"description": "{{ 7*7 }} {% raw", "identity": "2", "project_slug": "My App"}
    person.answer_all(project_name="x" * 101, **typed, **dict.fromkeys(wrong, "a_b/"))
    person.answer("Project name", "My App")
    person.answer("(my-app)")  # the slug follows the name
    person.answer("Name of the first function", "fetch")
    for default in ("()", "(%KEY_VAULT_NAME%)", "(my-application-secret)", "()"):
        person.answer(default)

    assert person.finish() == 0, person.screen
    expected = {"project_name": "My App", "project_slug": "my-app", "function_name": "fetch"}
    expected |= {"description": typed["description"], "identity": "user"}
    answers = desk.answers()
    assert {prompt: answers[prompt] for prompt in QUESTIONS} == DEFAULTS | expected


def test_of_a_pair_both_are_asked_again_with_the_own_answers(desk: Desk) -> None:
    person = desk.terminal()
    person.answer_all(project_name="x" * 101, identity_id=IDENTITY_ID)
    person.wait_for("identity_id: '/subscriptions/")
    person.answer("Project name", "Better")
    person.answer("Managed identity used to read the vault", "1")
    person.answer("(/subscriptions", "")  # Enter keeps the own answer, which is still wrong
    person.answer("Managed identity used to read the vault", "2")

    assert person.finish() == 0, person.screen
    expected = {"project_name": "Better", "project_slug": "better", "identity": "user"}
    assert desk.answers().items() >= (expected | {"identity_id": IDENTITY_ID}).items()


def test_a_script_on_a_terminal_is_not_asked(desk: Desk) -> None:
    person = desk.terminal("--no-input", "vault=my_vault")

    assert person.finish() == 1
    assert "vault: 'my_vault'" in person.screen
    assert desk.made() == []


# Over a project that exists


@pytest.mark.parametrize("words", [[], ["-f"], ["-f", "-s"]], ids=" ".join)
def test_a_refusal_changes_nothing(desk: Desk, words: list[str]) -> None:
    own = desk.out / "secure-function-app" / "src" / "own.py"
    own.parent.mkdir(parents=True)
    own.write_text("mine")

    result = desk.call("--no-input", "vault=my_vault", *words)

    assert result.exit_code == 1
    assert [file for file in desk.out.rglob("*") if file.is_file()] == [own]


OWN = ["src/own.py", ".github/workflows/own.yml", "src/blueprints/own.py", "tests/test_own.py"]


def test_no_file_that_the_run_did_not_write_is_removed(whole: Desk) -> None:
    project = whole.out / "secure-function-app"
    for name in OWN:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("mine")

    assert whole.call("--no-input", "ci=none", "-f").exit_code == 0

    assert [(project / name).read_text() for name in OWN] == ["mine"] * len(OWN)
    assert sorted(os.listdir(project / ".github")) == ["workflows"]


@pytest.mark.parametrize(
    "name", ["scripts/grant_api_role.py", "src/functions/call_api/function.json"]
)
def test_a_file_that_would_be_lost_is_refused_in_one_line(whole: Desk, name: str) -> None:
    project = whole.out / "secure-function-app"
    (project / name).parent.mkdir(parents=True)
    (project / name).write_text("mine")

    result = whole.call("--no-input", "-f")

    assert result.exit_code == 1
    assert re.fullmatch(f"{re.escape(str(project))} has {name}, .+\n", result.output)
    assert [file for file in project.rglob("*") if file.is_file()] == [project / name]
    assert (project / name).read_text() == "mine"
