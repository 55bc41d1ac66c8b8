"""The typed client against a backend on a real port."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import (
    INSTANCE_HEADER,
    Announce,
    ChannelKind,
    ChannelPut,
    CheckpointCreate,
    CheckpointFile,
    ClaimRequest,
    DataSetCheck,
    DataSetCreate,
    DeliveryStatus,
    FinishRequest,
    GivenFile,
    NoticeEvent,
    SlotReport,
    Versions,
)
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.presets import SHIPPED_PRESET
from memgen.contract.status import Cause, PipelineStatus, RunStatus, StopMode
from tests.backend.conftest import MEMORY, Backend, answer_line, check_problem, rollout_line
from tests.checkpoints import write_checkpoint
from tests.conftest import TINY
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.serving import serving

NOBODY = "http://127.0.0.1:9"  # where no receiver listens
SLOT = SlotReport(name="cpu", device="cpu", total_memory=MEMORY)
CLAIM = ClaimRequest(host="lab", boot_id="b", pid=1, slot=SLOT, free_memory=MEMORY, versions=Versions.of_this())


class Listening(httpx.HTTPTransport):
    """A way to the backend that keeps what was asked for."""

    def __init__(self, asked: set[tuple[str, str]]) -> None:
        super().__init__()
        self._asked = asked

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._asked.add((request.method, request.url.path))
        return super().handle_request(request)


@pytest.fixture
def served(start: Callable[..., Backend]) -> Iterator[tuple[Backend, str]]:
    """A backend, and the address at which it listens."""
    backend = start(webhook_hosts=NOBODY)
    with serving(backend.http.app, free_port()) as address:
        yield backend, address


@pytest.fixture
def url(served: tuple[Backend, str]) -> str:
    return served[1]


@pytest.fixture
def tokens(served: tuple[Backend, str]) -> tuple[str, str]:
    context = served[0].context
    return context.user_token, context.worker_token


def test_client_speaks_every_route(served: tuple[Backend, str], tiny_config: dict[str, object], tmp_path: Path) -> None:
    backend, url = served
    asked: set[tuple[str, str]] = set()

    def client(token: str) -> Client:
        return Client(url, token, transport=Listening(asked))

    with client(backend.context.user_token) as user, client(backend.context.worker_token) as worker:
        speak_of_launches(user, tiny_config)
        speak_of_runs(user, worker, client, tiny_config)
        speak_of_pipelines(user, backend)
        speak_of_order(user)
        speak_of_data_sets(user)
        speak_of_checkpoints(user, tmp_path)
        speak_of_notifications(user)
        speak_of_tries(user, worker, client, tiny_config)
        speak_of_transfers(user, worker, client)
    document = backend.http.get("/api/v1/openapi.json").json()
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    unspoken = {
        (method, path)
        for method, path in routes
        if not any(method == sent and re.fullmatch(re.sub(r"{.*?}", "[^/]+", path), to) for sent, to in asked)
    }
    assert unspoken == set()


def speak_of_launches(user: Client, config: dict[str, object]) -> None:
    assert {preset.name for preset in user.presets()} >= {config["preset"], "Qwen/Qwen3-14B"}
    assert user.data_sets().items[0].name == "gsm8k"
    assert user.sites() == []
    with pytest.raises(ApiError, match="There is no site of this name"):
        user.drain_site("lab", drained=True)
    assert user.schema("evaluate")["properties"]["seed"]["description"]
    assert user.preflight(config).ok
    assert user.health().workers_alive == 0
    assert user.home().num_runs == 0
    assert user.save_launch("my + settings (é)", config).config is not None
    assert [one.name for one in user.saved_launches()] == ["my + settings (é)"]
    assert user.delete_saved_launch("my + settings (é)").name == "my + settings (é)"


def speak_of_transfers(user: Client, worker: Client, client: Callable[[str], Client]) -> None:
    """A worker with a disk of its own fetches a checkpoint, and hands in the same."""
    config = {"stage": "evaluate", "preset": SHIPPED_PRESET, "data": "wordproblems", "setting": "weaver"}
    run = user.submit(config | {"checkpoint": str(user.shipped_checkpoints().trigger)})
    claimed = worker.claim(CLAIM).attempt
    assert claimed is not None
    assert claimed.run_id == run.id
    with client(claimed.token) as supervisor:
        report = supervisor.start(claimed.attempt_id)
        assert supervisor.output(claimed.attempt_id) == {}
        for name, size in report.sizes.items():
            content = b"".join(supervisor.start_file(claimed.attempt_id, name, 0))
            assert supervisor.send_output(claimed.attempt_id, name, 0, content) == size
        supervisor.place_output(claimed.attempt_id, report)
        assert supervisor.output(claimed.attempt_id) == report.sizes


def speak_of_tries(user: Client, worker: Client, client: Callable[[str], Client], config: dict[str, object]) -> None:
    column = {name: config[name] for name in ("stage", "preset", "data")}
    worker.announce(Announce(host="lab", boot_id="b", pid=1, slots=[SLOT], versions=Versions.of_this()))
    one = user.open_try([column], note="n")
    while (claimed := worker.claim(CLAIM)).session is None:  # runs that the others have left go first
        assert claimed.attempt is not None
        with client(claimed.attempt.token) as supervisor:
            supervisor.finish(
                claimed.attempt.attempt_id, FinishRequest(outcome="stopped", cause=Cause.STOPPED, exit_code=3)
            )
    asked = user.ask(one.id, "How many?").asked
    assert [answer.status for answer in asked[0].answers] == ["waiting"]
    with client(claimed.session.token) as supervisor:
        assert [row.number for row in supervisor.beat_session(one.id).questions] == [1]
        line = b'{"event": "loaded", "time": 1.0}\n'
        assert supervisor.send_session_events(one.id, 0, line) == len(line)
        assert user.try_session(one.id).status == "ready"
        assert user.keep_try(one.id).kept
        made = user.register_questions(one.id, "asked", rows={1: "\\boxed{4}"})
        assert user.delete_data_set(str(made.report.name), confirm=True).deleted
        assert user.close_try(one.id).status == "ending"
        supervisor.finish_session(one.id, FinishRequest(outcome="stopped", cause=Cause.STOPPED, exit_code=3))
    assert [now.status for now in user.follow_try(one.id)] == ["ended"]
    assert user.try_sessions().items[0].id == one.id


def speak_of_order(user: Client) -> None:
    """Tags, the archive, views and the search; a pipeline is there, whose runs wait."""
    pipeline = user.pipelines().items[0]
    run_id = user.run_numbers().runs[0]
    assert user.tag_runs([run_id], add=["a"], group="g", confirm=True).confirmed
    assert user.tag_pipelines([pipeline.id], add=["a"], confirm=True).confirmed
    assert {one.name: one.num_group for one in user.tags()} == {"a": 0, "g": 1}
    assert user.runs(tag="a", group="g", archived="also").total == user.pipelines(tag="A").total == 1
    assert user.run_numbers(group="g").runs == [run_id]
    assert user.search("a").items[0].kind == "tag"
    assert [one.run_id for one in user.archive_runs([run_id]).refused] == [run_id]
    assert user.archive_pipelines([pipeline.id]).items[0].problem is not None
    view = user.save_view("runs", "mine", "tag=a")
    assert user.rename_view(view.id, "ours").name == "ours"
    assert [one.query for one in user.saved_views("runs")] == ["tag=a"]
    assert user.delete_view(view.id).id == view.id


def speak_of_data_sets(user: Client) -> None:
    assert user.data_files().paths == []
    data = b"".join(b'{"q": "%d?", "a": %d}\n' % (n, n) for n in range(20))
    given = GivenFile(upload=user.upload(lambda: BytesIO(data), "rows.jsonl", len(data)).id)
    assert user.preview_data_set(DataSetCheck(files=[given])).columns == ("q", "a")
    said = Registration(name="numbers", columns=Columns(question="q", answer="a"))
    name = str(user.register_data_set(DataSetCreate(files=[given], registration=said)).name)
    assert user.data_set(name).sizes == {"train": 14, "validation": 2, "test": 4}
    assert user.questions(name, text="?", limit=3).total == 4
    assert not user.delete_data_set(name).deleted
    assert user.delete_data_set(name, confirm=True).deleted


def speak_of_runs(user: Client, worker: Client, client: Callable[[str], Client], config: dict[str, object]) -> None:
    """From its submission to its deletion."""
    run = user.submit(config, note="é", key="k")
    assert user.submit(config, note="é", key="k") == run
    assert user.runs(text="é", status="queued").items[0].id == run.id
    assert user.set_priority(run.id, 3).priority == 3
    assert user.set_note(run.id, "ü").note == "ü"
    assert user.pause_queue(True).paused
    assert worker.claim(CLAIM).attempt is None
    assert not worker.look(CLAIM).has_work
    assert [item.id for item in user.pause_queue(False).items] == [run.id]
    assert worker.look(CLAIM).has_work
    worker.announce(Announce(host="lab", boot_id="b", pid=1, slots=[SLOT], versions=Versions.of_this()))
    assert user.workers().items[0].alive
    assert user.drain("lab", "cpu").items[0].slots[0].drained
    assert worker.claim(CLAIM).attempt is None
    assert not user.undrain("lab", "cpu").items[0].slots[0].drained
    assert user.health().workers_alive == 1
    with client("t" * 32) as job, pytest.raises(ApiError, match="ticket is not that of this job"):
        job.claim_job(1, CLAIM)
    claimed = worker.claim(CLAIM).attempt
    assert claimed is not None
    assert claimed.config == run.config
    with client(claimed.token) as attempt:
        assert attempt.heartbeat(claimed.attempt_id).stop is None
        assert attempt.send_stream(claimed.attempt_id, "log", 0, "é\n".encode()) == 3
        assert attempt.send_stream(claimed.attempt_id, "answers", 0, answer_line(0)) == len(answer_line(0))
        group = rollout_line(1, 0, [1.0, 0.0])
        assert attempt.send_stream(claimed.attempt_id, "rollouts", 0, group) == len(group)
        line = b'{"event":"metric","name":"m","step":1,"value":2,"time":3}\n'
        assert attempt.send_stream(claimed.attempt_id, "events", 0, line) == len(line)
        with pytest.raises(ApiError) as refused:
            attempt.send_stream(claimed.attempt_id, "log", 0, b"x")
        assert (refused.value.code, refused.value.problem.value) == ("wrong_offset", "3")
        assert user.stop(run.id, StopMode.FORCE).status is RunStatus.STOPPING
        assert attempt.heartbeat(claimed.attempt_id).stop is StopMode.FORCE
        end = FinishRequest(outcome="stopped", cause=Cause.STOPPED, exit_code=-9)
        assert not attempt.finish(claimed.attempt_id, end).publish
    assert user.log(run.id, offset=0).text == "é\n"
    assert [line.text for line in user.log_lines(run.id, text="É").lines] == ["é"]
    assert user.metrics(run.id).series[0].values == [2.0]
    assert [one.id for one in user.runs(metric="m").items] == [one.id for one in user.curves([run.id]).runs] == [run.id]
    assert user.answers(run.id, show="right").items[0].completion == "né € 🙂 0"
    assert user.rollouts(run.id, newest=True).groups[0].completions[1].advantage == -0.5
    assert user.run_events(run.id).items[-1].to_status == "cancelled"
    assert user.resume(run.id).status is RunStatus.QUEUED
    assert user.queue().items[0].num_attempts == 2
    assert user.stop(run.id).status is RunStatus.CANCELLED
    assert user.retry(run.id).num_attempts == 3
    user.stop(run.id)
    assert user.run(run.id).status is RunStatus.CANCELLED
    assert not user.delete(run.id).deleted
    assert user.delete(run.id, confirm=True).deleted
    other = user.submit(config).id
    assert user.stop_runs([other, run.id]).done == [other]
    assert [item.run_id for item in user.stop_runs([other, run.id], confirm=True).refused] == [run.id]
    assert user.delete_runs([other], confirm=True).done == [other]
    assert user.runs(sort="-accuracy").items == []


def speak_of_pipelines(user: Client, backend: Backend) -> None:
    """A pipeline that a worker does, what can be made of its runs, and one that is stopped and goes on."""
    spec = PipelineSpec.model_validate(backend.spec(note="chain"))
    assert not any(user.candidates("Qwen/Qwen3-14B", "gsm8k", also=[1, 2]).steps.values())
    assert user.preflight_pipeline(spec).ok
    done = user.submit_pipeline(spec, key="p")
    assert user.submit_pipeline(spec, key="p").id == done.id
    for _ in done.steps:
        backend.work()
        backend.reconciler.round()
    done = user.pipeline(done.id)
    assert done.status is PipelineStatus.SUCCEEDED
    ids = {step.step: step.run.id for step in done.steps if step.run is not None}
    base, weaver, trigger = ids["base_eval"], ids["weaver_eval"], ids["trigger_eval"]
    compared = user.compare([base, weaver, trigger], base=base)
    assert [one.run_id for one in compared.items] == [base, weaver, trigger]
    assert len(user.compare_answers(base, weaver).items) == 6
    assert b"".join(user.export_comparison([base, weaver], form="jsonl")).count(b"\n") == 2
    assert b"".join(user.export_answers(base, weaver)).startswith(b"question_id,")
    with pytest.raises(ApiError, match="no run with this id"):
        user.export_answers(base, 999)
    assert user.pin_baseline(weaver).run_id == user.baseline().run_id == weaver
    assert user.pin_baseline(None).run_id is None
    assert user.insertion_groups(base, trigger).items == []  # these answers tell of no insertion
    assert [one.id for one in user.checkpoints().items] == [ids["trigger_grpo"], ids["weaver_sft"]]
    assert [one.checkpoint.id for one in user.checkpoint_results(sort="checkpoint").items] == [
        ids["weaver_sft"],
        ids["trigger_grpo"],
    ]
    assert user.checkpoint(ids["weaver_sft"]).usable
    assert {node.run_id for node in user.lineage(pipeline=done.id).nodes} == set(ids.values())
    assert len(user.rescore(base).scorings) == 2
    second = user.submit_pipeline(spec, tags=["a"])
    assert second.tags == ["a"]
    assert user.stop_pipeline(second.id).status is PipelineStatus.CANCELLED
    assert user.continue_pipeline(second.id).status is PipelineStatus.RUNNING
    assert [one.id for one in user.pipelines().items] == [second.id, done.id]
    assert user.pipeline_numbers(tag="a").pipelines == [second.id]


def speak_of_checkpoints(user: Client, place: Path) -> None:
    folder = write_checkpoint(place / "mine", weights=b"of another lab")
    files = [
        CheckpointFile(
            upload=user.upload(lambda path=path: path.open("rb"), path.name, path.stat().st_size).id, path=path.name
        )
        for path in sorted(folder.iterdir())
    ]
    made = user.add_checkpoint(CheckpointCreate(files=files, name="mine", preset=TINY))
    assert (made.from_outside, made.trained) == (True, ["weaver"])
    assert user.delete_checkpoint(made.id).runs == 0
    user.delete_checkpoint(made.id, confirm=True)
    with pytest.raises(ApiError):
        user.checkpoint(made.id)


def speak_of_notifications(user: Client) -> None:
    address = f"{NOBODY}/services/T/B/of-nobody-else"
    body = ChannelPut(name="team", kind=ChannelKind.SLACK, events=[NoticeEvent.ALARM], address=SecretStr(address))
    made = user.create_channel(body, key="c")
    assert user.create_channel(body, key="c") == made
    changed = user.change_channel(made.id, body.model_copy(update={"address": None, "enabled": False}))
    assert (changed.ending, changed.enabled) == ("else", False)
    sent = user.test_channel(made.id)

    def has_failed() -> bool:
        (newest,) = user.deliveries(channel=made.id).items
        return (newest.id, newest.status, bool(newest.error)) == (sent.id, DeliveryStatus.WAITING, True)

    wait_until(has_failed, 20, "the test")
    assert user.send_again(sent.id).status is DeliveryStatus.WAITING
    assert [one.newest.id for one in user.notifications().channels if one.newest] == [sent.id]
    assert user.delete_channel(made.id).name == "team"


def test_refusal_reaches_the_caller_with_every_problem(
    url: str, tokens: tuple[str, str], tiny_config: dict[str, object]
) -> None:
    with Client(url, tokens[0]) as user, pytest.raises(ApiError) as refused:
        user.submit(tiny_config | {"seed": -1, "batch_size": 0})
    assert refused.value.problem.status == 422
    assert {problem.field for problem in refused.value.problems} == {"seed", "batch_size"}
    with Client(url, "wrong") as stranger, pytest.raises(ApiError) as refused:
        stranger.health()
    assert refused.value.code == "wrong_token"
    assert str(refused.value).startswith("The token is wrong. Use the one in")


def test_odd_addresses_and_large_bodies_get_a_problem_over_a_real_socket(url: str, tokens: tuple[str, str]) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {tokens[0]}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
        for path in ("/%ff%fe", "/api/v1/runs/%00", "/api/v1/runs/%ed%a0%80", "/api/v1//runs", "/api/v1/runs/%2e%2e"):
            reply = http.get(path)
            assert reply.status_code in (404, 422), path
            assert reply.headers["content-type"] == "application/problem+json", path
        pieces = (b"x" * 2**20 for _ in range(20))  # chunked: no length is told ahead
        reply = http.post("/api/v1/runs", content=pieces, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


def test_backend_that_does_not_answer_is_unreachable() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "t") as client, pytest.raises(Unreachable, match="make up"):
        client.health()


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(401, json={"code": "wrong_token"}),
        httpx.Response(404),
        httpx.Response(200, text="<html>something else</html>"),
    ],
    ids=["a stranger's backend", "another server", "a page"],
)
def test_what_answers_for_another_home_counts_as_no_answer(reply: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: reply)
    client = Client("http://nowhere", "t", instance="mine", transport=transport)
    with client, pytest.raises(Unreachable, match="something else answers there"):
        client.heartbeat(1)


def test_backend_refuses_what_is_meant_for_another_home_and_names_itself(start: Callable[..., Backend]) -> None:
    backend = start()
    own = backend.context.instance
    for wanted, status in ((own, 200), ("another", 421)):
        reply = backend.user("GET", "/runs", headers={INSTANCE_HEADER: wanted})
        assert (reply.status_code, reply.headers[INSTANCE_HEADER]) == (status, own)
    check_problem(reply, 421, "other_instance")
    assert start().context.instance == own
