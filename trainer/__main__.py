"""`python -m trainer`: one task of one attempt.

It exits with 0 once the attempt has an outcome; any other exit is retried.

`python -m trainer --check` is the self-test of an image.
"""

from __future__ import annotations

import sys
import traceback

from functions.errors import Transient
from functions.runtime import trainer_runtime
from functions.settings import MissingSettings, read_task_settings
from trainer.life import Life, out_of_memory

KILLED = 137
"""What a process that was killed for its memory exits with; also one that cannot even write its outcome."""


def main() -> int:
    """Run the task that the environment describes, or the self-test."""
    if sys.argv[1:] == ["--check"]:
        from trainer.check import check

        sys.stdout.write(f"the native engine works: it left {len(check())} files\n")
        return 0
    try:
        task = read_task_settings()
        Life(trainer_runtime(), task).live()
    except MissingSettings as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Transient as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Exception as error:
        if not out_of_memory(error):
            raise
        traceback.print_exc()
        return KILLED
    return 0


if __name__ == "__main__":
    sys.exit(main())
