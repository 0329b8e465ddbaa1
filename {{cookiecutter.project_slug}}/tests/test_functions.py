"""The function that came with this project: adapt these tests as you change it."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging

import azure.functions as func
import pytest
from support import worker
from support.fixtures import Declared

FUNCTION = "{{ (cookiecutter | facts).function_name }}"
BODY = b"amount=100"


def test_it_signs_the_body_with_its_secrets(declared: Declared) -> None:
    answer = worker.call(worker.load_app()[FUNCTION], BODY)

    assert isinstance(answer, func.HttpResponse)
    assert answer.status_code == 200
    expected = {
        hmac.new(value.encode(), BODY, hashlib.sha256).hexdigest()
        for (function, _), value in declared.values.items()
        if function == FUNCTION
    }
    signatures = set(json.loads(answer.get_body())["signatures"].values())
    assert signatures == expected, f"{FUNCTION} does not sign with each secret that it declares"


def test_it_reads_with_its_own_identity_and_no_other(declared: Declared) -> None:
    worker.call(worker.load_app()[FUNCTION], BODY)

    asked = [request for request in declared.fake_key_vault.requests if request.endpoint == "identity"]
    assert {request.query.get("mi_res_id") for request in asked} == {
        identity for identities in declared.identities.values() for identity in identities
    }
    assert not any({"client_id", "object_id"} & set(request.query) for request in asked)


def test_its_secrets_are_never_shown(
    declared: Declared, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    answer = worker.call(worker.load_app()[FUNCTION], BODY)

    printed = "".join(capfd.readouterr())
    shown = [answer.get_body().decode(), str(dict(answer.headers)), caplog.text, printed]
    for secret in (*declared.values.values(), *declared.fake_key_vault.tokens):
        assert not any(secret in text for text in shown)


def test_it_fails_with_the_repair_where_the_vault_denies(declared: Declared) -> None:
    for vault in declared.fake_key_vault.vaults.values():
        vault.readers = set()

    with pytest.raises(Exception, match=f"{FUNCTION}.*accessPolicies/add"):
        worker.call(worker.load_app()[FUNCTION], BODY)
