"""The operator's command: ``selfhealing-operator``, or ``python -m selfhealing``.

With ``import`` as its first argument it prints a Deployment as a SelfHealingApp instead.
"""

import asyncio
import logging
import os
import socket
import sys
from typing import Any, cast

import kopf

from selfhealing.cli.import_command import COMMAND as IMPORT, run_import
from selfhealing.controller import interpreter, log_setup
from selfhealing.controller.kopf_handlers import register_handlers
from selfhealing.controller.settings import Settings, SettingsError, load_settings

logger = logging.getLogger(__name__)

USAGE_ERROR = 2


def main() -> int:
    """Run the operator until it is stopped, or import a Deployment.

    Returns:
        The exit code: 0 after a clean stop, 1 after a failure, 2 if an argument is invalid.
    """
    if sys.argv[1:2] == [IMPORT]:
        return run_import(sys.argv[2:])
    try:
        settings = load_settings(os.environ, sys.argv[1:])
    except SettingsError as error:
        sys.stderr.write(f"selfhealing-operator: {error}\n")
        return USAGE_ERROR
    log_setup.configure_logging(settings.log_format, settings.log_level)
    interpreter.configure_interpreter()
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    registry = kopf.OperatorRegistry()
    handlers = register_handlers(registry, settings, settings.health_port)
    try:
        await kopf.operator(
            registry=registry,
            standalone=True,
            # kopf's default identity needs a user name, which a container may not have.
            identity=cast("Any", socket.gethostname()),
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    except Exception:
        logger.exception("the operator stops, for Kubernetes to restart it")
        return 1
    manager = handlers.manager
    return 1 if manager is None or manager.failure is not None else 0


if __name__ == "__main__":
    sys.exit(main())
