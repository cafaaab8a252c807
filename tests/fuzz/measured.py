"""One file or message, handled in its own process: prints the peak memory in MB, and what was said."""

from __future__ import annotations

import sys
from pathlib import Path

from functions.acceptance.readable import readable
from functions.errors import Permanent
from functions.validate.prepare import prepare
from infra.local.bench.figures import peak_memory_mb
from tests.data.cases import request
from tests.data.decoding import decode_upload

ROOT = Path(__file__).resolve().parents[2]


def said_of(source: Path, dataset: Path) -> str:
    try:
        if source.suffix == ".json":
            return "; ".join(readable(source.read_bytes())[1])
        with source.open("rb") as stream, dataset.open("wb") as out:
            decode_upload(f"drop-zone/DE/{source.name}", stream, out)
        found = prepare(dataset, request(), "fingerprint").report.findings
        return "; ".join(finding.message for finding in found if finding.severity == "error")
    except Permanent as error:
        return error.problem.detail


if __name__ == "__main__":
    text = said_of(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(f"{peak_memory_mb():.0f} {text[:500]}\n")
