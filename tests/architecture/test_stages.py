"""What the product knows of a stage stands in the stage's own two modules; nothing else asks which stage it has."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memgen.contract.stage_configs import StageConfig
from memgen.contract.stages import STAGES

ROOT = Path(__file__).parents[2]
NAMES = {stage.name for stage in STAGES}
# these list the steps of a pipeline, some of which have the name of their stage
TABLES_OF_STEPS = {"memgen/contract/pipeline.py", "memgen/contract/demo.py", "memgen/contract/presets.py"}


def classes_below(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from classes_below(one)


CLASSES = {one.__name__ for one in classes_below(StageConfig) if one.__module__.startswith("memgen.")}
OWN_CLASSES = {stage.config.__name__ for stage in STAGES}


def own_modules() -> set[str]:
    modules = {stage.config.__module__ for stage in STAGES} | {stage.runner.partition(":")[0] for stage in STAGES}
    return {f"{module.replace('.', '/')}.py" for module in modules}


def names_in(node: ast.AST | None) -> set[str]:
    """Names of classes in an expression."""
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} if node else set()
    return found | ({one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)} if node else set())


def is_name(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES


def asks(tree: ast.AST, *, tables: bool = True) -> list[str]:
    """The places of a module that ask which stage something is of.

    Args:
        tree: of the module.
        tables: whether a dictionary with the name of a stage among its keys counts.
    """
    found = []
    for node in ast.walk(tree):
        asked = False
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
                asked = bool(names_in(classes) & CLASSES)
            case ast.Compare():
                sides = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
                asked = any(is_name(part) for part in sides)
            case ast.MatchValue(value=value):
                asked = is_name(value)
            case ast.MatchClass(cls=classes):
                asked = bool(names_in(classes) & CLASSES)
            case ast.Subscript(slice=key):
                asked = is_name(key)
            case ast.Call(func=ast.Attribute(attr="get"), args=[key, *_]):
                asked = is_name(key)
            case ast.Dict(keys=keys) if tables:
                asked = any(is_name(key) for key in keys)
        if asked:
            found.append(f"{node.lineno}: {ast.unparse(node)[:100]}")  # type: ignore[attr-defined]
    return found


def modules() -> Iterator[tuple[str, ast.AST]]:
    for package in ("memgen", "backend", "worker", "dashboard"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_no_module_but_a_stages_own_asks_for_a_stage_by_class_or_name() -> None:
    found = {
        name: places
        for name, tree in modules()
        if name not in own_modules() and (places := asks(tree, tables=name not in TABLES_OF_STEPS))
    }
    assert found == {}


def test_a_stages_config_class_is_imported_by_the_core_alone() -> None:
    found = [
        f"{name}: {alias.name}"
        for name, tree in modules()
        if not name.startswith(("memgen/stages/", "memgen/contract/stages/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in OWN_CLASSES
    ]
    assert found == []


def test_count_sees_each_way_to_ask() -> None:
    ways = (
        "isinstance(config, WeaverSftConfig | TriggerGrpoConfig)",
        "issubclass(stage_class(name), stage_configs.Evaluation)",
        "run.stage == 'weaver_sft'",
        "run.stage not in ('weaver_sft', 'trigger_grpo')",
        "LABELS = {'evaluate': 'Evaluation'}",
        "LABELS['evaluate']",
        "LABELS.get('evaluate', '')",
        "match stage:\n    case 'evaluate' | 'ltpo_evaluate':\n        pass",
        "match config:\n    case Training():\n        pass",
    )
    assert [bool(asks(ast.parse(way))) for way in ways] == [True] * len(ways)
    assert asks(ast.parse("isinstance(value, str) and name == 'weaver_eval' and stage_of(config).trains")) == []
