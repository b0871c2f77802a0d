"""The JSON API takes whatever its own description allows, and what it does not allow, without a server error."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from mlmd_panel.web.app import create_app
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.panel.written import written

# Requests to each operation at most; `make test-long` makes more.
EXAMPLES = int(os.environ.get("EXAMPLES", "20"))


@pytest.fixture
def api() -> Any:
    """The API, by its own description."""
    return schemathesis.openapi.from_asgi("/api.json", create_app(written().panel))


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_of_those_described(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=[not_a_server_error, status_code_conformance, content_type_conformance])
