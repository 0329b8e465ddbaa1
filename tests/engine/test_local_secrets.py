"""The local secrets file: where it is looked for, what it may hold, and what is said of a wrong one."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import folders
import pytest
from apps import VALUE
from folders import call, declare, key_vault
from support.fake_key_vault import FakeKeyVault


@pytest.fixture
def local() -> Any:
    return importlib.import_module("identity_bindings.key_vault_secrets")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("../secrets.local.json", VALUE), ("../missing.json", None), (" ", None), (None, None)],
)
def test_its_place_is_relative_to_the_folder_of_host_json(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None, value: Any
) -> None:
    """Whatever the working directory is; without the setting there is none."""
    (tmp_path / "secrets.local.json").write_text(json.dumps({"api-key": VALUE}))
    (tmp_path / "src").mkdir()
    monkeypatch.setattr(local, "APP_ROOT", tmp_path / "src")
    monkeypatch.delenv("LOCAL_SECRETS_FILE", raising=False)
    if setting is not None:
        monkeypatch.setenv("LOCAL_SECRETS_FILE", setting)
    url = "https://contoso.vault.azure.net"

    binding = local.SecretBinding("mySecret", "api-key", None, None, url, identity=None)

    assert binding._local_value() == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1 is not valid JSON"),
        (b"{", "line 1 is not valid JSON"),
        (b'{\n/* a\nb */\n  "api-key" "the-value-of-it"\n}', "line 4 is not valid JSON"),
        (b'{"api-key": "the-value-of-it', "line 1 is not valid JSON"),
        (b'["the-value-of-it"]', "it is not a JSON object"),
        (b"7", "it is not a JSON object"),
        (b'{\n"a": "the-value-of-it",\n"api-key": 7}', "line 3: the value of 'api-key' is not"),
        (b'{"a": "api-key",\n"api-key": null}', "line 2: the value of 'api-key' is not a string"),
        (b'{"api-key": ["the-value-of-it"]}', "line 1: the value of 'api-key' is not a string"),
        (b'{"api-key": "\xff"}', "it is not JSON in UTF-8"),
        (b"[" * 100_000, "it is not JSON in UTF-8, or nested too deeply"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place_and_no_value(
    local: Any, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "secrets.local.json"
    file.write_bytes(content)

    with pytest.raises(Exception) as caught:
        local.local_value(file, "contoso", "api-key")

    failure = caught.value.failure
    assert failure.kind == "denied"
    assert failure.reason.startswith(f"{file}: {reason}")
    assert failure.repair
    assert VALUE not in failure.reason + failure.repair
    assert "\n" not in failure.reason


def test_a_folder_cannot_be_read(local: Any, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="it cannot be read: "):
        local.local_value(tmp_path, "contoso", "api-key")


@pytest.mark.parametrize(
    "azure",
    [
        {},  # the fixture's identity endpoint
        {
            "IDENTITY_ENDPOINT": "",
            "WEBSITE_SITE_NAME": "func-tests",
            "WEBSITE_SKU": "FlexConsumption",
        },
    ],
)
def test_in_azure_it_is_never_read(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    azure: dict[str, str],
) -> None:
    """Core Tools and VS Code can copy local settings to the app, and with them the setting."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    file = tmp_path / "secrets.local.json"
    file.write_text(json.dumps({"api-key": "a-local-value"}))
    monkeypatch.setenv("LOCAL_SECRETS_FILE", str(file))
    for name, value in azure.items():
        monkeypatch.setenv(name, value)
    declare(tmp_path / "functions", "echo", "def main(req, mySecret): return mySecret", key_vault())
    function = folders.load_folder(tmp_path / "functions")["echo"]

    if azure:
        with pytest.raises(Exception, match="no identity is assigned"):
            call(function)
    else:
        assert call(function) == VALUE
