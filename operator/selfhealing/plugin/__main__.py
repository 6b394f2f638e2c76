"""``python -m selfhealing.plugin`` is ``kubectl selfheal``."""

import sys

from selfhealing.plugin.command.main import main

if __name__ == "__main__":
    sys.exit(main())
