"""Writes what this release saves: `python -m tests.data.state`, or with the name of a new folder.

Without a name the newest folder is written again: right as long as no release has saved it. After a
release give the next number (or NUMBER-WORD where only a rule's version has changed).
"""

import sys

import msgspec

from tests.support.saved_releases import FOLDER, events, newest, save


def main(names: list[str]) -> None:
    """Write events, signals and saved state."""
    folder = FOLDER / names[0] if names else newest()
    folder.mkdir(exist_ok=True)
    for name, told in zip(("before.ndjson", "later.ndjson"), events(), strict=True):
        lines = [msgspec.json.encode(event) + b"\n" for event in told]
        (folder / name).write_bytes(b"".join(lines))
    save(folder)
    print(f"wrote {folder.relative_to(FOLDER.parents[2])}")


if __name__ == "__main__":
    main(sys.argv[1:])
