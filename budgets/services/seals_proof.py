"""The proof that sealed entries are still what they were: each seal, its place in the chain, and the entries under it.

Seals and sealed entries are never changed, so each is read on its own, in short statements; traffic goes on meanwhile.
Of entries that were archived the seals stay: the chain goes through them, and the archive says by which one it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from budgets.models import LedgerHead, LedgerSeal
from budgets.selectors.ledger_beginning import Beginning, ledger_beginning
from budgets.services.seal_hashes import LAYOUT, NOTHING, hash_entries, hash_of, is_signed
from kernel.ids import Tag
from kernel.tenancy import in_tenant

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class SealHead:
    """The last seal of a tenant. Kept somewhere else, it shows later that no seal before it was made anew."""

    tag: Tag
    last_seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class BrokenSeal:
    """One seal that is not right, and why."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"seal {self.number}: {self.what}"


def seal_head(tag: Tag) -> SealHead | None:
    """None where nothing is sealed yet."""
    with in_tenant(tag):
        last = LedgerSeal.objects.order_by("-number").first()
    return None if last is None else SealHead(tag, last.last_seq, bytes(last.hash).hex())


def broken_seals(tag: Tag, *, known: SealHead | None = None) -> Iterator[BrokenSeal]:
    """What is wrong with the seals of the tenant `tag`, as it is found; nothing where all is as it was sealed.

    `known` is a head that was kept elsewhere: the chain must still pass through it.
    """
    with in_tenant(tag):
        head = LedgerHead.objects.values_list("last_seq", flat=True).get(pk=1)
        before: LedgerSeal | None = None
        beginning = ledger_beginning()
        is_met = known is None
        for seal in _seals():
            for what in chain_faults(seal, before=before, head=head, beginning=beginning):
                yield BrokenSeal(seal.number, what)
            for what in _faults_of_kept(seal):
                yield BrokenSeal(seal.number, what)
            is_met = is_met or (known is not None and _says(seal, known))
            before = seal
        if known is not None and not is_met:
            number = before.number if before else 0
            yield BrokenSeal(number, f"the seal up to entry {known.last_seq} is not the one that was kept elsewhere")


def _says(seal: LedgerSeal, known: SealHead) -> bool:
    return (seal.last_seq, bytes(seal.hash).hex()) == (known.last_seq, known.hash)


def _seals() -> Iterator[LedgerSeal]:
    last = 0
    while seals := list(LedgerSeal.objects.filter(number__gt=last).order_by("number")[:_PAGE]):
        yield from seals
        last = seals[-1].number


def _faults_of_kept(seal: LedgerSeal) -> list[str]:
    """What is wrong with the entries under it, as far as they are part of the ledger."""
    if seal.last_seq <= ledger_beginning().after:
        return []
    found = list(entry_faults(seal))
    # They may have been archived between the two looks.
    return [] if found and seal.last_seq <= ledger_beginning().after else found


def chain_faults(seal: LedgerSeal, *, before: LedgerSeal | None, head: int, beginning: Beginning) -> Iterator[str]:
    """What is wrong with a seal itself, and with its place behind the one before it, None for the first."""
    number, first_seq, previous = (
        (before.number + 1, before.last_seq + 1, bytes(before.hash)) if before else (1, 1, NOTHING)
    )
    if seal.number != number:
        yield f"follows number {number - 1}: a seal is missing"
    if seal.first_seq != first_seq:
        yield f"begins with entry {seal.first_seq} instead of {first_seq}"
    if bytes(seal.previous_hash) != previous:
        yield "does not continue the seal before"
    if bytes(seal.hash) != hash_of(seal):
        yield "its hash is not that of what it says"
    if not is_signed(bytes(seal.hash), bytes(seal.signature)):
        yield "is not signed by this installation"
    if seal.last_seq > head:
        yield f"covers entry {seal.last_seq}, the books end at {head}"
    file = beginning.file
    if file is not None and seal.last_seq == beginning.after and bytes(seal.hash).hex() != file.facts["seal"]:
        yield f"is not the one that {file.name} ends with"


def entry_faults(seal: LedgerSeal) -> Iterator[str]:
    """What is wrong with the entries under a seal, in the schema that the connection is in."""
    if seal.layout != LAYOUT:
        yield f"has the unknown layout {seal.layout}"
        return
    with transaction.atomic(durable=True):
        found = hash_entries(after=seal.first_seq - 1, until=seal.last_seq)
    expected = seal.last_seq - seal.first_seq + 1
    if found.number != expected:
        yield f"covers {expected} entries, there are {found.number}"
    elif found.entries_hash != bytes(seal.entries_hash):
        yield f"an entry of {seal.first_seq} to {seal.last_seq} is not what was sealed"
