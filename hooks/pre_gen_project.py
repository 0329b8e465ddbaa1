"""Refuses to render over paths that the answers leave out: the last hook would remove them."""

import os
import sys

LEFT_OUT = """{{ (cookiecutter | facts).left_out | join(' ') }}""".split()  # noqa: SIM905

if existing := [path for path in LEFT_OUT if os.path.exists(path)]:
    sys.exit(
        f"{os.getcwd()} has {', '.join(existing)}, which these answers leave out."
        " Move them away first, or update the project with cruft: docs/updating.md."
    )
