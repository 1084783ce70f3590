"""Every page of the console with another tenant's ids in its address, its parameters and its forms.

The reader is an owner of `initech`, who may do everything there and nothing in `acme`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse

from accounts.models import Invitation, MemberRole
from kernel.tenancy import in_public
from tests.console.test_nonsense import names_asked
from tests.foe.conftest import Feud
from tests.support.console_pages import GUARDED, OWN_BOOKS, ConsolePage, console_pages, guarded_pages
from tests.support.console_scene import Reader
from tests.support.foe.asking import Said, ask
from tests.support.foe.controls import Control, controls_of
from tests.support.foe.provenance import Provenance, Swap
from tests.support.foe.things import Kind, twins_of
from tests.support.foe.victim import seen_in

#: What the arguments of addresses name.
KINDS: Final[Mapping[str, Kind]] = {
    "alert_id": Kind.ALERT,
    "budget_id": Kind.BUDGET,
    "channel_id": Kind.CHANNEL,
    "key_id": Kind.KEY,
    "reconciliation_id": Kind.RECONCILIATION,
    "reference_id": Kind.REFERENCE,
    "request_id": Kind.REQUEST,
    "run_id": Kind.RUN,
    "seq": Kind.SEQ,
    "trace_id": Kind.TRACE,
    "webhook_id": Kind.WEBHOOK_ROW,
    "wire_id": Kind.DECISION,
}
#: Arguments that name nothing of anybody's: words, dates, numbers that each tenant counts for itself.
PLAIN: Final = frozenset({"slug", "alert_kind", "delivery_id", "kind", "month", "version", "code"})
#: Arguments of pages outside of the mounts: a secret of its own, with which one may come in, and somebody's passkey.
TICKETS: Final = frozenset({"ticket", "token", "pk"})
#: What a reader may type into any field for which a page asks.
TYPED: Final = (Kind.BUDGET, Kind.DECISION, Kind.KEY, Kind.RUN, Kind.SCOPE)
#: They end the session, or lead out of it.
LEAVING: Final = frozenset({"member_leave", "sign_out", "account_logout", "end_act_as"})

own_pages = [page for page in guarded_pages() if page.namespace == OWN_BOOKS]
named_pages = [page for page in own_pages if KINDS.keys() & set(page.arguments)]


@pytest.fixture(scope="module")
def provenance(feud: Feud) -> Provenance:
    return Provenance(own=feud.own.tenant, theirs=feud.theirs.tenant)


class TestWhatIsTried:
    def test_every_argument_is_known(self) -> None:
        found = {(page.is_guarded, argument) for page in console_pages() for argument in page.arguments}
        unknown = {argument for _, argument in found} - KINDS.keys() - PLAIN - TICKETS

        assert unknown == set(), "Say what they name, or that they are words."
        assert {argument for is_guarded, argument in found if is_guarded and argument in TICKETS} == set()

    def test_the_walk_finds_pages_of_every_mount(self) -> None:
        assert {page.namespace for page in guarded_pages()} == GUARDED
        assert len(named_pages) > 20


class TestAddresses:
    @pytest.mark.parametrize("page", named_pages, ids=lambda page: page.id)
    def test_what_is_anothers_is_not_there(self, page: ConsolePage, feud: Feud) -> None:
        samples = _samples(feud)
        learned = []
        for argument in page.arguments:
            if argument not in KINDS:
                continue
            kind = KINDS[argument]
            theirs = feud.theirs[kind]
            for method in _methods(page):
                aimed = _said(feud.browser, method, _address(page, samples, argument, theirs), theirs)
                learned += _reads(aimed, feud, sent=theirs)
                for twin in twins_of(kind, theirs, victim=feud.theirs.tag, foe=feud.own.tag):
                    other = _said(feud.browser, method, _address(page, samples, argument, twin.value), twin.value)
                    learned += _differences(aimed, other, has_same_work=twin.is_alike, words=f"{method} {twin.words}")

        assert not learned, "\n".join(learned)

    @pytest.mark.parametrize("page", guarded_pages(), ids=lambda page: page.id)
    def test_to_look_for_another_tenant_takes_the_same_work_as_for_none(self, page: ConsolePage, feud: Feud) -> None:
        learned = []
        addresses = [page.address({**feud.scene.samples, "slug": slug}) for slug in ("acme", "nobody-here")]
        for method in ("get", "post"):
            aimed, other = (
                _said(feud.browser, method, address, slug)
                for address, slug in zip(addresses, ("acme", "nobody-here"), strict=True)
            )
            assert aimed.status == 404
            learned += _reads(aimed, feud, sent=addresses[0])
            learned += _differences(aimed, other, has_same_work=True, words=method)

        assert not learned, "\n".join(learned)


class TestParameters:
    @pytest.mark.parametrize("page", own_pages, ids=lambda page: page.id)
    def test_what_is_anothers_finds_nothing(self, page: ConsolePage, feud: Feud) -> None:
        address = page.address(_samples(feud))
        with names_asked() as names:
            own = _said(feud.browser, "get", address, "")
        learned = _reads(own, feud, sent="")
        for kind in TYPED if names else ():
            theirs = feud.theirs[kind]
            aimed = _said(feud.browser, "get", address, theirs, dict.fromkeys(names, theirs))
            learned += _reads(aimed, feud, sent=theirs)
            twin = twins_of(kind, theirs, victim=feud.theirs.tag, foe=feud.own.tag)[0]
            other = _said(feud.browser, "get", address, twin.value, dict.fromkeys(names, twin.value))
            learned += _differences(aimed, other, has_same_work=True, words=f"{sorted(names)} {kind}")

        assert not learned, "\n".join(learned)

    @pytest.mark.parametrize("page", own_pages, ids=lambda page: page.id)
    def test_a_link_from_anothers_page_opens_nothing(self, page: ConsolePage, feud: Feud) -> None:
        """Cursors and filters, as the other tenant's own page has them."""
        theirs = _said(feud.scene.browser(Reader.OWNER), "get", page.address(feud.scene.samples), "")
        learned = []
        for link in _links(theirs):
            said = _said(feud.browser, "get", page.address(_samples(feud)), "", link.fields)
            assert said.status < 500
            learned += _reads(said, feud, sent=str(link.fields))

        assert not learned, "\n".join(learned)


class TestForms:
    @pytest.mark.parametrize("page", [page for page in own_pages if page.name not in LEAVING], ids=lambda page: page.id)
    def test_filled_in_with_what_is_anothers_does_as_with_what_is_nobodys(
        self, page: ConsolePage, feud: Feud, provenance: Provenance
    ) -> None:
        learned = []
        shown = _said(feud.browser, "get", page.address(_samples(feud)), "")
        for control, name, swap in _swapped(shown, provenance):
            aimed, other = (
                _said(feud.browser, control.method, control.address, value, control.fields | {name: value})
                for value in (swap.theirs, swap.nobodys)
            )
            learned += _reads(aimed, feud, sent=swap.theirs)
            learned += _differences(aimed, other, has_same_work=True, words=f"{control.address} {name}")

        assert not learned, "\n".join(learned)


class TestElsewhere:
    def test_a_decision_of_anothers_is_explained_to_nobody_else(self, feud: Feud) -> None:
        theirs = feud.theirs[Kind.DECISION]
        aimed = _said(feud.browser, "get", f"/explain/{theirs}/", theirs)

        assert aimed.status == 404
        for twin in twins_of(Kind.DECISION, theirs, victim=feud.theirs.tag, foe=feud.own.tag)[:2]:
            other = _said(feud.browser, "get", f"/explain/{twin.value}/", twin.value)
            assert _differences(aimed, other, has_same_work=twin.is_alike, words=twin.words) == []

    def test_to_invite_somebody_of_anothers_tells_nothing_of_them(self, feud: Feud) -> None:
        form = {"role": MemberRole.VIEWER.value, "reason": "They asked"}
        answers = [
            _said(feud.browser, "post", "/t/initech/members/invite/", email, form | {"email": email})
            for email in (feud.scene.people[Reader.OWNER].email, "nobody@example.test")
        ]

        assert _differences(*answers, has_same_work=True, words="") == []
        with in_public():
            assert Invitation.objects.filter(tenant_tag=feud.own.tag).count() == len(answers)


class TestSecondFactors:
    @pytest.mark.parametrize("name", ["mfa_edit_webauthn", "mfa_remove_webauthn"])
    def test_of_anothers_people_are_not_there(self, name: str, feud: Feud) -> None:
        theirs = feud.scene.people[Reader.OWNER]
        with in_public():
            key = Authenticator.objects.create(user=theirs, type="webauthn", data={"name": "only-at-acme"})
        try:
            for method in ("get", "post"):
                aimed, other = (
                    _said(feud.browser, method, reverse(name, args=[pk]), str(pk), {"name": "mine"})
                    for pk in (key.pk, 987_654_321)
                )
                assert aimed.status == 404
                assert _differences(aimed, other, has_same_work=True, words=method) == []
            with in_public():
                assert Authenticator.objects.get(pk=key.pk).data == {"name": "only-at-acme"}
        finally:
            with in_public():
                Authenticator.objects.filter(pk=key.pk).delete()


def _samples(feud: Feud) -> dict[str, Any]:
    own = {argument: feud.own[kind] for argument, kind in KINDS.items()}
    return {**feud.scene.samples, **own, "slug": feud.own.tenant.slug, "delivery_id": 1}


def _address(page: ConsolePage, samples: Mapping[str, Any], argument: str, value: str) -> str:
    return page.address({**samples, argument: value, f"{page.name}.{argument}": value})


def _methods(page: ConsolePage) -> list[str]:
    acts = page.acts
    return [method for method, act in (("get", acts and acts.see), ("post", acts and acts.send)) if act]


def _said(browser: Client, method: str, address: str, sent: str, fields: Mapping[str, str] | None = None) -> Said:
    send: Callable[..., Any] = getattr(browser, method)
    return ask(lambda: send(address, fields or {}), sent=[sent] if sent else [])


def _reads(said: Said, feud: Feud, *, sent: str) -> list[str]:
    return [f"reads {secret!r}" for secret in seen_in(said.raw, feud.secrets, sent=sent)]


def _differences(aimed: Said, other: Said, *, has_same_work: bool, words: str) -> list[str]:
    if aimed.status >= 500:
        return [f"{words}: fails with {aimed.status}"]
    if (aimed.status, aimed.body, aimed.headers) != (other.status, other.body, other.headers):
        parts = ((aimed.status, other.status), (aimed.headers, other.headers), (aimed.body, other.body))
        return [f"{words}: {_first_difference(one, two)}" for one, two in parts if one != two]
    if has_same_work and aimed.statements != other.statements:
        return [f"{words}: by {_first_difference(aimed.statements, other.statements)}"]
    return []


def _first_difference(one: Any, two: Any) -> str:
    """Where two texts part, with some of each."""
    first, second = str(one), str(two)
    pairs = enumerate(zip(first, second, strict=False))
    at = next((place for place, (left, right) in pairs if left != right), min(len(first), len(second)))
    return f"…{first[max(0, at - 60) : at + 60]!r} and not …{second[max(0, at - 60) : at + 60]!r}"


def _links(said: Said) -> list[Control]:
    controls = controls_of(said.raw) if said.status == 200 and isinstance(said.body, str) else []
    links = [control for control in controls if control.method == "get" and control.fields]
    # Of links with the same parameters one.
    return list({frozenset(link.fields): link for link in links}.values())


def _swapped(shown: Said, provenance: Provenance) -> list[tuple[Control, str, Swap]]:
    """Every form and link of the page with each of its fields in the other tenant's hand, one at a time."""
    controls = controls_of(shown.raw) if shown.status == 200 and isinstance(shown.body, str) else []
    found = {
        (control.address, control.method, name, swap.theirs): (control, name, swap)
        for control in controls
        if control.address.startswith("/t/")
        for name, value in control.fields.items()
        for choice in (value, *control.choices.get(name, [])[:3])
        for swap in list(provenance.swaps(choice))[:2]
    }
    return list(found.values())
