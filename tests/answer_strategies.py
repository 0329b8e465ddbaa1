"""Sets of answers to all prompts: what people rightly type, and what nobody should get away with."""

import keyword
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answers import IDENTITY_ID
from hypothesis import strategies as st

from local_extensions.answers import QUESTIONS

# Whatever is executed leaves this file behind.
CANARY = Path(tempfile.gettempdir()) / "an-answer-was-executed"
C = CANARY.as_posix()

CHOICES: dict[str, list[str]] = {
    prompt: first for prompt, first in QUESTIONS.items() if isinstance(first, list)
}
SWITCH = {"yes", "no", "on", "off", "true", "false"}  # may be said of `ci`
FREE_TEXT = {"project_name": 100, "description": 1000}  # and how long it may be
LONGEST = {"project_slug": 32, "function_name": 64, "secrets": 127, "key": 127, "api_scope": 264}
LISTS = {"secrets", "services"}  # with commas, and spaces around each name
MAY_BE_EMPTY = {"identity_id", "vault_resource_group", "key", "services", "api_scope"}
# Azure lets letters of any language into the names of resource groups, and nowhere else.
IN_ANY_LANGUAGE = {"vault_resource_group": ".+", "identity_id": "(?ai)(?<=/resourcegroups/)[^/]+"}

# What means something in each language that an answer passes through or ends up in.
PAYLOADS: dict[str, list[str]] = {
    "jinja": [
        "{{ 7*7 }}",
        "{{ nothing.like.that }}",
        f"{{{{ cycler.__init__.__globals__.os.system('touch {C}') }}}}",
        f"{{{{ lipsum.__globals__['os'].popen('touch {C}').read() }}}}",
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
        "key: value",
        "- item",
        "&anchor *alias",
        "null",
        "yes",
        "~",
        "1e3",
        "0x1f",
        "2024-01-01",
        "---",
        "...",
        "# comment",
        "@at",
        "|",
        ">-",
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
        "```",
        "~~~~",
        "<!--",
        "text\n\n   ```sh",
        "\n<script>alert(1)</script>",
        "<pre>",
        "<?php",
        "<![CDATA[",
        "<!DOCTYPE html",
        "[Caller]: https://example.org",
        "# Title",
        "===",
        "| a | b |\n|---|---|",
        "- - -",
        "> quoted",
        "[x](javascript:alert)",
        "<details>",
        "$$",
    ],
    "paths": [
        "../../x",
        "..",
        ".",
        "/",
        C,
        f"../../../../../../../../../..{C}",
        "..\\..\\x",
        "C:\\x",
        "\\\\host\\share",
        "a/../b",
        "./x",
        "x/",
        "%2e%2e%2fx",
        "file:///etc/passwd",
    ],
    "control": [
        *"\0\1\a\b\t\n\r\v\f\x1a\x1c\x7f\x85\x9b\u2028\u2029",
        "\r\n",
        "\x1b[31m",
        "\x1b]0;title\a",
        "\ud800",
        "\udc80",
        "\uffff",
    ],
    "order": [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"],
    "invisible": [*"\u00a0\u00ad\u200b\u200d\u2060\u3000\ufeff\U000e0041"],
    "look-alike": [
        *"\u0430\u0435\u043e\u0440\u03bf\u0131\u0130\u017f\u212a\uff41\U0001d41a\u0661",
        *"\u2010\u2011\u2212\uff0d\u2044\uff0f\u2024\uff0e\uff05\uff0c\uff3f\u2019\uff02",
    ],
    "windows": [
        "con",
        "PRN",
        "aux",
        "NUL",
        "com1",
        "LPT9",
        "nul.txt",
        "con.",
        "CONIN$",
        "x:y",
        "x ",
    ],
    "words": [
        *(
            "import",
            "None",
            "async",
            "match",
            "main",
            "app",
            "func",
            "host",
            "admin",
            "json",
            "azure",
        ),
        *("tests", "blueprints", "requests", "identity_bindings", "key_vault_secret", "str"),
        *("sign_document", "Call_API", "read_order", "ship_order", "summarize_blob"),
        *("login", "microsoft", "windows", "%PATH%", "%KEY_VAULT_IDENTITY_ID%", "%AzureWebJobsX%"),
    ],
    "long": ["x" * n for n in (25, 33, 65, 101, 128, 257, 1001, 5000, 100_000)],
}
ANY_PAYLOAD = st.sampled_from(sorted(PAYLOADS)).flatmap(
    lambda kind: st.sampled_from(PAYLOADS[kind])
)
LOOK_ALIKES = {
    **dict(
        zip(
            "aceopxyABEHKMOPTX",
            "\u0430ce\u043e\u0440\u0445\u0443\u0410\u0412\u0415\u041d\u041a\u041c\u041e\u0420\u0422\u0425",
            strict=True,
        )
    ),
    **dict(zip("sSkKiI", "\u017f\u017f\u212a\u212a\u0131\u0130", strict=True)),
    **dict(zip("019-_/.%:", "\u0660\u0661\u0669\u2010\uff3f\u2044\u2024\uff05\ua789", strict=True)),
}

WAYS = ("arguments", "typed", "replay")
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


# What must be refused, in words of this file's own: nothing here asks the template.

EMBEDDING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# No name that an answer may give holds any of these. `~` is right in a scope.
NEVER_IN_A_NAME = frozenset("'\"`$;|&<>{}[]\\*?!#^=+@\n\t")


def surely_wrong(prompt: str, answer: Any) -> bool:
    """Whether this must never be accepted. What is not sure is left to the other checks."""
    if not isinstance(answer, str):
        return True
    if prompt in CHOICES:
        switch = prompt == "ci" and answer.strip().lower() in SWITCH
        return answer.strip().lower() not in CHOICES[prompt] and not switch
    text = answer.strip()
    if prompt in FREE_TEXT:
        lines = "\n" in text and prompt == "project_name"
        return lines or not 1 <= len(text) <= FREE_TEXT[prompt] or any(map(_misleads, text))
    if not text:
        return prompt not in MAY_BE_EMPTY
    names = [name.strip() for name in text.split(",")] if prompt in LISTS else [text]
    text = ",".join(names)
    elsewhere = re.sub(IN_ANY_LANGUAGE.get(prompt, "$"), "", text)
    if any(map(_misleads, text)) or not elsewhere.isascii():
        return True
    if NEVER_IN_A_NAME.intersection(text) or max(map(len, names)) > LONGEST.get(prompt, 1000):
        return True
    check = {"project_slug": _no_slug, "function_name": _no_function, "vault": _no_vault}
    return prompt in check and check[prompt](answer if prompt != "vault" else text)


def _misleads(character: str) -> bool:
    """Whether a screen would show something else than what is there."""
    control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    mark = unicodedata.name(character, "") in (
        *("ARABIC LETTER MARK", "LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK"),
    )
    embeds = unicodedata.bidirectional(character) in EMBEDDING
    tag = 0xE0000 <= ord(character) < 0xE1000
    return (control and character not in "\n\t") or mark or embeds or tag


def _no_slug(slug: str) -> bool:
    return _is_device(slug) or len(slug) < 2 or bool(re.search("[^a-z0-9-]", slug))


def _no_function(name: str) -> bool:
    return _is_device(name) or not name.isidentifier() or keyword.iskeyword(name)


def _no_vault(vault: str) -> bool:
    host = vault.partition("://")[2]
    return bool(host) and not re.search(
        r"\.(azure\.(net|cn)|usgovcloudapi\.net|sovcloud-api\.fr)", host, re.I
    )


def _is_device(name: str) -> bool:
    return bool(re.fullmatch("con|prn|aux|nul|(com|lpt)[0-9]", name.partition(".")[0].lower()))


# What people rightly answer

WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9]{1,11}", fullmatch=True)
GUIDS = st.uuids().map(str)
PLAIN = st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]).filter(
    lambda character: not _misleads(character)
)
HARMLESS = ANY_PAYLOAD.filter(lambda text: not any(map(_misleads, text)) and "\uffff" not in text)
SENTENCES = st.lists(
    st.text(PLAIN, min_size=1, max_size=12) | HARMLESS, min_size=1, max_size=4
).map(" ".join)
LINES = SENTENCES.map(lambda text: " ".join(text.split()))


def _shows_nothing(character: str) -> bool:
    """Whether a character has no glyph; in a description some of them join letters."""
    return unicodedata.category(character) == "Cf" or "FILLER" in unicodedata.name(character, "")


def _free(prompt: str, texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.filter(lambda text: not surely_wrong(prompt, text))


NAMES = _free("project_name", st.lists(WORDS, min_size=1, max_size=3).map(" ".join) | LINES).filter(
    lambda name: not any(map(_shows_nothing, name))
)
DESCRIPTIONS = _free("description", SENTENCES)
SLUGS = st.one_of(
    st.lists(st.from_regex("[a-z0-9]{2,6}", fullmatch=True), min_size=1, max_size=4).map("-".join),
    st.sampled_from(
        ["a1", "9-lives", "a" * 32, "null", "no", "true", "1e3", "123", "2024-01-01", "0x1f"]
    ),
).filter(lambda slug: not re.search("^login|microsoft|windows", slug) and not _no_slug(slug))
FUNCTIONS = st.one_of(
    st.from_regex("run_[A-Za-z0-9_]{0,40}", fullmatch=True),
    st.sampled_from(["read_secret", "readSecret2", "main", "requests", "match", "print", "x" * 64]),
)
SETTINGS = st.one_of(
    st.sampled_from(["MY_VAULT", "no", "Y", "Null", "x", "group", "S" * 128]),
    st.from_regex("MY[A-Z0-9_]{0,20}", fullmatch=True),
)
VAULT_NAMES = st.from_regex("kv(-?[A-Za-z0-9]){1,10}", fullmatch=True)
CLOUDS = ("azure.net", "azure.cn", "usgovcloudapi.net", "sovcloud-api.fr")
VAULT_URIS = st.builds(
    "https://{}.vault.{}{}".format,
    VAULT_NAMES,
    st.sampled_from(CLOUDS),
    st.sampled_from(["", "/", ":443/"]),
)
GROUPS = st.from_regex(r"[A-Za-z0-9(][\w().-]{0,40}[\w()-]", fullmatch=True)
IDENTITY_IDS = st.builds(
    (
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/{}"
    ).format,
    GUIDS,
    GROUPS,
    st.from_regex("id[A-Za-z0-9_-]{1,20}", fullmatch=True),
) | st.just(IDENTITY_ID)
SECRETS = st.lists(
    st.from_regex("[A-Za-z0-9-]{1,20}", fullmatch=True)
    | st.sampled_from(["import", "req", "json", "a" * 127]),
    min_size=1,
    max_size=20,
    unique_by=str.lower,
).flatmap(lambda names: st.sampled_from([",", " , "]).map(lambda comma: comma.join(names)))
KEYS = st.from_regex("[A-Za-z0-9-]{1,40}", fullmatch=True)
SCOPES = st.one_of(
    GUIDS.map("api://{}/.default".format),
    st.from_regex(r"(api|https)://[a-z0-9][A-Za-z0-9._~:/-]{0,40}/\.default", fullmatch=True),
)
SERVICES = ("blob-storage", "cosmos-db", "service-bus")


@st.composite
def right_answers(draw: st.DrawFn) -> Answers:
    """Draw answers that are right, each by itself and all together."""

    def perhaps(strategy: st.SearchStrategy[str]) -> str:
        return draw(st.just("") | strategy)

    answers: Answers = {prompt: draw(st.sampled_from(first)) for prompt, first in CHOICES.items()}
    offered = [one for one in SERVICES if (one, answers["network"]) != ("service-bus", "private")]
    setting, *other = draw(st.lists(SETTINGS, min_size=2, max_size=2, unique_by=str.lower))
    new, by_user = answers["vault_source"] == "new", answers["identity"] == "user"
    if new and answers["vault_access"] == "granted":
        answers["vault_access"] = "rbac"
    vaults = VAULT_NAMES | VAULT_URIS
    answers |= {
        "project_name": draw(NAMES),
        "project_slug": draw(SLUGS),
        "description": draw(DESCRIPTIONS),
        "function_name": draw(FUNCTIONS),
        "identity_id": perhaps(IDENTITY_IDS | st.just(f"%{setting}%")) if by_user else "",
        "vault": draw(
            vaults | st.sampled_from(["%KEY_VAULT_NAME%", f"%{other[0]}%"]) if new else vaults
        ),
        "vault_resource_group": ""
        if new
        else perhaps(GROUPS | st.builds("{}/{}".format, GUIDS, GROUPS)),
        "secrets": draw(SECRETS),
        "key": perhaps(KEYS),
        "services": ",".join(draw(st.lists(st.sampled_from(offered), unique=True, max_size=3))),
        "api_scope": perhaps(SCOPES),
    }
    return {prompt: answers[prompt] for prompt in QUESTIONS}


@st.composite
def dubious(draw: st.DrawFn, right: str) -> str:
    """Draw something that somebody might try instead of a right answer."""
    kinds = ["payload", "payload", "around", "around", "look-alike", "text", "case", "many"]
    kind = draw(st.sampled_from(kinds))
    if kind == "payload":
        return draw(ANY_PAYLOAD)
    if kind == "around":
        at = draw(st.integers(0, len(right)))
        return right[:at] + draw(ANY_PAYLOAD) + right[at:]
    if kind == "look-alike" and (known := sorted(set(right) & set(LOOK_ALIKES))):
        character = draw(st.sampled_from(known))
        return right.replace(character, LOOK_ALIKES[character], 1)
    if kind == "case":
        return draw(st.sampled_from([right.upper(), right.title(), right.swapcase(), right[::-1]]))
    if kind == "many":
        return draw(st.sampled_from([",", "", "\n", "/", "-"])).join(
            [right] * draw(st.integers(2, 30))
        )
    return draw(st.text(st.characters(), max_size=40))  # with surrogates, too


NO_TEXT = st.sampled_from([{}, {"a": "b"}, [{}], [None, {"a": []}]])


@st.composite
def answer_sets(draw: st.DrawFn, ways: tuple[str, ...] = WAYS) -> AnswerSet:
    """Draw a set of answers with at most three dubious ones, and a way in."""
    way = draw(st.sampled_from(ways))
    answers = draw(right_answers())
    count = draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3]))
    prompts = st.lists(
        st.sampled_from(list(QUESTIONS)), min_size=count, max_size=count, unique=True
    )
    hostile = set(draw(prompts))
    for prompt in sorted(hostile):
        no_text = way == "replay" and draw(st.integers(0, 4)) == 0
        answers[prompt] = draw(NO_TEXT if no_text else dubious(answers[prompt]))
    if way != "replay" and draw(st.integers(0, 5)) == 0:
        del answers["project_slug"]  # derived from the name, which may make a wrong one
        hostile.add("project_slug")
    if way == "typed":  # on a line, in a terminal's encoding
        answers = {prompt: " ".join(re.split("[\r\n]", text)) for prompt, text in answers.items()}
        answers = {p: text.encode(errors="ignore").decode() for p, text in answers.items()}
    return AnswerSet(way, answers, frozenset(hostile))
