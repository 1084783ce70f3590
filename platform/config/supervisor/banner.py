"""What is printed once everything answers."""

import shlex
from pathlib import Path

from config.supervisor.ports import HOST

RESERVE = (
    '{"idempotency_key": "first-\'$(date +%s)\'", "subject": {"tenant": "acme"}, '
    '"action": {"kind": "llm.completion", "name": "gpt-4o"}, '
    '"estimate": {"unit": "USD_MICROCENTS", "amount": 1000000}}'
)


def banner(*, var: Path, api_port: int, console_port: int) -> str:
    """URLs, the sign-in and a first call. The keys stay in their file; the call reads them from there."""
    demo_file = var / "demo.env"
    demo = read_demo_file(demo_file)
    lines = [
        "",
        f"Console  http://{HOST}:{console_port}/",
        f"API      http://{HOST}:{api_port}/",
    ]
    if "OPERATOR_EMAIL" in demo:
        lines += ["", "Sign in  as an operator:", *_sign_in(demo, "OPERATOR")]
    if "ACME_OWNER_EMAIL" in demo:
        lines += ["         as an admin of the tenant acme:", *_sign_in(demo, "ACME_OWNER")]
    if "ACME_API_KEY" in demo:
        lines += [
            f"Keys     {demo_file}",
            "",
            "Reserve one cent for the tenant acme:",
            "",
            f"  . {shlex.quote(str(demo_file))} && curl -sS http://{HOST}:{api_port}/v1/reservations \\",
            '    -H "X-Cycles-API-Key: $ACME_API_KEY" -H "Content-Type: application/json" \\',
            f"    -d '{RESERVE}'",
        ]
    return "\n".join([*lines, ""])


def _sign_in(demo: dict[str, str], who: str) -> list[str]:
    return [f"         {demo[f'{who}_EMAIL']}   {demo.get(f'{who}_PASSWORD', '')}".rstrip()]


def read_demo_file(path: Path) -> dict[str, str]:
    """The names and values of ``NAME=value`` lines; empty if there is no such file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    words = shlex.split(text, comments=True)
    return dict(word.removeprefix("export ").split("=", 1) for word in words if "=" in word)
