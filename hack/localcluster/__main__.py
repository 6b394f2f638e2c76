"""The command line: ``python -m hack.localcluster COMMAND``, as commands.py lists them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.localcluster import commands
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; settings come as environment variables from make."""
    top = argparse.ArgumentParser(prog="python -m hack.localcluster", description=__doc__)
    actions = top.add_subparsers(dest="action", required=True)
    for name, (_, text) in commands.COMMANDS.items():
        action = actions.add_parser(name, help=text, description=text)
        if name == "kwok":
            action.add_argument("count", type=int, nargs="?", default=10, help="how many (0: none)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error is printed as one sentence."""
    options = build_parser().parse_args(arguments)
    os.environ.pop("KIND_EXPERIMENTAL_PROVIDER", None)  # podman or nerdctl: not what is driven here
    run, _ = commands.COMMANDS[options.action]
    paths = find_paths(Path(__file__).resolve().parents[2], os.environ)
    try:
        run(commands.Request(paths, dict(os.environ), getattr(options, "count", 0)))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
