"""Refuses to render over files that the other hook would remove."""

import os
import sys

LEFT_OUT = """{{ (cookiecutter | facts).left_out | join(' ') }}""".split()  # noqa: SIM905

if existing := [path for path in LEFT_OUT if os.path.exists(path)]:
    sys.exit(
        f"{os.getcwd()} has {', '.join(existing)}, which this template would replace and then"
        " remove, as these answers leave it out. Move it away first, or update the project with"
        " cruft, as the template's docs/updating.md describes"
    )
