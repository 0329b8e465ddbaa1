"""The app: everything that stands declared under functions/."""

from pathlib import Path

import azure.functions as func

from identity_bindings import register_functions

app = func.FunctionApp()
register_functions(app, Path(__file__).parent / "functions")
