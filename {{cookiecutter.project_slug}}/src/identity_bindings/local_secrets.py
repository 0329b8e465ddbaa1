"""The local secrets file: values for a developer's machine. It is never read in Azure."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from .declarations import parse
from .errors import Failure, ReadError

SETTING = "LOCAL_SECRETS_FILE"
"""The app setting that names the file, relative to the folder of ``host.json``."""

APP_ROOT = Path(__file__).parent.parent
"""The folder of ``host.json``."""


def local_secrets_file(settings: Mapping[str, str]) -> Path | None:
    """Return the file that the app settings name, whatever the working directory is."""
    named = settings.get(SETTING, "").strip()
    return Path(APP_ROOT, named) if named else None


def local_value(file: Path, vault: str, secret: str) -> str | None:
    """Find a secret under ``vault/secret`` or ``secret``, without regard to case.

    Comments and trailing commas are accepted. An object is the JSON of a secret.

    Returns:
        Its value; None where the file, or an entry for the secret, is missing.

    Raises:
        ReadError: The file is not a JSON object of strings and objects. No value is shown.
    """
    if not file.exists():
        return None
    try:
        text = file.read_bytes()
        entries = parse(text)
    except json.JSONDecodeError as error:
        raise _wrong(file, f"line {error.lineno} is not valid JSON: {error.msg}") from None
    except UnicodeError:
        raise _wrong(file, "it is not UTF-8 text", "save it as UTF-8") from None
    except RecursionError:
        raise _wrong(file, "it is nested too deeply") from None
    except OSError as error:
        reason = "it is a folder" if file.is_dir() else f"it cannot be read: {error.strerror}"
        raise _wrong(file, reason, f"put a file there, or remove {SETTING}") from None
    if not isinstance(entries, dict):
        raise _wrong(file, "it is not a JSON object", '{"secret-name": "its value"} is expected')
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            line = _line_of(name, text)
            raise _wrong(file, f"line {line}: the value of {name!r} is not a string or an object")
    values = {name.lower(): value for name, value in entries.items()}
    value = values.get(f"{vault}/{secret}".lower(), values.get(secret.lower()))
    return json.dumps(value) if isinstance(value, dict) else value


def _line_of(name: str, data: bytes) -> int:
    """Find the line of an entry whose value is not a string."""
    text = data.decode("utf-8-sig", "replace")
    spelled = f"{re.escape(json.dumps(name))}|{re.escape(json.dumps(name, ensure_ascii=False))}"
    found = re.search(rf'(?:{spelled})\s*:\s*(?!")', text) or re.search(spelled, text)
    return text.count("\n", 0, found.start() if found else 0) + 1


def _wrong(file: Path, reason: str, repair: str = "correct it") -> ReadError:
    return ReadError(Failure("denied", f"{file}: {reason}", f"{repair}, then start the app again"))
