"""The stand-ins for `az` and `gh`, run as `commands.py az|gh ARGUMENTS`."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["STAND_INS"])
STATE = json.loads((FOLDER / "state.json").read_text("utf-8"))
NO_REVIEWERS = (
    "gh: Failed to create the environment protection rule. Please ensure the billing plan supports"
    " the {} protection rule. (HTTP 422)"
)

NOT_FOUND = "gh: Not Found (HTTP 404)"
NAMED = {"User": "login", "Team": "slug"}


def main() -> int:
    """Record the call, then answer, fail or interrupt."""
    line = shlex.join(sys.argv[1:])
    with (FOLDER / "calls.txt").open("a", encoding="utf-8") as calls:
        calls.write(line.replace("\n", " ") + "\n")
    if STATE["interrupts"] and STATE["interrupts"] in line:
        os.killpg(os.getpgid(0), signal.SIGINT)
        return 130
    if STATE["fails"] and STATE["fails"] in line:
        print(f"{sys.argv[1]}: refused (HTTP 502)", file=sys.stderr)
        return 1
    status = {"az": az, "gh": gh}[sys.argv[1]](sys.argv[2:])
    (FOLDER / "state.json").write_text(json.dumps(STATE), "utf-8")
    return status


def option(words: list[str], name: str, default: str = "") -> str:
    """Read the value of an option."""
    return words[words.index(name) + 1] if name in words else default


def az(words: list[str]) -> int:
    """Answer as the Azure CLI does, in the format that the call names."""
    command = " ".join(word for word in words[:4] if not word.startswith("-"))
    name = option(words, "--name")
    answer: Any = None
    if command.startswith("provider register"):
        STATE["providers"].append(option(words, "--namespace"))
    elif command.startswith("group exists"):
        answer = name in STATE["groups"]
    elif command.startswith("group create"):
        STATE["groups"][name] = option(words, "--location")
    elif command.startswith("group show"):
        answer = {"name": name, "location": STATE["groups"][name]}
    elif command.startswith("resource list"):
        answer = STATE["sites"]
    elif command.startswith("deployment sub create"):
        STATE["deployment"] = dict(os.environ)
        answer = {"properties": {"outputs": outputs()}}
    elif command.startswith("deployment sub show"):
        answer = {"properties": {"outputs": outputs()}}
    elif command.startswith("deployment group show"):
        answer = {"properties": {"outputs": {"appName": {"value": "func-app"}}}}
    elif command.startswith("functionapp deployment"):
        STATE["uploaded"] = True
    elif command.startswith("functionapp function list"):
        answer = [{"name": f"func-app/{one}"} for one in STATE["in Azure"]]
    else:
        print(f"az: unknown command {command}", file=sys.stderr)
        return 2
    if answer is not None and "--query" in words:
        import jmespath

        answer = jmespath.search(option(words, "--query"), answer)
    return show(answer, option(words, "--output", "table"))


def outputs() -> dict[str, Any]:
    """The outputs of infra/github.bicep."""
    given = {
        "planClientId": "plan-client",
        "deployClientId": "deploy-client",
        "tenantId": "tenant",
        "subscriptionId": "subscription",
        "notes": STATE["notes"],
    }
    return {name: {"value": value} for name, value in given.items()}


def show(answer: Any, output: str) -> int:
    """Print an answer as `az --output` does; without one, a table that nobody can read."""
    if output == "json":
        print(json.dumps(answer))
    elif output == "tsv":
        for one in answer if isinstance(answer, list) else [answer]:
            print(str(one).lower() if isinstance(one, bool) else "" if one is None else one)
    elif output == "table":
        print("Result\n--------")
    return 0


def gh(words: list[str]) -> int:
    """Answer as the GitHub CLI does."""
    if words[:2] == ["variable", "set"]:
        scope = option(words, "--env", "repository")
        STATE["variables"].setdefault(scope, {})[words[2]] = option(words, "--body")
        return 0
    method, path = (
        option(words, "--method", "GET"),
        next(w for w in words if "/" in w or w == "user"),
    )
    body = json.load(sys.stdin) if "--input" in words else {}
    answer = api(method, path.removeprefix("repos/octo/app").strip("/"), body, words)
    if isinstance(answer, str):
        print(answer, file=sys.stderr)
        return 1
    if "--jq" in words:
        import jq

        for one in jq.compile(option(words, "--jq")).input_value(answer).all():
            print(one if isinstance(one, str) else json.dumps(one))
    elif "--silent" not in words:
        print(json.dumps(answer))
    return 0


def api(method: str, path: str, body: dict[str, Any], words: list[str]) -> Any:
    """Answer a request of GitHub's API; a text is an error."""
    parts = path.split("/")
    if path == "":
        return STATE["repository"]
    if path == "user":
        return {"id": STATE["users"][""]}
    if parts[0] == "users":
        return {"id": STATE["users"][parts[1]]}
    if parts[:2] == ["actions", "variables"]:
        value = STATE["variables"].get("repository", {}).get(parts[2])
        return {"name": parts[2], "value": value} if value is not None else NOT_FOUND
    if path == "actions/oidc/customization/sub":
        return STATE["subject"] if STATE["subject"] is not None else NOT_FOUND
    if path == "private-vulnerability-reporting":
        if STATE["plan"] != "public":
            return NOT_FOUND
        STATE["reporting"] = True
        return {}
    if parts[:2] == ["actions", "runs"]:
        return STATE["runs"].get(parts[2], NOT_FOUND)
    assert parts[0] == "environments", path
    if method == "GET" and len(parts) == 2:
        environment = STATE["environments"].get(parts[1])
        return protection(environment["rules"]) if environment else NOT_FOUND
    environment = STATE["environments"].setdefault(parts[1], {"patterns": [], "rules": {}})
    if len(parts) == 2:
        if STATE["plan"] == "free":
            return NO_REVIEWERS.format("branch policy")
        if "reviewers" in body and STATE["plan"] == "pro":
            return NO_REVIEWERS.format("required reviewers")
        environment["rules"] = body
        return protection(body)
    if method == "POST":
        environment["patterns"].append(option(words, "--raw-field").partition("=")[2])
    if method == "DELETE":
        environment["patterns"][int(parts[3]) - 1] = None
        return {}
    policies = [
        {"id": number, "name": pattern.removeprefix("tag "), "type": kind(pattern)}
        for number, pattern in enumerate(environment["patterns"], 1)
        if pattern
    ]
    return {"branch_policies": policies}


def kind(pattern: str) -> str:
    """The type of a deployment branch policy."""
    return "tag" if pattern.startswith("tag ") else "branch"


def protection(rules: dict[str, Any]) -> dict[str, Any]:
    """An environment as GitHub describes it: by the rules that were put there."""
    found: list[dict[str, Any]] = [{"id": 1, "type": "branch_policy"}]
    if rules.get("wait_timer"):
        found.append({"id": 2, "type": "wait_timer", "wait_timer": rules["wait_timer"]})
    if rules.get("reviewers"):
        reviewers = [
            {
                "type": one["type"],
                "reviewer": {"id": one["id"], NAMED[one["type"]]: f"id-{one['id']}"},
            }
            for one in rules["reviewers"]
        ]
        rule = {"id": 3, "type": "required_reviewers", "reviewers": reviewers}
        found.append({**rule, "prevent_self_review": rules["prevent_self_review"]})
    return {"protection_rules": found}


if __name__ == "__main__":
    sys.exit(main())
