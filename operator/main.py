"""What ``kopf run operator/main.py`` loads: the operator for development, from a checkout.

In a cluster it runs as ``python -m selfhealing``, with the same handlers.
"""

import os

import kopf

from selfhealing.controller import gc_tuning, logs
from selfhealing.controller.kopf_handlers import register
from selfhealing.controller.settings import load

_settings = load(os.environ)
logs.quieten(_settings.log_level)
gc_tuning.settle()
register(kopf.get_default_registry(), _settings)
