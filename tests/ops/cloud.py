"""A stand-in for `gcloud` and `bq` on the path: answers as told, and writes down what it was asked.

Commands about Pub/Sub's subscriptions can go on to the real gcloud, which then asks the emulator.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = """#!{python}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
words = [pathlib.Path(__file__).name, *sys.argv[1:]]
given = sys.stdin.read()
with (here / "asked.jsonl").open("a") as asked:
    asked.write(json.dumps([words, given]) + "\\n")
if "{emulated}" and words[1:3] == ["pubsub", "subscriptions"]:
    os.environ |= {{
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": "http://" + os.environ["PUBSUB_EMULATOR_HOST"] + "/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(here / "config"),
    }}
    os.execv("{emulated}", words)
for known, answer in json.loads((here / "answers.json").read_text()):
    if " ".join(words).startswith(known):
        if isinstance(answer, str):
            sys.exit(answer)
        print(json.dumps(answer))
        sys.exit(0)
sys.exit("the stand-in knows no answer to " + " ".join(words))
"""


@dataclass
class Cloud:
    """What the command line answers: the beginning of a command → its JSON, or the text of its error."""

    folder: Path
    answers: dict[str, Any] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulate_subscriptions("")
        monkeypatch.setenv("PATH", str(self.folder), prepend=":")
        self.answer({})

    def emulate_subscriptions(self, gcloud: str) -> None:
        """Let this gcloud ask Pub/Sub's emulator where commands are about subscriptions."""
        for name in ("gcloud", "bq"):
            program = self.folder / name
            program.write_text(_PROGRAM.format(python=sys.executable, emulated=gcloud))
            program.chmod(0o755)

    def answer(self, answers: dict[str, Any]) -> None:
        """Add answers; the longest beginning counts."""
        self.answers |= answers
        longest_first = sorted(self.answers.items(), key=lambda one: -len(one[0]))
        (self.folder / "answers.json").write_text(json.dumps(longest_first))

    def asked(self) -> list[tuple[list[str], str]]:
        """Every command that was run, and its standard input."""
        path = self.folder / "asked.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(words, given) for words, given in map(json.loads, lines)]
