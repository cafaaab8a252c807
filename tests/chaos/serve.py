"""The functions and the status page of the cloud family, as a process that may be killed."""

from __future__ import annotations

import sys
from dataclasses import replace

import grpc
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from functions.adapters.gcp import gcp_ports
from functions.adapters.gcp.launcher import CloudRunLauncher
from functions.log import Log, bridge
from functions.runtime import Runtime, use
from functions.settings import GcpSettings, read_settings
from functions.web.app import create_app
from infra.local.functions import functions_app
from infra.local.host import ADDRESS, QuietHandler
from tests.adapters.family_cloud_run import SETTINGS as CLOUD_RUN
from tests.chaos.haste import hasten


def main(port: int, cloud_run: str) -> None:
    """Serve until somebody kills this process. `cloud_run`: where the launcher's service is."""
    hasten()
    settings = read_settings()
    assert isinstance(settings, GcpSettings)
    launcher = CloudRunLauncher(CLOUD_RUN, grpc.insecure_channel(cloud_run))
    ports = replace(gcp_ports(settings), launcher=launcher)
    log = Log("text")
    runtime = Runtime(ports, settings, log)
    use(runtime)
    bridge(log)
    app = DispatcherMiddleware(create_app(runtime), {"/functions": functions_app()})
    make_server(ADDRESS, port, app, threaded=True, request_handler=QuietHandler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
