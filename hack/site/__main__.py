"""``python -m hack.site MKDOCS``: builds the site with the program MKDOCS (make docs)."""

import argparse
import sys
from collections.abc import Sequence

from hack.site import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hack.site", description=__doc__)
    parser.add_argument("mkdocs", help="the path of MkDocs")
    return build.main(parser.parse_args(arguments).mkdocs)


if __name__ == "__main__":
    sys.exit(main())
