"""Counts the operations that the tests say they cover, against the client's own classes: the two are equal."""

import importlib
import pathlib
import sys

from case import operations


def covered():
    """What the tests are said to cover; each checks while it runs that it called them."""
    names = set()
    for path in sorted(pathlib.Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for kind in vars(module).values():
            for member in vars(kind).values() if isinstance(kind, type) else []:
                names |= getattr(member, "covers", set())
    return names


def main():
    """Prints both counts; fails where they differ."""
    wanted, found = operations(), covered()
    for name in sorted(wanted - found):
        print("not covered:", name)
    for name in sorted(found - wanted):
        print("no operation of the client:", name)
    print(f"operations of the client: {len(wanted)}, covered: {len(found)}")
    return 0 if wanted == found else 1


if __name__ == "__main__":
    sys.exit(main())
