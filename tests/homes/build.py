"""Fill a home with what an upgrade has to keep: `python -m tests.homes.build NAME` writes NAME.tar.gz and NAME.json.

A pipeline of six finished runs, a failed run, a training and an evaluation that were saved and stopped, and a run that
waits. The archive holds the home without tokens, logs of services and locks; the JSON holds what the API said of it.
"""

import json
import sys
import tarfile
import tempfile
from pathlib import Path

from backend.api.schemas import RunDetail
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.status import RunStatus, StopMode
from tests.conftest import GOLDEN, TINY
from tests.running_stack import RunningStack, wait_until

HERE = Path(__file__).parent
ONE = {"preset": TINY, "data": "wordproblems"}
SPEC = PipelineSpec(
    note="of the version before",
    shared={**ONE, "max_completion_length": 64},
    evaluations={"num_questions": 6, "batch_size": 6},
    steps={
        "weaver_sft": {"num_questions": 8, "max_steps": 2, "eval_questions": 4, "learning_rate": 0.01},
        "trigger_grpo": {
            "num_questions": 40, "batch_size": 4, "num_generations": 4, "max_steps": 8, "sample_tokens": True,
            "learning_rate": 0.001,
        },
        "ltpo_eval": {"max_steps": 2},
    },
)  # fmt: skip
COMPARED = ("base_eval", "weaver_eval", "trigger_eval", "ltpo_eval")
LEFT_OUT = ("./services", "./worker", "./backend/token", "./backend/worker-token", "./backend/url")


def fill(stack: RunningStack) -> dict[str, object]:
    """Run what the home shall hold; returns what the API says of it."""
    with stack.client() as client:
        pipeline = client.submit_pipeline(SPEC)
        ids = {step.step: step.run.id for step in pipeline.steps if step.run is not None}
        for run_id in ids.values():
            assert stack.run_ended(run_id, 240).status is RunStatus.SUCCEEDED, stack.how_runs_ended()

        failed = client.submit({"stage": "evaluate", **ONE, "num_questions": 6, "max_prompt_length": 16}, note="failed")
        stack.run_ended(failed.id)

        training = client.submit(
            {
                "stage": "weaver_sft", **ONE, "num_questions": 100, "batch_size": 2, "num_train_epochs": 10,
                "max_steps": 400, "save_steps": 2, "eval_questions": 4, "max_completion_length": 128,
            },
            note="training, saved",
        )  # fmt: skip
        saved = stack.home / "runs" / str(training.id) / "attempts" / "1" / "checkpoints"
        wait_until(lambda: list(saved.glob("step-*")), 120, "a checkpoint")
        client.stop(training.id, StopMode.SAVE)
        assert stack.run_ended(training.id).can_resume

        answering = client.submit(
            {"stage": "evaluate", **ONE, "num_questions": 60, "batch_size": 2, "max_completion_length": 160},
            note="evaluation, saved",
        )
        stack.run_when(answering.id, _has_answers, 120, "answers")
        client.stop(answering.id, StopMode.SAVE)
        assert stack.run_ended(answering.id).can_resume

        client.pause_queue(True)
        client.submit({"stage": "evaluate", **ONE, "num_questions": 4, "max_completion_length": 16}, note="queued")
        return {
            "runs": {run.id: run.model_dump(mode="json") for run in client.runs().items},
            "compare": client.compare([ids[step] for step in COMPARED]).model_dump(mode="json"),
            "checkpoints": [one.model_dump(mode="json") for one in client.checkpoints().items],
        }


def _has_answers(run: RunDetail) -> bool:
    return run.progress is not None and (run.progress.done or 0) >= 4


def build(name: str) -> None:
    """Write an archive of a filled home and what the API said of it."""
    with tempfile.TemporaryDirectory() as folder:
        presets = Path(folder) / "presets.json"
        presets.write_text(json.dumps([{"name": TINY, "note": "for tests", "folder": str(GOLDEN / "tiny_base")}]))
        stack = RunningStack(Path(folder) / "home", presets)
        stack.up()
        try:
            said = fill(stack)
        finally:
            stack.close()
        (HERE / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n")
        with tarfile.open(HERE / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(stack.home, ".", filter=_kept)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name in LEFT_OUT or member.name.endswith(".lock"):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    build(sys.argv[1])
