"""Mailing the link to a new password, beside the answer: nobody reads from it, nor from its time, who is known here."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from smtplib import SMTPException
from threading import BoundedSemaphore
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, connections
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import User
from accounts.services.password_reset import make_token
from accounts.services.sign_in_attempts import may_mail
from kernel.tenancy import in_public

WAITING_MAX: Final = 64
_LOG = logging.getLogger(__name__)
_BESIDE: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password-reset")
_ROOM: Final = BoundedSemaphore(WAITING_MAX)


def mail_reset_soon(*, email: str, now: datetime) -> None:
    """Let whoever signs in with this address have a mail. Returns at once and does the same for every address.

    Somebody whom only an identity provider knows reads that there is no password; a stranger, and somebody who left,
    get nothing. A mail that is lost with the process is asked for again.
    """
    if not _ROOM.acquire(blocking=False):
        _LOG.error("password_reset.too_many_wait")
        return
    _BESIDE.submit(_mail, email, now)


def wait_until_mailed(*, timeout_s: float) -> None:
    """Until everything that was asked for before is on its way, or was given up. Raises `TimeoutError`."""
    _BESIDE.submit(int).result(timeout=timeout_s)


def _mail(email: str, now: datetime) -> None:
    try:
        with in_public():
            user = User.objects.filter(email=email, is_active=True).first()
        if user is not None and may_mail(email=email, now=now):
            _message(user).send()
    except (SMTPException, OSError, DatabaseError):
        _LOG.exception("password_reset.mail_failed")
    finally:
        connections.close_all()
        _ROOM.release()


def _message(user: User) -> EmailMessage:
    # By CONSOLE_URL, not by the host that was asked: a tenant's own domain may be led elsewhere by its owner.
    console = settings.CONSOLE_URL.rstrip("/")
    facts = {
        "email": user.email,
        "console": console,
        "link": console + reverse("follow_password_reset", args=[make_token(user)]),
        "sign_in": console + reverse("accounts:sign_in"),
        "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
    }
    template = "password_reset" if user.has_usable_password() else "password_reset_elsewhere"
    return EmailMessage(
        subject="A new password for Watermaster",
        body=render_to_string(f"account/email/{template}.txt", facts),
        to=[user.email],
    )
