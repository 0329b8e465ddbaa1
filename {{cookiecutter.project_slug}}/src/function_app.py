{%- set facts = cookiecutter | facts -%}
{% if facts.decorators -%}
"""The app: its first function{{ ', and those of blueprints/' if facts.samples else '' }}."""

import json

import azure.functions as func

from identity_bindings import {{ 'isolated, ' if facts.samples else '' }}key_vault_secret

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
{%- if facts.samples %}

# A blueprint that fails to load is logged, and harms no other function.
{%- for name in facts.samples %}
with isolated("blueprints/{{ name }}.py"):
    from blueprints.{{ name }} import blueprint

    app.register_functions(blueprint)
{%- endfor %}
{%- endif %}


@app.route("{{ facts.function_name }}", methods=["GET", "POST"])
{%- for secret in facts.secrets %}
@key_vault_secret(
    "{{ secret.parameter }}",
    secret_name="{{ secret.name }}",
    vault_name="{{ facts.declared_vault }}",
    identity="{{ facts.identity }}",
{%- if facts.declared_identity_id %}
    identity_id="{{ facts.declared_identity_id }}",
{%- endif %}
)
{%- endfor %}
{% include "first_function.py.jinja" -%}
{%- else -%}
"""The app: the functions that functions/ declares."""

from pathlib import Path

import azure.functions as func

from identity_bindings import register_functions

app = func.FunctionApp()
register_functions(app, Path(__file__).parent / "functions")
{% endif -%}
