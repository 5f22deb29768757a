"""Invitations: each made once, each message sent once, whatever gets lost and whoever is killed in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_logto.client.auth.token_endpoint import OPERATION as TOKEN_OPERATION
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.exceptions import Conflict, InvalidInput, LogtoError, NeverTrue, PaceExceeded, ServerFailed
from airflow_provider_logto.management.invitation_spec import (
    CONDITIONS,
    InvitationReference,
    InviteSpec,
    checked_emails,
    judge,
)
from airflow_provider_logto.management.invitations import check_invitation, invitation_status, revoke
from airflow_provider_logto.management.inviting import invite_members, revoke_invitations
from logto_sandbox import Sandbox
from tests.clients import Run
from tests.task_states import Notes

LINK = {"link": "https://app.example.com/join?id={invitation_id}"}
PATH = "/api/organization-invitations"


class KilledError(BaseException):
    """Ends a try as a kill does: nothing catches it."""


class KillingNotes(Notes):
    """Is killed right before the n-th note, or right after it."""

    def __init__(self, at: int, after: bool) -> None:
        super().__init__()
        self.left = at
        self.after = after

    def set(self, key: str, value: Any) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KilledError
        super().set(key, value)
        if self.left == 0:
            raise KilledError


@pytest.fixture
def acme(sandbox: Sandbox, run: Run) -> str:
    """An organization, and an e-mail connector."""
    sandbox.seed({"organizations": [{"name": "Acme"}]})
    config = {"apiKey": "k", "fromEmail": "no-reply@x.example", "templates": []}
    connector = {"connectorId": "mock-email-service", "config": config}
    run(lambda client: client.request("POST", "/connectors", body=connector))
    sandbox.reset_stats()
    return str(sandbox.state()["organizations"][0]["id"])


def invitations(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.state()["invitations"])


def messages(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.state()["messages"])


def test_a_first_and_a_second_run(run: Run, sandbox: Sandbox, acme: str) -> None:
    spec = InviteSpec.checked(["A@x.example", {"email": "b@x.example", "roles": ["admin"]}], ["member"], message=LINK)
    rows = run(invite_members, "Acme", spec)
    assert [row["outcome"] for row in rows] == ["invited", "invited"]
    assert [row["message"] for row in rows] == ["sent", "sent"]
    assert {row["organization"] for row in rows} == {acme}
    made = {one["invitee"]: one for one in invitations(sandbox)}
    assert set(made) == {"a@x.example", "b@x.example"}
    week = timedelta(days=7).total_seconds() * 1000
    assert abs(made["a@x.example"]["expiresAt"] - datetime.now(UTC).timestamp() * 1000 - week) < 60_000
    links = {one["recipient"]: one["payload"]["link"] for one in messages(sandbox)}
    assert links == {one["invitee"]: f"https://app.example.com/join?id={one['id']}" for one in made.values()}

    sandbox.reset_stats()
    rows = run(invite_members, {"id": acme}, spec)
    assert [(row["outcome"], row.get("message"), row.get("differs")) for row in rows] == [("pending", None, None)] * 2
    assert sandbox.stats()["writes"] == 0


def test_a_message_without_the_id_leaves_with_the_creation(run: Run, sandbox: Sandbox, acme: str) -> None:
    (row,) = run(invite_members, acme, InviteSpec.checked("a@x.example", message={"locale": "de"}))
    assert (row["outcome"], row["message"]) == ("invited", "sent")
    assert sandbox.stats()["writes"] == 1
    assert [one["payload"] for one in messages(sandbox)] == [{"locale": "de"}]


def test_a_member_is_not_invited(run: Run, sandbox: Sandbox, acme: str) -> None:
    sandbox.seed({"users": [{"username": "mika", "primaryEmail": "Mika@X.example"}, {"primaryEmail": "no@x.example"}]})
    users = {one["primaryEmail"]: one["id"] for one in sandbox.state()["users"]}
    body = {"userIds": [users["Mika@X.example"]]}
    run(lambda client: client.request("POST", f"/organizations/{acme}/users", body=body))
    rows = run(invite_members, acme, InviteSpec.checked(["mika@x.example", "no@x.example"]))
    assert [(row["outcome"], row["id"] is None) for row in rows] == [("member", True), ("invited", False)]
    assert run(check_invitation, rows[0], "accepted") is True
    assert run(check_invitation, rows[1], "accepted") is False


def test_what_a_pending_one_has_other_than_asked(run: Run, sandbox: Sandbox, acme: str) -> None:
    sandbox.seed({"users": [{"username": "boss"}]})
    run(invite_members, acme, InviteSpec.checked("a@x.example", "member"))
    (before,) = invitations(sandbox)
    later = datetime.now(UTC) + timedelta(days=30)
    changed: dict[str, Any] = {"inviter": "boss", "expires_at": later.isoformat()}
    (row,) = run(invite_members, acme, InviteSpec.checked("a@x.example", "admin", **changed))
    assert (row["outcome"], row["id"], row["differs"]) == ("pending", before["id"], ["roles", "inviter", "expires_at"])
    replace = InviteSpec.checked("a@x.example", "admin", **changed, if_pending="replace")
    (row,) = run(invite_members, acme, replace)
    assert row["outcome"] == "replaced"
    statuses = {one["id"]: one["status"] for one in invitations(sandbox)}
    assert statuses == {before["id"]: "Revoked", row["id"]: "Pending"}
    (row,) = run(invite_members, acme, replace)
    assert (row["outcome"], row.get("differs")) == ("pending", None)


@pytest.mark.parametrize("message", [None, {"locale": "de"}, LINK])
@pytest.mark.parametrize("kind", ["lost_answer", "reset", "error", "slow"])
def test_a_lost_answer_makes_no_second_invitation_and_no_second_message(
    run: Run, sandbox: Sandbox, acme: str, kind: str, message: Any
) -> None:
    fault: dict[str, Any] = {
        "lost_answer": {},
        "reset": {"after_commit": True},
        "error": {"status": 503},
        "slow": {"seconds": 0.01},
    }[kind]
    sandbox.add_fault(kind=kind, method="POST", path=PATH, **fault)
    (row,) = run(invite_members, acme, InviteSpec.checked("a@x.example", message=message))
    assert row["outcome"] == "invited"
    assert len(invitations(sandbox)) == 1
    assert len(messages(sandbox)) == (0 if message is None else 1)


def test_a_lost_answer_of_a_message_is_not_sent_again(run: Run, sandbox: Sandbox, acme: str) -> None:
    store = Notes()
    sandbox.add_fault(kind="lost_answer", method="POST", path=f"{PATH}/{{id}}/message")
    spec = InviteSpec.checked("a@x.example", message=LINK)
    for _ in range(2):
        (row,) = run(invite_members, acme, spec, store)
        assert (row["outcome"], row["message"]) == ("invited", "unknown")
    assert len(messages(sandbox)) == 1


def test_a_message_answered_by_a_web_page_is_not_sent_again(run: Run, sandbox: Sandbox, acme: str) -> None:
    store = Notes()
    sandbox.add_fault(kind="wrong_content_type", method="POST", path=f"{PATH}/{{id}}/message", after_commit=True)
    spec = InviteSpec.checked("a@x.example", message=LINK)
    (row,) = run(invite_members, acme, spec, store)
    assert row["outcome"] == "failed"
    (row,) = run(invite_members, acme, spec, store, first_try=False)
    assert (row["outcome"], row["message"]) == ("invited", "unknown")
    assert len(messages(sandbox)) == 1


@pytest.mark.parametrize(
    "error",
    [PaceExceeded(f"POST {PATH}/i/message", 400.0), ServerFailed(TOKEN_OPERATION, 503), InvalidInput("body", "x")],
)
def test_a_message_that_never_left_is_sent_by_the_next_try(
    run: Run, sandbox: Sandbox, acme: str, error: LogtoError
) -> None:
    notes, spec = Notes(), InviteSpec.checked("a@x.example", message=LINK)

    async def without_the_message(client: Any) -> Any:
        request = client.request

        async def refusing(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
            if path.endswith("/message"):
                raise error
            return await request(method, path, *args, **kwargs)

        client.request = refusing
        return await invite_members(client, acme, spec, notes)

    (row,) = run(without_the_message)
    assert (row["outcome"], row["transient"]) == ("failed", error.transient)
    (row,) = run(invite_members, acme, spec, notes, first_try=False)
    assert (row["outcome"], row["message"], len(messages(sandbox))) == ("invited", "sent", 1)


def test_a_refused_message_is_sent_by_the_next_try(run: Run, sandbox: Sandbox, acme: str) -> None:
    store = Notes()
    sandbox.add_fault(kind="error", status=400, path=f"{PATH}/{{id}}/message")
    spec = InviteSpec.checked("a@x.example", message=LINK)
    (row,) = run(invite_members, acme, spec, store)
    assert row["outcome"] == "failed"
    assert "failed with 400" in row["error"]
    (row,) = run(invite_members, acme, spec, store, first_try=False)
    assert (row["outcome"], row["message"]) == ("invited", "sent")
    assert len(messages(sandbox)) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_between_any_two_steps(run: Run, sandbox: Sandbox, acme: str, at: int, after: bool) -> None:
    store = KillingNotes(at, after)
    spec = InviteSpec.checked("a@x.example", message=LINK)
    with pytest.raises(KilledError):
        run(invite_members, acme, spec, store)
    (row,) = run(invite_members, acme, spec, store, first_try=False)
    assert row["outcome"] == "invited"
    assert len(invitations(sandbox)) == 1
    # Noted and not sent looks like sent and not noted: then it is said, not sent again.
    noted_only = at == 2 and after
    assert row["message"] == ("unknown" if noted_only or (at == 3 and not after) else "sent")
    assert len(messages(sandbox)) == (0 if noted_only else 1)


def test_resending_happens_when_asked_and_never_by_a_retry(run: Run, sandbox: Sandbox, acme: str) -> None:
    run(invite_members, acme, InviteSpec.checked("a@x.example"))
    resend = InviteSpec.checked("a@x.example", message=LINK, if_pending="resend")
    (row,) = run(invite_members, acme, resend, None, first_try=False)
    assert (row["outcome"], row["message"], len(messages(sandbox))) == ("pending", "unknown", 0)
    (row,) = run(invite_members, acme, resend, None, first_try=True)
    assert (row["outcome"], row["message"], len(messages(sandbox))) == ("pending", "sent", 1)
    store = Notes()
    for first_try in (True, False, False):
        (row,) = run(invite_members, acme, resend, store, first_try)
        assert (row["outcome"], row["message"], len(messages(sandbox))) == ("pending", "sent", 2)


def test_without_notes_a_later_try_says_what_it_cannot_know(run: Run, sandbox: Sandbox, acme: str) -> None:
    run(invite_members, acme, InviteSpec.checked("a@x.example"))
    (row,) = run(invite_members, acme, InviteSpec.checked("a@x.example", message=LINK), None, first_try=False)
    assert (row["outcome"], row["message"], len(messages(sandbox))) == ("pending", "unknown", 0)


def test_one_who_fails_does_not_stop_the_others(run: Run, sandbox: Sandbox, acme: str) -> None:
    sandbox.add_fault(kind="error", status=501, method="POST", path=PATH)
    rows = run(invite_members, acme, InviteSpec.checked([f"u{at}@x.example" for at in range(12)], message={}))
    assert sorted({row["outcome"] for row in rows}) == ["failed", "invited"]
    (failed,) = [row for row in rows if row["outcome"] == "failed"]
    assert "failed with 501" in failed["error"]
    assert failed["transient"] is False
    assert len(invitations(sandbox)) == len(messages(sandbox)) == 11


def test_two_tasks_at_once_make_one(run: Run, sandbox: Sandbox, acme: str) -> None:
    import asyncio

    async def both(client: Any) -> list[Any]:
        spec = InviteSpec.checked("a@x.example", message=LINK)
        return await asyncio.gather(*(invite_members(client, acme, spec, Notes()) for _ in range(2)))

    rows = [row for (row,) in run(both)]
    assert sorted(row["outcome"] for row in rows) == ["invited", "pending"]
    assert len(invitations(sandbox)) == len(messages(sandbox)) == 1


@pytest.mark.parametrize("kind", ["lost_answer", "error"])
def test_revoking(run: Run, sandbox: Sandbox, acme: str, kind: str) -> None:
    run(invite_members, acme, InviteSpec.checked(["a@x.example", "b@x.example"]))
    more: dict[str, Any] = {"status": 502} if kind == "error" else {}
    sandbox.add_fault(kind=kind, method="PUT", path=f"{PATH}/{{id}}/status", **more)
    emails = checked_emails(["A@x.example", "c@x.example"])
    assert [row["outcome"] for row in run(revoke_invitations, acme, emails)] == ["revoked", "absent"]
    assert [row["outcome"] for row in run(revoke_invitations, acme, emails)] == ["absent", "absent"]
    assert sorted(one["status"] for one in invitations(sandbox)) == ["Pending", "Revoked"]


@pytest.fixture
def bob_twice(run: Run, sandbox: Sandbox, acme: str) -> None:
    """Two pending invitations of one person: to Logto, other capitals are another address."""
    later = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1000)
    for address in ("bob@x.example", "Bob@x.example"):
        body = {"invitee": address, "organizationId": acme, "expiresAt": later}
        run(LogtoClient.request, "POST", "/organization-invitations", body=body)


@pytest.mark.usefixtures("bob_twice")
def test_revoking_ends_an_invitation_in_other_capitals_too(run: Run, sandbox: Sandbox, acme: str) -> None:
    assert [row["outcome"] for row in run(revoke_invitations, acme, ("bob@x.example",))] == ["revoked"]
    assert [one["status"] for one in invitations(sandbox)] == ["Revoked", "Revoked"]


@pytest.mark.usefixtures("bob_twice")
def test_replacing_leaves_none_that_differs(run: Run, sandbox: Sandbox, acme: str) -> None:
    def invite(**more: Any) -> str:
        spec = InviteSpec.checked("bob@x.example", expires_at="2040-01-01T00:00:00Z", **more)
        (row,) = run(invite_members, acme, spec)
        return str(row["outcome"])

    assert invite() == "pending"
    assert [invite(if_pending="replace") for _ in range(2)] == ["replaced", "pending"]
    assert sorted(one["status"] for one in invitations(sandbox)) == ["Pending", "Revoked", "Revoked"]


def test_an_accepted_one_cannot_be_revoked(run: Run, sandbox: Sandbox, acme: str) -> None:
    (row,) = run(invite_members, acme, InviteSpec.checked("a@x.example"))
    accept(run, sandbox, row["id"], "a@x.example")
    with pytest.raises(Conflict):
        run(revoke, {"id": row["id"]})
    assert run(check_invitation, row["id"], "accepted") is True
    with pytest.raises(NeverTrue, match="is accepted, so 'revoked' can no longer come true"):
        run(check_invitation, row["id"], "revoked")


def accept(run: Run, sandbox: Sandbox, invitation_id: str, email: str) -> None:
    sandbox.seed({"users": [{"primaryEmail": email}]})
    user = next(one["id"] for one in sandbox.state()["users"] if one["primaryEmail"] == email)
    body = {"status": "Accepted", "acceptedUserId": user}
    run(lambda client: client.request("PUT", f"/organization-invitations/{invitation_id}/status", body=body))


def test_the_newest_invitation_of_a_person_counts(run: Run, sandbox: Sandbox, acme: str) -> None:
    reference = InvitationReference.parse({"organization": "Acme", "invitee": "A@x.example"})
    assert run(invitation_status, reference) == "Absent"
    run(invite_members, acme, InviteSpec.checked("a@x.example"))
    assert run(invitation_status, reference) == "Pending"
    run(revoke_invitations, acme, ("a@x.example",))
    assert run(invitation_status, reference) == "Revoked"
    run(invite_members, acme, InviteSpec.checked("a@x.example"))
    assert run(invitation_status, reference) == "Pending"
    assert run(invitation_status, InvitationReference.parse("nothing")) == "Absent"


@pytest.mark.parametrize(
    ("status", "verdicts"),
    [
        ("Pending", ("waiting", "waiting", "waiting", "waiting")),
        ("Accepted", ("true", "never", "never", "true")),
        ("Member", ("true", "never", "never", "true")),
        ("Expired", ("never", "true", "never", "true")),
        ("Revoked", ("never", "never", "true", "true")),
        ("Absent", ("never", "never", "never", "true")),
    ],
)
def test_one_judgement(status: str, verdicts: tuple[str, ...]) -> None:
    assert tuple(judge(status, condition) for condition in CONDITIONS) == verdicts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"invitees": []}, "invitees: is empty"),
        ({"invitees": ["nonsense"]}, r"invitees\[0\]: 'nonsense' is not an e-mail"),
        ({"invitees": [{"roles": ["a"]}]}, r"invitees\[0\]: must be an e-mail address"),
        ({"invitees": [{"email": "a@x.example", "roles": 5}]}, r"invitees\[0\]\.roles"),
        ({"expires_in": 0}, "expires_in: 0 is not a span"),
        ({"expires_in": "soon"}, "expires_in"),
        ({"expires_in": 7 * 24 * 3600 * 1000}, "expires_in"),
        ({"expires_in": 60, "expires_at": "2030-01-01T00:00:00Z"}, "expires_at: give either"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at: .* time zone"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"message": "hello"}, "message: must be an object"),
        ({"message": {"until": datetime(2026, 1, 1, tzinfo=UTC)}}, "message.until: datetime is no JSON"),
        ({"if_pending": "again"}, "if_pending"),
        ({"if_pending": "resend"}, "message: missing"),
        ({"inviter": 5}, "inviter"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        InviteSpec.checked(**{"invitees": "a@x.example", **arguments})


@pytest.mark.parametrize(
    ("organization", "arguments", "message"),
    [
        ("Nobody", {}, "organization: there is no organization 'Nobody'; create it first, or write {.external_id"),
        ("Acme", {"roles": "nobody"}, "no organization role 'nobody'"),
        ("Acme", {"inviter": "nobody"}, "inviter: no user nobody"),
    ],
)
def test_unknown_names_fail_before_the_first_write(
    run: Run, sandbox: Sandbox, acme: str, organization: str, arguments: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        run(invite_members, organization, InviteSpec.checked("a@x.example", **arguments))
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize("value", [None, "", 5, {}, {"organization": "Acme"}, {"invitee": "a@x.example"}])
def test_what_names_no_invitation(value: Any) -> None:
    with pytest.raises(InvalidInput, match="invitation"):
        InvitationReference.parse(value)
