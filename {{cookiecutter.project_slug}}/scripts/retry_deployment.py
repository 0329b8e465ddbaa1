"""Run a command that deploys the app, again while role assignments propagate.

    python scripts/retry_deployment.py azd deploy --no-prompt

On Flex Consumption the platform uploads the package with the app's own identity. If a new role has not
reached the storage account yet, that fails with InaccessibleStorageException and a 403. Only then the
command is repeated, for 15 minutes at most.
"""

import re
import shutil
import signal
import subprocess
import sys
import time

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes:
# AuthorizationPermissionMismatch, and without the last words AuthorizationFailure.
REFUSED = re.compile(r"not authorized to perform this operation( using this permission)?")
UPLOAD = re.compile("InaccessibleStorageException|BlobUploadFailed|Failed to upload blob")
PROPAGATING = "The app has no access to its storage account yet: role assignments propagate."
FIREWALL = "The storage account's firewall refused the upload: README.md says what to check."
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
        if not refused:
            return status
        print(PROPAGATING if refused[-1] else FIREWALL, file=sys.stderr, flush=True)
        if not refused[-1] or time.monotonic() + PAUSE_SECONDS > end:
            return status
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interruption shows no traceback
    sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
