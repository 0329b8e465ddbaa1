"""Says what was made and what comes next. The project is complete without it."""

import os
import shlex
import shutil
import sys


def quoted(path: str) -> str:
    """Write a path for the shell of this system."""
    return f'"{path}"' if os.name == "nt" else shlex.quote(path)


# Every file is rendered. These belong to other answers: local_extensions/paths.py has the table.
for path in """{{ (cookiecutter | facts).left_out | join(' ') }}""".split():  # noqa: SIM905
    if path.endswith("/"):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.remove(path)
    folder = os.path.dirname(path.rstrip("/"))
    if folder and os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)

# cruft renders into folders that nobody keeps, and does not name an output folder.
output_folder_is_named = "{{ '_output_dir' in cookiecutter }}"
if output_folder_is_named == str(True):
    bold, end = "\033[1m", "\033[0m"
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        bold = end = ""
    project = os.getcwd()
    commands = {
        f"cd {quoted(project)}": "",
        "make test": "runs its tests; they need no Azure",
        "azd up": "deploys it",
        "make secrets": "asks for the values of the secrets",
    }
    in_short = """{{ (cookiecutter | facts).in_short | wordwrap(88, break_on_hyphens=False) }}"""
    text = f"\nYour app stands in {project}\n{in_short}\n\n"
    for command, effect in commands.items():
        text += f"  {bold}{command}{end}{' ' * (24 - len(command)) if effect else ''}{effect}\n"
    text += "\nThe README has each command in full, also without make and azd.\n"
    # A folder's name may have letters that this output does not know.
    text = text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding)
    try:
        print(text, flush=True)
    except OSError:  # nobody listens any more; the project stands all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
