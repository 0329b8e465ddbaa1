{%- set facts = cookiecutter | facts -%}
{%- set firewall = facts.private and facts.new_vault -%}
"""Set the values of the secrets that the functions declare.

    python scripts/set_secrets.py                     ask for each declared secret that has no value
    python scripts/set_secrets.py NAME …              ask for these, also where they have a value
    python scripts/set_secrets.py NAME --file PATH    set the bytes of a file, - is standard input

It needs `az login` and the right to set secrets. A value is never an argument of a program.
"""

import argparse
import ast
import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
{%- if firewall %}

from vault_firewall import Firewall
{%- endif %}

SRC = Path(__file__).resolve().parent.parent / "src"
OWN_VAULT = "{{ facts.declared_vault }}"  # as the declarations name the vault of this project
TRIES = 60
PAUSE_SECONDS = 10.0


def az(*words: str, body: object = None) -> Any:
    """Run the Azure CLI and return its answer; RuntimeError has what it says when it fails."""
    if not (command := shutil.which("az")):
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
    )
    if run.returncode:
        raise RuntimeError(run.stderr.strip() or f"az {words[0]} failed")
    return json.loads(run.stdout or "null")


def existing(vault: str) -> set[str] | None:
    """List a vault's secrets in lower case, None if this login may not. No firewall stops this."""
    try:
        vault_id = az("keyvault", "show", "--name", vault, "--query", "id")
        names: set[str] = set()
        url = f"{vault_id}/secrets?api-version=2026-02-01"
        while url:
            page = az("rest", "--method", "get", "--url", url)
            names |= {one["name"].rpartition("/")[2].lower() for one in page["value"]}
            url = page.get("nextLink") or ""
    except RuntimeError:
        return None
    return names


def request(host: str, method: str, path: str, body: object = None) -> None:
    """Send a request to a vault."""
    url, domain = f"https://{host}/{path}?api-version=7.4", host.partition(".")[2]
    az("rest", "--method", method, "--url", url, "--resource", f"https://{domain}", body=body)


def set_secret(host: str, name: str, value: str{{ ", firewall: Firewall" if firewall }}) -> None:
    """Set a secret. A deleted one is recovered first{{ ", and the vault opened for this machine" if firewall }}."""
    text = ""
    for tries in range(TRIES):
        if tries:
            time.sleep(PAUSE_SECONDS)
        try:
            request(host, "put", f"secrets/{name}", {"value": value})
            return
        except RuntimeError as error:
            text = str(error)
        if "ObjectIsDeletedButRecoverable" in text:
            print(f"{name} was deleted. Recovering it …", file=sys.stderr)
            request(host, "post", f"deletedsecrets/{name}/recover")
        {%- if firewall %}
        elif re.search("ForbiddenBy(Connection|Firewall)", text):
            # Another run may have closed the vault: open it again every minute.
            firewall.open(text, again=tries % 6 == 0)
        {%- endif %}
        elif not re.search("ObjectIsBeing(Deleted|Recovered)", text):
            break
    if re.search("ForbiddenBy(Connection|Firewall)", text):
        text += "\nThe vault refuses this machine's network: run this from a network that has access to it."
    elif re.search("ForbiddenByRbac|ForbiddenByPolicy|AccessDenied", text):
        text += f"\nThis login has no right to set secrets in {host.partition('.')[0]}."
    raise RuntimeError(text)


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
    """Ask azd for the vault of the latest deployment, "" if it knows none."""
    if command := shutil.which("azd"):
        words = [command, "env", "get-value", "vaultName"]
        run = subprocess.run(words, cwd=SRC.parent, capture_output=True, text=True)  # noqa: S603
        if run.returncode == 0:
            return run.stdout.strip()
    return ""


def host_of(vault: str) -> str:
    """Turn a vault's name or URI into its host name."""
    if match := re.fullmatch(r"(?:https://)?([a-z][a-z0-9-]+\.[a-z0-9.-]+?)/?", vault.lower()):
        return match[1]
    if not re.fullmatch(r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*", vault):
        sys.exit(f"{vault!r} is neither a vault's name nor its URI.")
    return f"{vault.lower()}{az('cloud', 'show', '--query', 'suffixes.keyvaultDns')}"


def wanted(vault: str, names: list[str]) -> dict[str, list[str]]:
    """Return the secrets to set, by the host names of their vaults."""
    if vault and names:
        return {host_of(vault): names}
    found: dict[str, list[str]] = {}
    own, only = vault, host_of(vault) if vault else ""
    for place, name in sorted(set(declared())):
        if names and name not in names:
            continue
        if place == OWN_VAULT and place.startswith("%"):
            if not (own := own or deployed_vault()):
                sys.exit("Name the vault: --vault NAME, the output vaultName of the deployment.")
            place = own
        if "%" in f"{place}{name}":
            by_setting = f"An app setting names the secret {name} or its vault {place}"
            print(f"{by_setting}: set it with NAME --vault VAULT.", file=sys.stderr)
        elif name not in (of_vault := found.setdefault(host_of(place), [])):
            of_vault.append(name)
    if unknown := ", ".join(sorted(set(names).difference(*found.values()))):
        sys.exit(f"No function declares {unknown}. To set it anyway, add --vault NAME.")
    return {only: found.get(only, [])} if only else found


def value_of_file(path: str) -> str:
    """Read a value, every byte of it."""
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    if not data:
        sys.exit("The value is empty.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        sys.exit(f"{path} is not UTF-8 text. A secret is text: encode the file, such as in base64.")


def ask(host: str, names: list[str]) -> dict[str, str]:
    """Ask for values without showing them."""
    if not sys.stdin.isatty():
        sys.exit("There is no terminal to ask on: name one secret, and give its value by --file.")
    print(f"Values for {host}. The input is hidden; an empty line skips a secret.", file=sys.stderr)
    answers = {name: getpass.getpass(f"{name}: ") for name in names}
    return {name: value for name, value in answers.items() if value}


def set_all(host: str, secrets: list[str], names: list[str], file: str{{ ", firewall: Firewall" if firewall }}) -> None:
    """Set what has no value in a vault, or was named."""
    known = existing(host.partition(".")[0])
    missing = [name for name in secrets if names or name.lower() not in (known or ())]
    for name in secrets:
        state = "has a value" if name.lower() in (known or ()) else "has no value"
        print(f"{host}  {name}  {'may have a value' if known is None else state}", flush=True)
    if not missing:
        return
    values = {missing[0]: value_of_file(file)} if file else ask(host, missing)
    for name, value in values.items():
        set_secret(host, name, value{{ ", firewall" if firewall }})
        print(f"{host}  {name}  is set", flush=True)


def main() -> None:
    """Read the command line and run."""
    description = "Set the values of the secrets that the functions declare."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a secret; default: all declared")
    parser.add_argument("--vault", default="", help="name or URI; default: the declared vault")
    parser.add_argument("--file", help="set NAME to the bytes of this file; - is standard input")
    given = parser.parse_args()
    for name in given.names:
        if not re.fullmatch("[A-Za-z0-9-]{1,127}", name):
            parser.error(f"{name!r} is not a secret name: 1 to 127 letters, digits and hyphens")
    if given.file and len(given.names) != 1:
        parser.error("--file needs exactly one NAME")
    try:
{%- if firewall %}
        own = {{ 'deployed_vault()' if facts.vault_setting else '"' ~ facts.vault_name ~ '"' }}
        for host, secrets in wanted(given.vault, given.names).items():
            name = host.partition(".")[0]
            with Firewall(name, name == own.lower(), az) as firewall:
                set_all(host, secrets, given.names, given.file, firewall)
{%- else %}
        for host, secrets in wanted(given.vault, given.names).items():
            set_all(host, secrets, given.names, given.file)
{%- endif %}
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
