"""Welcome a new colleague: an account, a link for the first sign-in without a password, and a mail with the link.

The link holds a one-time token, which signs in whoever has it. So it is made and mailed within one task: it goes into
no XCom, and is masked in the log. Run again, the task makes another token and another mail; the account is made once.

Add a Connection of type SMTP named ``smtp_default`` for the mail. Logto's sign-in experience must allow one-time tokens
(Logto docs, "Magic link"), and the page of the param ``page`` passes the two parameters of the link on to the sign-in.
"""

from __future__ import annotations

from html import escape
from typing import Any

try:
    from airflow.sdk import DAG, Param, task
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param
    from airflow.utils.log.secrets_masker import mask_secret
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_logto.hooks.logto import LogtoHook
from airflow_provider_logto.management.one_time_tokens import create_one_time_token, magic_link
from airflow_provider_logto.operators.users import CreateUserOperator

TEXT = """<p>Welcome {name}!</p>
<p><a href="{link}">Sign in for the first time</a>. The link works once, for one hour.</p>"""


@task
def send_link(**context: Any) -> None:
    """Make a token and mail the link; nothing of it is returned."""
    params = context["params"]
    made = LogtoHook().run(create_one_time_token, params["email"], expires_in=3600)
    mask_secret(made["token"])
    link = magic_link(params["page"], made["token"], made["email"])
    mask_secret(link)
    mail = SmtpNotifier(
        from_email=params["sender"],
        to=made["email"],
        subject="Welcome",
        html_content=TEXT.format(name=escape(params["name"]), link=escape(link)),
        smtp_conn_id="smtp_default",
    )
    # As it is, not as a template: a name from a form must not be run.
    mail.notify(context)


with DAG(
    "welcome",
    schedule=None,
    catchup=False,
    params={
        "email": Param("", type="string", minLength=3, title="E-mail"),
        "name": Param("", type="string", minLength=1, maxLength=128, title="Name"),
        "page": Param(
            "https://app.example.com/welcome", type="string", format="uri", title="Page that starts the sign-in"
        ),
        "sender": Param("it@example.com", type="string", title="Sender"),
    },
    tags=["logto"],
    doc_md=__doc__,
):
    account = CreateUserOperator(
        task_id="create_account", primary_email="{{ params.email }}", name="{{ params.name }}", if_exists="skip"
    )
    account >> send_link()
