"""What is wrong with a set of answers: every problem at once, each with a good value."""

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# The prompts, their first answers and their choices stand in one place: cookiecutter.json.
CONFIGURATION: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "cookiecutter.json").read_text(encoding="utf-8")
)
QUESTIONS = {key: value for key, value in CONFIGURATION.items() if not key.startswith("_")}

# Patterns are text here: each is compiled when an answer first needs it, as everybody waits for that.
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

# Where Bicep creates the identity, this setting tells the app its resource id.
CREATED_IDENTITY_SETTING = "KEY_VAULT_IDENTITY_ID"
MOST_SECRETS = 20

# What each service brings: a function of this name.
SERVICES = {
    "blob-storage": "summarize_blob",
    "cosmos-db": "read_order",
    "service-bus": "ship_order",
}

# Names to which the platform, azd, GitHub, a shell, or this project's own files give a meaning, be it
# as app settings or as the variables of a deployment; in upper case.
RESERVED_BEGINNINGS = (
    *("AZUREWEBJOBS", "AZUREFUNCTIONSJOBHOST", "AZURE_", "WEBSITE_", "WEBSITES_", "FUNCTIONS_"),
    *("APPLICATIONINSIGHTS_", "APPINSIGHTS_", "APPSETTING_", "IDENTITY_", "MSI_", "SCM_"),
    *("CONTAINER_", "PYTHON", "GITHUB_", "RUNNER_", "BASH"),
    *("DOCUMENTS__", "ORDERS_DB__", "ORDERS_BUS__"),
)
RESERVED_SETTINGS = frozenset(
    (
        *("SECRET_REFRESH_SECONDS", "SECRET_GRACE_SECONDS", "SECRET_SETTER_OBJECT_ID"),
        *("KEY_VAULT_DNS_SUFFIX", "RECOVER_VAULT", "ALERT_ACTION_GROUP_ID"),
        *("REVIEWER", "SUBJECT_PREFIX", "DOCUMENTS", "ORDERS_DB", "ORDERS_BUS", "API_URL"),
        *("PATH", "HOME", "PORT", "USER", "HOSTNAME", "LANG", "PWD", "OLDPWD", "IFS", "UID"),
        *("EUID", "PPID", "GROUPS", "RANDOM", "SECONDS", "SHELLOPTS"),
    )
)
WINDOWS_DEVICE = "(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])"
# Azure refuses these in the name of anything that has a public address.
TRADEMARK = "(?i:login.*|.*(?:microsoft|windows).*)"
# A function's folder is importable beside these; one of the same name would hide them.
TAKEN_MODULES = sys.stdlib_module_names | {
    "azure",
    "function_app",
    "functions",
    "identity_bindings",
    "tests",
}
# What function_app.py holds beside the first function, where that is written there.
TAKEN_NAMES = {"app", "func", "key_vault_secret", "blueprints", "bytes", "dict", "str"}
# Marks that reorder text on a screen, so that it reads differently from what it is.
REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

GOOD_IDENTITY_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-group"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/my-identity"
)

Answers = Mapping[str, Any]
Wrong = tuple[str, str] | None  # what is wrong, and a good value


class Problem(NamedTuple):
    """One wrong answer, or one pair that cannot go together."""

    prompt: str
    value: Any
    what: str
    good: str
    # Of a pair both are asked again: only the user knows which half was meant.
    partner: str = ""

    def __str__(self) -> str:
        """Say in one line which answer is wrong, why, and what a good one looks like."""
        # Outside of free text only ASCII is right, and ascii() shows a look-alike for what it is.
        show = repr if self.prompt in ("project_name", "description") else ascii
        good = _short(repr(self.good)) if self.good else "empty"
        return f"{self.prompt}: {_short(show(self.value))} {self.what}; good: {good}"


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:100]}…{text[-20:]}"


def problems(answers: Answers) -> list[Problem]:
    """Find everything that is wrong, in the order of the prompts."""
    found: dict[str, Problem] = {}
    for prompt, first in QUESTIONS.items():
        value = answers.get(prompt)
        wrong: Wrong
        if isinstance(first, list):
            wrong = None if value in first else (f"is none of {', '.join(first)}", first[0])
        elif isinstance(value, str):
            wrong = CHECKS[prompt](value, answers)
        else:
            wrong = ("is no text", "" if first == "" else GOOD[prompt])
        if wrong:
            found[prompt] = Problem(prompt, value, *wrong)
    # A pair is judged only where each half is right by itself.
    for pair in _wrong_pairs(answers):
        if pair.prompt not in found and pair.partner not in found:
            found[pair.prompt] = pair
    return [found[prompt] for prompt in QUESTIONS if prompt in found]


def _wrong_pairs(answers: Answers) -> Iterator[Problem]:
    identity, source = answers.get("identity"), answers.get("vault_source")
    identity_id, vault, group = (
        _text(answers, prompt) for prompt in ("identity_id", "vault", "vault_resource_group")
    )
    vault_setting = re.fullmatch(SETTING, vault)
    if identity == "system" and identity_id:
        yield Problem(
            "identity_id", identity_id, "goes only with identity=user", "", partner="identity"
        )
    if identity == "user" and vault_setting:
        named = re.fullmatch(SETTING, identity_id or f"%{CREATED_IDENTITY_SETTING}%")
        if named and named["setting"].upper() == vault_setting["setting"].upper():
            what = "would be the app setting of the vault and of the identity at once"
            if named["setting"].upper() == CREATED_IDENTITY_SETTING:
                yield Problem("vault", vault, what, GOOD["vault"], partner="identity_id")
            else:
                good = f"%{CREATED_IDENTITY_SETTING}%"
                yield Problem("identity_id", identity_id, what, good, partner="vault")
    if source == "existing" and vault_setting:
        what = "names no vault, and an existing one must be found by its name or URI"
        yield Problem("vault", vault, what, "my-key-vault", partner="vault_source")
    if source == "new" and group:
        what = "goes only with vault_source=existing: a new vault stands in the app's own group"
        yield Problem("vault_resource_group", group, what, "", partner="vault_source")
    if source == "new" and answers.get("vault_access") == "granted":
        what = "goes only with vault_source=existing: nobody has access to a new vault yet"
        yield Problem("vault_access", "granted", what, "access-policy", partner="vault_source")
    services = services_of(_text(answers, "services"))
    if answers.get("network") == "private" and "service-bus" in services:
        what = "contains service-bus, which has no private endpoints below its tier Premium"
        good = ",".join(service for service in services if service != "service-bus")
        yield Problem("services", _text(answers, "services"), what, good, partner="network")
    function_name = _text(answers, "function_name")
    if answers.get("programming_model") == "decorators" and function_name in TAKEN_NAMES:
        what, good = "is a name that function_app.py uses", f"run_{function_name}"
        yield Problem("function_name", function_name, what, good, partner="programming_model")
    for prompt, sample in samples_of(answers):
        if function_name.lower() == sample:
            what = f"is the name of the function that {prompt} brings"
            yield Problem("function_name", function_name, what, f"my_{sample}", partner=prompt)


def samples_of(answers: Answers) -> Iterator[tuple[str, str]]:
    """List the functions that options bring, each with its prompt."""
    if _text(answers, "key"):
        yield "key", "sign_document"
    for service in services_of(_text(answers, "services")):
        yield "services", SERVICES.get(service, "")
    if _text(answers, "api_scope"):
        yield "api_scope", "call_api"


def services_of(value: str) -> list[str]:
    """Split the answer `services`."""
    return [name.strip() for name in value.split(",")] if value.strip() else []


def _project_name(value: str, _: Answers) -> Wrong:
    if "\n" in value.strip():
        return "has more than one line", GOOD["project_name"]
    if not 1 <= len(value.strip()) <= 100:
        return "must have 1 to 100 characters", GOOD["project_name"]
    return _free_text(value, GOOD["project_name"])


def _description(value: str, _: Answers) -> Wrong:
    if not 1 <= len(value.strip()) <= 1000:
        return "must have 1 to 1000 characters", GOOD["description"]
    return _free_text(value, GOOD["description"])


def _free_text(value: str, good: str) -> Wrong:
    """Let everything through but what no screen shows as it is."""
    for character in value.strip():
        invisible = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        noncharacter = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
        if (invisible and character not in "\n\t") or noncharacter or character in REORDERING:
            return f"contains the invisible character U+{ord(character):04X}", good
    return None


def _project_slug(value: str, _: Answers) -> Wrong:
    if not re.fullmatch(SLUG, value):
        what = "must be 2 to 32 lower-case letters, digits and single hyphens between them"
    elif not (what := _unusable_slug(value)):
        return None
    good = "-".join(re.findall("[a-z0-9]+", value.lower()))[:24].strip("-")
    if not re.fullmatch(SLUG, good) or _unusable_slug(good):
        fits = good and not re.fullmatch(TRADEMARK, good)
        good = f"my-{good}-app" if fits else GOOD["project_slug"]
    return what, good


def _unusable_slug(value: str) -> str:
    if re.fullmatch(WINDOWS_DEVICE, value):
        return "cannot be the name of a folder on Windows"
    if re.fullmatch(TRADEMARK, value):
        return "is a name that Azure refuses (login…, …microsoft…, …windows…)"
    return ""


def _function_name(value: str, _: Answers) -> Wrong:
    if not re.fullmatch(FUNCTION_NAME, value):
        what = "must be 1 to 64 letters, digits and underscores, a letter first"
    elif not (what := _unusable_function(value)):
        return None
    good = "_".join(re.findall("[A-Za-z0-9]+", value))[:40].lower()
    if not re.fullmatch(FUNCTION_NAME, good) or _unusable_function(good):
        good = f"run_{good}" if good else GOOD["function_name"]
    return what, good


def _unusable_function(value: str) -> str:
    if keyword.iskeyword(value):
        return "is a Python keyword"
    if value.lower() == "host" or value.lower().startswith("admin"):
        return "is a route of the Functions host"
    if re.fullmatch(WINDOWS_DEVICE, value):
        return "cannot be the name of a folder on Windows"
    if value.lower() in TAKEN_MODULES:
        return "is the name of a Python module that the app needs"
    return ""


def _identity_id(value: str, answers: Answers) -> Wrong:
    value = value.strip()
    good = GOOD["identity_id"] if answers.get("identity") == "user" else ""
    if not value or re.fullmatch(IDENTITY_ID, value):
        return None
    if value.startswith("%"):
        return _setting(value, good and f"%{CREATED_IDENTITY_SETTING}%")
    return "is no resource id of a user-assigned identity, and no %SETTING%", good


def _vault(value: str, answers: Answers) -> Wrong:
    value = value.strip()
    good = "my-key-vault" if answers.get("vault_source") == "existing" else GOOD["vault"]
    if value.startswith("%"):
        return _setting(value, good)
    if re.fullmatch(VAULT_NAME, value):
        return None
    if (uri := re.fullmatch(VAULT_URI, value)) and re.fullmatch(VAULT_NAME, uri["name"]):
        return None
    if "managedhsm" in value.lower():
        return "is a managed HSM, which keeps keys but no secrets", good
    if not value.isascii() or not re.search("[./]", value):
        tidy = "-".join(re.findall("[A-Za-z0-9]+", value))[:24].strip("-")
        good = tidy if re.fullmatch(VAULT_NAME, tidy) else good
        return (
            "is no vault name (3 to 24 letters, digits and single hyphens, a letter first)",
            good,
        )
    host = re.match(r"(?:https?://)?([A-Za-z0-9.-]+)", value)
    tidy = f"https://{host[1].lower()}/" if host else ""
    uri = re.fullmatch(VAULT_URI, tidy)
    if not uri or not re.fullmatch(VAULT_NAME, uri["name"]):
        tidy = "https://my-key-vault.vault.azure.net/"
    return "is no vault's URI", tidy


def _setting(value: str, good: str) -> Wrong:
    named = re.fullmatch(SETTING, value)
    if not named:
        return "is no %SETTING%: letters, digits and underscores between two %", good
    name = named["setting"].upper()
    if name in RESERVED_SETTINGS or name.startswith(RESERVED_BEGINNINGS):
        return "is an app setting with a meaning of its own", good
    return None


def _vault_resource_group(value: str, answers: Answers) -> Wrong:
    good = "my-group" if answers.get("vault_source") == "existing" else ""
    if not value.strip() or re.fullmatch(VAULT_GROUP, value.strip()):
        return None
    return "is no resource group, and no subscription-id/group", good


def _secrets(value: str, _: Answers) -> Wrong:
    names = [name.strip() for name in value.split(",")]
    wrong = [name for name in names if not re.fullmatch(SECRET_NAME, name)]
    if wrong:
        what = "is" if len(names) == 1 else f"contains {wrong[0][:40]!a},"
        what += " no secret's name (1 to 127 letters, digits and hyphens)"
    elif len({name.lower() for name in names}) < len(names):
        what = "names a secret twice (Key Vault ignores upper and lower case)"
    elif len(names) > MOST_SECRETS:
        what = f"names more than {MOST_SECRETS} secrets"
    else:
        return None
    tidy = ["-".join(re.findall("[A-Za-z0-9]+", name))[:127].strip("-") for name in names]
    unique: dict[str, str] = {}
    for name in filter(None, tidy):
        unique.setdefault(name.lower(), name)
    return what, ",".join(list(unique.values())[:MOST_SECRETS]) or GOOD["secrets"]


def _key(value: str, _: Answers) -> Wrong:
    if not value.strip() or re.fullmatch(KEY_NAME, value.strip()):
        return None
    good = "-".join(re.findall("[A-Za-z0-9]+", value))[:127] or GOOD["key"]
    return "is no key's name (1 to 127 letters, digits and hyphens)", good


def _services(value: str, _: Answers) -> Wrong:
    names = services_of(value)
    good = ",".join(name for name in SERVICES if name.partition("-")[0] in value.lower())
    for name in names:
        if name not in SERVICES:
            what = f"contains {name[:40]!a}, none of {', '.join(SERVICES)}"
            return what, good or next(iter(SERVICES))
    if len(set(names)) < len(names):
        return "names a service twice", good
    return None


def _api_scope(value: str, _: Answers) -> Wrong:
    if not value.strip() or re.fullmatch(API_SCOPE, value.strip()):
        return None
    what = "is no scope such as api://…/.default or https://…/.default"
    tidy = f"{value.strip().rstrip('/')}/.default"
    return what, tidy if re.fullmatch(API_SCOPE, tidy) else GOOD["api_scope"]


def _text(answers: Answers, prompt: str) -> str:
    value = answers.get(prompt)
    return value.strip() if isinstance(value, str) else ""


# What to suggest where nothing better can be made of the wrong answer.
GOOD = {
    "project_name": QUESTIONS["project_name"],
    "project_slug": "secure-function-app",
    "description": QUESTIONS["description"],
    "function_name": QUESTIONS["function_name"],
    "identity_id": GOOD_IDENTITY_ID,
    "vault": QUESTIONS["vault"],
    "secrets": QUESTIONS["secrets"],
    "key": "my-signing-key",
    "api_scope": "api://my-api/.default",
}

CHECKS: dict[str, Callable[[str, Answers], Wrong]] = {
    "project_name": _project_name,
    "project_slug": _project_slug,
    "description": _description,
    "function_name": _function_name,
    "identity_id": _identity_id,
    "vault": _vault,
    "vault_resource_group": _vault_resource_group,
    "secrets": _secrets,
    "key": _key,
    "services": _services,
    "api_scope": _api_scope,
}
