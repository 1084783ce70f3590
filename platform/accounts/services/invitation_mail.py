"""Mailing the link of an invitation, where there is a mail server."""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from accounts.models import Invitation

_LOG = logging.getLogger(__name__)


def mail_invitation(invitation: Invitation, *, link: str) -> bool:
    """Whether it is on its way; if not, the link has to be handed over. To be called after the commit."""
    if not settings.SENDS_MAIL:
        return False
    place = _one_line(invitation.place_name)
    message = EmailMessage(
        subject=f"You are invited to {place}",
        body=(
            f"{_one_line(invitation.invited_by)} invites you to {place} as {invitation.role}.\n\n"
            f"{link}\n\n"
            f"The link works once, until {invitation.expires_at:%d %B %Y %H:%M} UTC.\n"
        ),
        to=[invitation.email],
    )
    try:
        message.send()
    except (SMTPException, OSError):
        _LOG.exception("invitation.mail_failed")
        return False
    return True


def _one_line(text: str) -> str:
    """A name can hold anything; a header cannot, and nobody should add lines to our mail."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
