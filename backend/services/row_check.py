"""What the rows of a run say of it before it is launched: whether prompts and solutions fit its limits.

Without a tokenizer lengths are known by bounds alone. A run is refused where its trainer would refuse it for certain;
where it might run there is a warning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.presets import BUILT_IN, get_preset
from memgen.contract.rows import num_rows
from memgen.contract.stages import stage_of
from memgen.data.lengths import RowLengths, added_lengths, row_lengths


@dataclass(frozen=True)
class RowCheck:
    """What is wrong for certain, and what may be."""

    problem: BadInput | None = None
    warnings: list[str] = field(default_factory=list)


def check_rows(config: RunConfig, folder: Path | None) -> RowCheck:
    """Look at the rows of a run.

    Args:
        config: of the run, whose number of questions is known to be there.
        folder: where the rows of its data set lie, if the user named a folder.
    """
    chosen, work = data_set(config.data), stage_of(config).work
    split, first = work.reads(config)[0]
    try:
        lengths = row_lengths(chosen, split, config.seed, folder)
        added = added_lengths(chosen, config.asking, split, first, config.seed, folder)
    except BadInput as error:
        if error.code != "data_set_broken":  # the trainer reads the same rows
            return RowCheck(problem=error)
        return RowCheck(warnings=[_unread(chosen, error.message)])
    except Exception as error:  # a plug-in's code; the trainer's environment may have what is missing here
        return RowCheck(warnings=[_unread(chosen, f"{type(error).__name__}: {error}")])
    if lengths is None or added is None:
        return _by_record(config, chosen, reads_solutions=work.reads_solutions)
    if work.reads_solutions:
        return _solutions(config, lengths)
    prompts = [(fewest + added[0], most + added[1]) for fewest, most in lengths.prompts[:first]]
    return _prompts(config, prompts, num_rows(config, folder))


def _by_record(config: RunConfig, chosen: DataSet, *, reads_solutions: bool) -> RowCheck:
    """What the record says of rows that are not at hand."""
    prompt, solution = chosen.longest
    if reads_solutions and (config.max_completion_length < solution or config.max_prompt_length < prompt):
        return RowCheck(
            warnings=[
                f"Training examples may be longer than max_prompt_length {config.max_prompt_length} or "
                f"max_completion_length {config.max_completion_length}, and such are left out: {chosen.word} has "
                f"prompts of up to about {prompt} and solutions of up to about {solution} tokens."
            ]
        )
    longest = config.asking.longest_prompt(chosen)
    return RowCheck(warnings=[] if config.max_prompt_length >= longest else [_long_prompts(config, chosen)])


def _prompts(config: RunConfig, prompts: Sequence[tuple[int, int]], count: int) -> RowCheck:
    """A single prompt that is too long fails the run, if it is among the `count` that the run works on."""
    limit, longest = config.max_prompt_length, config.asking.longest_prompt(data_set(config.data))
    too_long = [fewest for fewest, _ in prompts if fewest > limit]
    if not too_long and (limit >= longest or all(most <= limit for _, most in prompts)):
        return RowCheck()
    is_certain = too_long and (count >= len(prompts) or len(too_long) == len(prompts))
    if is_certain and _keeps_words_apart(config):
        least, fewer = max(too_long), ", or ask for fewer worked examples" if config.asking.num_examples else ""
        return RowCheck(
            problem=BadInput(
                "prompt_too_long",
                f"the longest prompt has at least {least} tokens",
                field="max_prompt_length",
                value=limit,
                way_out=f"Set max_prompt_length to more than {least}{fewer}.",
            )
        )
    return RowCheck(warnings=[_long_prompts(config, data_set(config.data))])


def _solutions(config: RunConfig, lengths: RowLengths) -> RowCheck:
    """Examples that are too long are left out; a training without any example fails."""
    chosen, rows = data_set(config.data), list(zip(lengths.prompts, lengths.answers, strict=True))
    limits = (config.max_prompt_length, config.max_completion_length)
    surely, perhaps = (
        sum(any(bounds[end] > limit for bounds, limit in zip(row, limits, strict=True)) for row in rows)
        for end in (0, 1)
    )
    if surely == len(rows) and _keeps_words_apart(config):
        return RowCheck(
            problem=BadInput(
                "examples_too_long",
                "every example is longer than the config allows",
                field="max_completion_length",
                value=config.max_completion_length,
                way_out=f"Raise max_completion_length or max_prompt_length; {chosen.word} has prompts of up to about "
                f"{chosen.longest[0]} and solutions of up to about {chosen.longest[1]} tokens.",
            )
        )
    is_usual = all(limit >= longest for limit, longest in zip(limits, chosen.longest, strict=True))
    if not surely and (is_usual or not perhaps):
        return RowCheck()
    number = f"{perhaps:,}" if surely == perhaps else f"{surely:,} to {perhaps:,}"
    return RowCheck(
        warnings=[
            f"{number} of the {len(rows):,} training examples are longer than max_prompt_length {limits[0]} or "
            f"max_completion_length {limits[1]} and will be left out; without any the run fails."
        ]
    )


def _long_prompts(config: RunConfig, chosen: DataSet) -> str:
    style = f" with {config.asking.words}" if config.asking.words else ""
    return (
        f"Prompts may be longer than max_prompt_length {config.max_prompt_length}, which fails the run: the longest of "
        f"{chosen.word}{style} have about {config.asking.longest_prompt(chosen)} tokens."
    )


def _unread(chosen: DataSet, reason: str) -> str:
    return f"The rows of {chosen.word} could not be read here, so their lengths were not checked: {reason[:300]}."


def _keeps_words_apart(config: RunConfig) -> bool:
    """Whether the model's tokenizer is known to make at least one token of each word."""
    return get_preset(config.preset) in BUILT_IN
