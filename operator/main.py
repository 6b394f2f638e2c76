"""The module for ``kopf run operator/main.py``: runs the operator from a checkout.

In a cluster the operator runs as ``python -m selfhealing``, with the same handlers.
"""

import os

import kopf

from selfhealing.controller import interpreter, log_setup
from selfhealing.controller.kopf_handlers import register_handlers
from selfhealing.controller.settings import load_settings

_settings = load_settings(os.environ)
log_setup.quiet_libraries(_settings.log_level)
log_setup.make_logs_safe()
interpreter.configure_interpreter()
register_handlers(kopf.get_default_registry(), _settings)
