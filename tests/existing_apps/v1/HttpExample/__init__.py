"""Call a partner with a key from an app setting."""

import os

import azure.functions as func

from ..shared_code.partner import call_partner


def main(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(call_partner(os.environ["API_KEY"], req.params.get("name")))
