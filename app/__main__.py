"""``python -m app``: the process in the container, PID 1.

The kernel ignores SIGTERM for a PID 1 without a handler, and importing Flask takes up to a second
on half a CPU. So a handler stands before the imports, and the server's own replaces it.
"""

import os
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def _leave_at_once(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing is served yet, so there is nothing to finish


def main() -> int:
    """Serve until told to stop; the exit code."""
    for number in _SIGNALS:
        signal.signal(number, _leave_at_once)

    from app import logs, settings  # noqa: PLC0415  the handler comes first
    from app.factory import create_app  # noqa: PLC0415
    from app.metrics import Metrics  # noqa: PLC0415
    from app.server import ListenError, Server  # noqa: PLC0415
    from app.state import State  # noqa: PLC0415

    logs.configure()
    logger = logs.logger
    state = State()
    metrics = Metrics()

    def stopping() -> None:
        logger.info("stopping: told to by a signal")
        state.begin_stopping()

    try:
        wanted = settings.load(os.environ)
        server = Server(create_app(state, wanted, metrics), wanted, stopping)
        if wanted.port_grpc:
            from app.grpc_health import serve  # noqa: PLC0415  only who asks for it pays for it

            serve(state, wanted)
    except settings.SettingsError as error:
        for line in str(error).splitlines():
            logger.error("bad setting: %s", line)  # noqa: TRY400  the line says it all
        return 2
    except ListenError as error:
        logger.error("%s (HOST and PORT choose another)", error)  # noqa: TRY400  as above
        return 1

    metrics.watch_queue(server.queue_length)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: server.request_stop())
    logger.info("listening on %s, %d threads, PID %d", server.address, wanted.threads, os.getpid())
    server.run()
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
