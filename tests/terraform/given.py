"""What a pipeline gives to every plan."""

from __future__ import annotations

PROJECT = "mmm-test-1"
ARCHIVE = f"functions-{'a' * 64}.zip"
DIGEST = f"@sha256:{'0' * 64}"
GIVEN = {
    "project": PROJECT,
    "functions_archive": ARCHIVE,
    "images": {"web": f"web{DIGEST}", "trainer-native": f"native{DIGEST}", "trainer": f"robyn{DIGEST}"},
}
