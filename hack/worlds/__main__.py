"""`make worlds N=10000`: judges the operator in generated worlds."""

import sys

from hack.worlds.runner import main

if __name__ == "__main__":
    sys.exit(main())
