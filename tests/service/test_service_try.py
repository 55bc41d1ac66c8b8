"""Try with real parts: a session on a running stack answers as the evaluation that takes its slot over."""

from backend.api.schemas import TrySessionDetail, TryStatus
from memgen.contract.status import RunStatus
from memgen.data import load_questions
from tests.conftest import GOLDEN, TINY
from tests.running_stack import RunningStack, wait_until

SHARED = {"data": "wordproblems", "max_completion_length": 24, "max_steps": 2}


def added_checkpoint(stack: RunningStack) -> int:
    done = stack.command("checkpoint", "add", str(GOLDEN / "a" / "checkpoint"), "--preset", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    with stack.client() as client:
        return client.checkpoints().items[0].id


def followed(stack: RunningStack, session_id: int, status: TryStatus) -> TrySessionDetail:
    seen: list[TrySessionDetail] = []

    def is_there() -> bool:
        with stack.client() as client:
            seen.append(client.try_session(session_id))
        assert seen[-1].failure is None, seen[-1].failure
        return seen[-1].status is status

    wait_until(is_there, 120, f"session {session_id} to be {status}")
    return seen[-1]


def test_session_answers_as_the_evaluation_does_that_takes_its_slot_over(stack: RunningStack) -> None:
    checkpoint = added_checkpoint(stack)
    row = load_questions("wordproblems", "test", limit=1)[0]
    with stack.client() as client:
        session = client.open_try(checkpoint=checkpoint, shared=SHARED)
        labels = [column.label for column in session.columns]
        assert labels == ["base", "weaver", "weaver+trigger", "weaver+trigger+ltpo"]
        client.ask(session.id, row.question, solution=row.solution)
        followed(stack, session.id, TryStatus.READY)
        wait_until(
            lambda: all(one.record for one in client.try_session(session.id).asked[0].answers), 120, "four answers"
        )
        tried = client.try_session(session.id).asked[0].answers
        config = session.columns[2].config | {"num_questions": 1}
        run = client.submit(config).id
    said = followed(stack, session.id, TryStatus.ENDED)
    assert (said.end, said.gives_way_to) == ("gave_way", run)
    assert stack.run_ended(run).status is RunStatus.SUCCEEDED
    with stack.client() as client:
        answer = client.answers(run).items[0]
    record = tried[2].record
    assert record is not None
    assert (answer.completion, answer.metrics) == (record.completion, record.metrics)
    assert answer.augmentations == record.augmentations


def test_command_line_asks_a_checkpoint_and_prints_what_each_column_says(stack: RunningStack) -> None:
    with stack.client() as client:
        checkpoint = client.checkpoints().items[0].id
    done = stack.command(
        "try", str(checkpoint), "What is 2 + 3?", "--solution", "\\boxed{5}", "--set", "max_completion_length=8",
        "--set", "data=wordproblems", "--set", "max_steps=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weaver+trigger+ltpo: What is 2 + 3?" in done.stdout
    assert done.stdout.count(" tokens") == 4
    with stack.client() as client:
        session = client.try_sessions().items[0].id
    followed(stack, session, TryStatus.ENDED)
    done = stack.command("sessions", "data-set", str(session), "asked", "--solution", "1=6")
    assert done.returncode == 0, done.stdout + done.stderr
    name = done.stdout.split("registered as ")[1].strip()
    assert "this set has 1" in done.stdout
    with stack.client() as client:
        assert client.data_set(name).sizes == {"test": 1}
    assert "weaver+trigger+ltpo" in stack.command("sessions", "--limit", "1").stdout
