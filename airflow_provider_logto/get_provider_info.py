"""What Airflow reads of this package at every start of every process: plain data, and one import that imports nothing.

Source: Airflow, ``provider_info.schema.json``; connection-form fields are declarative from Airflow 3.2 on.
"""

from airflow_provider_logto.connection_fields import EXTRA_FIELDS


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
                    "airflow_provider_logto.operators.applications",
                    "airflow_provider_logto.operators.configuration",
                    "airflow_provider_logto.operators.connection",
                    "airflow_provider_logto.operators.invitations",
                    "airflow_provider_logto.operators.logs",
                    "airflow_provider_logto.operators.management_api",
                    "airflow_provider_logto.operators.offboarding",
                    "airflow_provider_logto.operators.organizations",
                    "airflow_provider_logto.operators.roles",
                    "airflow_provider_logto.operators.roster",
                    "airflow_provider_logto.operators.users",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Logto",
                "python-modules": [
                    "airflow_provider_logto.sensors.invitations",
                    "airflow_provider_logto.sensors.users",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "Logto",
                "python-modules": [
                    "airflow_provider_logto.triggers.invitations",
                    "airflow_provider_logto.triggers.users",
                ],
            }
        ],
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
                "conn-fields": {name: field.form_field() for name, field in EXTRA_FIELDS.items()},
            }
        ],
    }
