"""What the contracts are made of: calls whose answers the sandbox and a real Logto agree on.

Each scenario removes what it made. It may meet a tenant that is not empty: lists are asked for its own rows only.
"""

from __future__ import annotations

from tests.contracts.scenarios import access, accounts, connectors, consents, organizations, people, sessions

SCENARIOS = {
    "tokens": access.TOKENS,
    "token_bodies": access.TOKEN_BODIES,
    "bodies": access.BODIES,
    "paging": access.PAGING,
    "search": access.SEARCH,
    "codes": access.CODES,
    "users": people.USERS,
    "roles": people.ROLES,
    "applications": people.APPLICATIONS,
    "resources": people.RESOURCES,
    "consents": consents.CONSENTS,
    "connectors": connectors.CONNECTORS,
    "sso_connectors": connectors.SSO_CONNECTORS,
    "sign_in": connectors.SIGN_IN,
    "hooks": people.HOOKS,
    "guards": people.GUARDS,
    "digests": people.DIGESTS,
    "phones": people.PHONES,
    "unreadable": people.UNREADABLE,
    "template": organizations.TEMPLATE,
    "organizations": organizations.ORGANIZATIONS,
    "machines": organizations.MACHINES,
    "invitations": organizations.INVITATIONS,
    "remains": organizations.REMAINS,
    "accounts": accounts.ACCOUNTS,
    "identities": accounts.IDENTITIES,
    "one_time_tokens": accounts.ONE_TIME_TOKENS,
    "sessions": sessions.SESSIONS,
}
