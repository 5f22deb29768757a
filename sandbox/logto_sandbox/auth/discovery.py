"""The OpenID discovery document."""

from __future__ import annotations

from typing import Any

_ENDPOINTS = {
    "authorization_endpoint": "/auth",
    "device_authorization_endpoint": "/device/auth",
    "end_session_endpoint": "/session/end",
    "jwks_uri": "/jwks",
    "token_endpoint": "/token",
    "pushed_authorization_request_endpoint": "/request",
    "userinfo_endpoint": "/me",
    "introspection_endpoint": "/token/introspection",
    "revocation_endpoint": "/token/revocation",
}
_LISTS = {
    "claims_supported": (
        "sub name family_name given_name middle_name nickname preferred_username profile picture website gender "
        "birthdate zoneinfo locale updated_at username created_at email email_verified phone_number "
        "phone_number_verified address custom_data identities sso_identities roles organizations "
        "organization_data organization_roles sid auth_time iss"
    ),
    "code_challenge_methods_supported": "S256",
    "grant_types_supported": (
        "implicit authorization_code refresh_token client_credentials "
        "urn:ietf:params:oauth:grant-type:device_code urn:ietf:params:oauth:grant-type:token-exchange"
    ),
    "response_modes_supported": "form_post fragment query",
    "scopes_supported": (
        "openid offline_access profile email phone address custom_data identities roles "
        "urn:logto:scope:organizations urn:logto:scope:organization_roles urn:logto:scope:sessions "
        "urn:logto:scope:trusted_devices"
    ),
    "subject_types_supported": "public",
    "token_endpoint_auth_methods_supported": (
        "client_secret_basic client_secret_jwt client_secret_post private_key_jwt none"
    ),
    "token_endpoint_auth_signing_alg_values_supported": "HS256 RS256 PS256 ES256 Ed25519 EdDSA",
    "id_token_signing_alg_values_supported": "ES384",
    "claim_types_supported": "normal",
}
_FLAGS = {
    "claims_parameter_supported": False,
    "authorization_response_iss_parameter_supported": True,
    "request_uri_parameter_supported": False,
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
}


def discovery_document(issuer: str) -> dict[str, Any]:
    """``/oidc/.well-known/openid-configuration`` of this issuer. Most endpoints it names are not modelled."""
    return {
        "issuer": issuer,
        **{name: issuer + path for name, path in _ENDPOINTS.items()},
        **{name: words.split() for name, words in _LISTS.items()},
        "response_types_supported": ["code id_token", "code", "id_token", "none"],
        **_FLAGS,
    }
