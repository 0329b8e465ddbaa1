"""Whatever somebody answers is refused in clear lines, or becomes a project that holds it intact.

tests/answer_strategies.py says what is tried, and what must be refused.
"""

import ast
import itertools
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
    answer_sets,
    surely_wrong,
)
from answers import DEFAULTS, IDENTITY_ID, as_argument
from baking import TEMPLATE, texts_of
from click.testing import CliRunner, Result
from cookiecutter.cli import main as cookiecutter_command
from hypothesis import HealthCheck, given, seed, settings
from markdown_it import MarkdownIt
from slugify import slugify

from local_extensions.answers import QUESTIONS, problems

REFUSED = "Some answers are not valid:\n"
# Of a pair that cannot go together, only one answer is named.
RELATED = (
    {"identity", "identity_id", "vault", "vault_source", "vault_resource_group", "vault_access"},
    {"function_name", "programming_model", "key", "services", "api_scope", "network"},
    {"project_name", "project_slug"},
)
# Sets are drawn in small batches, each by a seed of its own: in a long run most would be variations
# of a few. The same seeds draw the same sets each time.
BATCH = settings(
    max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


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
    return {prompt: _in_its_case(prompt, answer) for prompt, answer in answers.items()}


def _in_its_case(prompt: str, answer: Any) -> Any:
    """Write a choice, or the names of services, as the template does."""
    if not isinstance(answer, str):
        return answer
    known = {choice.lower(): choice for choice in CHOICES.get(prompt, [])}
    return answer.lower() if prompt == "services" else known.get(answer.strip().lower(), answer)


class Room:
    """A folder of its own for each call, with nothing in it that was not put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Deep down, so that what climbs out of it is found.
        here = folder / "a" / "b" / "c"
        self.out, self.temp, self.work = here / "out", here / "temp", here / "work"
        self.replay, self.config = here / "replay" / "answers.json", here / "config.yaml"
        self._kept: Answers = {}

    def call(self, given: AnswerSet) -> Result:
        """Call cookiecutter's own command in an empty room."""
        if given.way == "replay" and not self._kept:  # private variables too
            assert self.call(AnswerSet("arguments", {}, frozenset())).exit_code == 0
            (kept,) = self.replay.parent.iterdir()
            self._kept = json.loads(kept.read_text("utf-8"))
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in (self.work, self.temp, self.replay.parent):
            place.mkdir(parents=True)
        config: Answers = {"replay_dir": str(self.replay.parent)}
        answers = {prompt: as_rendered(prompt, answer) for prompt, answer in given.answers.items()}
        words = [str(TEMPLATE), "--output-dir", str(self.out), "--config-file", str(self.config)]
        if given.way == "replay":
            changed = self._kept["cookiecutter"] | given.answers
            self.replay.write_text(json.dumps(self._kept | {"cookiecutter": changed}))
            words += ["--replay-file", str(self.replay)]
        elif given.way == "config":
            config["default_context"] = answers
            words.append("--no-input")
        else:
            words += ["--no-input", *(f"{prompt}={answer}" for prompt, answer in answers.items())]
        self.config.write_text(yaml.safe_dump(config), "utf-8")
        self._before = set(self.folder.rglob("*"))
        os.chdir(self.work)
        tempfile.tempdir = str(self.temp)
        return CliRunner().invoke(cookiecutter_command, words)

    def left(self, *expected: Path) -> list[str]:
        """List what a call has left anywhere but in the folders `expected`."""
        # Cookiecutter's own: the answers for another time, and a copy of each hook.
        own = {file for file in self.temp.glob("tmp*.py") if file.read_text("utf-8")[:3] == '"""'}
        new = set(self.folder.rglob("*")) - self._before - own
        new -= {*self.replay.parent.rglob("*"), *([self.out] if expected else [])}
        return sorted(
            str(file)
            for file in new
            if not any(file == one or one in file.parents for one in expected)
        )


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    CANARY.unlink(missing_ok=True)
    yield Room(tmp_path / "room")
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
    check_texts(texts, answer)
    assert not any(file.is_symlink() for file in project.rglob("*"))
    assert not any(re.search(r"[^A-Za-z0-9_./-]", name) for name in texts)
    free = {  # where text of any kind is
        "README.md": texts["README.md"].partition("```mermaid")[0],
        ".devcontainer/devcontainer.json": json.dumps(answer["project_name"], ensure_ascii=False),
    }
    for name, text in texts.items():
        if "/identity_bindings/" in name or name.startswith(("tests/support/", "scripts/")):
            continue  # no answer is in these
        jinja = re.search(r"(?<!\$){[{%#]", text.replace(free.get(name, "\0"), "", 1))
        assert not jinja, f"{name}: {jinja}"

    check_declarations(project, answer)
    assert re.search(
        f"^param project string = '{answer['project_slug']}'$", texts["infra/main.bicep"], re.M
    )
    assert yaml.safe_load(texts["azure.yaml"])["name"] == answer["project_slug"]
    secrets = [name.strip() for name in answer["secrets"].split(",")]
    assert list(json.loads(texts["secrets.local.example.json"])) == secrets
    named = {
        text.strip("%") for text in (answer["vault"], answer["identity_id"]) if text[:1] == "%"
    }
    assert named <= json.loads(texts["src/local.settings.json"])["Values"].keys()


def check_texts(texts: dict[str, str], answer: Answers) -> None:
    """Expect name and description where people read them, and nothing hidden behind them."""
    name, description = answer["project_name"], answer["description"]
    assert json.loads(texts[".devcontainer/devcontainer.json"])["name"] == name
    readme = texts["README.md"]
    shown, rest = readme.split("\n\n```mermaid\n", 1)[0], readme.rsplit("```mermaid\n", 1)[1]
    title, _, paragraph = shown.partition("\n\n")
    assert title == f"# {name}"
    assert paragraph == description or _as_typed(paragraph) == _as_typed(description)

    tokens, plain = (_structure(text) for text in (readme, f"# x\n\nx\n\n```mermaid\n{rest}"))
    behind = plain.index(("fence", "code", "mermaid"))
    assert tokens[-len(plain) + behind :] == plain[behind:]


def _as_typed(text: str) -> str:
    return re.sub(r"^( {0,3})\\(?=[`~<\[])", r"\1", text, flags=re.M)


def _structure(markdown: str) -> list[tuple[str, str, str]]:
    return [(one.type, one.tag, one.info) for one in MarkdownIt("commonmark").parse(markdown)]


def check_declarations(project: Path, answer: Answers) -> None:
    """Expect each declaration, and each with the vault and the identity of the answers."""
    by_user = {"identityId": answer["identity_id"] or "%KEY_VAULT_IDENTITY_ID%"}
    who = {"identity": answer["identity"], **(by_user if answer["identity"] == "user" else {})}
    vault = {"vaultName": answer["vault"]}
    expected = [{"secretName": n.strip(), **vault, **who} for n in answer["secrets"].split(",")]
    expected += [{"keyName": answer["key"], **vault, **who}] if answer["key"] else []
    expected += [{"scope": answer["api_scope"], **who}] if answer["api_scope"] else []

    in_code = answer["programming_model"] == "decorators"
    declared = _by_decorators(project) if in_code else _in_files(project)
    assert _in_any_order(declared) == _in_any_order(expected)


def _in_any_order(declarations: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in declarations)


def _in_files(project: Path) -> Iterator[dict[str, Any]]:
    for file in project.glob("src/functions/*/function.json"):
        for binding in json.loads(file.read_text("utf-8"))["bindings"]:
            if "identity" in binding:
                common = ("name", "type", "direction")
                yield {name: value for name, value in binding.items() if name not in common}


def _by_decorators(project: Path) -> Iterator[dict[str, Any]]:
    for file in [project / "src/function_app.py", *project.glob("src/blueprints/*.py")]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and "identity" in {one.arg for one in node.keywords}:
                yield {_in_json(one.arg): ast.literal_eval(one.value) for one in node.keywords}


def _in_json(name: str | None) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name or "")


def check_ending(room: Room, given: AnswerSet, result: Result) -> Path | None:
    """Expect a refusal of what is wrong, and nothing left; or the folder of a project alone."""
    answers = delivered(given)
    wrong = {prompt for prompt in QUESTIONS if surely_wrong(prompt, answers[prompt])}
    assert not CANARY.exists()
    if isinstance(result.exception, ValueError):  # before any of the template runs
        refused = r"(?s).* provided for choice variable (\w+), but the choices .*"
        named = re.fullmatch(refused, str(result.exception))
        assert named and given.way == "arguments"
        assert given.answers[named[1]] not in CHOICES[named[1]]
        assert room.left() == []
        return None
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 0:
        assert not wrong
        (project,) = room.out.iterdir()
        assert project.name == answers["project_slug"]
        assert room.left(project) == []
        return project
    assert result.exit_code == 1
    named_prompts = check_refusal(result.output)
    # An answer that Jinja cannot render is named alone: the others are not rendered yet.
    assert wrong <= named_prompts or "cannot be rendered by Jinja" in result.output
    for prompt in named_prompts - given.hostile:
        assert any(prompt in group and group & given.hostile for group in RELATED), prompt
    assert room.left() == []
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


@pytest.mark.parametrize("number", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_set_is_refused_or_rendered(
    room: Room, record_testsuite_property: Callable[[str, object], None], number: int
) -> None:
    counted: Counter[str] = Counter()
    seen: set[str] = set()

    @BATCH
    @given(answer_sets())
    def batch(given: AnswerSet) -> None:
        if repr(given) in seen:  # each batch begins with the simplest set
            return
        project = check_ending(room, given, room.call(given))
        if project:
            check_project(project, delivered(given))
            assert not CANARY.exists()
        seen.add(repr(given))
        counted["rendered" if project else "refused"] += 1

    batches = itertools.count()
    while len(seen) < number:
        seed(next(batches))(batch)()

    for name, count in counted.items():
        record_testsuite_property(f"answers.{name}", count)
    assert counted["rendered"] >= 0.3 * len(seen)
    assert counted["refused"] >= 0.2 * len(seen)
