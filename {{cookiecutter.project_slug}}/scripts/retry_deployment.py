"""Run a command that deploys the app, again while role assignments propagate.

    python scripts/retry_deployment.py azd deploy --no-prompt

On Flex Consumption the platform uploads the package with the app's own identity. If a new role has not
reached the storage account yet, that fails with InaccessibleStorageException and a 403. Only then the
command is repeated, for 15 minutes at most.
"""

import re
import shutil
import subprocess
import sys
import time

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes:
# AuthorizationPermissionMismatch and AuthorizationFailure, as the platform passes them on.
REFUSED = re.compile(r"not authorized to perform this operation( using this permission)?")
UPLOAD = re.compile("InaccessibleStorageException|BlobUploadFailed|Failed to upload blob")
PROPAGATING = "The app has no access to its storage account yet: role assignments propagate."
FIREWALL = (
    "The storage account's firewall refused the upload: repeating it does not help. Check the app's"
    " virtual network integration, the storage account's private endpoint and DNS zone, and whether a"
    " policy has changed the account's network access."
)
LIMIT_SECONDS, PAUSE_SECONDS = 900.0, 30.0


def run(command: list[str]) -> tuple[int, str]:
    """Run a command, show what it prints, and return its exit status and output."""
    if not (program := shutil.which(command[0])):
        sys.exit(f"{command[0]} was not found on the path.")
    output = ""
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
            output += line
    return process.returncode, output


def main(command: list[str]) -> int:
    """Repeat the command while that may help."""
    end = time.monotonic() + LIMIT_SECONDS
    while True:
        status, output = run(command)
        refused = REFUSED.findall(output) if status and UPLOAD.search(output) else []
        if refused and not refused[-1]:
            print(FIREWALL, file=sys.stderr)
        if not refused or not refused[-1]:
            return status
        if time.monotonic() + PAUSE_SECONDS > end:
            print(f"{PROPAGATING} {LIMIT_SECONDS:.0f} seconds have passed.", file=sys.stderr)
            return status
        print(f"{PROPAGATING} Next try in {PAUSE_SECONDS:.0f} s …", file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
    except KeyboardInterrupt:
        sys.exit(130)
