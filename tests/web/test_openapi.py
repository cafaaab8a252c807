"""The API does what its description says, whatever is asked: requests made up from the description itself."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from contracts.api import NoQuery
from functions.web.routes import Route
from functions.web.v1.table import ROUTES
from tests.web.harness import S, open_site
from tests.web.test_actions import letter

QUIETLY = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
)
BEYOND_SCHEMAS = [positive_data_acceptance]
"""A schema cannot say that fields must fit together, or which page tokens there are."""
PLAIN = {"Accept-Encoding": "identity"}
SAYS_SO = {"validate_job"}
"""Answers 200 with what is wrong."""
NEEDS_OTHERS = {"check_mapping", "preview_source", "run_selftest"}
"""Wait for answers of functions, which do not run here."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = open_site(tmp_path_factory.mktemp("site"))
    site.result(site.job(S.SUCCEEDED), best_model__json=b"{}")
    letter(site)
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.client.application)


def takes_something(route: Route) -> bool:
    return bool(route.parameters) or route.query is not NoQuery or route.body is not None


def of(*routes: Route) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=[route.name for route in routes])


@of(*(route for route in ROUTES if route.name not in NEEDS_OTHERS))
def test_what_the_description_allows_is_answered_as_it_says(schema: Any, route: Route) -> None:
    @QUIETLY
    @given(case=schema[route.path][route.verb].as_strategy())
    def holds(case: Any) -> None:
        case.call_and_validate(headers=PLAIN, excluded_checks=BEYOND_SCHEMAS)

    holds()


@of(*(route for route in ROUTES if takes_something(route)))
def test_what_it_does_not_allow_is_refused_as_it_says(schema: Any, route: Route) -> None:
    excluded = [negative_data_rejection] if route.name in SAYS_SO else []

    @QUIETLY
    @given(case=schema[route.path][route.verb].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def holds(case: Any) -> None:
        case.call_and_validate(headers=PLAIN, excluded_checks=[*excluded, *BEYOND_SCHEMAS])

    holds()
