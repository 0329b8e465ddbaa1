{%- set facts = cookiecutter | facts -%}
"""Signs what a caller sends: proof for whoever shares the secret, and of no use to anyone else."""

import hashlib
import hmac
import json

import azure.functions as func


{{ facts.signature }}
    """Answer with the signatures of the request's body; the secrets stay here."""
    return _signed(
        req.get_body(),
        {
{%- for secret in facts.secrets %}
            "{{ secret.name }}": {{ secret.parameter }},
{%- endfor %}
        },
    )


def _signed(body: bytes, secrets: dict[str, str]) -> func.HttpResponse:
    signatures = {
        name: hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        for name, secret in secrets.items()
    }
    return func.HttpResponse(json.dumps({"signatures": signatures}), mimetype="application/json")
