"""Removes the files of other answers, and says what to do next."""

import contextlib
import os
import shlex
import sys

# cookiecutter has rendered every file. local_extensions/paths.py says which belong to which answer.
LEFT_OUT = """{{ (cookiecutter | facts).left_out | join(' ') }}""".split()  # noqa: SIM905

NEXT = """{% set facts = cookiecutter | facts %}
Created your app in {project}
The function {{ facts.function_name }} receives its secrets from {{ 'a new vault' if facts.new_vault else 'the vault ' ~ facts.vault_name }}.

  {bold}cd {quoted}{end}
  {bold}make test{end}       Run the tests. They need no Azure subscription
  {bold}azd up{end}          Deploy
  {bold}make secrets{end}    Enter the values of the secrets

README.md has each command in full, also without make and azd.
"""


def quoted(path: str) -> str:
    """Quote a path for the shell of this system."""
    return f'"{path}"' if os.name == "nt" else shlex.quote(path)


def remove(path: str) -> None:
    """Remove a file, and the folders that are empty without it."""
    os.remove(path)
    with contextlib.suppress(OSError):
        os.removedirs(os.path.dirname(path))


def say_what_is_next() -> None:
    """Print the first commands, in bold where a terminal shows that."""
    bold, end = "\033[1m", "\033[0m"
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        bold = end = ""
    project = os.getcwd()
    text = NEXT.format(project=project, quoted=quoted(project), bold=bold, end=end)
    # The output may have no code for a letter of the folder's name.
    encoding = sys.stdout.encoding
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError:  # stdout is closed; the project is complete anyway
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


for left_out in LEFT_OUT:
    remove(left_out)
# cruft renders into temporary folders, and does not name an output folder.
names_output_folder = "{{ '_output_dir' in cookiecutter }}"
if names_output_folder == str(True):
    say_what_is_next()
