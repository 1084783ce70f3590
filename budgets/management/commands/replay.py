"""``manage.py replay FILE.csv --tenant acme``: a recorded trace, played through the HTTP API."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from budgets.models.choices import OveragePolicy
from budgets.replay.options import WrongOption, read_amounts, read_replays
from budgets.replay.player import CONCURRENCY_MAX, CannotReplay, Replay, play
from budgets.replay.prices import TIERS
from budgets.replay.report import first_denials, report
from budgets.replay.room import give_room
from budgets.replay.tally import Tally
from budgets.scopes import InvalidScope, read_scope_path
from budgets.selectors.audit import examine
from budgets.services.demo.access import read_file
from budgets.services.guards import BudgetIsClosed, BudgetIsFrozen, TenantIsClosed, TenantIsSuspended
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from tenants.selectors.directory import tenant_by_slug

type Played = Sequence[tuple[Replay, Tally]]

_ACTOR: Final = Actor(name="replay", actor_type="system", reason="The room of a replay.")


class Command(BaseCommand):
    help = (
        "Play recorded traces (columns TIMESTAMP, ContextTokens, GeneratedTokens) through the HTTP API: each line is a"
        " call that reserves an estimate and commits what it cost. Several files go with as many --tenant, and are"
        " played at once. Fails when a ledger differs, or when a call had no answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE.csv")
        parser.add_argument("--tenant", action="append", required=True, dest="tenants", help="One for each file.")
        parser.add_argument("--speed", type=float, default=60.0, help="How much faster than recorded; 0: no waiting.")
        parser.add_argument("--limit", type=int, help="Only the first calls of each file.")
        parser.add_argument("--concurrency", type=int, default=32, help=f"Calls under way, at most {CONCURRENCY_MAX}.")
        parser.add_argument(
            "--budget",
            action="append",
            default=[],
            dest="budgets",
            help="USD that the replay's workspace may spend from now on, one for all tenants or one for each.",
        )
        parser.add_argument("--workspace", default="replay", help="Where the calls belong.")
        parser.add_argument("--tier", choices=TIERS, default="small", help="Whose prices count.")
        parser.add_argument("--price", help="USD_MICROCENTS for a token in and out, as in 15,60; instead of --tier.")
        parser.add_argument("--estimate-tokens", type=int, default=500, help="Generated tokens in an estimate.")
        parser.add_argument("--policy", choices=OveragePolicy.values, default=OveragePolicy.ALLOW_IF_AVAILABLE.value)
        parser.add_argument("--token-ms", type=float, default=20.0, help="How long the model takes for one token.")
        parser.add_argument("--api-key", action="append", default=[], dest="api_keys", help="Else from var/demo.env.")
        parser.add_argument("--api-url", help="Else from var/demo.env.")

    def handle(self, *args: Any, **options: Any) -> None:
        demo = read_file(settings.VAR_DIR / "demo.env")
        api_url = options["api_url"] or demo.get("API_URL") or f"http://127.0.0.1:{settings.API_PORT}"
        try:
            replays = read_replays(options, demo=demo, api_url=api_url)
            amounts = read_amounts(options["budgets"], count=len(replays))
        except WrongOption as error:
            raise CommandError(str(error)) from None
        tags = {replay.tenant: _tag_of(replay.tenant) for replay in replays}
        for replay, amount in zip(replays, amounts, strict=False):
            _give_room(replay, amount, tag=tags[replay.tenant])
        console = Console(file=cast(IO[str], self.stdout._out), highlight=False)
        self._play([(replay, Tally()) for replay in replays], tags, console=console)

    def _play(self, played: Played, tags: dict[str, Tag], *, console: Console) -> None:
        try:
            asyncio.run(_play_all(played, console=console))
        except CannotReplay as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. What was under way expires by itself.", returncode=130) from None
        console.print(report(played))
        for line in first_denials(played):
            console.print(line, soft_wrap=True)
        self._verify(tags)
        if unanswered := sum(tally.unanswered for _, tally in played):
            raise CommandError(f"{unanswered} requests had no answer.")

    def _verify(self, tags: dict[str, Tag]) -> None:
        differing = []
        for slug, tag in tags.items():
            found = examine(tag)
            verdict = f"{len(found.differences)} differences" if found.differences else "no difference"
            self.stdout.write(f"{slug}: ledger verified, {found.entries:,} entries: {verdict}.")
            if found.differences:
                differing.append(f"{slug}: {found.differences[0]}")
        if differing:
            raise CommandError("The books do not add up. " + " ".join(differing))


def _tag_of(slug: str) -> Tag:
    line = tenant_by_slug(slug)
    if line is None or not line.has_books:
        raise CommandError(f"There is no tenant {slug}.")
    return line.tag


def _give_room(replay: Replay, amount: int, *, tag: Tag) -> None:
    path = f"tenant:{replay.tenant}/workspace:{replay.workspace}"
    try:
        with in_tenant(tag):
            give_room(read_scope_path(path, slug=replay.tenant), amount, actor=_ACTOR)
    except InvalidScope as error:
        raise CommandError(f"--workspace {error}.") from None
    except (BudgetIsClosed, BudgetIsFrozen, TenantIsClosed, TenantIsSuspended) as error:
        raise CommandError(f"{path} takes no money: {type(error).__name__}.") from None


async def _play_all(played: Played, *, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[admitted]:,} admitted, {task.fields[denied]:,} denied"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        try:
            async with asyncio.TaskGroup() as group:
                for replay, tally in played:
                    name = f"{replay.tenant} / {replay.name}"
                    bar = progress.add_task(name, total=len(replay.trace), admitted=0, denied=0)
                    group.create_task(play(replay, tally=tally, on_call=_advance(progress, bar, tally)))
        except ExceptionGroup as error:
            raise error.exceptions[0] from None


def _advance(progress: Progress, bar: TaskID, tally: Tally) -> Callable[[], None]:
    def advance() -> None:
        progress.update(bar, advance=1, admitted=tally.admitted, denied=tally.denials)

    return advance
