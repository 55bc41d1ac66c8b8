"""Commands of the command line against the real application, in this process; a pause of theirs lets the run go on."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from backend.api.client import Client
from backend.commands import (
    checkpoint_cli,
    cli,
    data_set_cli,
    fix_cli,
    machine_cli,
    order_cli,
    pipeline_cli,
    pipeline_text,
    run_cli,
    run_text,
    saved_cli,
    site_cli,
)
from backend.services.site_board import SiteBoard
from memgen import __version__
from memgen.contract.alarms import find_rule
from tests.backend.conftest import SLOT, VERSIONS, Backend
from tests.checkpoints import write_checkpoint
from tests.conftest import TINY

Command = Callable[..., tuple[int, str]]
Meanwhile = Callable[[Iterable[Callable[[], object]]], None]


@pytest.fixture
def command(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command; gives its exit code and what it said."""

    def forward(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        reply = backend.http.request(request.method, path, content=request.content, headers=dict(request.headers))
        return httpx.Response(reply.status_code, content=reply.content)

    def client() -> Client:
        return Client("http://127.0.0.1", backend.context.user_token, transport=httpx.MockTransport(forward))

    for module in (
        run_cli,
        pipeline_cli,
        checkpoint_cli,
        data_set_cli,
        saved_cli,
        fix_cli,
        order_cli,
        site_cli,
        machine_cli,
    ):
        monkeypatch.setattr(module, "client", client)

    def run(*words: object, answer: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, [str(word) for word in words], input=answer)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Says what happens while a command pauses: one thing with each pause. One pause more is an error."""

    def happens(things: Iterable[Callable[[], object]]) -> None:
        coming = iter(things)
        clock = SimpleNamespace(sleep=lambda _: next(coming)())
        for module in (run_cli, run_text, pipeline_text):
            monkeypatch.setattr(module, "time", clock)

    return happens


def test_log_prints_what_is_there_and_ends(backend: Backend, command: Command) -> None:
    attempt = backend.started()
    attempt.send("log", "é\nhalf a line".encode())
    assert command("log", 1) == (0, "é\nhalf a line")
    assert command("log", 2)[0] == 2


def test_log_is_followed_into_the_next_attempt_and_to_the_end_of_the_run(
    backend: Backend, command: Command, meanwhile: Meanwhile
) -> None:
    first = backend.started()
    first.send("log", b"one\n")

    attempts = [first]

    def retry() -> None:
        first.finish("failed", "error")
        assert backend.user("POST", "/runs/1/retry").status_code == 200
        attempts.append(backend.held())
        attempts[-1].send("log", b"again\n")

    def end() -> None:
        attempts[-1].send("log", b"the end\n")
        attempts[-1].finish("stopped", "stopped")

    meanwhile([lambda: first.send("log", b"two\n"), retry, end])
    assert command("log", 1, "--follow") == (0, "one\ntwo\nagain\nthe end\n")


def test_watch_says_each_change_once_and_ends_well_with_the_run(
    backend: Backend, command: Command, meanwhile: Meanwhile
) -> None:
    attempt = backend.started()
    progress = {"event": "progress", "done": 2, "total": 6, "unit": "questions"}
    meanwhile(
        [
            lambda: attempt.say({"event": "phase", "name": "generate"}, progress),
            lambda: attempt.say({"event": "alarm", "code": "ltpo_still", "step": 8, "fact": "None has moved."}),
            lambda: attempt.beat(),
            lambda: attempt.finish(result={"num_questions": 6, "accuracy": 0.5}),
        ]
    )
    code, said = command("watch", 1)
    rule = find_rule("ltpo_still")
    assert rule is not None
    assert code == 0
    assert said.splitlines() == [
        "run 1 running: starting",
        "run 1 running: generate 2/6 questions",
        f"alarm: LTPO does not move the latents. None has moved. {rule.remedy}",
        "run 1 succeeded, accuracy 50.0 %",
    ]


def test_watch_of_a_run_that_fails_says_why_and_what_to_do(
    backend: Backend, command: Command, meanwhile: Meanwhile
) -> None:
    attempt = backend.started()
    failure = {"code": "x", "message": "Too long.", "way_out": "Cut it."}
    meanwhile([lambda: attempt.finish("failed", "error", failure=failure)])
    code, said = command("watch", 1)
    assert (code, said.splitlines()[-2:]) == (1, ["run 1 failed", "Too long. Cut it."])


def test_queue_is_shown_in_its_order_paused_and_let_go_on(backend: Backend, command: Command) -> None:
    assert command("queue") == (0, "no run is queued\n")
    for note in ("first", "second"):
        backend.submit(note=note)
    assert command("prioritize", 2, 5)[1].startswith("run 2 has priority 5")
    assert command("note", 2, "a word")[1].strip() == "run 2: a word"
    assert places(command("queue")[1]) == ["2", "1"]
    code, said = command("queue", "--pause")
    assert (code, said.splitlines()[0]) == (0, "the queue is paused")
    assert said.count("The queue is paused.") == 2  # each run says what it waits for
    assert backend.claim() is None
    assert "paused" not in command("queue", "--go-on")[1]
    assert backend.held().run_id == 2


def test_queue_names_slots_that_take_no_work(backend: Backend, command: Command) -> None:
    reason = {"code": "card_lost", "message": "GPU 0 does not answer", "way_out": "Restart the machine."}
    sick = {"reason": reason, "seconds": 3.0, "asked_again_in": 20.0}
    backend.announce(slots=[SLOT | {"name": "cpu0", "sick": sick}, SLOT | {"name": "cpu1"}])
    code, said = command("queue")
    assert (code, said.splitlines()) == (
        0,
        [
            "slot cpu0 of lab takes no work: GPU 0 does not answer. Restart the machine.",
            "  asked again in 20 s",
            "no run is queued",
        ],
    )


def test_machines_are_listed_drained_and_given_work_again(backend: Backend, command: Command) -> None:
    assert "no worker is alive" in command("machines")[1]
    packages = VERSIONS | {"torch": "2.1", "transformers": "5.2"}
    limits = {"most_runs": 3, "memory_share": 0.5}
    backend.announce(
        slots=[SLOT | {"name": "cpu0"}, SLOT | {"name": "cpu1"}],
        versions=packages, limits=limits, clock=backend.clock() - 3600,
    )  # fmt: skip
    code, said = command("machines")
    assert code == 0
    for part in ("lab", __version__, "2.1", "5.2", "cpu0, cpu1", "3", "50 %", "-3600 s"):
        assert part in said
    assert command("drain", "lab", "--slot", "cpu1") == (
        0, "slot cpu1 of lab finishes what it has and takes nothing new\n",
    )  # fmt: skip
    assert "slot cpu1 of lab is drained" in command("queue")[1]
    assert command("drain", "lab")[1] == "lab finishes what it has and takes nothing new\n"
    assert command("machines")[1].count("machine lab is drained") == 1
    assert command("undrain", "lab") == (0, "lab takes work again\n")
    assert "drained" not in command("machines")[1]
    backend.announce(versions=VERSIONS | {"memgen": "9.9"})
    assert command("machines")[1].count("machine lab has version 9.9 of MemGen Studio") == 1


@pytest.mark.parametrize("words", [(), ("lab", "--site", "far"), ("--site", "far", "--slot", "0")])
def test_drain_names_either_a_machine_or_a_site(command: Command, words: tuple[str, ...]) -> None:
    code, said = command("drain", *words)
    assert (code, "name either a machine" in said) == (2, True)


def places(table: str) -> list[str]:
    """Numbers of the runs in a table of the queue."""
    cells = [line.split("│") for line in table.splitlines() if line.startswith("│")]
    return [row[2].strip() for row in cells]


def test_priority_of_a_run_that_has_started_is_refused(backend: Backend, command: Command) -> None:
    backend.started()
    code, said = command("prioritize", 1, 5)
    assert (code, said[:7]) == (1, "error: ")
    assert command("prioritize", "--", 1, -(10**9))[0] == 2
    assert backend.run(1)["priority"] == 0


def test_deletion_shows_what_goes_and_asks_first(backend: Backend, command: Command) -> None:
    attempt = backend.started()
    attempt.send("log", b"x" * 100)
    attempt.finish("failed", "error")
    folder = backend.home / "runs" / "1"
    folder.mkdir(parents=True)
    code, said = command("delete", 1, answer="n\n")
    assert code == 0
    assert "Delete this for good?" in said
    assert "runs/1" in said
    assert "deleted" not in said
    assert folder.exists()
    code, said = command("delete", 1, answer="y\n")
    assert (code, said.splitlines()[-1].endswith("deleted")) == (0, True)
    assert not folder.exists()
    assert command("delete", 1, "--yes")[0] == 2


def test_deletion_of_a_run_that_goes_on_is_refused_whatever_is_answered(backend: Backend, command: Command) -> None:
    backend.started()
    code, said = command("delete", 1, "--yes")
    assert (code, said.splitlines()[-1][:7]) == (1, "error: ")
    assert backend.run(1)["status"] == "running"


def test_pipelines_are_listed_newest_first_with_the_steps_that_are_done(backend: Backend, command: Command) -> None:
    backend.submit_pipeline(note="older")
    backend.work()
    backend.submit_pipeline(note="newer")
    code, said = command("pipeline", "list")
    newer, older = [line for line in said.splitlines() if "running" in line]
    assert code == 0
    assert "newer" in newer
    assert "0/6" in newer
    assert "older" in older
    assert "1/6" in older
    assert "older" not in command("pipeline", "list", "--limit", 1)[1]


def test_pipeline_is_watched_to_its_good_end(backend: Backend, command: Command, meanwhile: Meanwhile) -> None:
    backend.submit_pipeline()

    def work() -> None:
        backend.work()
        backend.reconciler.round()

    meanwhile([work] * 6)
    code, said = command("pipeline", "watch", 1)
    assert (code, said.splitlines()[-1]) == (0, "pipeline 1 succeeded")
    assert "[2/6] Weaver SFT (run 2): succeeded" in said
    assert said.count("[1/6] Base evaluation (run 1): succeeded") == 1


def test_pipeline_that_is_stopped_while_it_is_watched_ends_badly(
    backend: Backend, command: Command, meanwhile: Meanwhile
) -> None:
    backend.submit_pipeline()
    stopped: list[tuple[int, str]] = []
    meanwhile([lambda: stopped.append(command("pipeline", "stop", 1))])
    code, said = command("pipeline", "watch", 1)
    assert (code, said.splitlines()[-1]) == (1, "pipeline 1 cancelled")
    assert stopped == [(0, "pipeline 1 is cancelled\n")]
    assert command("pipeline", "stop", 1)[0] == 1
    assert command("pipeline", "watch", 7)[0] == 2


def test_several_runs_are_stopped_and_deleted_by_one_command(backend: Backend, command: Command) -> None:
    for _ in range(3):
        backend.submit()
    code, said = command("stop", 1, 2, 9)
    assert (code, said.splitlines()) == (
        1, ["run 1: leaves the queue", "run 2: leaves the queue", "run 9: there is no run with this id"]
    )  # fmt: skip
    code, said = command("delete", 1, 2, 3, answer="n\n")
    assert (code, "2 runs with 0.0 MB go" in said, "run 3: run 3 is queued" in said) == (0, True, True)
    assert len(backend.get("/runs")["items"]) == 3
    assert command("delete", 1, 2, "--yes")[1].splitlines()[-1] == "2 deleted"
    assert [run["id"] for run in backend.get("/runs")["items"]] == [3]
    assert command("stop", *range(1, 202))[0] == 2
    assert "accuracy" in command("runs", "--sort=-loss")[1]


def test_runs_are_tagged_listed_by_tag_and_archived(backend: Backend, command: Command) -> None:
    for _ in range(3):
        backend.stop(backend.submit())
    assert command("tag", 1, 2, "--add", "7B", "--group", "lr sweep") == (
        0, "run 1: changes its tags\nrun 2: changes its tags\n",
    )  # fmt: skip
    _, tags = command("tags")
    assert all(word in tags for word in ("7B", "lr sweep"))
    code, listed = command("runs", "--tag", "7b")
    assert (code, "lr sweep, 7B" in listed, listed.count("cancelled")) == (0, False, 2)
    assert "7B, lr sweep" in listed
    assert command("archive", "--tagged", "7b") == (0, "run 2: goes into the archive\nrun 1: goes into the archive\n")
    assert command("runs")[1].count("cancelled") == 1
    assert command("runs", "--archived", "only", "--group", "lr sweep")[1].count("cancelled") == 2
    assert command("archive", 1, "--take-out") == (0, "run 1: comes out of the archive\n")
    assert command("tag", 1, "--tagged", "7B", "--add", "x")[0] == command("archive")[0] == 2
    assert "no run has this tag" in command("archive", "--tagged", "x")[1]


def test_search_shows_what_is_found_and_ends_badly_where_nothing_is(backend: Backend, command: Command) -> None:
    backend.submit(note="for the paper")
    code, text = command("search", "paper", "the")
    assert (code, "run 1" in text, "for the paper" in text) == (0, True, True)
    assert command("search", "nowhere")[0] == 1


def test_pipelines_are_tagged_and_archived(backend: Backend, command: Command) -> None:
    backend.submit_pipeline()
    assert command("pipeline", "tag", 1, "--add", "Paper") == (0, "pipeline 1: changes its tags\n")
    assert "Paper" in command("pipeline", "list", "--tag", "paper")[1]
    code, text = command("pipeline", "archive", 1)
    assert (code, "is queued" in text) == (1, True)
    backend.submit_pipeline()
    assert command("pipeline", "tag", "--tagged", "paper", "--add", "7B") == (0, "pipeline 1: changes its tags\n")
    assert "no pipeline has this tag" in command("pipeline", "archive", "--tagged", "x")[1]
    assert command("pipeline", "archive")[0] == 2


def test_pipeline_is_submitted_with_tags_and_a_group(backend: Backend, command: Command) -> None:
    options = ("--preset", backend.config["preset"], "--data", backend.config["data"], "--num-questions", 6)
    assert command("pipeline", "run", *options, "--tag", "7B", "--group", "sweep")[0] == 0
    assert backend.get("/pipelines/1")["tags"] == ["7B", "sweep"]
    assert {backend.run(run_id)["group"] for run_id in range(1, 7)} == {"sweep"}


def test_data_set_is_looked_at_registered_listed_and_deleted(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "문제.csv"
    file.write_bytes("\ufeff질문,정답\r\n".encode() + b"".join(b"%d+1?,%d\r\n" % (n, n + 1) for n in range(20)))
    code, said = command("data-set", "preview", file)
    assert (code, said.splitlines()[0]) == (0, "columns: 질문, 정답")
    options = ("--name", "sums", "--question", "질문", "--answer", "정답")
    code, said = command("data-set", "add", file, *options, "--check")
    assert code == 0
    assert "20 rows: 14 train, 2 validation (drawn), 4 test (drawn)" in said
    assert "registered" not in said
    code, said = command("data-set", "add", file, *options)
    name = said.splitlines()[-1].removeprefix("registered as ")
    assert (code, name[:5]) == (0, "sums-")
    assert name in command("data-set", "list")[1]
    assert command("launch", "--data", name)[0] == 0
    assert "1 run has not ended" in command("data-set", "delete", name, "--yes")[1]
    assert command("stop", 1)[0] == 0
    assert command("data-set", "delete", name, answer="n\n")[1].count("deleted") == 0
    assert command("data-set", "delete", name, "--yes")[1].splitlines()[-1] == "deleted"
    assert command("data-set", "delete", name, "--yes")[0] == 2

    code, said = command("data-set", "add", file, "--name", "Sums!", "--question", "질문")
    assert (code, "name" in said) == (2, True)
    code, said = command("data-set", "add", f"test={file}", "--name", "sums", "--question", "질문", "--answer", "none")
    assert (code, "no such column" in said) == (2, True)
    code, said = command("data-set", "add", "backend:/etc/passwd", "--name", "sums")
    assert (code, "no such file in a folder that may be read" in said) == (2, True)


def test_checkpoint_from_outside_is_added_listed_started_from_and_deleted(command: Command, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    (folder / "optimizer.pt").write_bytes(b"stays here")
    code, said = command("checkpoint", "add", folder, "--preset", TINY, "--note", "theirs")
    assert code == 0, said
    assert said.splitlines()[-1].startswith(f"checkpoint 1: weaver for {TINY}, hash ")
    assert "from outside: mine" in command("checkpoints")[1]
    assert "already" in command("checkpoint", "add", folder, "--preset", TINY)[1]
    code, said = command("checkpoint", "add", tmp_path / "nothing")
    assert (code, "there are no files" in said.lower()) == (2, True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no checkpoint")
    code, said = command("checkpoint", "add", tmp_path / "empty", "--preset", TINY)
    assert (code, "projs.bin" in said) == (2, True)
    options = ("--preset", TINY, "--data", "wordproblems", "--num-questions", 4)
    code, said = command("launch", "--set", "setting=weaver", "--set", "checkpoint=1", *options)
    assert code == 0, said
    assert "starts from this checkpoint" in command("checkpoint", "delete", 1, "--yes")[1]
    assert command("stop", 2)[0] == 0
    assert command("checkpoint", "delete", 1, answer="n\n")[1].count("deleted") == 0
    assert command("checkpoint", "delete", 1, "--yes")[1].splitlines()[-1] == "deleted"


def test_settings_of_a_run_are_kept_launched_again_and_deleted(backend: Backend, command: Command) -> None:
    backend.submit(seed=7)
    assert command("saved", "save", "seven", "--run", 1, "--note", "for a test") == (0, "saved as seven\n")
    assert "seven" in command("saved", "list")[1]
    code, said = command("launch", "--saved", "seven", "--set", "batch_size=2")
    assert code == 0, said
    again = backend.run(2)["config"]
    assert again == backend.run(1)["config"] | {"batch_size": 2}
    code, said = command("pipeline", "run", "--saved", "seven")
    assert (code, "memgen-studio launch --saved" in said) == (2, True)
    assert command("saved", "delete", "seven") == (0, "deleted seven\n")
    assert "none is kept yet" in command("launch", "--saved", "seven")[1]


def test_settings_of_a_pipeline_are_kept_and_run_again(backend: Backend, command: Command) -> None:
    backend.submit_pipeline(steps={"weaver_sft": {"max_steps": 3}})
    assert command("saved", "save", "chain", "--pipeline", 1) == (0, "saved as chain\n")
    code, said = command("pipeline", "run", "--saved", "chain", "--set", "ltpo_eval.max_steps=2")
    assert code == 0, said
    spec = backend.get("/pipelines/2")["spec"]
    assert spec["steps"] == {"weaver_sft": {"max_steps": 3}, "ltpo_eval": {"max_steps": 2}}
    assert command("launch", "--saved", "chain")[0] == 2
    assert command("saved", "save", "chain")[0] == 2


def test_pipeline_is_shown_with_changes_and_warnings(
    backend: Backend, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    backend.submit_pipeline(include=["base_eval", "weaver_sft", "weaver_eval"])
    backend.work()
    held = backend.held()
    held.say({"event": "warning", "code": "flat", "message": "the loss is flat"})
    backend.complete(held)
    backend.reconciler.round()
    held = backend.held()
    held.answer(*range(6))
    backend.complete(held, result={"num_questions": 6, "accuracy": 1.0})
    code, said = command("pipeline", "show", 1)
    assert code == 0, said
    assert "warning of Weaver SFT: the loss is flat" in said
    assert "+100.0 (" in said


TOO_LONG = {
    "code": "examples_too_long",
    "message": "too long",
    "field": "max_completion_length",
    "way_out": "Raise it.",
}


def test_failed_run_is_mended_with_another_setting(backend: Backend, command: Command) -> None:
    backend.started(note="mine").finish("failed", "invalid_config", failure=TOO_LONG)
    code, said = command("fix", 1, "--set", "max_completion_length=48")
    assert code == 0, said
    assert "it mends run 1" in said
    run = backend.run(2)
    assert (run["fixes_id"], run["note"], run["config"]["max_completion_length"]) == (1, "mine", 48)
    assert command("fix", 2, "--set", "seed=1")[0] == 2


def test_step_of_a_pipeline_is_mended_and_the_rest_follows(backend: Backend, command: Command) -> None:
    backend.submit_pipeline(steps={"weaver_sft": {"max_steps": 2}})
    backend.work()
    backend.work("failed", failure=TOO_LONG)
    backend.reconciler.round()
    code, said = command("fix", 2, "--set", "max_steps=4", "--note", "again")
    assert code == 0, said
    assert said.startswith("pipeline 2 mends pipeline 1: base_eval reused, weaver_sft")
    spec = backend.get("/pipelines/2")["spec"]
    assert (spec["fixes"], spec["note"], spec["steps"]["weaver_sft"]) == (1, "again", {"max_steps": 4})
    code, said = command("fix", 2, "--set", "max_completion_length=48")
    assert (code, "max_completion_length" in said) == (2, True)  # the base's answers were made under another length


SITES = """
[lab]
executor = "slurm"
folder = "/shared/jobs"
sizes = [{ name = "one", gpus = 2, memory_gib = 80 }, { name = "cpu", memory_gib = 8 }]
"""


def test_sites_are_listed_and_a_run_or_a_pipeline_goes_to_one(
    backend: Backend, command: Command, tmp_path: Path
) -> None:
    assert "There is no site" in command("sites")[1]
    file = tmp_path / "sites.toml"
    file.write_text(SITES)
    backend.context.board = SiteBoard(file, backend.home, backend.clock)
    words = ("--set", f"preset={TINY}", "--set", "data=wordproblems", "--set", "num_questions=6")
    code, said = command("launch", *words, "--site", "lab")
    assert (code, said) == (0, "run 1 is queued: It is handed in at site lab within seconds.\n")
    assert backend.run(1)["site"] == "lab"
    code, said = command("launch", *words, "--site", "moon")
    assert (code, "here is no site of this name" in said) == (2, True)
    code, said = command("sites")
    assert code == 0
    for part in ("lab", "Slurm", "one (2 x 80 GiB), cpu (8 GiB)", "0/50"):
        assert part in said
    assert command("drain", "--site", "lab") == (0, "site lab finishes what it has and takes nothing new\n")
    assert "drained" in command("sites")[1]
    assert "`memgen-studio undrain --site lab`" in backend.run(1)["waits_for"]
    assert command("undrain", "--site", "lab") == (0, "site lab takes work again\n")
    code, said = command("drain", "--site", "moon")
    assert (code, "here is no site of this name" in said) == (2, True)
    changes = (
        "--set",
        f"shared.preset={TINY}",
        "--set",
        "shared.data=wordproblems",
        "--set",
        "evaluations.num_questions=6",
    )
    assert command("pipeline", "run", *changes, "--site", "lab")[0] == 0
    assert backend.run(2)["site"] == "lab"
