"""A run that failed for a reason in its config: which fields the failure names, and how its pipeline goes on.

A run's config never changes, and a resume under another config is refused (`resume_mismatch`): no field may differ if
steps are to be taken over exactly. So what mends a run is a new run, which starts from its beginning and remembers
which one it mends; in a pipeline, a new pipeline in which finished steps stand for themselves.
"""

import re
from collections.abc import Mapping
from typing import Any

from memgen.contract.pipeline import SAME_QUESTIONS, SHARED, STEPS, PipelineSpec, StepName
from memgen.contract.problem import Problem
from memgen.contract.stages import find_stage, trains

NOT_TO_FIX = frozenset({"stage", "setting", "checkpoint", "resume"})


def blamed_fields(config: Mapping[str, Any], failure: Problem | None) -> list[str]:
    """Fields of a config that a failure names: the one that it is about first, then those of its way out.

    Args:
        config: of the run.
        failure: what its trainer said.
    """
    stage = find_stage(str(config.get("stage")))
    if failure is None or stage is None:
        return []
    named = [failure.field or "", *re.findall(r"\w+", failure.way_out)]
    fields = stage.config.model_fields
    return [name for name in dict.fromkeys(named) if name in fields and name not in NOT_TO_FIX]


def is_to_fix(config: Mapping[str, Any], failure: Problem | None) -> bool:
    """Whether a failure is one of the config, which running it once more would not mend."""
    return bool(blamed_fields(config, failure))


def place_of(step: StepName, field: str) -> str:
    """Where a pipeline says a field of a step: `shared`, `evaluations`, or the step's name."""
    if field in SHARED:
        return "shared"
    return "evaluations" if field in SAME_QUESTIONS and not trains(STEPS[step].stage) else step


def fixing_spec(spec: PipelineSpec, pipeline_id: int, finished: Mapping[StepName, int]) -> PipelineSpec:
    """The pipeline again, with its finished steps standing for themselves.

    Args:
        spec: of the pipeline that failed.
        pipeline_id: its number.
        finished: runs of it that have succeeded.
    """
    left = [name for name in spec.to_run if name not in finished]
    return spec.model_copy(
        update={
            "reuse": {**spec.reuse, **finished},
            "include": left,
            "steps": {name: fields for name, fields in spec.steps.items() if name in left},
            "fixes": pipeline_id,
        }
    )
