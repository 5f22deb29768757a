"""What Airflow reads of this package at every start of every process: plain data, no imports.

Source: Airflow, ``provider_info.schema.json``; connection-form fields are declarative from Airflow 3.2 on.
"""


def get_provider_info() -> dict[str, object]:
    """The provider's metadata as Airflow's providers manager expects it."""
    return {
        "package-name": "airflow-provider-logto",
        "name": "Logto",
        "description": "Provision people, roles and organizations in Logto, and archive its audit logs.",
        "integrations": [
            {
                "integration-name": "Logto",
                "external-doc-url": "https://openapi.logto.io/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "Logto", "python-modules": ["airflow_provider_logto.hooks.logto"]}],
        "operators": [
            {
                "integration-name": "Logto",
                "python-modules": [
                    "airflow_provider_logto.operators.connection",
                    "airflow_provider_logto.operators.logs",
                    "airflow_provider_logto.operators.management_api",
                    "airflow_provider_logto.operators.organizations",
                    "airflow_provider_logto.operators.roles",
                    "airflow_provider_logto.operators.users",
                ],
            }
        ],
        "sensors": [{"integration-name": "Logto", "python-modules": ["airflow_provider_logto.sensors.users"]}],
        "triggers": [{"integration-name": "Logto", "python-modules": ["airflow_provider_logto.triggers.users"]}],
        "extra-links": ["airflow_provider_logto.links.OrganizationLink", "airflow_provider_logto.links.UserLink"],
        "connection-types": [
            {
                "connection-type": "logto",
                "hook-name": "Logto",
                "hook-class-name": "airflow_provider_logto.hooks.logto.LogtoHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {"host": "Endpoint", "login": "App ID", "password": "App secret"},
                    "placeholders": {
                        "host": "https://<tenant>.logto.app or http://localhost:3001",
                        "login": "id of the machine-to-machine application",
                        "password": "its secret",
                        # Airflow 3.3.2's Test button answers "Bad Request" where no port is stored.
                        "port": "443, or the endpoint's own; Airflow 3.3 needs it for Test",
                    },
                },
                "conn-fields": {
                    "resource": {
                        "label": "API resource",
                        "description": "Indicator of the Management API; derived from the endpoint when empty.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout (seconds)",
                        "description": "For connecting and for each wait on the socket; 30 when empty.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "verify": {
                        "label": "Verify TLS",
                        "description": "true, false, or the path of a CA bundle; true when empty.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Permit http:// to a host that is not this machine.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                    "rate_limit": {
                        "label": "Rate limit (requests per 10 s)",
                        "description": "200 on Logto Cloud and none elsewhere when empty.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "rate_limit_share": {
                        "label": "Share of the rate limit",
                        "description": "Above 0, at most 1; 0.8 when empty, so that sign-ins keep the rest.",
                        "schema": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                    },
                    "shared_state": {
                        "label": "Shared state",
                        "description": "Where token and pace are shared: process, host (default), or the id of a Redis "
                        "connection.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "console_url": {
                        "label": "Console URL",
                        "description": "Address of the Logto Console, for links from the task page.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                },
            }
        ],
    }
