"""Python and packages: against what the installed package asks for, and the versions of our tests."""

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import memgen
from memgen.doctor.finding import Finding, error, ok, warning

TESTED_FILE = Path(memgen.__file__).parents[1] / "constraints.txt"
"""The versions of all tests; a checkout has it, an installed package does not."""
DISTRIBUTION = "memgen-studio"
INSTALL = "Install again: `make install`, or `pip install 'memgen-studio[service,worker]'`."

Version = Callable[[str], str | None]
"""The installed version of a package; None if it is not there."""


def installed_version(package: str) -> str | None:
    """The version of a package here."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def wanted_python() -> str | None:
    """Which versions of Python the installed package is for; None where it is not installed."""
    try:
        return str(metadata(DISTRIBUTION)["Requires-Python"])
    except PackageNotFoundError:
        return None


def wanted_packages(extras: Iterable[str]) -> list[Requirement]:
    """What the installed package asks for on this machine, with these extras; empty if it is not installed."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    return list(_that_apply(map(Requirement, lines), ["", *extras]))


def _that_apply(every: Iterable[Requirement], extras: list[str]) -> Iterator[Requirement]:
    names = set()
    for one in every:
        applies = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
        if applies and one.name not in names:
            names.add(one.name)
            yield one


def versions_of_tests(file: Path = TESTED_FILE) -> dict[str, str]:
    """Versions of the tests by package; empty where the file is not there."""
    if not file.is_file():
        return {}
    pairs = (line.partition("==") for line in file.read_text(encoding="utf-8").splitlines())
    return {_plain(name): number.strip() for name, equals, number in pairs if equals}


def python(present: str, wanted: str | None) -> Finding:
    """This Python against the versions that the package is for.

    Args:
        present: its version.
        wanted: specifiers such as `>=3.11,<3.14`; None where the package is not installed.
    """
    seen = f"{present} ({platform.python_implementation()})"
    if wanted is None:
        return warning("Python", f"{seen}; {DISTRIBUTION} is not installed, so it says not which it is for", INSTALL)
    if not SpecifierSet(wanted).contains(present, prereleases=True):
        way_out = "Install it with another: `make PYTHON=python3.11 install`."
        return error("Python", f"{seen}, and the package is for {wanted}", way_out)
    return ok("Python", f"{seen}, wanted {wanted}")


def packages(
    wanted: list[Requirement], tested: Mapping[str, str], present: Version = installed_version
) -> list[Finding]:
    """Packages against what is asked for, and against the versions of the tests.

    Args:
        wanted: requirements, empty where the package is not installed.
        tested: versions of the tests by package; empty where they are not known.
        present: see `Version`.
    """
    if not wanted:
        return [warning("packages", f"{DISTRIBUTION} is not installed, so it says not what it needs", INSTALL)]
    missing = [str(one.name) for one in wanted if present(one.name) is None]
    unfit = [
        f"{one.name} {number} (wanted {one.specifier})"
        for one in wanted
        if (number := present(one.name)) is not None and not one.specifier.contains(number, prereleases=True)
    ]
    found = []
    if missing:
        found.append(error("packages", f"not installed: {', '.join(missing)}", INSTALL))
    if unfit:
        found.append(error("packages", f"of another version: {', '.join(unfit)}", INSTALL))
    other = [
        f"{name} {number} (tested {tested[_plain(name)]})"
        for name in (one.name for one in wanted)
        if (number := present(name)) is not None and _release(number) != tested.get(_plain(name), _release(number))
    ]
    if other and not unfit:
        way_out = "Results may differ in the last digits; `make install` takes the tested versions."
        found.append(warning("packages", f"not the versions of the tests: {', '.join(other)}", way_out))
    if found:
        return found
    beside = "in the versions of the tests" if tested else "(which versions the tests use stands in a checkout)"
    return [ok("packages", f"all {len(wanted)} are there {beside}")]


def _release(number: str) -> str:
    """A version without what a build adds, such as `+cu130`."""
    return number.partition("+")[0]


def _plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
