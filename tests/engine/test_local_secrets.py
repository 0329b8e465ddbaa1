"""On a developer's machine: the local secrets file, and an emulator of Key Vault."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recipes
from apps import ECHO, VALUE, App, leave_azure
from folders import call, declare, key_vault, load_folder
from support.fake_key_vault import FakeKeyVault, Request


@pytest.mark.parametrize(
    ("setting", "value"),
    [("../secrets.local.json", VALUE), ("../missing.json", None), (" ", None), (None, None)],
)
def test_its_place_is_relative_to_the_folder_of_host_json(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None, value: Any
) -> None:
    """Whatever the working directory is; without the setting there is none."""
    (tmp_path / "secrets.local.json").write_text(json.dumps({"api-key": VALUE}))
    (tmp_path / "src").mkdir()
    monkeypatch.setattr(engine.key_vault_secrets, "APP_ROOT", tmp_path / "src")
    monkeypatch.delenv("LOCAL_SECRETS_FILE", raising=False)
    if setting is not None:
        monkeypatch.setenv("LOCAL_SECRETS_FILE", setting)
    binding, _ = engine.declarations.declare(key_vault())

    assert binding._local_value() == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1 is not valid JSON"),
        (b'{\n/* a\nb */\n  "api-key" "the-value-of-it"\n}', "line 4 is not valid JSON"),
        (b'{"api-key": "the-value-of-it', "line 1 is not valid JSON"),
        (b'["the-value-of-it"]', "it is not a JSON object"),
        (b'{\n"a": "the-value-of-it",\n"api-key": 7}', "line 3: the value of 'api-key' is not"),
        (b'{"a": "api-key",\n"api-key": null}', "line 2: the value of 'api-key' is not a string"),
        (b'{"api-key": ["the-value-of-it"]}', "line 1: the value of 'api-key' is not a string"),
        (b'{"api-key": "\xff"}', "it is not JSON in UTF-8"),
        (b"[" * 100_000, "it is not JSON in UTF-8, or nested too deeply"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place_and_no_value(
    engine: Any, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "secrets.local.json"
    file.write_bytes(content)

    with pytest.raises(Exception) as caught:
        engine.key_vault_secrets.local_value(file, "contoso", "api-key")

    failure = caught.value.failure
    assert failure.kind == "denied"
    assert failure.reason.startswith(f"{file}: {reason}")
    assert failure.repair
    assert VALUE not in failure.reason + failure.repair
    assert "\n" not in failure.reason


@pytest.mark.parametrize("endpoint", [True, False])
def test_in_azure_it_is_never_read(
    echo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: bool
) -> None:
    """Core Tools and VS Code can copy local settings to the app, and with them the setting."""
    file = tmp_path / "secrets.local.json"
    file.write_text(json.dumps({"api-key": "a-local-value"}))
    monkeypatch.setenv("LOCAL_SECRETS_FILE", str(file))
    monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    if endpoint:
        assert echo()(req=None) == VALUE
        return
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    with pytest.raises(Exception, match="no identity is assigned"):
        echo()(req=None)


Load = Callable[..., dict[str, Any]]
ADDRESS = "https://localhost:4997"


class Emulator:
    """What an emulator answers: it reads no api-version, and no more of a token than its shape.

    Source: AuthenticationSetup and SecretsController in
    https://github.com/james-gould/azure-keyvault-emulator
    """

    def __init__(self) -> None:
        self.secrets = {"api-key": "first-value"}
        self.tokens: list[str] = []

    def __call__(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]]:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]*", token):
            challenge = (
                'Bearer authorization="https://localhost/a0c2a3f5-e1b3-4d6a-9c41-2cdd1f2c7e0f",'
                ' scope="https://vault.azure.net/.default", resource="https://vault.azure.net"'
            )
            return 401, {}, {"WWW-Authenticate": challenge}
        self.tokens.append(token)
        name = request.path.split("/")[2]
        if name not in self.secrets:
            return 404, {"error": {"code": "SecretNotFound", "message": "not found"}}, {}
        url = f"{ADDRESS}/secrets/{name}/0123"
        return 200, {"value": self.secrets[name], "id": url, "attributes": {"enabled": True}}, {}


@pytest.fixture
def emulator(fake_key_vault: FakeKeyVault) -> Emulator:
    emulator = fake_key_vault.others["localhost"] = Emulator()
    return emulator


@pytest.fixture
def functions(app: App, monkeypatch: pytest.MonkeyPatch) -> Load:
    def load(address: str = ADDRESS, **entry: Any) -> dict[str, Any]:
        monkeypatch.setenv("KEY_VAULT_NAME", address)
        app.declare("echo", ECHO, key_vault(vaultName="%KEY_VAULT_NAME%", **entry))
        return app()

    return load


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", "HTTPS://LocalHost:4997"])
def test_a_secret_is_read_from_it_without_a_login(
    emulator: Emulator,
    functions: Load,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    address: str,
) -> None:
    """Whatever listens on that port may ask for a token of any service. It gets none."""
    leave_azure(monkeypatch)
    (tmp_path / "az").write_text(f"#!{sys.executable}\nopen({str(tmp_path / 'asked')!r}, 'w')\n")
    (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert call(functions(address)["echo"]) == "first-value"
    assert f"Secrets are read from the emulator {ADDRESS}." in caplog.text
    assert "login" not in caplog.text
    assert not (tmp_path / "asked").exists()
    (token,) = set(emulator.tokens)
    assert len(token) < 40


def test_a_missing_secret_is_created_in_the_emulator(
    emulator: Emulator, functions: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_azure(monkeypatch)

    with pytest.raises(Exception) as caught:
        call(functions(secretName="other")["echo"])

    text = str(caught.value)
    assert (
        f"secret 'other' of vault '{ADDRESS}' cannot be read by the emulator's test token" in text
    )
    assert "the vault has no such secret" in text
    assert "Repair: the emulator must run, have the secret" in text
    assert "az keyvault" not in text


@pytest.mark.parametrize("endpoint", [True, False])
def test_in_azure_it_is_refused(
    emulator: Emulator,
    functions: Load,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    endpoint: bool,
) -> None:
    if not endpoint:  # no identity is assigned
        monkeypatch.delenv("IDENTITY_ENDPOINT")

    assert call(functions()["echo"]).status_code == 500
    assert "in Azure a vault, not an emulator" in caplog.text
    assert emulator.tokens == []


@pytest.mark.parametrize(
    "address",
    [
        *("http://localhost:4997", "https://localhost:4997/secrets", "localhost:4997"),
        *("https://localhost.example.com:4997", "https://user@localhost:4997"),
        *("https://127.0.0.2:4997", "https://example.com:4997"),
    ],
)
def test_nothing_else_is_an_emulator(
    functions: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    leave_azure(monkeypatch)

    assert call(functions(address)["echo"]).status_code == 500
    assert "a vault's name" in caplog.text


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_documented_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of docs/recipes.md make a certificate that the SDK accepts for localhost."""
    blocks = re.findall(r"^   ```sh\n(.*?)^   ```", recipes.PAGE.read_text("utf-8"), re.M | re.S)
    make, _, _, bundle = (textwrap.dedent(block) for block in blocks)
    script = f"{make}\n{bundle.replace('.venv/bin/python', sys.executable)}"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-e"], input=script, text=True, env=environment, check=True)
    folder = tmp_path / "key-vault-emulator"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "emulator.crt", folder / "emulator.key")

    monkeypatch.setattr(FakeKeyVault, "tls_context", lambda _: context)
    with FakeKeyVault() as fake_key_vault:
        fake_key_vault.others["localhost"] = Emulator()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "bundle.pem"))
        leave_azure(monkeypatch)
        declare(tmp_path, "echo", ECHO, key_vault(vaultName=ADDRESS))
        assert call(load_folder(tmp_path)["echo"]) == "first-value"

    assert (folder / "emulator.pfx").stat().st_size > 1_000
