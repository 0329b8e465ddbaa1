{%- set facts = cookiecutter | facts -%}
"""The function {{ facts.function_name }}: change these tests as you change it."""

import json

import azure.functions as func
{% if facts.decorators %}
from function_app import {{ facts.function_name }}
{%- else %}
from functions.{{ facts.function_name }} import main
{%- endif %}
from support import worker
from support.fake_key_vault import Declared

SECRETS = {
{%- for secret in facts.secrets %}
    "{{ secret.name }}",
{%- endfor %}
}


def test_it_names_the_secrets_that_have_arrived(declared: Declared) -> None:
    request = func.HttpRequest("GET", "/api/{{ facts.function_name }}", body=b"")

    answer = {{ facts.function_name if facts.decorators else "main" }}(request, **declared.given("{{ facts.function_name }}"))

    assert set(json.loads(answer.get_body())["arrived"]) >= SECRETS


def test_its_secrets_arrive(declared: Declared) -> None:
    function = worker.load_app()["{{ facts.function_name }}"]

    answer = worker.call(function, worker.http_request("GET"))

    assert set(json.loads(answer.get_body())["arrived"]) >= SECRETS
