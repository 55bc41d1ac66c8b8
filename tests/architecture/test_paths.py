"""Paths below the home are made by the functions of two modules: who spells one again breaks when it moves."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("memgen", "backend", "worker", "dashboard")
OWN = {"memgen/contract/rundir.py", "memgen/contract/service_files.py"}


def spelled(source: str) -> list[str]:
    """What of a program joins the home with a name that stands in the program."""
    joins = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    ]
    return [
        ast.unparse(node)
        for node in joins
        if ast.unparse(node.left).split(".")[-1].strip("_") == "home"
        and isinstance(node.right, ast.JoinedStr | ast.Constant)
    ]


def test_no_module_spells_a_path_below_the_home_again() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    found = {str(file.relative_to(ROOT)): spelled(file.read_text()) for file in files}
    assert {path: joins for path, joins in found.items() if joins and path not in OWN} == {}
    assert all(found[path] for path in OWN)


def test_the_count_sees_texts_after_any_home() -> None:
    assert spelled('x = self._settings.home / "runs" / name') == ["self._settings.home / 'runs'"]
    assert spelled('home / f"{name}.lock"; self._home / "a"') == ["home / f'{name}.lock'", "self._home / 'a'"]
    assert spelled("home / name; other / 'a'; MEMGEN_HOME / 2 if 0 else home / folder") == []
