"""Uploads of the client: what is sent is a form that servers read, and the file is never held whole."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from contracts.api import UploadTarget
from mmm.client import Client

SIZE = 40_000_000


def test_a_large_file_is_sent_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "sales ü.csv"
    path.write_bytes(b"x" * SIZE)
    seen: dict[str, object] = {}

    @Request.application
    def system(request: Request) -> Response:
        if request.is_json:
            target = UploadTarget(object="drop-zone/DE/a.csv", url="/there", fields={"key": "a ü.csv"})
            return Response(target.model_dump_json(), 201, content_type="application/json")
        file = request.files["file"]
        seen.update(field=request.form["key"], name=file.filename, size=file.seek(0, os.SEEK_END))
        return Response(status=204)

    server = make_server("127.0.0.1", 0, system, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        tracemalloc.start()
        Client(f"http://127.0.0.1:{server.port}").upload(path, "DE")
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        server.shutdown()
        thread.join()
    assert seen == {"field": "a ü.csv", "name": "sales ü.csv", "size": SIZE}
    assert largest < SIZE / 2, "the client and the server of this test together"
