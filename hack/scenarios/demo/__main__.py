"""``python -m hack.scenarios.demo``: the command of ``make demo``."""

import argparse
import sys
from collections.abc import Sequence

from hack.scenarios.common.runner import add_run_options, run_scenarios
from hack.scenarios.demo.scenarios import DemoSet
from hack.testkit import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 only if every step went as expected."""
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.demo", description=__doc__)
    add_run_options(parser, DemoSet.name)
    options = parser.parse_args(arguments)
    return cli.run_command(lambda: run_scenarios(DemoSet(options)))


if __name__ == "__main__":
    sys.exit(main())
