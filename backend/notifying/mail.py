"""Messages as mail: plain text, by the operator's server and in the operator's name."""

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from backend.notifying.failure import NotTaken
from backend.services.outbox import Parcel
from backend.serving.notification_variables import NotificationVariables


def send(parcel: Parcel, link: str | None, settings: NotificationVariables) -> str:
    """Send a message to the recipients of its channel, as far as the operator still allows them.

    Returns:
        Which of them the server has refused, in a sentence; empty where it took all.

    Raises:
        NotTaken: it was taken for nobody.
    """
    if settings.smtp_host is None or settings.smtp_from is None:
        raise NotTaken("The operator has not said how mail is sent (MEMGEN_SMTP_HOST, MEMGEN_SMTP_FROM).")
    recipients = [one for one in parcel.recipients if settings.may_get_mail(one)]
    if not recipients:
        raise NotTaken("None of the recipients is allowed any more (MEMGEN_MAIL_TO).")
    message = mail_of(parcel, link, settings.smtp_from, recipients)
    try:
        with _server(settings.smtp_host, settings) as server:
            refused = server.send_message(message, settings.smtp_from, recipients)
    except smtplib.SMTPRecipientsRefused as error:
        raise NotTaken(f"The mail server refused every recipient: {', '.join(error.recipients)}.") from None
    except smtplib.SMTPAuthenticationError:
        raise NotTaken("The mail server refused the operator's name and password.") from None
    except smtplib.SMTPResponseException as error:
        raise NotTaken(f"The mail server answered {error.smtp_code}.") from None
    except TimeoutError:
        raise NotTaken(_too_slow(settings)) from None
    except ssl.SSLCertVerificationError as error:
        raise NotTaken(f"The mail server's certificate can't be trusted: {error.verify_message}.") from None
    except (smtplib.SMTPException, OSError) as error:
        if isinstance(error.__context__, TimeoutError):  # smtplib tells it as a connection that was closed
            raise NotTaken(_too_slow(settings)) from None
        raise NotTaken(f"The mail server can't be used: {type(error).__name__}.") from None
    left_out = [*refused, *(one for one in parcel.recipients if one not in recipients)]
    return f"Not taken for {', '.join(left_out)}." if left_out else ""


def mail_of(parcel: Parcel, link: str | None, sender: str, recipients: list[str]) -> EmailMessage:
    """The message with its headers; its id is the same in every try."""
    message = EmailMessage()
    message["Subject"] = " ".join(f"[MemGen] {parcel.title}".split())
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(parcel.created_at, UTC))
    message["Message-ID"] = f"<{parcel.message_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parcel.text + (f"\n\n{link}" if link else "") + "\n")
    return message


def _too_slow(settings: NotificationVariables) -> str:
    return f"The mail server did not answer within {settings.notification_patience_seconds:g} s."


def _server(host: str, settings: NotificationVariables) -> smtplib.SMTP:
    """A connection to the operator's server, encrypted and logged in as the settings say."""
    patience = settings.notification_patience_seconds
    if settings.smtp_security == "tls":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, settings.smtp_port, timeout=patience, context=context)
    else:
        server = smtplib.SMTP(host, settings.smtp_port, timeout=patience)
    try:
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
    except BaseException:
        server.close()
        raise
    return server
