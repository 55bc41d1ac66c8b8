"""Settings of notifications, all the operator's: where webhooks may lead, who may get mail, and how mail is sent."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from backend.serving.variables import Host, Pause, Port, RedisVariables, Seconds, check_url
from backend.serving.webhook_hosts import Origin, named_origins

MailSecurity = Literal["starttls", "tls", "none"]
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<domain>[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*)")


def check_mail_address(text: str) -> str:
    """A mail address that can stand in a header.

    Raises:
        ValueError: it is none.
    """
    if len(text) > 254 or _MAIL.fullmatch(text) is None:
        raise ValueError("this is not a mail address, e.g. someone@example.org")
    return text


def _check_dashboard(text: str) -> str:
    try:
        return check_url(text)
    except ValueError:
        raise ValueError("a dashboard's address is https://HOST or http://HOST:PORT, without ? or #") from None


def _check_origins(text: str) -> str:
    named_origins(text)
    return text


def _check_recipients(text: str) -> str:
    for entry in _entries(text):
        check_mail_address(entry if "@" in entry else f"x@{entry}")
    return text


def _check_ascii(text: str) -> str:
    if not text.isascii():
        raise ValueError("a mail server is told this in ASCII")
    return text


Ascii = Annotated[str, AfterValidator(_check_ascii)]


def _entries(text: str) -> list[str]:
    return [entry.strip().lower() for entry in text.split(",") if entry.strip()]


class NotificationVariables(RedisVariables):
    """Where messages may go, and what with."""

    dashboard_url: Annotated[str, AfterValidator(_check_dashboard)] | None = None
    """Address under which people reach the dashboard; messages link to it, and to nothing if it is not set."""
    webhook_hosts: Annotated[str, AfterValidator(_check_origins)] = Field(default="", max_length=2000)
    """Hosts that webhooks may lead to, separated by commas, beside those of Slack and Discord."""
    mail_to: Annotated[str, AfterValidator(_check_recipients)] = Field(default="", max_length=2000)
    """Domains and addresses that may get mail, separated by commas."""
    smtp_host: Host | None = None
    """Server that takes our mail; None sends none."""
    smtp_port: Port = 587
    """Its port."""
    smtp_security: MailSecurity = "starttls"
    """How the connection to it is encrypted: `starttls`, `tls` from its beginning, or `none`."""
    smtp_from: Annotated[str, AfterValidator(check_mail_address)] | None = None
    """Sender of our mail."""
    smtp_user: Ascii = Field(default="", max_length=320)
    """Name to log in with; empty for none."""
    smtp_password: Ascii = Field(default="", max_length=1000, repr=False)
    """Password of that name."""
    notification_seconds: Seconds = 2.0
    """Time between two looks for messages to send."""
    notification_patience_seconds: Seconds = 10.0
    """Time that a receiver has to take a message."""
    notification_retry_seconds: Pause = 5.0
    """Pause before a message is sent for the second time; three times as long before each further one."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Hosts that the operator has named for webhooks."""
        return named_origins(self.webhook_hosts)

    @property
    def mail_entries(self) -> list[str]:
        """Domains and addresses that may get mail."""
        return _entries(self.mail_to)

    @property
    def sends_mail(self) -> bool:
        """Whether the operator has said how mail is sent and who may get it."""
        return bool(self.smtp_host and self.smtp_from and self.mail_to)

    def may_get_mail(self, address: str) -> bool:
        """Whether the operator's list has this address or its domain."""
        domain = address.rpartition("@")[2]
        return bool({address.lower(), domain.lower()} & set(self.mail_entries))
