"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from trainer.engines.base import Engine, EngineError, Host, Material


def load(name: str) -> Callable[[Material, Host], Engine]:
    """Return the engine with this name, imported only now; constructing one is cheap and raises nothing.

    Raises:
        EngineError: it is not part of this image.
    """
    if name == "native":
        from trainer.engines.native.engine import NativeEngine

        return NativeEngine
    if name == "robyn":
        from trainer.engines.robyn import RobynEngine

        return RobynEngine
    raise EngineError(f"this trainer has no engine '{name}'")
