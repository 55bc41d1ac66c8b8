"""The file of kept rollouts while a training writes it: each step once, also after a kill and a resume.

Whoever looks at rollouts learns from them; the training does not. So what goes wrong here is said once, and the
training goes on.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from memgen.contract.data_sets.registry import data_set
from memgen.contract.plain_file import open_plain
from memgen.contract.rollouts import Decided, RolledOut, RolloutGroup, kept_every
from memgen.contract.stage_configs import FromRewards
from memgen.scoring import answer_of
from memgen.stages.context import Context
from memgen.stages.rollout import Facts, Judged
from memgen.stages.slices import slices


class RolloutBook:
    """The rollouts of a training that are kept, appended as steps are done. Of several ranks the main one writes.

    Args:
        config: of the run.
        context: of the run.
        total_steps: of the training.
        done: steps of the checkpoint that it goes on from; what an earlier attempt kept of them is taken over, and what
            it kept of later ones is not, as they are done again.
    """

    def __init__(self, config: FromRewards, context: Context, total_steps: int, done: int) -> None:
        self._config = config
        self._monitor = context.monitor
        self._every = kept_every(config, total_steps)
        self._path: Path | None = context.run_dir.rollouts if self._every and context.team.is_main else None
        if self._path is None:
            return
        earlier = context.resume.rollouts if context.resume is not None and done else None
        try:
            _begin(self._path, [] if earlier is None else self._of_steps(earlier, done))
        except OSError as error:
            self._give_up(error)

    def keep(self, step: int, judged: Judged | None = None) -> None:
        """Append the groups of a step that is done, if it is the first that learned from them and is to be kept."""
        if self._path is None or judged is None or not self._wants(step):
            return
        lines = [one.model_dump_json() for one in self._groups(step, judged)]
        try:
            _append(self._path, "".join(f"{line}\n" for line in lines))
        except OSError as error:
            self._give_up(error)

    def _wants(self, step: int) -> bool:
        number, rest = divmod(step - 1, self._config.num_iterations)
        return not rest and number % self._every == 0

    def _groups(self, step: int, judged: Judged) -> list[RolloutGroup]:
        kind = data_set(self._config.data).answer
        costs = any(one.score != reward for one, reward in zip(judged.facts, judged.rewards, strict=True))
        rows = list(zip(judged.facts, judged.rewards, judged.advantages, strict=True))
        return [
            RolloutGroup(
                step=step,
                place=place,
                every=self._every,
                id=question.id,
                question=question.question,
                solution=question.solution,
                expected=answer_of(question.solution, kind),
                completions=[
                    _completion(facts, advantage, answer_of(facts.text, kind), reward if costs else None)
                    for facts, reward, advantage in group
                ],
            )
            for place, (question, group) in enumerate(
                zip(judged.questions, slices(rows, self._config.num_generations), strict=True)
            )
        ]

    def _of_steps(self, path: Path, done: int) -> list[bytes]:
        """Lines of an earlier attempt's file up to a step; its last one may be torn."""
        try:
            with open_plain(path) as file:
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        groups = [(line, _read(line)) for line in lines]
        unread = sum(group is None for _, group in groups)
        if unread:
            self._monitor.warn("rollouts_damaged", f"{unread} lines of the kept completions can't be read any more")
        return [line for line, group in groups if group is not None and group.step <= done]

    def _give_up(self, error: OSError) -> None:
        self._path = None
        self._monitor.warn("rollouts_not_kept", f"completions are not kept any more: {error.strerror or error}")


def _completion(facts: Facts, advantage: float, extracted: str | None, reward: float | None) -> RolledOut:
    """One completion; `reward` is given where it is not the score alone."""
    penalty = {} if reward is None else {"penalty": reward - facts.score}
    points: Sequence[Decided] = facts.points
    return RolledOut(
        completion=facts.text,
        extracted=extracted,
        rewards={"accuracy": facts.score, **penalty},
        advantage=advantage,
        completion_tokens=facts.length,
        truncated=not facts.ended,
        boxed=facts.boxed,
        augmentations=list(points),
    )


def _read(line: bytes) -> RolloutGroup | None:
    try:
        return RolloutGroup.model_validate_json(line)
    except ValidationError:
        return None


def _begin(path: Path, lines: Sequence[bytes]) -> None:
    """Write the file anew with these lines, whole or not at all; it may be the one that they were read from."""
    temporary = path.with_suffix(".taken")
    with temporary.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _append(path: Path, text: str) -> None:
    """Append, and see to it that it is on the disk before a checkpoint of the step can be."""
    with path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
