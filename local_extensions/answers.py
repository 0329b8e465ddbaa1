"""What is wrong with a set of answers: every problem at once, each with what is accepted."""

import json
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from cookiecutter.exceptions import FailedHookException

from .names import (
    COMMAND_VARIABLES,
    RESERVED_BEGINNINGS,
    RESERVED_SETTINGS,
    SAMPLES,
    TAKEN_MODULES,
    TAKEN_NAMES,
    TESTED,
    TRADEMARK,
    WINDOWS_DEVICE,
)
from .paths import SERVICES

# cookiecutter.json has the prompts, their first answers and their choices.
CONFIGURATION_FILE = Path(__file__).parent.parent / "cookiecutter.json"
CONFIGURATION: dict[str, Any] = json.loads(CONFIGURATION_FILE.read_text(encoding="utf-8"))
QUESTIONS = {key: value for key, value in CONFIGURATION.items() if not key.startswith("_")}

GUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
GROUP = r"[\w().-]{0,89}[\w()-]"
SETTING = r"%(?P<setting>[A-Za-z][A-Za-z0-9_]{0,127})%"
SLUG = r"(?=.{2,32}$)[a-z0-9](?:-?[a-z0-9])*"
FUNCTION_NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
KEY_NAME = r"[A-Za-z0-9-]{1,127}"
SECRET_NAME = KEY_NAME
# The address of an API in Entra ID has at most 255 characters.
API_SCOPE = r"(?=.{1,264}$)(?:api|https)://[A-Za-z0-9][A-Za-z0-9._~:/-]*/\.default"
VAULT_NAME = r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*"
VAULT_URI = (
    r"(?ai:https://(?P<name>[A-Za-z0-9-]+)"
    r"\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net|sovcloud-api\.fr)(?::443)?/?)"
)
VAULT_GROUP = f"(?:{GUID}/)?{GROUP}"
# Without `a`, ignoring case would let look-alikes through: the long s, and the sign of Kelvin.
IDENTITY_ID = (
    rf"(?ai:/subscriptions/(?P<subscription>{GUID})/resourceGroups/)(?P<group>{GROUP})"
    r"(?ai:/providers/Microsoft\.ManagedIdentity/userAssignedIdentities"
    r"/(?P<name>[A-Za-z0-9][A-Za-z0-9_-]{2,127}))"
)

# If Bicep creates the identity, this app setting is its resource id.
CREATED_IDENTITY_SETTING = "KEY_VAULT_IDENTITY_ID"
MOST_SECRETS = 20

LISTS = dict.fromkeys(("secrets", "services"), "names, separated by commas")
YAML_BOOLEANS = yaml.SafeLoader.bool_values
# Characters that change the direction of text, and tags, which no screen shows.
MISLEADING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")
# Characters without a glyph that Unicode counts as letters, marks and symbols.
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")

Answers = Mapping[str, Any]


class Problem(NamedTuple):
    """One wrong answer, or one of a pair that cannot go together."""

    prompt: str
    value: Any
    what: str  # what is wrong with it, and what is accepted
    partner: str = ""  # the other half of the pair: only the user knows which half is wrong

    def __str__(self) -> str:
        """Say in one line which answer is wrong, why, and what is accepted."""
        name = self.prompt if self.prompt in QUESTIONS else ascii(self.prompt)[1:-1]
        return f"{_short(name)}: {_short(shown(self.value))} {self.what}"


def refusal(found: list[Problem]) -> FailedHookException:
    """List what is wrong, a line for each answer."""
    return FailedHookException("\n  ".join(["Some answers are not valid:", *map(str, found)]))


def shown(value: Any) -> str:
    """Quote an answer as it was typed; escape only what a screen does not show."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(one if _is_visible(one) else ascii(one)[1:-1] for one in text)
    if not isinstance(value, str):
        return text
    return f'"{text}"' if "'" in text and '"' not in text else f"'{text}'"


def _is_visible(character: str) -> bool:
    return character.isprintable() and not BLANK.match(character)


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:100]}…{text[-20:]}"


def as_text(prompt: str, value: Any) -> Any:
    """Write an answer as the text that it plainly means; return anything else as it is."""
    first = QUESTIONS[prompt]
    if isinstance(value, list) and (prompt in LISTS or len(value) == 1):
        texts = [as_text(prompt, one) for one in value]
        return ",".join(texts) if all(isinstance(text, str) for text in texts) else value
    if value is None and first == "":
        return ""
    if prompt == "ci" and isinstance(value, str):
        value = YAML_BOOLEANS.get(value.strip().lower(), value)
    if prompt == "ci" and isinstance(value, bool):
        return "github" if value else "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return value
    if prompt == "services":
        return value.lower()
    if isinstance(first, list):
        return {choice.lower(): choice for choice in first}.get(value.strip().lower(), value)
    return value


def problems(answers: Answers) -> list[Problem]:
    """Find everything that is wrong, in the order of the prompts."""
    found: dict[str, Problem] = {}
    for prompt, first in QUESTIONS.items():
        value = answers.get(prompt)
        if isinstance(first, list):
            what = "" if value in first else f"is not accepted; accepted: {', '.join(first)}"
        elif isinstance(value, str):
            what = CHECKS[prompt](value)
        else:
            what = f"is not text; accepted: {LISTS.get(prompt, 'text')}"
        if what:
            found[prompt] = Problem(prompt, value, what)
    # A pair is checked only if each half is right.
    for pair in _wrong_pairs(answers):
        if pair.prompt not in found and pair.partner not in found:
            found[pair.prompt] = pair
    return [found[prompt] for prompt in QUESTIONS if prompt in found]


def _wrong_pairs(answers: Answers) -> Iterator[Problem]:
    identity, source = answers.get("identity"), answers.get("vault_source")
    identity_id, vault, group, services, function_name = (
        _text(answers, prompt)
        for prompt in ("identity_id", "vault", "vault_resource_group", "services", "function_name")
    )
    vault_setting = re.fullmatch(SETTING, vault)
    if identity == "system" and identity_id:
        what = "is accepted only with identity=user"
        yield Problem("identity_id", identity_id, what, partner="identity")
    if identity == "user" and vault_setting:
        named = re.fullmatch(SETTING, identity_id or f"%{CREATED_IDENTITY_SETTING}%")
        if named and named["setting"].upper() == vault_setting["setting"].upper():
            what = "is also the app setting of the identity; accepted: another %SETTING%"
            yield Problem("vault", vault, what, partner="identity_id")
    if source == "existing" and vault_setting:
        what = "does not name the vault; accepted with vault_source=existing: its name or URI"
        yield Problem("vault", vault, what, partner="vault_source")
    if source == "new" and group:
        what = "is accepted only with vault_source=existing: a new vault is in the app's own group"
        yield Problem("vault_resource_group", group, what, partner="vault_source")
    if source == "new" and answers.get("vault_access") == "granted":
        what = "is accepted only with vault_source=existing: a new vault has no grants yet"
        yield Problem("vault_access", "granted", what, partner="vault_source")
    public = [
        name for name in services_of(services) if name in SERVICES and not SERVICES[name].private
    ]
    if answers.get("network") == "private" and public:
        what = f"includes {', '.join(public)}, which is accepted only with network=public"
        yield Problem("services", services, what, partner="network")
    if answers.get("programming_model") == "decorators" and function_name in TAKEN_NAMES:
        what = "is a name that function_app.py uses, or a builtin; accepted: another identifier"
        yield Problem("function_name", function_name, what, partner="programming_model")


def services_of(value: str) -> list[str]:
    """Split the answer `services`."""
    return [name.strip() for name in value.split(",")] if value.strip() else []


def _project_name(value: str) -> str:
    if not 1 <= len(value.strip()) <= 100 or "\n" in value.strip():
        return "must be one line of 1 to 100 characters"
    for character in value:
        if unicodedata.category(character) == "Cf" or BLANK.match(character):
            return _invisible(character)
    return _free_text(value)


def _description(value: str) -> str:
    if not 1 <= len(value.strip()) <= 1000 or not any(map(_is_visible, "".join(value.split()))):
        return "must be 1 to 1000 characters, some of them visible"
    return _free_text(value)


def _free_text(value: str) -> str:
    """Accept every character that a screen shows as it is."""
    for character in value.strip():
        control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        noncharacter = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
        if (control and character not in "\n\t") or noncharacter or MISLEADING.match(character):
            return _invisible(character)
    return ""


def _invisible(character: str) -> str:
    name = unicodedata.name(character, "")
    return (
        f"contains U+{ord(character):04X}{name and f' {name}'}, an invisible or direction-changing"
        " character; accepted: text without it"
    )


def _project_slug(value: str) -> str:
    if not re.fullmatch(SLUG, value):
        return "must be 2 to 32 lower-case letters, digits and single hyphens between them"
    if re.fullmatch(WINDOWS_DEVICE, value):
        return "cannot be a folder on Windows; accepted: another name"
    if re.fullmatch(TRADEMARK, value):
        return "is a name that Azure refuses; accepted: no login…, …microsoft… or …windows…"
    return ""


def _function_name(value: str) -> str:
    if not re.fullmatch(FUNCTION_NAME, value):
        return "must be 1 to 64 letters, digits and underscores, starting with a letter"
    why = ""
    if keyword.iskeyword(value):
        why = "is a Python keyword"
    elif value.lower() == "host" or value.lower().startswith("admin"):
        why = "is a route of the Functions host"
    elif re.fullmatch(WINDOWS_DEVICE, value):
        why = "cannot be a folder on Windows"
    elif value.lower() in SAMPLES:
        why = "is the name of a sample function of this template"
    elif value.lower() in TESTED:
        why = "is the name of a script of this template"
    elif value.lower() in TAKEN_MODULES:
        why = "is the name of a Python module that the app imports"
    return why and f"{why}; accepted: another identifier, such as my_function"


def _identity_id(value: str) -> str:
    value = value.strip()
    if not value or re.fullmatch(IDENTITY_ID, value):
        return ""
    if value.strip("%").upper() in COMMAND_VARIABLES:
        return "is a variable of the project's commands; accepted: another name, as in %MY_ID%"
    if value.startswith("%"):
        return _setting(value)
    return (
        "is not the resource id of a user-assigned identity; accepted: /subscriptions/…"
        "/resourceGroups/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities/…, %SETTING%"
    )


def _vault(value: str) -> str:
    value = value.strip()
    if value.startswith("%"):
        return _setting(value)
    uri = re.fullmatch(VAULT_URI, value)
    if re.fullmatch(VAULT_NAME, uri["name"] if uri else value):
        return ""
    accepted = "accepted: https://my-key-vault.vault.azure.net/, a vault's name, %SETTING%"
    if "managedhsm" in value.lower():
        return f"is a managed HSM, which has no secrets; {accepted}"
    if re.search("[./]", value):
        return f"is not a vault's URI; {accepted}"
    return (
        "is not a vault name; accepted: 3 to 24 letters, digits and single hyphens, starting with"
        " a letter; a vault's URI; %SETTING%"
    )


def _setting(value: str) -> str:
    named = re.fullmatch(SETTING, value)
    if not named:
        return "is not a %SETTING%; accepted: letters, digits and underscores between two %"
    name = named["setting"].upper()
    if name in RESERVED_SETTINGS or name.startswith(RESERVED_BEGINNINGS):
        return "is an app setting with another meaning; accepted: another name, as in %MY_SETTING%"
    return ""


def _secrets(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if wrong := [name for name in names if not re.fullmatch(SECRET_NAME, name)]:
        what = "is not a secret name" if len(names) == 1 else _includes(wrong)
        return f"{what}; accepted: 1 to 127 letters, digits and hyphens"
    if len({name.lower() for name in names}) < len(names):
        return "names a secret twice (Key Vault ignores case); accepted: each once"
    if len(names) > MOST_SECRETS:
        return f"names {len(names)} secrets; accepted: at most {MOST_SECRETS}"
    return ""


def _services(value: str) -> str:
    names = services_of(value)
    if wrong := [name for name in names if name not in SERVICES]:
        return f"{_includes(wrong)}; accepted: {', '.join(SERVICES)}, separated by commas"
    if len(set(names)) < len(names):
        return "names a service twice; accepted: each once"
    return ""


def _includes(wrong: list[str]) -> str:
    return f"includes {_short(', '.join(shown(name[:40]) for name in dict.fromkeys(wrong)))}"


def _empty_or(pattern: str, what: str) -> Callable[[str], str]:
    return lambda value: "" if re.fullmatch(f"(?:{pattern})?", value.strip()) else what


def _text(answers: Answers, prompt: str) -> str:
    value = answers.get(prompt)
    return value.strip() if isinstance(value, str) else ""


CHECKS: dict[str, Callable[[str], str]] = {
    "project_name": _project_name,
    "project_slug": _project_slug,
    "description": _description,
    "function_name": _function_name,
    "identity_id": _identity_id,
    "vault": _vault,
    "vault_resource_group": _empty_or(
        VAULT_GROUP, "is not a resource group; accepted: its name, or subscription-id/group"
    ),
    "secrets": _secrets,
    "key": _empty_or(KEY_NAME, "is not a key name; accepted: 1 to 127 letters, digits and hyphens"),
    "services": _services,
    "api_scope": _empty_or(
        API_SCOPE, "is not the scope of an API; accepted: api://…/.default, https://…/.default"
    ),
}
