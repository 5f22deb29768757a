"""Which row means which person: whatever is ambiguous is a conflict, and nobody in one counts as missing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_logto.management.marks import KEY
from tests.roster.conftest import Roster

LOOSE = {"disables": 100, "identifier_changes": 100}
SETTINGS: dict[str, Any] = {"on_missing": "suspend", "brakes": LOOSE}


def row(at: int, **more: Any) -> dict[str, Any]:
    return {"external_id": f"E{at}", "username": f"u{at}", "primary_email": f"u{at}@example.com", **more}


def nobody_suspended(roster: Roster) -> bool:
    return not [user for user in roster.users().values() if user["isSuspended"]]


def test_keys_that_mean_different_people(roster: Roster) -> None:
    roster.apply([row(1), row(2)])
    result = roster.apply([{**row(1), "external_id": "E3", "primary_email": "u2@example.com"}], **SETTINGS)
    assert result["held"] == [1]
    assert nobody_suspended(roster), "neither of the two is missing: the row may mean either"


@pytest.mark.parametrize("shared", ["external_id", "username", "primary_email"])
def test_two_rows_with_one_key(roster: Roster, shared: str) -> None:
    roster.apply([row(1), row(2)])
    doubled = [row(1), {**row(2), shared: row(1)[shared]}]
    result = roster.apply(doubled, **SETTINGS)
    assert result["held"] == [1, 2]
    assert nobody_suspended(roster)


def test_two_rows_that_mean_one_person(roster: Roster) -> None:
    roster.apply([row(1)])
    rows = [{"external_id": "E1"}, {"username": "u1"}]
    assert roster.apply(rows, **SETTINGS)["held"] == [1, 2]
    assert nobody_suspended(roster)


def test_one_key_that_finds_two_people(roster: Roster) -> None:
    """Two accounts whose e-mails differ in case only: two racing creations leave them behind."""
    users = [{"username": "a", "primaryEmail": "x@example.com"}, {"username": "b", "primaryEmail": "y@example.com"}]
    roster.sandbox.seed({"users": users})
    state = roster.sandbox.state()
    state["users"][1]["primaryEmail"] = "X@example.com"
    roster.sandbox.reset()
    roster.sandbox.seed(state)
    assert roster.apply([{"primary_email": "X@Example.com"}], adopt="matched")["held"] == [1]


def test_other_spellings_are_found(roster: Roster) -> None:
    user = {"username": "ann", "primaryEmail": "Ann@Example.com", "primaryPhone": "61412345678"}
    roster.sandbox.seed({"users": [user], "roles": [{"name": "staff", "description": "x"}]})
    for population in (None, {"role": "staff"}):
        for key in ({"primary_email": "ANN@example.COM"}, {"primary_phone": "+61 0412 345 678"}, {"username": "ann"}):
            plan = roster.plan([key], adopt="matched", population=population)
            assert plan["counts"]["user.adopt"] == 1, (key, population)


def test_a_national_prefix_is_no_change(roster: Roster) -> None:
    row = {"external_id": "E1", "username": "ivan", "primary_phone": "+7 8 916 123 45 67"}
    roster.apply([row])
    assert roster.users()["ivan"]["primaryPhone"] == "79161234567"
    assert roster.plan([row])["counts"].get("user.update", 0) == 0


def test_an_italian_landline_is_nobodys_mobile(roster: Roster) -> None:
    roster.sandbox.seed({"users": [{"username": "ann", "primaryPhone": "39331123456"}]})
    counts = roster.plan([{"primary_phone": "+39 0331 123456"}], adopt="matched")["counts"]
    assert (counts.get("user.create", 0), counts.get("user.adopt", 0)) == (1, 0)


def test_external_ids_without_their_leading_zeros(roster: Roster) -> None:
    roster.apply([{"external_id": "00071", "username": "u1"}])
    result = roster.apply([{"external_id": "71", "username": "other"}], **SETTINGS)
    assert result["held"] == [1]
    assert nobody_suspended(roster)
    assert len(roster.users()) == 1


def test_an_id_that_nobody_has(roster: Roster) -> None:
    result = roster.apply([{"id": "abcdefghijkl", "username": "u1"}])
    assert result["held"] == [1]
    assert roster.users() == {}


def test_an_identifier_of_somebody_else_is_not_taken(roster: Roster) -> None:
    roster.sandbox.seed({"users": [{"username": "customer", "primaryEmail": "u1@example.com"}]})
    roster.apply([row(1, primary_email="")])
    result = roster.apply([row(1)], **SETTINGS)
    assert result["held"] == [1]
    assert roster.users()["customer"]["primaryEmail"] == "u1@example.com"


def test_who_lost_the_population_is_known_by_their_mark(roster: Roster) -> None:
    roster.sandbox.seed({"roles": [{"name": "staff", "description": "x"}]})
    settings = {"population": {"role": "staff"}, **SETTINGS}
    roster.apply([row(1), row(2)], **settings)
    user_id = roster.users()["u1"]["id"]
    roster._run(lambda client: client.request("PUT", f"/users/{user_id}/roles", body={"roleIds": []}))
    result = roster.apply([row(1, name="New"), row(2)], **settings)
    assert result["counts"]["made.role.add"] == 1
    assert roster.users()["u1"]["name"] == "New"
    assert len(roster.users()) == 2


def test_pending_invitations_of_who_is_taken_out_are_revoked(roster: Roster) -> None:
    roster.sandbox.seed({"organizations": [{"name": "Acme"}]})
    settings: dict[str, Any] = {
        "manage": ("organizations",),
        "exact": {"organizations": ["Acme"]},
        "brakes": {"member_removals": 9},
    }
    organization = roster.sandbox.state()["organizations"][0]["id"]
    body = {"organizationId": organization, "invitee": "u1@example.com", "expiresAt": 4102444800000}
    roster._run(lambda client: client.request("POST", "/organization-invitations", body=body))
    roster.apply([row(1, organizations=["Acme"])], **settings)
    roster.apply([row(1, organizations=[])], **settings)
    state = roster.sandbox.state()
    assert [one["status"] for one in state["invitations"]] == ["Revoked"]
    assert state["relations"]["organization_users"] == []


def test_a_mark_learns_its_external_id(roster: Roster) -> None:
    roster.apply([{"username": "u1"}])
    assert "externalId" not in roster.users()["u1"]["customData"][KEY]
    result = roster.apply([row(1)])
    assert result["counts"]["made.user.mark"] == 1
    assert roster.users()["u1"]["customData"][KEY]["externalId"] == "E1"
