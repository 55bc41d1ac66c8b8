"""A Python environment with packages of a lab's own, installed as an installer would leave them; no network."""

import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path


def lab_environment(folder: Path, packages: Mapping[str, Mapping[str, str]], entry_points: Mapping[str, str]) -> str:
    """Make the environment; returns its interpreter.

    Args:
        folder: of the environment; must not exist.
        packages: files of each package by their path, e.g. `toy_sets/__init__.py`.
        entry_points: of each package, as its `entry_points.txt` has them.
    """
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    site = Path(paths["purelib"])
    # what runs this test, below what is installed here
    (site / "base.pth").write_text("".join(f"{entry}\n" for entry in sys.path if entry))
    for name, files in packages.items():
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        record = site / f"{name.replace('-', '_')}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (record / "entry_points.txt").write_text(entry_points[name])
    return str(python)
