"""``python -m kernel.embedded start|stop|status FOLDER``: the servers by hand."""

import sys
from pathlib import Path

from kernel.embedded import EmbeddedServerError, Layout, Servers


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in {"start", "stop", "status"}:
        print(__doc__, file=sys.stderr)
        return 2
    action, folder = arguments
    servers = Servers(Layout(Path(folder).resolve()))
    try:
        if action == "start":
            servers.start()
        elif action == "stop":
            servers.stop()
        else:
            print("running" if servers.are_running() else "stopped")
    except EmbeddedServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
