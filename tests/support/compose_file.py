"""docker-compose.yml, read as far as tests need it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.support.commands import ROOT

FILE: Final = ROOT / "docker-compose.yml"
_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]+)\}")


def read(path: Path) -> Any:
    """Return the content of a YAML file, anchors resolved."""
    return YAML(typ="safe").load(path)


SERVICES: Final[dict[str, Any]] = read(FILE)["services"]
"""The services by name, variables not replaced."""
OURS: Final = [name for name, service in SERVICES.items() if "build" in service]
"""The services that run walletwatch."""


def image(service: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the image of a service: that of the environment variable it names, or its default."""
    return _VARIABLE.sub(
        lambda found: environment.get(found[1]) or found[2], str(SERVICES[service]["image"])
    )
