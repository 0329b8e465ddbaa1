"""Whatever somebody answers is refused in clear lines, or becomes a project that holds it intact.

tests/answer_strategies.py says what is tried, and what must be refused.
"""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from answer_strategies import (
    CANARY,
    CHOICES,
    LOOK_ALIKES,
    PAYLOADS,
    Answers,
    AnswerSet,
    answer_set,
    surely_wrong,
)
from answers import DEFAULTS, IDENTITY_ID, as_argument
from baking import texts_of
from click.testing import Result
from desk import Desk
from slugify import slugify

from local_extensions.answers import QUESTIONS, as_text, problems

REFUSED = "Some answers are not valid:\n"


def as_rendered(prompt: str, answer: Any) -> Any:
    """Write an answer so that cookiecutter, which renders it, gets what it was."""
    if prompt in CHOICES or not isinstance(answer, str):  # compared as they are
        return answer
    if re.search(r"\r|{%[-+]?\s*endraw", answer):
        return as_argument(answer)
    return f"{{% raw %}}{answer}{{% endraw %}}"


def delivered(given: AnswerSet) -> Answers:
    """What the template gets of a set."""
    answers = dict(given.answers)
    if "project_slug" not in answers:
        slug = slugify(str(answers["project_name"]), max_length=32)
        answers["project_slug"] = slug or "secure-function-app"
    return {prompt: as_text(prompt, answer) for prompt, answer in answers.items()}


def give(desk: Desk, given: AnswerSet) -> Result:
    """Answer in the way of a set."""
    if given.way.startswith("--replay"):
        return desk.give(given.way, given.answers)
    answers = {prompt: as_rendered(prompt, answer) for prompt, answer in given.answers.items()}
    words = [f"{prompt}={answer}" for prompt, answer in answers.items()]
    return desk.give(given.way, words if given.way == "argument" else answers)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    monkeypatch.chdir(desk.out.parent)
    CANARY.unlink(missing_ok=True)
    yield desk
    CANARY.unlink(missing_ok=True)


# What must hold


def check_refusal(output: str) -> set[str]:
    """Expect a line for each wrong answer; return the prompts that are named."""
    _, found, lines = output.partition(REFUSED)
    assert found, output
    prompts = []
    for line in lines.removesuffix("\n").split("\n"):
        named = re.fullmatch(r"  (\w+): .+ (must be|.*accepted).+", line)
        assert named, line
        assert line.isprintable(), line
        assert len(line) < 500, line
        prompts.append(named[1])
    assert prompts == [prompt for prompt in QUESTIONS if prompt in prompts]
    return set(prompts)


def check_project(project: Path, answers: Answers) -> None:
    """Expect a project that parses, and that holds the answers as they were given."""
    answer = {prompt: text.strip() for prompt, text in answers.items()}
    texts = texts_of(project)
    name, description = answer["project_name"], answer["description"]
    assert json.loads(texts[".devcontainer/devcontainer.json"])["name"] == name
    shown = texts["README.md"].partition("\n\n```mermaid\n")[0]
    title, _, paragraph = shown.partition("\n\n")
    assert title == f"# {name}"
    # tests/test_facts.py has what is escaped.
    escaped = re.compile(r"^( {0,3})\\(?=[`~<\[])", re.M)
    assert escaped.sub(r"\1", paragraph) == escaped.sub(r"\1", description)
    free = {  # where text of any kind is
        "README.md": shown,
        ".devcontainer/devcontainer.json": json.dumps(name, ensure_ascii=False),
    }
    for file, text in texts.items():
        assert re.fullmatch(r"[A-Za-z0-9_./-]+", file)
        if "/identity_bindings/" in file or file.startswith(("tests/support/", "scripts/")):
            continue  # no answer is in these
        jinja = re.search(r"(?<!\$){[{%#]", text.replace(free.get(file, "\0"), "", 1))
        assert not jinja, f"{file}: {jinja}"

    assert f"\nparam project string = '{answer['project_slug']}'\n" in texts["infra/main.bicep"]
    assert yaml.safe_load(texts["azure.yaml"])["name"] == answer["project_slug"]
    secrets = [name.strip() for name in answer["secrets"].split(",")]
    assert list(json.loads(texts["secrets.local.example.json"])) == secrets
    # tests/test_combinations.py has what is declared with what.
    declared = "".join(text for file, text in texts.items() if file.startswith("src/function"))
    declared += "".join(text for file, text in texts.items() if file.startswith("src/blueprints"))
    places = [answer[prompt] for prompt in ("vault", "identity_id", "key", "api_scope")]
    for value in filter(None, [*secrets, *places]):
        assert f'"{value}"' in declared
    named = {text.strip("%") for text in places if text[:1] == "%"}
    assert named <= json.loads(texts["src/local.settings.json"])["Values"].keys()


def check_ending(desk: Desk, given: AnswerSet, result: Result) -> Path | None:
    """Expect a refusal of what is wrong, and nothing left; or the folder of a project alone."""
    answers = delivered(given)
    wrong = {prompt for prompt in QUESTIONS if surely_wrong(prompt, answers[prompt])}
    assert not CANARY.exists()
    if isinstance(result.exception, ValueError):  # before any of the template runs
        refused = r"(?s).* provided for choice variable (\w+), but the choices .*"
        named = re.fullmatch(refused, str(result.exception))
        assert named and given.way == "argument"
        assert given.answers[named[1]] not in CHOICES[named[1]]
        assert desk.made() == []
        return None
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 0:
        assert not wrong
        (project,) = desk.out.iterdir()
        assert project.name == answers["project_slug"]
        assert all(project in (path, *path.parents) for path in desk.made())
        return project
    assert result.exit_code == 1
    named_prompts = check_refusal(result.output)
    # An answer that Jinja cannot render is named alone: the others are not rendered yet.
    assert wrong <= named_prompts or "cannot be rendered by Jinja" in result.output
    assert given.hostile, "right answers are accepted"
    assert desk.made() == []
    return None


# Right answers to all prompts, none of them empty.
RIGHT = DEFAULTS | {
    "identity": "user",
    "identity_id": IDENTITY_ID,
    "vault": "https://my-kv.vault.usgovcloudapi.net/",
    "vault_source": "existing",
    "vault_resource_group": "my-group",
    "key": "signing-key",
    "services": "blob-storage,cosmos-db",
    "api_scope": "https://api.example/.default",
}


@pytest.mark.parametrize("prompt", QUESTIONS)
def test_what_is_surely_wrong_is_refused(prompt: str) -> None:
    """Each payload for each prompt, alone and within a right answer; more than can be rendered."""
    assert problems(RIGHT) == []
    right = RIGHT[prompt]
    tried = {right.replace(*alike, count) for alike in LOOK_ALIKES.items() for count in (1, -1)}
    for payload in itertools.chain(*PAYLOADS.values()):
        tried.add(payload)
        tried |= {right[:at] + payload + right[at:] for at in (0, 1, len(right) // 2, len(right))}

    wrong = [answer for answer in tried if surely_wrong(prompt, answer)]

    assert len(wrong) > 40
    for answer in wrong:
        assert prompt in {one.prompt for one in problems(RIGHT | {prompt: answer})}, answer


@pytest.mark.parametrize(
    "number",
    [*range(30), *(pytest.param(one, marks=pytest.mark.slow) for one in range(30, 1000))],
)
def test_a_set_is_refused_or_rendered(desk: Desk, number: int) -> None:
    given = answer_set(number)

    if project := check_ending(desk, given, give(desk, given)):
        check_project(project, delivered(given))
        assert not CANARY.exists()
