"""Where a tenant is, from what people write into a Connection."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_logto.client.endpoint import OSS_RESOURCE, Endpoint
from airflow_provider_logto.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("host", "port", "base_url", "resource"),
    [
        ("https://acme.logto.app", None, "https://acme.logto.app", "https://acme.logto.app/api"),
        ("acme.logto.app", None, "https://acme.logto.app", "https://acme.logto.app/api"),
        (" https://ACME.logto.app/ ", None, "https://acme.logto.app", "https://acme.logto.app/api"),
        ("https://auth.example.com", None, "https://auth.example.com", OSS_RESOURCE),
        ("auth.example.com", 8443, "https://auth.example.com:8443", OSS_RESOURCE),
        ("auth.example.com", 0, "https://auth.example.com", OSS_RESOURCE),
        ("https://auth.example.com", 443, "https://auth.example.com", OSS_RESOURCE),
        ("http://localhost:3001", 443, "http://localhost:3001", OSS_RESOURCE),
        ("auth.example.com:9443", 8443, "https://auth.example.com:9443", OSS_RESOURCE),
        ("https://auth.example.com:443", None, "https://auth.example.com", OSS_RESOURCE),
        ("http://localhost:3001", None, "http://localhost:3001", OSS_RESOURCE),
        ("http://logto.localhost:3001", None, "http://logto.localhost:3001", OSS_RESOURCE),
        ("auth.example.com:1", None, "https://auth.example.com:1", OSS_RESOURCE),
        ("auth.example.com", 65535, "https://auth.example.com:65535", OSS_RESOURCE),
        ("http://localhost:80", None, "http://localhost", "https://default.logto.app/api"),
        ("http://127.0.0.1", 3001, "http://127.0.0.1:3001", OSS_RESOURCE),
        ("http://[::1]:3001", None, "http://[::1]:3001", OSS_RESOURCE),
        # A custom domain and look-alikes are not Cloud.
        ("https://logto.app.example.com", None, "https://logto.app.example.com", OSS_RESOURCE),
        ("https://a.b.logto.app", None, "https://a.b.logto.app", OSS_RESOURCE),
    ],
)
def test_base_url_and_resource(host: str, port: int | None, base_url: str, resource: str) -> None:
    endpoint = Endpoint.parse(host, port)
    assert (endpoint.base_url, endpoint.resource) == (base_url, resource)
    assert endpoint.is_cloud is (resource != OSS_RESOURCE)
    assert endpoint.token_url == f"{base_url}/oidc/token"


def test_an_explicit_resource_wins() -> None:
    assert Endpoint.parse("https://acme.logto.app", resource=" urn:mine ").resource == "urn:mine"
    assert Endpoint.parse("https://acme.logto.app", resource="").resource == "https://acme.logto.app/api"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (None, "host is missing"),
        ("  ", "host is missing"),
        ("http://auth.example.com", "allow_http"),
        ("ftp://auth.example.com", "scheme"),
        ("https://me:pw@auth.example.com", "login"),
        ("https://me@auth.example.com", "login"),
        ("https://:pw@auth.example.com", "login"),
        ("https://auth.example.com:0", "port"),
        ("https://auth.example.com/api", "bare endpoint"),
        ("https://auth.example.com/X", "bare endpoint"),
        ("https://auth.example.com?x=1", "bare endpoint"),
        ("https://auth.example.com#x", "bare endpoint"),
        ("https://auth.example.com:70000", "port"),
        ("https://auth.example.com:port", "port"),
        ("https://<tenant>.logto.app", "not an address"),
        ("https://[::1", "not an address"),
        ("two words", "not an address"),
        ("https:/auth.example.com", "not an address"),
        ("https://ａｕｔｈ.example.com", "not an address"),
        ("https://Ⅷ.example", "not an address"),
        ("https://cloud.logto.io/acme/applications", "https://<tenant>.logto.app"),
    ],
)
def test_a_wrong_host_is_named(host: str | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Endpoint.parse(host)


def test_a_password_in_the_host_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.parse("https://me:hunter2@auth.example.com")
    assert "hunter2" not in str(caught.value)


def test_plain_http_where_it_is_allowed() -> None:
    assert Endpoint.parse("http://logto.internal", 3001, allow_http=True).base_url == "http://logto.internal:3001"


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_configuration_error(host: str) -> None:
    try:
        endpoint = Endpoint.parse(host)
    except ConfigurationError:
        return
    assert endpoint.base_url.startswith(("https://", "http://"))
    httpx.URL(endpoint.token_url)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("https://auth.example.com", "auth.example.com:443"),
        ("http://localhost", "localhost:80"),
        ("http://localhost:3001", "localhost:3001"),
        ("http://[::1]:3001", "[::1]:3001"),
    ],
)
def test_the_address_for_messages(host: str, address: str) -> None:
    assert Endpoint.parse(host).address == address


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_named(port: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"impossible port \({port}\)"):
        Endpoint.parse("auth.example.com", port)


def test_the_parts_of_an_address() -> None:
    endpoint = Endpoint.parse("http://[::1]:3001")
    assert (endpoint.hostname, endpoint.port, endpoint.api_url) == ("::1", 3001, "http://[::1]:3001/api")
    assert Endpoint.parse("auth.example.com").port is None
