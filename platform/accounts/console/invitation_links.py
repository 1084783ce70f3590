"""The way of an invitation's link to whom it is for: by mail, or shown once to whoever invited them."""

from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse

from accounts.services.invitation_mail import mail_invitation
from accounts.services.invitations import Invited
from kernel.ids import Tag
from kernel.sealing import seal, unseal

_KEPT: Final = "invitation_link"


@dataclass(frozen=True, slots=True)
class NewLink:
    email: str
    link: str


def hand_over(request: HttpRequest, invited: Invited, *, tag: Tag | None, shown_at: str) -> None:
    """Mail the link; where there is no mail, keep it for the list of people of `tag`, which `shown_at` names."""
    invitation = invited.invitation
    link = request.build_absolute_uri(reverse("accounts:invitation", args=[invited.token]))
    if mail_invitation(invitation, link=link):
        messages.success(request, f"{invitation.email} gets a mail with the link.")
        return
    # Whoever reads the table of sessions, or a cookie, must not read the link.
    request.session[_KEPT] = {"circle": tag or "", "email": invitation.email, "link": seal(link, purpose=_KEPT)}
    if shown_at:
        messages.warning(request, f"The link for {invitation.email} is shown once, on {shown_at}.")


def take_link(request: HttpRequest, *, tag: Tag | None) -> NewLink | None:
    """The link that was made a moment ago, once."""
    kept: dict[str, str] | None = request.session.get(_KEPT)
    if kept is None or kept["circle"] != (tag or ""):
        return None
    del request.session[_KEPT]
    link = unseal(kept["link"], purpose=_KEPT)
    return NewLink(kept["email"], link) if link else None
