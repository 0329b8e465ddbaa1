"""Sets of answers to all prompts: right ones, in which some are replaced by what should be refused."""

# ruff: noqa: SIM905 - words are read more easily without quotes around each

import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from answers import DEFAULTS, PAIRS

from local_extensions.answers import QUESTIONS

# Whatever is executed leaves this file behind.
CANARY = Path(tempfile.gettempdir(), f"an-answer-was-executed-{os.getpid()}")
C = CANARY.as_posix()

CHOICES: dict[str, list[str]] = {
    prompt: first for prompt, first in QUESTIONS.items() if isinstance(first, list)
}
SWITCH = {"yes", "no", "on", "off", "true", "false"}  # may be said of `ci`
FREE_TEXT = {"project_name": 100, "description": 1000}  # and how long it may be
MAY_BE_EMPTY = {"identity_id", "vault_resource_group", "key", "services", "api_scope"}
# Azure accepts letters of any language in the names of resource groups, and nowhere else.
IN_ANY_LANGUAGE = {"vault_resource_group": ".+", "identity_id": "(?ai)(?<=/resourcegroups/)[^/]+"}
# No name that an answer may give holds any of these. `~` is right in a scope.
NEVER_IN_A_NAME = frozenset("'\"`$;|&<>{}[]\\*?!#^=+@\n\t")

# What means something in each language that an answer passes through or ends up in.
PAYLOADS: dict[str, list[str]] = {
    "jinja": [
        "{{ 7*7 }}",
        f"{{{{ cycler.__init__.__globals__.os.system('touch {C}') }}}}",
        f"{{% for x in ().__class__.__base__.__subclasses__() %}}{{{{ open('{C}','w') }}}}{{% endfor %}}",
        "{{ cookiecutter.update({'project_slug': '../../x'}) }}",
        "{{ random_ascii_string(5) }}",
        "{% include '../../../../etc/passwd' %}",
        "{% raw %}",
        "{% endraw %}",
        "{%- endraw -%}{{ 1/0 }}{% raw %}",
        "{# a comment",
        "}}",
        "%}",
        "${{ secrets.GITHUB_TOKEN }}",
    ],
    "python": [
        f"__import__('os').system('touch {C}')",
        f'");open("{C}","w");("',
        f"');open('{C}','w');('",
        f'"""\nopen("{C}", "w")\n"""',
        "'''",
        "%s %(x)d {0.__class__} {x!r}",
        "\\N{BULLET} \\x41 \\u0041 \\",
        "# -*- coding: rot13 -*-",
    ],
    "shell": [
        f"$(touch {C})",
        f"`touch {C}`",
        f"; touch {C};",
        f"' && touch {C} && '",
        f'" | touch {C} | "',
        f"\ntouch {C}\n",
        "$HOME ${IFS} ~root * ? !!",
        "--output-dir=/",
        "-rf",
        "=",
    ],
    "json": ['"', '", "type": "blob', '{"a": [1, null]}', "// comment", "/* comment */", "\\u0000"],
    "yaml": [
        f"!!python/object/apply:os.system ['touch {C}']",
        *("key: value", "- item", "&anchor *alias", "# comment", "@at"),
        *"null yes ~ 1e3 0x1f 2024-01-01 --- ... | >-".split(),
    ],
    "bicep": [
        "${resourceGroup().id}",
        "\\${x}",
        "'",
        "'''",
        "' + listKeys() + '",
        "'\nresource x 'Microsoft.Web/sites@2024-04-01' = {\n",
        "@secure()",
    ],
    "toml": ["[tool.pytest]", "'''", "a = 1"],
    "markdown": [
        "text\n\n   ```sh",
        "\n<script>alert(1)</script>",
        "<!DOCTYPE html",
        "[Caller]: https://example.org",
        "| a | b |\n|---|---|",
        *("<?php", "# Title", "- - -", "> quoted", "[x](javascript:alert)"),
        *"``` ~~~~ <!-- <pre> <![CDATA[ === <details> $$".split(),
    ],
    "paths": [
        *r"../../x .. . / ..\..\x C:\x \\host\share a/../b ./x x/ %2e%2e%2fx".split(),
        "file:///etc/passwd",
        C,
        f"../../../../../../../../../..{C}",
    ],
    "control": [
        *"\0\1\a\b\t\n\r\v\f\x1a\x1c\x7f\x85\x9b\u2028\u2029\ud800\udc80\uffff",
        *("\r\n", "\x1b[31m", "\x1b]0;title\a"),
    ],
    "order": [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"],
    "invisible": [*"\u00a0\u00ad\u200b\u200d\u2060\u3000\ufeff\U000e0041"],
    "windows": [*"con PRN aux NUL com1 LPT9 nul.txt con. CONIN$ x:y".split(), "x "],
    "long": ["x" * n for n in (25, 33, 65, 101, 128, 257, 1001, 5000, 100_000)],
}
LOOK_ALIKES = dict(
    zip(
        "aeopxyABEHKMOPTXsSkiI019-_/.%:",
        "\u0430\u0435\u043e\u0440\u0445\u0443\u0410\u0412\u0415\u041d\u212a\u041c\u041e\u0420\u0422\u0425"
        "\u017f\u017f\u212a\u0131\u0130\u0660\u0661\uff19\u2010\uff3f\u2044\u2024\uff05\ua789",
        strict=True,
    )
)

WAYS = ("argument", "config", "--replay-file")  # of desk.Desk
Answers = dict[str, Any]


@dataclass(frozen=True)
class AnswerSet:
    """What somebody answers, and how.

    Attributes:
        way: One of WAYS.
        hostile: The prompts with an answer that may be wrong.
    """

    way: str
    answers: Answers
    hostile: frozenset[str]


def surely_wrong(prompt: str, answer: Any) -> bool:
    """Whether this must never be accepted: nothing here asks the template.

    What is not sure is left to tests/test_answers.py.
    """
    if not isinstance(answer, str):
        return True
    text = answer.strip()
    if prompt in CHOICES:
        switch = prompt == "ci" and text.lower() in SWITCH
        return text.lower() not in CHOICES[prompt] and not switch
    if prompt in FREE_TEXT:
        lines = "\n" in text and prompt == "project_name"
        return lines or not 1 <= len(text) <= FREE_TEXT[prompt] or any(map(misleads, text))
    if not text:
        return prompt not in MAY_BE_EMPTY
    elsewhere = re.sub(IN_ANY_LANGUAGE.get(prompt, "$"), "", re.sub(r"\s*,\s*", ",", text))
    wrong = any(map(misleads, text)) or not elsewhere.isascii()
    return wrong or bool(NEVER_IN_A_NAME.intersection(elsewhere))


def misleads(character: str) -> bool:
    """Whether a screen would show something else than what is there."""
    marks = ("ARABIC LETTER MARK", "LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK")
    control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    embeds = unicodedata.bidirectional(character) in (
        *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
    )
    tag = 0xE0000 <= ord(character) < 0xE1000
    mark = unicodedata.name(character, "") in marks
    return (control and character not in "\n\t") or mark or embeds or tag


def _is_blank(character: str) -> bool:
    """Whether a character has no glyph; in a description some of them join letters."""
    named = re.search("FILLER|BLANK|JOINER", unicodedata.name(character, ""))
    return unicodedata.category(character) == "Cf" or bool(named)


ANY_PAYLOAD = [one for kind in PAYLOADS.values() for one in kind]
SLUGS = ("a1", "9-lives", "a" * 32, "null", "no", "1e3", "2024-01-01", "0x1f")
# Where characters are drawn from: ASCII, Latin, other alphabets, symbols, and beyond 16 bits.
PLANES = ((0x20, 0x7E), (0xA0, 0x24F), (0x370, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x3FFFF))


def _characters(random: Random) -> str:
    drawn = [chr(random.randint(*random.choice(PLANES))) for _ in range(random.randint(1, 12))]
    return "".join(one for one in drawn if unicodedata.category(one) != "Cn")


def _right_text(random: Random, prompt: str) -> str:
    """Draw a text that must arrive."""
    while True:
        parts = [
            random.choice([random.choice(ANY_PAYLOAD), _characters(random)])
            for _ in range(random.randint(1, 4))
        ]
        text = " ".join(parts)
        if prompt == "project_name":
            text = "".join(one for one in " ".join(text.split()) if not _is_blank(one))
        shown = any(one.isalnum() and not _is_blank(one) for one in text)
        if shown and "\uffff" not in text and not surely_wrong(prompt, text):
            return text


def _dubious(random: Random, right: str) -> str:
    """Draw something that somebody might try instead of a right answer."""
    kind = random.choice(["payload", "around", "around", "look-alike", "text", "case", "many"])
    if kind == "payload":
        return random.choice(ANY_PAYLOAD)
    if kind == "around":
        at = random.randint(0, len(right))
        return right[:at] + random.choice(ANY_PAYLOAD) + right[at:]
    if kind == "look-alike" and (known := sorted(set(right) & set(LOOK_ALIKES))):
        character = random.choice(known)
        return right.replace(character, LOOK_ALIKES[character], 1)
    if kind == "case":
        return random.choice([right.upper(), right.title(), right.swapcase(), right[::-1]])
    if kind == "many":
        return random.choice([",", "", "\n", "/", "-"]).join([right] * random.randint(2, 30))
    # Surrogates too
    return "".join(chr(random.randint(0, 0x10FFFF)) for _ in range(random.randint(0, 40)))


def answer_set(number: int) -> AnswerSet:
    """Draw a set of answers with at most three dubious ones, and a way to give them."""
    random = Random(number)
    way = random.choice(WAYS)
    answers: Answers = DEFAULTS | random.choice(list(PAIRS.values()))
    answers |= {prompt: _right_text(random, prompt) for prompt in FREE_TEXT}
    answers["project_slug"] = random.choice(SLUGS)
    hostile = set(random.sample(list(QUESTIONS), random.choice((0, 0, 0, 1, 2, 3))))
    for prompt in sorted(hostile):
        # With a list of mappings for a choice in the config, cookiecutter itself ends in an error.
        others = [{"a": "b"}] if way == "config" and prompt in CHOICES else [{"a": "b"}, [{}]]
        no_text = way != "argument" and random.random() < 0.2
        answers[prompt] = random.choice(others) if no_text else _dubious(random, answers[prompt])
    if way != "--replay-file" and random.random() < 0.2:
        del answers["project_slug"]  # derived from the name, which may make a wrong one
        hostile.add("project_slug")
    return AnswerSet(way, answers, frozenset(hostile))
