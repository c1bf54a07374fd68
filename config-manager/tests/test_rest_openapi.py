"""The description of the API: complete, and true to what the routes do."""

from __future__ import annotations

import json

import pytest
from config_manager.fronts.rest import create_app
from parlour_contracts.messages.requests import STATUS_OF


@pytest.fixture(scope="module")
def document():
    return create_app(None).openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@pytest.mark.req("C063")
def test_every_reference_of_the_document_leads_somewhere(document):
    text = json.dumps(document)
    for part in ("schemas", "responses"):
        for name in set(text.split(f'"#/components/{part}/')[1:]):
            assert name.split('"')[0] in document["components"][part]


@pytest.mark.req("C063", "C037", "C038", "C039", "C040")
def test_s2s_models_are_the_bodies_of_the_document(document):
    used = {"ConfigReadResponse", "ConfigUpdateRequest", "ConfigUpdateResponse",
            "ConfigSearchRequest", "ConfigSearchResponse", "ConfigFieldMetadata",
            "ConfigHealthPayload", "EncryptionMetadata"}  # fmt: skip

    assert used <= set(document["components"]["schemas"])


def test_everything_but_the_probe_asks_for_a_token(document):
    open_ones = [name for name, operation in operations(document) if "security" not in operation]

    assert open_ones == ["GET /healthz"]


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(document):
    ids = [operation["operationId"] for _, operation in operations(document)]

    assert len(set(ids)) == len(ids)
    assert all(operation["description"] for _, operation in operations(document))


def test_every_operation_with_a_token_tells_how_it_fails(document):
    statuses = {str(status) for status in STATUS_OF.values()}
    for name, operation in operations(document):
        if name != "GET /healthz":
            assert statuses <= set(operation["responses"]), name


def test_changes_name_the_header_that_makes_a_retry_safe(document):
    with_header = {
        operation["operationId"]
        for _, operation in operations(document)
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
    }

    assert with_header == {"set", "patch", "reset", "rollback", "set-secret"}


def test_every_body_is_described(document):
    bodiless = {"resend", "restart", "issue-token"}
    for name, operation in operations(document):
        if name.split()[0] in ("PUT", "PATCH", "POST"):
            assert ("requestBody" in operation) != (operation["operationId"] in bodiless), name
