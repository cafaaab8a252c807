"""The pictures of docs/page.md: pages of a system that really trains, as Chromium shows them.

`python -m infra.local.docs_pictures`: writes docs/page-*.png. Look at each of them before it is kept.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from functions.adapters.embedded.warehouse import load_table
from infra.local.demo_data import demo_request, generate
from infra.local.functions import ROOT
from infra.local.host import CONNECTION, LocalHost, local_settings
from mmm import Client

_WIDTH, _HEIGHT = 1280, 720
"""Of the window."""
_MOST = 1400
"""Height of a picture; what is below is left out."""


def _request(request_id: str, **changed: Any) -> dict[str, Any]:
    asked = {"country": "DE", "revision": "r2026-11", "requested_by": "jane.doe@example.com"}
    return {**demo_request(request_id, 2_000, 5), **asked, **changed}


def _paths(mmm: Client) -> Mapping[str, str]:
    """The address of each picture; makes what they show."""
    budget = {"scenario": "max_response", "start": "2025-01-06"}
    wider = {"scenario": "max_response", "start": "2025-01-06", "bounds": {"low": 0.7, "high": 1.5}}
    asked = (
        _request("weekly-45", adstock="weibull_cdf", budget=budget),
        _request("weekly-46", budget=budget, labels={"team": "growth"}),
        _request("weekly-47", budget=wider, search={"iterations": 3_000, "trials": 5}),
    )
    former, best, newest = (mmm.wait(mmm.submit(one), lambda _: None).job_id for one in asked)
    mmm.pause("default")
    for country, priority in (("DE", 0), ("AT", 0), ("FR", 5)):
        mmm.submit(_request(f"{country.lower()}-next", country=country, priority=priority))
    return {
        "result": f"/jobs/{best}",
        "plan": f"/jobs/{best}/plan?total=%2B10+%25",
        "compare": f"/compare?jobs={former},{best}",
        "country": "/countries/DE",
        "new": f"/new?from={newest}",
        "queues": "/queues",
    }


def _kept(page: Page, path: Path) -> None:
    """The top of a page, as a small file."""
    whole = Image.open(BytesIO(page.screenshot(full_page=True)))
    top = whole.crop((0, 0, whole.width, min(whole.height, _MOST))).convert("RGB")
    top.quantize(256, Image.Quantize.MEDIANCUT).save(path, optimize=True)


def main() -> int:
    """Train, and write every picture; the exit status."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("there is no chromium on this machine: make test-deps\n")
        return 1
    with TemporaryDirectory(prefix="docs-") as name:
        folder = Path(name)
        table = pa.Table.from_pandas(generate().table, preserve_index=False)
        load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
        with LocalHost(local_settings(folder), 0) as host, sync_playwright() as playwright:
            paths = _paths(Client(host.url))
            page = playwright.chromium.launch(executable_path=chromium).new_page()
            page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
            page.goto(host.url + paths["result"])
            page.get_by_role("button", name="as in use in DE").click()
            for picture, path in paths.items():
                page.goto(host.url + path, wait_until="networkidle")
                _kept(page, ROOT / "docs" / f"page-{picture}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
