"""Run a command that deploys the app, again while Azure's role assignments are spreading.

    python scripts/retry_deployment.py azd deploy --no-prompt

On Flex Consumption the platform uploads the package with the app's own identity. A role that was
assigned a moment ago may not have reached the storage account yet, and the upload fails with
InaccessibleStorageException and a 403. That access cannot be tested from outside, so the deployment itself
is repeated: only on this error, and for 15 minutes at most. Any other failure ends it at once.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time

LIMIT_SECONDS = 900.0  # Azure gives role assignments up to 10 minutes.
PAUSE_SECONDS = 30.0

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes:
# AuthorizationPermissionMismatch and AuthorizationFailure, as the platform passes them on.
_REFUSED = re.compile(r"not authorized to perform this operation( using this permission)?")
_UPLOAD = re.compile("InaccessibleStorageException|BlobUploadFailed|Failed to upload blob")
_SPREADING = "The app has no access to its storage account yet: role assignments are spreading."
_FIREWALL = (
    "The storage account's firewall refused the upload: repeating it does not help. Check the app's"
    " virtual network integration, the storage account's private endpoint and DNS zone, and whether a"
    " policy has changed the account's network access."
)


def is_spreading(output: str) -> bool | None:
    """Read from a failed deployment's output whether another try may help.

    Returns:
        True while role assignments are spreading, False where a firewall refused the upload, None
        where something else failed.
    """
    if not _UPLOAD.search(output):
        return None
    refused = _REFUSED.findall(output)
    return bool(refused[-1]) if refused else None


def run(command: list[str]) -> tuple[int, str]:
    """Run a command, show what it prints, and return its exit status and output."""
    program = shutil.which(command[0])
    if not program:
        sys.exit(f"{command[0]} is missing.")
    shown = []
    process = subprocess.Popen(  # noqa: S603 - no shell
        [program, *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            shown.append(line)
    return process.returncode, "".join(shown)


def main(words: list[str] | None = None) -> int:
    """Repeat the command while that may help."""
    parser = argparse.ArgumentParser(description="Run a deployment, with retries.")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds, all in all")
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between tries")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command that deploys")
    given = parser.parse_args(words)
    if not given.command:
        parser.error("name the command that deploys")
    end = time.monotonic() + given.limit
    while True:
        status, output = run(given.command)
        spreading = is_spreading(output) if status else None
        if spreading is False:
            print(_FIREWALL, file=sys.stderr)
        if not spreading:
            return status
        left = end - time.monotonic()
        if left < given.pause:
            print(f"{_SPREADING} {given.limit:.0f} seconds have passed.", file=sys.stderr)
            return status
        print(f"{_SPREADING} Next try in {given.pause:.0f} s …", file=sys.stderr, flush=True)
        time.sleep(given.pause)


if __name__ == "__main__":
    sys.exit(main())
