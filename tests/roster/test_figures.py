"""What a run costs, counted by the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from tests.roster.conftest import Roster

PEOPLE = 600


def rows(roster: Roster) -> list[dict[str, Any]]:
    organization_role = roster.sandbox.state()["organization_roles"][0]["name"]
    return [
        {
            "external_id": f"E{at}",
            "username": f"u{at}",
            "primary_email": f"u{at}@example.com",
            "roles": ["staff"],
            "organizations": ["Acme"],
            "organization_roles": {"Acme": [organization_role]},
        }
        for at in range(PEOPLE)
    ]


@pytest.mark.parametrize("population", [None, {"role": "staff"}, {"organization": "Acme"}])
def test_requests_of_joiners_and_of_a_night_without_changes(roster: Roster, population: Any) -> None:
    roster.sandbox.seed({"roles": [{"name": "staff", "description": "x"}], "organizations": [{"name": "Acme"}]})
    if population:
        # Customers cost nothing more where there is a population.
        roster.sandbox.seed({"users": [{"username": f"customer{at}"} for at in range(3000)]})
    settings = {"manage": ("profile", "roles", "organizations", "organization_roles"), "population": population}
    everybody = rows(roster)
    roster.sandbox.reset_stats()
    roster.apply(everybody, **settings)
    assert roster.sandbox.stats()["requests"] <= PEOPLE + PEOPLE / 40 + 50
    roster.sandbox.reset_stats()
    roster.apply(everybody, **settings)
    stats = roster.sandbox.stats()
    assert stats["writes"] == 0
    assert stats["requests"] <= 3 * PEOPLE / 50 + 50


def test_rows_outside_the_population_are_found_in_few_searches(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "staff", "description": "x"}]})
    users = [{"username": f"u{at}", "primaryEmail": f"U{at}@example.com"} for at in range(PEOPLE)]
    roster.sandbox.seed({"users": users})
    roster.sandbox.reset_stats()
    result = roster.plan(
        [{"primary_email": f"u{at}@example.com"} for at in range(PEOPLE)], population={"role": "staff"}, adopt="matched"
    )
    assert result["counts"]["user.adopt"] == PEOPLE
    assert roster.sandbox.stats()["requests"] <= PEOPLE / 50 + 20
    assert max(len(request["query"]) for request in roster.sandbox.requests()) < 13_400
