"""Says what was made and what comes next. The project is complete without it."""

import os
import shlex

# cookiecutter makes every folder, also where no answer asks for a file in it.
for place in (".github", "blueprints", "functions", "scripts"):
    for folder, _, _ in os.walk(place, topdown=False):
        if not os.listdir(folder):
            os.rmdir(folder)

# cruft renders into folders that nobody keeps, and does not name an output folder.
output_folder_is_named = "{{ '_output_dir' in cookiecutter }}"
if output_folder_is_named == str(True):
    print(f"""
Your app stands in {os.getcwd()}

  cd {shlex.quote(os.getcwd())}
  make test    runs its tests; they need no Azure
  azd up       deploys it

The README tells the rest: giving the secrets their values, calling the function,
and the same steps without make and azd.
""")
