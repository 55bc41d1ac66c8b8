"""Stage `evaluate`: answer questions greedily, score the answers, append each as it is done.

Batches are fixed slices of the question list. A resumed evaluation generates a half-answered batch whole
again and keeps only what was missing, so that every answer comes from the same batch as without a stop.
"""

from pathlib import Path

from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stage_configs import EvaluateConfig
from memgen.data import load_questions
from memgen.data.questions import Question
from memgen.environment import describe, same_conditions
from memgen.model.chat import question_messages, render
from memgen.monitor import Monitor
from memgen.stages.answer_book import AnswerBook
from memgen.stop import StopRequest


def evaluate(
    config: EvaluateConfig,
    run_dir: RunDir,
    resume: RunDir | None,
    home: Path,
    gsm8k_folder: Path | None,
    monitor: Monitor,
    stop: StopRequest,
) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Args:
        config: what to evaluate.
        run_dir: where the answer file goes.
        resume: folder of an earlier attempt whose answers are taken over; may be `run_dir` itself.
        home: where weights are kept.
        gsm8k_folder: folder with GSM8K, or None for the hub.
        monitor: told about phases, progress and metrics.
        stop: asked at every token.

    Raises:
        BadInput: data, model or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    questions = _questions(config, gsm8k_folder, monitor)

    from memgen.model.base import load_base, use_threads  # torch takes seconds: not before the config is known good
    from memgen.model.fetch import fetch_model
    from memgen.model.generation import encode_prompts, generate_greedy

    threads = use_threads()
    source = fetch_model(get_preset(config.preset), config.revision, home, monitor)
    stop.check()
    monitor.phase("load", source.identity)
    base = load_base(source, config.dtype)
    environment = describe(config, base, source, threads)
    if resume is not None:
        same_conditions(environment, resume)
    write_json(run_dir.environment, environment)

    prompts = encode_prompts(base, [render(question_messages(q.question)) for q in questions], config.max_prompt_length)
    taken_from = resume.answers if resume else None
    book = AnswerBook(run_dir.answers, questions, monitor, config.batch_size, taken_from)
    monitor.phase("generate", f"{len(questions)} questions in batches of {config.batch_size}")
    book.report()
    num_batches = -(-len(questions) // config.batch_size)
    for number, start in enumerate(range(0, len(questions), config.batch_size), start=1):
        batch = range(start, min(start + config.batch_size, len(questions)))
        if all(index in book for index in batch):
            continue
        book.begin_batch(number, num_batches, start)
        generate_greedy(
            base,
            [prompts[index] for index in batch],
            config.max_completion_length,
            lambda row, ids, truncated: book.add_row(
                row, base.tokenizer.decode(ids, skip_special_tokens=True), len(ids), truncated
            ),
            lambda: stop.requested() is not None,
            book.tell_token,
        )
        stop.check()
    return book.close().summary_metrics


def _questions(config: EvaluateConfig, gsm8k_folder: Path | None, monitor: Monitor) -> list[Question]:
    where = f"folder {gsm8k_folder}" if gsm8k_folder and config.data == "gsm8k" else ""
    monitor.phase("data", f"{config.data} {config.split} {where}".strip())
    return load_questions(
        config.data, config.split, seed=config.seed, limit=config.num_questions, gsm8k_folder=gsm8k_folder
    )
