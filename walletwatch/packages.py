"""The packages of walletwatch have common names: those of another project may be found instead."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_HOME: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("schemas", "rules", "worker")
_BAD_ENVIRONMENT: Final = 78


def refuse_others() -> None:
    """End the process, with a sentence and code 78, if a package is not walletwatch's own."""
    reason = shadowed()
    if reason is not None:
        sys.stderr.write(f"walletwatch: {reason}\n")
        sys.exit(_BAD_ENVIRONMENT)


def shadowed() -> str | None:
    """Return which package Python finds elsewhere, and what to do; None if it finds them all.

    It imports none of them.
    """
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is None:
            return f"the package {name} is not in {str(_HOME)!r}: install walletwatch again."
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ())))
        found = found.parent if found.name == "__init__.py" else found
        if found.resolve() != _HOME / name:
            return (
                f"the package {name} is not walletwatch's own: Python finds {str(found)!r} before "
                f"{str(_HOME / name)!r}. {_advice(found.parent.resolve())}"
            )
    return None


def _advice(folder: Path) -> str:
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder in [Path(name).resolve() for name in named if name]:
        return f"Take {str(folder)!r} out of PYTHONPATH."
    if folder == Path.cwd():
        return "Start in another directory, or with `walletwatch` instead of `python -m`."
    return "Install walletwatch in a virtual environment of its own."
