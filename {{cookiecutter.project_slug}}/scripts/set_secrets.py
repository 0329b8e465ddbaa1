"""Give the secrets that the functions declare their values.

    python scripts/set_secrets.py                     ask for each declared secret that has no value
    python scripts/set_secrets.py NAME …              ask for these, also where they have a value
    python scripts/set_secrets.py NAME --file PATH    set the bytes of a file, - is standard input

It needs `az login` and the right to set secrets. A value is never an argument of a program.
{%- if cookiecutter.vault_source == 'new' %}

If the vault refuses this machine's network, the script gives this machine's address access and takes
it away again when it ends, however it ends. A tag on the vault says that this is so: if a run is
killed, the next one closes the vault. This needs the right to change the vault (Key Vault
Contributor).
{%- endif %}
"""

from __future__ import annotations

import argparse
import ast
import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SRC = Path(__file__).resolve().parent.parent / "src"
# {{ "infra/ creates the vault, so its network is this project's to open." if cookiecutter.vault_source == "new" else "The vault's network belongs to others." }}
MAY_OPEN = {{ cookiecutter.vault_source == "new" }}
VAULT_API = "api-version=7.4"
ARM_API = "api-version=2026-02-01"
MAX_BYTES = 25_600  # https://learn.microsoft.com/azure/key-vault/general/service-limits
TRIES = 60
PAUSE_SECONDS = 10.0
TAG = "opened-for-set-secrets"


class AzError(Exception):
    """The Azure CLI failed; its text says why."""


def az(*words: str, body: object = None) -> Any:
    """Run the Azure CLI and return its answer. A body is passed through a pipe.

    Raises:
        AzError: It failed.
    """
    command = shutil.which("az")
    if not command:
        sys.exit("The Azure CLI is missing: https://aka.ms/azure-cli")
    arguments = [*words, *(("--body", "@-") if body is not None else ()), "--output", "json"]
    run = subprocess.run(  # noqa: S603 - no shell
        [command, *arguments],
        input=json.dumps(body) if body is not None else "",
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        # The log file of the Azure CLI would hold the bodies of requests.
        env={**os.environ, "AZURE_LOGGING_ENABLE_LOG_FILE": "false"},
        check=False,
    )
    if run.returncode:
        raise AzError(run.stderr.strip() or f"az {words[0]} failed")
    return json.loads(run.stdout or "null")


class Vault:
    """A vault, its secrets, and who reaches it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.name, _, self.domain = host.partition(".")
        self.id = ""
        self.opened = False
        self._addresses: set[str] = set()

    def find(self) -> set[str] | None:
        """List the secrets in the vault, through Azure Resource Manager, which no firewall stops.

        Returns:
            Their names in lower case, None if this login may not list them.
        """
        try:
            self.id = az("keyvault", "show", "--name", self.name, "--query", "id")
            self.opened = TAG in (self._state().get("tags") or {})
            names: set[str] = set()
            url = f"{self.id}/secrets?{ARM_API}"
            while url:
                page = az("rest", "--method", "get", "--url", url)
                names |= {one["name"].rpartition("/")[2].lower() for one in page["value"]}
                url = page.get("nextLink") or ""
        except AzError:
            return None
        return names

    def set_secret(self, name: str, value: str) -> None:
        """Set a secret; give this machine access to the vault first if it has none.

        Raises:
            AzError: The vault refused.
        """
        for tries in range(TRIES):
            try:
                self._request("put", f"secrets/{name}", {"value": value})
                return
            except AzError as error:
                text = str(error)
            # Another run may have closed the vault: open it again every minute.
            if tries == TRIES - 1 or not self._may_succeed(text, name, again=tries % 6 == 0):
                raise AzError(_explained(text, self.name))
            time.sleep(PAUSE_SECONDS)

    def _request(self, method: str, path: str, body: object = None) -> None:
        url = f"https://{self.host}/{path}?{VAULT_API}"
        words = ("--method", method, "--url", url, "--resource", f"https://{self.domain}")
        az("rest", *words, body=body)

    def _may_succeed(self, text: str, name: str, again: bool) -> bool:
        """Do what makes the next try succeed, if there is something to do."""
        if re.search("ForbiddenBy(Connection|Firewall)", text) and MAY_OPEN:
            address = re.search(r"Client address: ([0-9.]+)", text)
            self._open(address[1] if address else "", again)
            return True
        if "ObjectIsDeletedButRecoverable" in text:
            print(f"{name} was deleted. Recovering it …", file=sys.stderr)
            self._request("post", f"deletedsecrets/{name}/recover")
            return True
        return bool(re.search("ObjectIsBeing(Deleted|Recovered)", text))

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = az("rest", "--method", "get", "--url", f"{self.id}?{ARM_API}")
        return state

    def _open(self, address: str, again: bool) -> None:
        """Give an address access to the vault, and note in a tag what to restore."""
        if not again and (not address or address in self._addresses):
            return
        if not self.opened:
            print(f"Opening {self.name} for this machine's address …", file=sys.stderr)
        self.id = self.id or az("keyvault", "show", "--name", self.name, "--query", "id")
        self.opened = True
        state = self._state()
        before, addresses = _noted(state)
        self._addresses |= addresses | ({address} if address else set())
        note = " ".join([before, *sorted(self._addresses)])
        self._change(state, "Enabled", self._addresses, {TAG: note})

    def close(self) -> None:
        """Restore the vault's network as it was before it was opened.

        Raises:
            AzError: It may still be open.
        """
        if not self.opened:
            return
        print(f"Closing {self.name} …", file=sys.stderr)
        for tries in (1, 2, 3):
            try:
                state = self._state()
                before, addresses = _noted(state)
                self._addresses |= addresses
                self._change(state, before, set(), {})
                break
            except AzError as error:
                if tries == 3:
                    raise AzError(
                        f"{error}\n{self.name} MAY STILL BE OPEN for this machine's address. Run this"
                        " script again, or close it with\n"
                        f"  az keyvault update --name {self.name} --public-network-access Disabled"
                    ) from None
                time.sleep(PAUSE_SECONDS)
        self.opened = False
        print(f"{self.name} is as before: public network access is {before}.", file=sys.stderr)

    def _change(
        self, state: dict[str, Any], access: str, allowed: set[str], note: dict[str, str]
    ) -> None:
        """Change who reaches the vault, in one request: everything or nothing."""
        rules = state["properties"].get("networkAcls") or {}
        others = [
            rule
            for rule in rules.get("ipRules") or []
            if rule["value"].removesuffix("/32") not in self._addresses
        ]
        tags = {name: text for name, text in (state.get("tags") or {}).items() if name != TAG}
        own = [{"value": f"{address}/32"} for address in sorted(allowed)]
        properties = {
            "publicNetworkAccess": access,
            "networkAcls": {"defaultAction": "Deny", **rules, "ipRules": [*others, *own]},
        }
        body = {"tags": {**tags, **note}, "properties": properties}
        az("rest", "--method", "patch", "--url", f"{self.id}?{ARM_API}", body=body)


def _noted(state: dict[str, Any]) -> tuple[str, set[str]]:
    """Read what the vault was before it was opened, and for which addresses it was opened."""
    note = (state.get("tags") or {}).get(TAG)
    access = state["properties"].get("publicNetworkAccess") or "Enabled"
    before, *addresses = str(note or access).split()
    return before, set(addresses)


def _explained(text: str, vault: str) -> str:
    """Add to an error of the vault what to do about it."""
    advice = {
        "ForbiddenBy(Connection|Firewall)": "The vault refuses this machine's network: run this"
        " from a network that has access to it.",
        "ForbiddenByRbac|ForbiddenByPolicy|AccessDenied": "This login has no right to set secrets in"
        f" {vault}.",
    }
    found = [sentence for code, sentence in advice.items() if re.search(code, text)]
    return "\n".join([text, *found])


def declared() -> Iterator[tuple[str, str]]:
    """Find the vault and the name of each secret that src/ declares, without importing the app."""
    for file in sorted(SRC.glob("functions/*/function.json")):
        try:
            bindings = json.loads(file.read_text("utf-8-sig"))["bindings"]
        except (ValueError, KeyError):
            print(f"{file} is not read: it is not plain JSON. Name its secrets.", file=sys.stderr)
            continue
        for one in bindings:
            if str(one.get("type")).lower() == "keyvault":
                yield str(one.get("vaultName")), str(one.get("secretName"))
    for file in sorted(SRC.rglob("*.py")):
        folders = file.relative_to(SRC).parts[:-1]
        if "identity_bindings" in folders or any(name.startswith(".") for name in folders):
            continue
        for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("key_vault_secret"):
                given = {word.arg: word.value for word in node.keywords}
                vault, secret = given.get("vault_name"), given.get("secret_name")
                if isinstance(vault, ast.Constant) and isinstance(secret, ast.Constant):
                    yield str(vault.value), str(secret.value)
                else:
                    place = f"{file}:{node.lineno}"
                    print(f"{place}: its names are no literals. Name its secret.", file=sys.stderr)


def deployed_vault() -> str:
    """Ask azd for the vault of the latest deployment."""
    command = shutil.which("azd")
    if command:
        arguments = [command, "env", "get-value", "vaultName"]
        run = subprocess.run(  # noqa: S603 - no shell
            arguments, cwd=SRC.parent, capture_output=True, text=True, check=False
        )
        if run.returncode == 0:
            return run.stdout.strip()
    sys.exit("Name the vault: --vault NAME. It is the output vaultName of the deployment.")


def host_of(vault: str) -> str:
    """Turn a vault's name or URI into its host name."""
    if match := re.fullmatch(r"(?:https://)?([a-z][a-z0-9-]+\.[a-z0-9.-]+?)/?", vault.lower()):
        return match[1]
    if not re.fullmatch(r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*", vault):
        sys.exit(f"{vault!r} is neither a vault's name nor its URI.")
    suffix = az("cloud", "show", "--query", "suffixes.keyvaultDns")
    return f"{vault.lower()}{suffix}"


def wanted(vault: str, names: list[str]) -> dict[str, list[str]]:
    """Give the secrets to look at, by the host names of their vaults."""
    found: dict[str, dict[str, None]] = {}
    by_setting = ""
    for declared_vault, name in [] if vault and names else sorted(set(declared())):
        if names and name not in names:
            continue
        place = declared_vault
        if declared_vault.startswith("%"):
            place = by_setting = by_setting or vault or deployed_vault()
        found.setdefault(host_of(place), {})[name] = None
    if vault:
        host = host_of(vault)
        found = {host: dict.fromkeys(names) if names else found.get(host, {})}
    if unknown := [name for name in names if not any(name in some for some in found.values())]:
        sys.exit(f"No function declares {', '.join(unknown)}. To set it anyway, add --vault NAME.")
    return {host: list(some) for host, some in found.items()}


def value_of_file(path: str) -> str:
    """Read a value, every byte of it."""
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        sys.exit(f"{path} is not UTF-8 text. A secret is text: encode the file, such as in base64.")


def checked(value: str) -> str:
    """Refuse what Key Vault does not accept."""
    if not value:
        sys.exit("The value is empty.")
    if len(value.encode()) > MAX_BYTES:
        sys.exit(f"The value is longer than {MAX_BYTES} bytes, the limit of Key Vault.")
    return value


def ask(host: str, names: list[str]) -> dict[str, str]:
    """Ask for values without showing them."""
    if not sys.stdin.isatty():
        sys.exit("There is no terminal to ask on: name one secret, and give its value by --file.")
    print(f"Values for {host}. The input is hidden; an empty line skips a secret.", file=sys.stderr)
    answers = {name: getpass.getpass(f"{name}: ") for name in names}
    return {name: checked(value) for name, value in answers.items() if value}


def stated(name: str, known: set[str] | None) -> str:
    """Say whether a secret has a value."""
    if known is None:
        return "may have a value"
    return "has a value" if name.lower() in known else "has no value"


def run(vault: str, names: list[str], file: str | None) -> None:
    """Find what has no value, take the values, and set them."""
    for host, secrets in wanted(vault, names).items():
        one = Vault(host)
        known = one.find()
        for name in secrets:
            print(f"{host}  {name}  {stated(name, known)}")
        missing = secrets if names else [n for n in secrets if n.lower() not in (known or ())]
        values: dict[str, str] = {}
        if file and missing:
            values = {missing[0]: value_of_file(file)}
        elif missing:
            values = ask(host, missing)
        try:
            for name, value in values.items():
                one.set_secret(name, value)
                print(f"{host}  {name}  is set")
        finally:
            on_signals(signal.SIG_IGN)  # a second Ctrl-C does not leave the vault open
            one.close()
            on_signals(stop)


def stop(number: int, _: object) -> None:
    """End on a signal, after everything that was begun is undone."""
    sys.exit(128 + number)


def on_signals(handler: Any) -> None:
    """Say what happens on the signals that end a program."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):  # Windows and others have different ones
            signal.signal(number, handler)


def main(words: list[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Give the declared secrets their values.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a secret; default: all declared")
    parser.add_argument("--vault", default="", help="name or URI; default: the declared vault")
    parser.add_argument("--file", help="set NAME to the bytes of this file; - is standard input")
    given = parser.parse_args(words)
    for name in given.names:
        if not re.fullmatch("[A-Za-z0-9-]{1,127}", name):
            parser.error(f"{name!r} is no name of a secret: 1 to 127 letters, digits and hyphens")
    if given.file and len(given.names) != 1:
        parser.error("--file needs exactly one NAME")
    on_signals(stop)
    try:
        run(given.vault, given.names, given.file)
    except (AzError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
