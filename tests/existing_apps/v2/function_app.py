"""An app of the v2 model, with a blueprint."""

import os

import azure.functions as func
from reports import reports

app = func.FunctionApp()
app.register_functions(reports)


@app.function_name("HttpExample")
@app.route("hello", auth_level=func.AuthLevel.ANONYMOUS)
def http_example(req: func.HttpRequest) -> func.HttpResponse:
    key = os.environ["API_KEY"]
    return func.HttpResponse(f"The partner accepted a key of {len(key)} characters.")
