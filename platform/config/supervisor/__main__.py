"""``python -m config.supervisor up [--detach] | down``: what the Makefile calls."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.supervisor.banner import banner
from config.supervisor.detach import LOG_NAME, Reporter, start_detached
from config.supervisor.errors import StartRefused
from config.supervisor.health import answers
from config.supervisor.output import Output, RotatingFile
from config.supervisor.ports import port_from
from config.supervisor.state import StateFile, end_processes
from config.supervisor.supervisor import Supervisor
from kernel.embedded import EmbeddedServerError, Layout, Servers

DOWN_PATIENCE_S = 40


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="config.supervisor", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up").add_argument("--detach", action="store_true")
    actions.add_parser("down")
    actions.add_parser("run").add_argument("--report-to", type=int, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.action == "down":
            return down()
        if options.action == "run":
            return run_in_background(options.report_to)
        return up_detached() if options.detach else up()
    except (StartRefused, EmbeddedServerError, ImproperlyConfigured) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # Above all a full or read-only disk; the system's own words name the file.
        print(f"Watermaster cannot go on: {error.strerror} ({error.filename or 'no file'}).", file=sys.stderr)
        return 1


def up() -> int:
    """Run in the foreground until Ctrl-C."""
    var, api_port, console_port = _address()

    def show_banner() -> None:
        print(banner(var=var, api_port=api_port, console_port=console_port), flush=True)
        print("Ctrl-C stops everything.\n", flush=True)

    _supervisor(output=Output(sys.stdout), announce=lambda text: print(text, flush=True)).run(on_ready=show_banner)
    print("Stopped.")
    return 0


def up_detached() -> int:
    """Run in the background; return when both planes answer. Safe to repeat."""
    var, api_port, console_port = _address()
    state_file = StateFile(var)
    if state_file.is_claimed():
        state = state_file.read()
        if state is None or not answers(state.api_port, "/actuator/health"):
            raise StartRefused("Watermaster is just starting or stopping in this folder: wait a moment and try again.")
        api_port, console_port = state.api_port, state.console_port
        print("Watermaster already runs.")
    else:
        start_detached(var=var)
    print(banner(var=var, api_port=api_port, console_port=console_port))
    print(f"Log      {var / 'log' / LOG_NAME}\nmake down stops everything.")
    return 0


def run_in_background(report_to: int) -> int:
    """The background half of `up_detached`."""
    reporter = Reporter(report_to)

    def ready() -> None:
        reporter.send("ready")
        reporter.close()

    try:
        var, _, _ = _address()
        output = Output(RotatingFile(var / "log" / LOG_NAME))
        _supervisor(output=output, announce=lambda text: reporter.send("step", text)).run(on_ready=ready)
    except (StartRefused, ImproperlyConfigured) as error:
        reporter.send("refused", str(error))
        raise
    return 0


def down() -> int:
    """Stop the supervisor and whatever a killed one left. Safe to repeat."""
    var = environment.var_folder(os.environ)
    state_file = StateFile(var)
    state = state_file.read()
    ended = 0
    if state_file.is_claimed() and state is not None:
        supervisor = state.supervisor.process()
        if supervisor is not None:
            supervisor.send_signal(signal.SIGTERM)
            try:
                supervisor.wait(DOWN_PATIENCE_S)
            except psutil.TimeoutExpired:
                supervisor.kill()
            ended += 1
    if state is not None:
        ended += end_processes(state.processes, patience_s=10)
        state_file.clear()
    servers = Servers(Layout(var))
    if servers.layout.root.exists() and servers.are_running():
        servers.stop()
        ended += 1
    print("Stopped." if ended else "Nothing was running.")
    return 0


def _address() -> tuple[Path, int, int]:
    return (
        environment.var_folder(os.environ),
        port_from(os.environ.get("API_PORT") or "7878", variable="API_PORT"),
        port_from(os.environ.get("CONSOLE_PORT") or "8000", variable="CONSOLE_PORT"),
    )


def _supervisor(*, output: Output, announce: Callable[[str], None]) -> Supervisor:
    var, api_port, console_port = _address()
    return Supervisor(var=var, api_port=api_port, console_port=console_port, output=output, announce=announce)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
