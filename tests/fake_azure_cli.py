"""What `az` answers about one vault that the file `azure` in a folder holds.

    python fake_azure_cli.py FOLDER WORD …

It has the firewall of Key Vault, pages of Azure Resource Manager, and the shapes of their errors as
the Azure CLI prints them.
"""

import fcntl
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

FORBIDDEN = 'Forbidden({"error":{"code":"Forbidden","message":"%s","innererror":{"code":"%s"}}})'


def main(folder: Path, words: list[str]) -> None:
    """Answer one command."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads((folder / "azure").read_text("utf-8"))
        with (folder / "calls").open("a", encoding="utf-8") as calls:
            calls.write(json.dumps(words) + "\n")
        if state["hangs"] and "put" in words and _firewall(state) is None:
            (folder / "hanging").touch()
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(60)
        try:
            print(json.dumps(_answer(folder, state, words)))
        finally:
            (folder / "azure").write_text(json.dumps(state), "utf-8")


def _answer(folder: Path, state: dict[str, Any], words: list[str]) -> Any:
    vault = state["vault"]
    if words[:2] == ["cloud", "show"]:
        return ".vault.azure.net"
    if words[:2] == ["keyvault", "show"]:
        return vault["id"]
    given = dict(zip(words[1::2], words[2::2], strict=True))
    method, url = given["--method"], given["--url"]
    body: Any = json.load(sys.stdin) if given.get("--body") == "@-" else None
    if method == "get" and "/secrets?" in url:
        return _page(state, url)
    if method == "patch":
        state["patches"] -= 1
        if state["patches"] < 0:
            _refuse("Conflict(no)")
        with (folder / "bodies").open("a", encoding="utf-8") as bodies:
            bodies.write(json.dumps(body) + "\n")
        vault["tags"] = body["tags"]
        vault["properties"].update(body["properties"])
    if method in ("get", "patch"):
        return vault
    assert given["--resource"] == "https://vault.azure.net"
    if refusal := _firewall(state):
        state["clients"] = state["clients"][1:] or state["clients"]
        state["slow"] = max(0, state["slow"] - 1)
        _refuse(refusal)
    if state["says"]:
        _refuse(state["says"])
    name = re.search(r"/(?:deleted)?secrets/([^?/]+)", url)
    assert name
    if method == "post" and url.partition("?")[0].endswith("/recover"):
        state["deleted"].remove(name[1])
        return {}
    if name[1] in state["deleted"]:
        _refuse('Conflict({"error":{"innererror":{"code":"ObjectIsDeletedButRecoverable"}}})')
    assert method == "put"
    state["values"][name[1]] = body["value"]
    return body


def _page(state: dict[str, Any], url: str) -> dict[str, Any]:
    """One secret a page."""
    names = sorted(state["values"])
    at = int((re.search(r"skip=(\d+)", url) or ["", "0"])[1])
    more = f"https://management.azure.com{state['vault']['id']}/secrets?skip={at + 1}"
    page: dict[str, Any] = {"value": [{"name": name} for name in names[at : at + 1]]}
    return page | ({"nextLink": more} if at + 1 < len(names) else {})


def _firewall(state: dict[str, Any]) -> str | None:
    properties, client = state["vault"]["properties"], state["clients"][0]
    if properties.get("publicNetworkAccess") == "Disabled":
        return FORBIDDEN % ("Public network access is disabled", "ForbiddenByConnection")
    rules = properties.get("networkAcls") or {}
    allowed = [rule["value"] for rule in rules.get("ipRules", [])]
    if rules.get("defaultAction") != "Deny" or (f"{client}/32" in allowed and not state["slow"]):
        return None
    message = f"Client address is not authorized\\r\\nClient address: {client}\\r\\nCaller: x"
    return FORBIDDEN % (message, "ForbiddenByFirewall")


def _refuse(text: str) -> NoReturn:
    sys.exit(f"ERROR: {text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
