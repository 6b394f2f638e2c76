"""What ``kopf run operator/main.py`` loads: the operator for development, from a checkout.

In a cluster it runs as ``python -m selfhealing``, with the same handlers.
"""

import os

import kopf

from selfhealing.runtime import garbage, logs
from selfhealing.runtime.handlers import register
from selfhealing.runtime.settings import load

_settings = load(os.environ)
logs.quieten(_settings.log_level)
garbage.settle()
register(kopf.get_default_registry(), _settings)
