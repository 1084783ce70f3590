"""The port through which the books have a tenant's rules compiled anew.

Rules hold prices, and prices belong to routing, which the books do not know. So routing puts its compiler in here when
the program starts; see docs/decisions/rules-compiled-through-a-port.md.
"""

from typing import Final, Protocol

from kernel.actor import Actor
from kernel.ids import Tag


class RuleCompiler(Protocol):
    """Compiles what is decided about the tenant and puts it in force. Safe to repeat."""

    def __call__(self, *, tag: Tag, actor: Actor) -> object: ...


_INSTALLED: Final[list[RuleCompiler]] = []


def install(compiler: RuleCompiler) -> None:
    """Make it the one that is asked."""
    _INSTALLED[:] = [compiler]


def recompile(*, tag: Tag, actor: Actor) -> None:
    """Have the tenant's rules follow its plan and policies. To be called after the change is committed."""
    for compiler in _INSTALLED:
        compiler(tag=tag, actor=actor)
