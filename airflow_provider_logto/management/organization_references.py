"""A reference to an organization -> the organization.

A bare text is an id or an exact name; a mapping says which: ``{"id": ...}``, ``{"name": ...}`` or
``{"external_id": ...}``. Of several, the id decides, then the external id: what ProvisionOrganizationOperator returned
means its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import Ambiguous, InvalidInput, NotFound
from airflow_provider_logto.management import search
from airflow_provider_logto.management.answers import ROLE, checked, objects
from airflow_provider_logto.management.json_values import refuse_rendered
from airflow_provider_logto.management.organization_spec import Organization, external_id_of

#: In the order in which they decide: a name may be another organization's too.
_KEYS = ("id", "external_id", "name")


@dataclass(frozen=True)
class OrganizationReference:
    """A parsed reference.

    :param field: where it was given.
    :param value: what it says.
    :param kind: ``id``, ``name``, ``external_id``, or ``text`` for an id or a name.
    """

    field: str
    value: str
    kind: str

    @classmethod
    def parse(cls, value: Any, field: str = "organization") -> OrganizationReference:
        """
        :raises InvalidInput: where the value is no reference.
        """
        if isinstance(value, OrganizationReference):
            return value
        refuse_rendered(field, value)
        if isinstance(value, Mapping):
            # The first decides, whatever its type; the rest of an operator's result, or of a row, only describes.
            kind = next((kind for kind in _KEYS if value.get(kind) not in (None, "")), "")
            if kind and isinstance(value[kind], str) and value[kind].strip():
                return cls(field, value[kind].strip(), kind)
        elif isinstance(value, str) and value.strip():
            return cls(field, value.strip(), "text")
        raise InvalidInput(
            field, f'must be an id or a name, {{"id": ...}}, {{"name": ...}} or {{"external_id": ...}}; got {value!r}'
        )

    def matches(self, organization: Organization) -> bool:
        """Whether this reference means that organization."""
        if self.kind == "external_id":
            return bool(external_id_of(organization) == self.value)
        keys = ("id", "name") if self.kind == "text" else (self.kind,)
        return self.value in [organization[key] for key in keys]


async def find_organization(client: LogtoClient, reference: Any, field: str = "organization") -> Organization | None:
    """The organization meant by a reference, or None.

    :raises Ambiguous: where more than one is meant.
    """
    wanted = OrganizationReference.parse(reference, field)
    if wanted.kind == "id":
        try:
            path = path_of("/organizations/{}", wanted.value)
            return checked(f"GET /api{path}", await client.request("GET", path), ROLE)
        except NotFound as error:
            if error.code is None:  # an unknown path, not an absent organization
                raise
            return None
    # ``q`` is a substring match over id and name; an external id is found by reading them all.
    query = {} if wanted.kind == "external_id" else {"q": search.literal(wanted.value)}
    matching = [one async for one in objects(client, "/organizations", query, ROLE) if wanted.matches(one)]
    if len(matching) > 1:
        ids = ", ".join(sorted(one["id"] for one in matching))
        raise Ambiguous(f'{field}: {wanted.value!r} means more than one organization ({ids}); say {{"id": ...}}')
    return matching[0] if matching else None


async def resolve_organization(client: LogtoClient, reference: Any, field: str = "organization") -> Organization:
    """The organization meant by a reference.

    :raises InvalidInput: where there is none.
    :raises Ambiguous: where more than one is meant.
    """
    wanted = OrganizationReference.parse(reference, field)
    organization = await find_organization(client, wanted, field)
    if organization is None:
        hint = ', or write {"external_id": ...} if that is its external id' if wanted.kind == "text" else ""
        raise InvalidInput(field, f"there is no organization {wanted.value!r}; create it first{hint}")
    return organization
