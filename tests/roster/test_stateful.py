"""Random rosters, tenants, faults and kills: an apply that comes to its end leaves what the rows say, and nothing else.

The expectation is written here once more, from the rules of the page "Rosters", by looking at rows and state alone.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_logto.client.auth.credentials import Credentials
from airflow_provider_logto.client.auth.token_cache import ProcessTokenCache
from airflow_provider_logto.client.client import LogtoClient
from airflow_provider_logto.client.endpoint import Endpoint
from airflow_provider_logto.client.retrying import RetryOptions
from airflow_provider_logto.exceptions import BrakeHeld, LogtoError
from airflow_provider_logto.management.marks import KEY, Mark
from airflow_provider_logto.management.protection import Protection
from airflow_provider_logto.plans.plan import read_plan
from airflow_provider_logto.roster.job import SUSPENDING, RosterJob
from airflow_provider_logto.roster.sync import FailedRun, Options, sync_roster
from logto_sandbox import Sandbox
from tests.roster.conftest import local_store, people_of

NUMBERS = st.integers(0, 7)
ROLES = st.lists(st.sampled_from(("r0", "r1", "r2")), unique=True)
ORGANIZATIONS = st.lists(st.sampled_from(("o0", "o1")), unique=True)
#: Only these are ever taken away; r2 and o1 stay with whoever has them.
EXACT = {"roles": ["r0", "r1"], "organizations": ["o0"]}
NO_BRAKES = dict.fromkeys(
    ("disables", "role_removals", "member_removals", "deletes", "identifier_changes", "creates"), 10**6
)
PROTECTED = "p0"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is cleaned up by this package's own code."""


class Killer(LogtoClient):
    """A client that dies at its n-th write, before or after the server has it."""

    kill_at: int | None = None
    after = False
    watch: Any = None

    async def send(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        if method == "GET" or self.kill_at is None:
            reply = await super().send(method, path, *args, **kwargs)
        else:
            self.kill_at -= 1
            if self.kill_at < 0 and not self.after:
                raise Killed
            reply = await super().send(method, path, *args, **kwargs)
            if self.kill_at < 0:
                raise Killed
        if method != "GET" and self.watch is not None:
            self.watch()
        return reply


class Machine(RuleBasedStateMachine):
    sandbox: Sandbox

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, dict[str, Any]] = {}
        self._folder = tempfile.TemporaryDirectory()
        self.store = local_store(Path(self._folder.name))
        self.job: dict[str, Any] = {}

    def teardown(self) -> None:
        self._folder.cleanup()

    @initialize(
        adopt=st.sampled_from(("none", "matched")),
        on_missing=st.sampled_from(("ignore", "drop_access", "suspend", "offboard", "delete")),
        population=st.sampled_from((None, {"role": "everybody"}, {"organization": "staff"})),
        strangers=st.lists(NUMBERS, unique=True, max_size=3),
    )
    def begin(self, adopt: str, on_missing: str, population: Any, strangers: list[int]) -> None:
        self.sandbox.reset()
        roles = [{"name": name, "description": "x"} for name in ("r0", "r1", "r2", "everybody")]
        organizations = [{"name": name} for name in ("o0", "o1", "staff")]
        self.sandbox.seed({"roles": roles, "organizations": organizations})
        users = [
            {"username": f"u{at}", "primaryEmail": f"s{at}@example.com", "roles": ["r0", "r2"]} for at in strangers
        ]
        self.sandbox.seed({"users": [*users, {"username": PROTECTED, "roles": ["r1"]}, {"username": "loner"}]})
        self.job = {
            "roster": "hr",
            "mode": "apply",
            "adopt": adopt,
            "on_missing": on_missing,
            "population": population,
            "manage": ("profile", "custom_data", "roles", "organizations", "suspension"),
            "exact": EXACT,
            "brakes": NO_BRAKES,
        }

    # -- what happens to the source and behind our back

    @rule(at=NUMBERS, name=st.sampled_from(("", "A", "B")), roles=ROLES, organizations=ORGANIZATIONS, email=NUMBERS)
    def person(self, at: int, name: str, roles: list[str], organizations: list[str], email: int) -> None:
        self.rows[at] = {
            "external_id": f"E{at}",
            "username": f"u{at}",
            "primary_email": f"m{email}@example.com",
            "name": name,
            "custom_data.level": at,
            "roles": roles,
            "organizations": organizations,
        }

    @rule(one=NUMBERS, other=NUMBERS)
    def swap(self, one: int, other: int) -> None:
        if one in self.rows and other in self.rows:
            first, second = self.rows[one], self.rows[other]
            first["primary_email"], second["primary_email"] = second["primary_email"], first["primary_email"]

    @rule(at=NUMBERS)
    def somebody_else_gets_the_address(self, at: int) -> None:
        if at in self.rows:
            self.rows[at]["external_id"] = f"E{at + 10}"

    @rule(at=NUMBERS)
    def leave(self, at: int) -> None:
        self.rows.pop(at, None)

    @rule(at=NUMBERS)
    def suspended_by_hand(self, at: int) -> None:
        for user in self._users(f"u{at}"):
            self._call("PATCH", f"/users/{user['id']}/is-suspended", {"isSuspended": True})

    @rule()
    def time_passes(self) -> None:
        for user in self.sandbox.state()["users"]:
            mark = user["customData"].get(KEY, {})
            if "suspendedAt" in mark:
                long_ago = {**mark, "suspendedAt": "2020-01-01T00:00:00Z"}
                self._call("PATCH", f"/users/{user['id']}/custom-data", {"customData": {KEY: long_ago}})

    # -- runs

    @rule(seed=st.integers(0, 10**6))
    def run_with_faults(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        kinds: list[dict[str, Any]] = [
            {"kind": "error", "status": 503, "after_commit": chance.random() < 0.5},
            {"kind": "lost_answer"},
            {"kind": "reset"},
            {"kind": "rate_limited"},
        ]
        for fault in chance.sample(kinds, 2):
            # Often enough to meet every kind of request, seldom enough that a few tries get through.
            self.sandbox.add_fault(**fault, probability=0.15, seed=seed, times=4)
        self._try()
        self.sandbox.clear_faults()

    @rule(kill_at=st.integers(0, 12), after=st.booleans())
    def run_killed(self, kill_at: int, after: bool) -> None:
        self._try(kill_at, after)

    @precondition(lambda self: self.rows)
    @rule()
    def run_to_the_end(self) -> None:
        before = self.sandbox.state()
        frames: list[Any] = []
        result = self._try(watch=lambda: frames.append(access_of(self.sandbox.state())))
        assert result is not None
        after = self.sandbox.state()
        self._check_writes(result, before, after)
        check_access(access_of(before), frames, access_of(after))
        if result["counts"].get("made.user.adopt"):
            # Who was just taken over may lose something from the next run on.
            self._try()
        again = self._try()
        assert again is not None
        after = self.sandbox.state()
        changes = {name: n for name, n in again["counts"].items() if name.startswith("made.")}
        assert not changes, changes
        self._check_desired(after)
        self._check_who_left(after)

    @invariant()
    def nobody_is_there_twice(self) -> None:
        state = self.sandbox.state()
        marks = Counter(Mark.of(user).external_id for user in state["users"])
        marks.pop(None, None)
        assert not [one for one, count in marks.items() if count > 1]

    @invariant()
    def others_are_untouched(self) -> None:
        if not self.job:
            return
        state = self.sandbox.state()
        (protected,) = [user for user in state["users"] if user["username"] == PROTECTED]
        (loner,) = [user for user in state["users"] if user["username"] == "loner"]
        for user in (protected, loner):
            assert user["customData"] == {}
            assert not user["isSuspended"]
        assert [link for link in state["relations"]["users_roles"] if protected["id"] in link]

    # -- helpers

    def _try(self, kill_at: int | None = None, after: bool = False, watch: Any = None) -> dict[str, Any] | None:
        job = RosterJob.checked(**self.job)
        people = people_of(list(self.rows.values()), keys=job.match_on)
        protection = Protection.checked([PROTECTED])

        async def call() -> dict[str, Any]:
            async with self._client(kill_at, after) as client:
                client.watch = watch
                options = Options(self.store, protection, place=[Path(self._folder.name)])
                return await sync_roster(client, job, people, options)

        try:
            return asyncio.run(call())
        except BaseExceptionGroup as group:
            if group.split(Killed)[1] is not None:
                raise
        except (Killed, LogtoError):
            pass
        except FailedRun as failed:
            if isinstance(failed.error, BrakeHeld) and self.rows:
                raise
        return None

    def _client(self, kill_at: int | None, after: bool) -> Killer:
        client = Killer(
            Endpoint.parse(self.sandbox.url),
            Credentials(self.sandbox.app_id, self.sandbox.app_secret),
            token_cache=ProcessTokenCache(),
            retry=RetryOptions(base=0.001, attempts=4),
            timeout=5.0,
        )
        client.kill_at, client.after = kill_at, after
        return client

    def _call(self, method: str, path: str, body: Any) -> None:
        async def call() -> None:
            async with self._client(None, False) as client:
                await client.request(method, path, body=body)

        asyncio.run(call())

    def _users(self, username: str) -> Iterator[dict[str, Any]]:
        return (user for user in self.sandbox.state()["users"] if user["username"] == username)

    def _check_writes(self, result: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
        """What changed in the tenant is what the plan says."""
        plan = read_plan(self.store, result["plan_id"], "roster/hr", self.sandbox.url)
        ids = {user["customData"].get(KEY, {}).get("externalId"): user["id"] for user in after["users"]}
        relations: Counter[tuple[str, str, str]] = Counter()
        touched = set()
        for change in plan.changes:
            user_id = change.id or ids[change.key.removeprefix("external_id:")]
            if change.kind == "user":
                touched.add(user_id)
            elif change.kind in ("role", "member"):
                relations[change.kind, user_id, str(change.target)] += 1 if change.action == "add" else -1
        old, new = links_of(before), links_of(after)
        deleted = {user["id"] for user in before["users"]} - {user["id"] for user in after["users"]}
        changed = dict.fromkeys(new - old, 1) | {link: -1 for link in old - new if link[1] not in deleted}
        assert changed == {link: n for link, n in relations.items() if link[1] not in deleted}
        rows = {user["id"]: user for user in before["users"]}
        differing = {user["id"] for user in after["users"] if user != rows.get(user["id"])}
        assert differing <= touched
        assert deleted == {change.id for change in plan.changes if change.name == "user.delete"}

    def _check_desired(self, state: dict[str, Any]) -> None:
        links = links_of(state)
        roles = {row["name"]: row["id"] for row in state["roles"]}
        organizations = {row["name"]: row["id"] for row in state["organizations"]}
        owned = {Mark.of(user).external_id: user for user in state["users"] if Mark.of(user).roster == "hr"}
        emails = Counter(row["primary_email"] for row in self.rows.values())
        for row in self.rows.values():
            user = owned.get(row["external_id"])
            taken = [one for one in state["users"] if one["primaryEmail"] == row["primary_email"]]
            if emails[row["primary_email"]] > 1 or user is None or not taken or taken[0]["id"] != user["id"]:
                # A conflict by the rules: two rows with one e-mail, an e-mail of somebody else, or of a missing person.
                foreign = [one for one in state["users"] if one["username"] == row["username"]]
                assert emails[row["primary_email"]] > 1 or taken or foreign, row
                continue
            mark = Mark.of(user)
            if mark.offboarded_at or (user["isSuspended"] and not mark.suspended_at):
                continue  # held: it may be as it was
            assert not user["isSuspended"], row
            assert user["name"] == (row["name"] or user["name"])
            assert user["customData"]["level"] == row["custom_data.level"]
            for name in ("r0", "r1", "r2"):
                held = ("role", user["id"], roles[name]) in links
                assert held if name in row["roles"] else (not held or name == "r2" or not mark.external_id), (row, name)
            for name in ("o0", "o1"):
                held = ("member", user["id"], organizations[name]) in links
                assert held if name in row["organizations"] else (not held or name == "o1"), (row, name)

    def _check_who_left(self, state: dict[str, Any]) -> None:
        """Nobody whose external id no row has keeps access, unless a row may mean them or somebody else."""
        present = {row["external_id"] for row in self.rows.values()}
        ids = {Mark.of(user).external_id for user in state["users"]}
        emails = Counter(row["primary_email"] for row in self.rows.values())
        for user in state["users"]:
            mark = Mark.of(user)
            if mark.roster != "hr" or mark.external_id in present or self.job["on_missing"] not in SUSPENDING:
                continue
            unclear = [
                row
                for row in self.rows.values()
                if (row["username"] == user["username"] or row["primary_email"] == user["primaryEmail"])
                and (
                    emails[row["primary_email"]] > 1
                    or (row["external_id"] not in ids and len(self._holders(state, row)) > 1)
                )
            ]
            assert user["isSuspended"] or unclear, mark

    @staticmethod
    def _holders(state: dict[str, Any], row: dict[str, Any]) -> set[str]:
        return {
            user["id"]
            for user in state["users"]
            if row["username"] == user["username"] or row["primary_email"] == user["primaryEmail"]
        }


def links_of(state: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Roles and memberships of users."""
    users = {user["id"] for user in state["users"]}
    found = set()
    for kind, table in (("role", "users_roles"), ("member", "organization_users")):
        for link in state["relations"][table]:
            (user_id,) = [one for one in link if one in users]
            (other,) = [one for one in link if one not in users]
            found.add((kind, user_id, other))
    return found


def access_of(state: dict[str, Any]) -> dict[str, set[tuple[str, str, str]]]:
    """User id -> what they may do; nothing while suspended."""
    links = links_of(state)
    return {
        user["id"]: set()
        if user["isSuspended"]
        else {("in", user["id"], ""), *(link for link in links if link[1] == user["id"])}
        for user in state["users"]
    }


def check_access(before: Any, frames: list[Any], after: Any) -> None:
    """Whoever keeps some access had it all the time."""
    for user_id, had in before.items():
        kept = had & after.get(user_id, set())
        for frame in frames:
            assert kept <= frame.get(user_id, set()), (user_id, kept - frame.get(user_id, set()))


def _run(sandbox: Sandbox, examples: int) -> None:
    machine = type("RosterMachine", (Machine,), {"sandbox": sandbox})
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            suppress_health_check=checks,
            # A failing sequence is short enough to be read; shrinking it takes minutes.
            phases=[Phase.reuse, Phase.generate],
        ),
    )


def test_sequences(sandbox: Sandbox) -> None:
    _run(sandbox, 15)


@pytest.mark.slow
def test_many_sequences(sandbox: Sandbox) -> None:
    _run(sandbox, 500)
