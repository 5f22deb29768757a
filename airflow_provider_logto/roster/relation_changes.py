"""Roles, memberships and organization roles that a row wants and somebody lacks, or holds and must lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_logto.plans.changes import Change
from airflow_provider_logto.roster.job import RosterJob
from airflow_provider_logto.roster.people import Person
from airflow_provider_logto.roster.state import Directory, Known, State


@dataclass
class RelationChanges:
    """Compares what rows want with what is held; only what ``exact`` names is ever taken away.

    :param directory: names of roles and organizations -> ids.
    """

    job: RosterJob
    directory: Directory
    state: State
    _exact_roles: set[str] = field(init=False)
    _exact_organizations: set[str] = field(init=False)
    _kept_organization: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        exact = self.job.exact or {}
        # The population is kept, also where one names it and the other gives its id.
        kind, kept = self.job.population or ("", "")
        self._exact_roles = {self.directory.roles[one] for one in exact.get("roles", ())}
        self._exact_organizations = {self.directory.organizations[one] for one in exact.get("organizations", ())}
        if kind == "role":
            self._exact_roles.discard(self.directory.roles[kept])
        elif kind == "organization":
            self._kept_organization = self.directory.organizations[kept]

    def of(self, person: Person, user: Known | None) -> Iterator[Change]:
        """What changes for somebody whom a row shows; ``user`` is None for somebody new."""
        owned = user is not None and user.mark.roster == self.job.roster
        user_id = user.id if user else None
        yield from self._roles(person, user_id, owned)
        yield from self._memberships(person, user_id, owned)

    def dropped(self, user: Known, key: str, row: int | None, reason: str) -> Iterator[Change]:
        """Everything that may be taken away from somebody who leaves."""
        for role_id in sorted(self._exact_roles):
            if user.id in self.state.holders.get(role_id, ()):
                yield _change("role", "remove", key, user.id, role_id, row, reason)
        for organization_id in sorted(self._exact_organizations):
            held = self.state.members.get(organization_id, {}).get(user.id)
            if held is not None and organization_id != self._kept_organization:
                yield _change("member", "remove", key, user.id, organization_id, row, reason)
            elif held and "organization_roles" in self.job.manage:
                for role_id in sorted(held):
                    target = f"{organization_id}/{role_id}"
                    yield _change("organization_role", "remove", key, user.id, target, row, reason)

    def _roles(self, person: Person, user_id: str | None, owned: bool) -> Iterator[Change]:
        job, directory = self.job, self.directory
        kind, name = job.population or ("", "")
        roles = {directory.roles[one] for one in person.roles or ()} if "roles" in job.manage else set()
        keep = roles | ({directory.roles[name]} if kind == "role" else set())
        for role_id in sorted(keep):
            if user_id not in self.state.holders.get(role_id, ()):
                yield _differing("role", "add", person, user_id, role_id)
        if owned and person.roles is not None and "roles" in job.manage:
            for role_id in sorted(self._exact_roles - keep):
                if user_id in self.state.holders.get(role_id, ()):
                    yield _differing("role", "remove", person, user_id, role_id)

    def _memberships(self, person: Person, user_id: str | None, owned: bool) -> Iterator[Change]:
        job = self.job
        wanted = self._wanted_members(person)
        for organization_id, roles in wanted.items():
            held = self.state.members.get(organization_id, {}).get(user_id or "")
            if held is None:
                yield _differing("member", "add", person, user_id, organization_id)
            for role_id in sorted(roles - (held or frozenset())):
                yield _differing("organization_role", "add", person, user_id, f"{organization_id}/{role_id}")
        for organization_id in sorted(self._exact_organizations) if owned else ():
            held = self.state.members.get(organization_id, {}).get(user_id or "")
            if held is None:
                continue
            if organization_id not in wanted and person.organizations is not None:
                yield _differing("member", "remove", person, user_id, organization_id)
            elif "organization_roles" in job.manage and person.organization_roles is not None:
                for role_id in sorted(held - wanted.get(organization_id, set())):
                    yield _differing("organization_role", "remove", person, user_id, f"{organization_id}/{role_id}")

    def _wanted_members(self, person: Person) -> dict[str, set[str]]:
        """Organization id -> ids of organization roles that a row wants."""
        job, directory = self.job, self.directory
        wanted: dict[str, set[str]] = {}
        if job.population is not None and job.population[0] == "organization":
            wanted[directory.organizations[job.population[1]]] = set()
        for name in (person.organizations or ()) if "organizations" in job.manage else ():
            wanted.setdefault(directory.organizations[name], set())
        for name, roles in (person.organization_roles or {}).items() if "organization_roles" in job.manage else ():
            ids = {directory.organization_roles[one] for one in roles}
            wanted.setdefault(directory.organizations[name], set()).update(ids)
        return wanted


def _differing(kind: str, action: str, person: Person, user_id: str | None, target: str) -> Change:
    return _change(kind, action, person.key, user_id, target, person.row, "differs from the source")


def _change(kind: str, action: str, key: str, user_id: str | None, target: str, row: int | None, reason: str) -> Change:
    held = action == "remove"
    return Change(
        kind=kind,
        action=action,
        key=key,
        id=user_id,
        target=target,
        before={"held": held},
        after={"held": not held},
        reason=reason,
        destructive=held,
        row=row,
    )
