"""What the product knows of a data set stands in the data set's own modules: no other asks for one by name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from memgen.contract.data_sets.registry import BUILT_IN

ROOT = Path(__file__).parents[2]
PACKAGES = ("memgen", "backend", "worker", "dashboard")
REGISTRY = "memgen/contract/data_sets/registry.py"
"""Which data sets there are, and which of them configs and the demo start from: the tuple of ours."""
NAMED = re.compile("|".join(one.name.removesuffix("_easy") for one in BUILT_IN), re.IGNORECASE)


def is_own(path: str) -> bool:
    """Whether a module is one of a data set: its record, or the reader of its rows."""
    folder, _, name = path.rpartition("/")
    return folder in {"memgen/contract/data_sets", "memgen/data"} and NAMED.search(name) is not None


def names_in(source: str) -> Iterator[str]:
    """Identifiers, modules and texts of a program, without docstrings and comments."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for attribute in ("id", "attr", "arg", "name", "module"):
            value = getattr(node, attribute, None)
            if isinstance(value, str):
                yield value


def test_no_module_outside_the_data_sets_own_asks_for_one_by_name() -> None:
    asking = {
        f"{path}: {name}"
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if not is_own(path := str(file.relative_to(ROOT))) and path != REGISTRY
        for name in names_in(file.read_text())
        if NAMED.search(name)
    }
    assert asking == set()


def test_the_count_sees_names_in_texts_arguments_attributes_and_imports() -> None:
    for source in ("x == 'gsm8k'", "f(gsm8k_folder=1)", "a.gsm8k_dir", "import memgen.data.gsm8k", "GSM8K = 1"):
        assert any(NAMED.search(name) for name in names_in(source)), source
    assert not any(NAMED.search(name) for name in names_in('"""GSM8K."""\n# gsm8k\nx = 1\n"""wordproblems"""'))
    assert [is_own(path) for path in ("memgen/data/gsm8k_hub.py", "memgen/data/load.py", "backend/gsm8k.py")] == [
        True, False, False,
    ]  # fmt: skip
