"""The Connection's extras, declared once: both kinds of form, the settings and the documentation's table go by this.

Imports nothing, since Airflow loads it with the provider's metadata at the start of every process.
"""


class ExtraField:
    """One extra of a Connection.

    :param label: its name in the form.
    :param kind: JSON type of the form's field: ``string``, ``integer``, ``number`` or ``boolean``.
    :param meaning: a sentence for the form and the documentation.
    :param default: what applies where it is empty; None where nothing does, or what ``default_text`` says.
    :param default_text: the default in words, where the value itself does not say it.
    :param schema: further keywords of its JSON schema.
    """

    def __init__(
        self,
        label: str,
        kind: str,
        meaning: str,
        default: object = None,
        default_text: str = "",
        schema: dict[str, object] | None = None,
    ) -> None:
        self.label = label
        self.kind = kind
        self.meaning = meaning
        self.default = default
        self.default_text = default_text or ("none" if default is None else f"{default}".lower())
        self.schema = schema or {}

    @property
    def description(self) -> str:
        """What the form says below the field."""
        return f"{self.meaning} Default: {self.default_text}."

    def form_field(self) -> dict[str, object]:
        """As ``conn-fields`` of the provider's metadata holds it (Airflow 3.2 and later)."""
        return {
            "label": self.label,
            "description": self.description,
            "schema": {"type": [self.kind, "null"], **self.schema},
        }


#: Seconds.
TIMEOUT = 30.0
RATE_LIMIT_SHARE = 0.8
SHARED_STATE = "host"

#: Name in ``extra`` -> what it is, in the order of the form.
EXTRA_FIELDS: dict[str, ExtraField] = {
    "resource": ExtraField(
        "API resource",
        "string",
        "Indicator of the Management API. On Logto Cloud behind a domain of your own, set it to "
        "https://<tenant>.logto.app/api.",
        default_text="https://<tenant>.logto.app/api on Logto Cloud, https://default.logto.app/api elsewhere",
    ),
    "timeout": ExtraField(
        "Timeout (seconds)",
        "integer",
        "For connecting, and for each wait on the socket.",
        TIMEOUT,
        f"{TIMEOUT:g}",
        {"minimum": 1},
    ),
    "verify": ExtraField("Verify TLS", "string", "true, false, or the path of a CA bundle.", True),
    "allow_http": ExtraField(
        "Allow plain http",
        "boolean",
        "Plain http to another machine, which shows the secret on the wire; to this machine it is always allowed.",
        False,
    ),
    "rate_limit": ExtraField(
        "Rate limit (requests per 10 s)",
        "integer",
        "Requests per 10 s that the tenant accepts.",
        default_text="200 on Logto Cloud, none elsewhere",
        schema={"minimum": 1},
    ),
    "rate_limit_share": ExtraField(
        "Share of the rate limit",
        "number",
        "Above 0, at most 1. The same limit serves your users' sign-ins, so some of it is left to them.",
        RATE_LIMIT_SHARE,
        schema={"minimum": 0, "maximum": 1},
    ),
    "shared_state": ExtraField(
        "Shared state",
        "string",
        "Where tasks share token and pace: process, host, or the id of a Redis Connection.",
        SHARED_STATE,
    ),
    "console_url": ExtraField(
        "Console URL",
        "string",
        "Address of the Logto Console, for links from a task's page.",
        schema={"format": "url"},
    ),
    "protect": ExtraField(
        "Protected users",
        "string",
        "Whom operators for people, roles, organizations and rosters never suspend, delete or take access from: ids, "
        "usernames, e-mails, phones, and patterns with *, separated by commas. In JSON it may be a list, where an "
        'object such as {"role": "admin"} protects everybody with that role. ManagementApiOperator, '
        "ApplyConfigurationOperator and the hook do not look at it.",
    ),
}
