"""What the answers mean: parameters, and a description that hides nothing."""

import itertools

import pytest
from answer_strategies import PAYLOADS
from answers import DEFAULTS, PAIRS
from markdown_it import MarkdownIt

from local_extensions.answers import problems
from local_extensions.facts import Facts, Secret, with_parameters


def facts(**answers: str) -> Facts:
    return Facts(DEFAULTS | answers)


@pytest.mark.parametrize(
    ("secret", "parameter"),
    [
        ("my-application-secret", "my_application_secret"),
        ("mySecret", "my_secret"),
        ("myAPIKey", "my_api_key"),
        ("SQL2Password", "sql2_password"),
        ("--odd--name--", "odd_name"),
        ("---", "secret"),
        ("3rd-party", "secret_3rd_party"),
        ("import", "import_secret"),
        ("Req", "req_secret"),
        ("res", "res_secret"),
        ("context", "context_secret"),
        ("func", "func_secret"),
        ("json", "json_secret"),
    ],
)
def test_a_parameter(secret: str, parameter: str) -> None:
    assert [one.parameter for one in with_parameters([secret])] == [parameter]


def test_parameters_are_unique() -> None:
    secrets = with_parameters(["a-b", "aB", "a--b", "a-b-2"])

    assert [secret.parameter for secret in secrets] == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]


@pytest.mark.parametrize(
    ("description", "written"),
    [
        ("Signs `orders`: *all* of them, see [the docs](https://example.org).", None),
        ("<scripture> {{ 7*7 }} %d $HOME é 日本 \U0001f600\n\ttwo", None),
        ("One\n   ~~~~\ntwo", "One\n   \\~~~~\ntwo"),
        ("<Script>", "\\<Script>"),
    ],
)
def test_a_description_is_escaped_where_it_must_be(description: str, written: str | None) -> None:
    assert facts(description=description).description_in_markdown == (written or description)


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_description_hides_neither_itself_nor_what_is_below(kind: str) -> None:
    forms = ("{0}", "One\n{0}\ntwo", "One {0}\n\n{0}")
    for text, form in itertools.product(PAYLOADS[kind], forms):
        description = form.format(text)
        if not problems(DEFAULTS | {"description": description}):
            shown = facts(description=description).description_in_markdown

            *above, below = MarkdownIt().parse(f"{shown}\n\n```mermaid\n```\n")

            assert (below.info, below.level) == ("mermaid", 0), description
            assert above, description


FREE_TEXT = {"project_name", "description", "description_in_markdown", "project_name_quoted"}


@pytest.mark.parametrize("answers", PAIRS.values(), ids=PAIRS)
def test_facts_are_decisions_and_names(answers: dict[str, str]) -> None:
    """Sentences, commands and code belong in the templates, where a search finds them."""
    found = facts(**answers)
    for name in {one for one in dir(found) if one[0] != "_"} - FREE_TEXT:
        value = getattr(found, name)
        for text in value if isinstance(value, list | tuple) else [value]:
            assert isinstance(text, bool | Secret) or " " not in text, name
