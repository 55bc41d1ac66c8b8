"""Typed HTTP client: one method per route. Command line, dashboard and worker all use it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from backend.api import schemas as s
from memgen.contract.data_sets.report import Report
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.problem import Problem
from memgen.contract.status import StopMode

_T = TypeVar("_T", bound=BaseModel)
API = "/api/v1"
TRIES = 3  # of a request that a busy backend turns away
PIECE = 2**18  # bytes of a file that are sent at once
READING = 660.0  # seconds until rows that are read count as unanswered
LONGEST_PAUSE = 5.0  # seconds between two of them, whatever it asks for
Stream = Literal["log", "events", "answers"]


class ApiError(Exception):
    """The backend refused a request; `problem` says what, which value, and the way out."""

    def __init__(self, problem: s.ProblemReply) -> None:
        super().__init__(f"{problem.message} {problem.way_out}".strip())
        self.problem = problem

    @property
    def code(self) -> str:
        """Stable name of the problem."""
        return self.problem.code

    @property
    def problems(self) -> Sequence[Problem]:
        """Every problem of the reply; at least one."""
        return self.problem.errors or [self.problem]


class Unreachable(Exception):
    """The backend did not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The backend at {url} does not answer ({reason}). Is it running? Start it with `make up`.")
        self.url = url


class Client:
    """Calls to one backend with one token.

    Args:
        url: address of the backend, e.g. `http://127.0.0.1:8000`.
        token: bearer token of a user, of a worker, or of one attempt.
        timeout: seconds until a call counts as unanswered.
        instance: the home that the backend must serve; what answers for another one counts as no answer.
        transport: another way to reach the backend, for tests.
        sleep: waits some seconds, where a busy backend says when to come again.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 10.0,
        instance: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._sleep = sleep
        self._instance = instance
        self._http = httpx.Client(
            base_url=url.rstrip("/") + API,
            headers={"Authorization": f"Bearer {token}"} | ({s.INSTANCE_HEADER: instance} if instance else {}),
            timeout=timeout,
            transport=transport,
            trust_env=False,  # a proxy in the environment is not for a service on this machine
        )

    def move_to(self, url: str) -> None:
        """Go on with the same backend at another address."""
        self.url = url
        self._http.base_url = httpx.URL(url.rstrip("/") + API)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what can be launched

    def health(self) -> s.HealthOut:
        """State of the service."""
        return self._get("/health", s.HealthOut)

    def presets(self) -> list[s.PresetOut]:
        """Models that can be launched."""
        return self._get("/presets", s.PresetList).items

    def data_sets(self) -> s.DataSetList:
        """Data sets that runs can use, and plug-ins that can't be used."""
        return self._get("/data-sets", s.DataSetList)

    def schema(self, stage: str) -> dict[str, Any]:
        """JSON schema of a stage's config, help texts included."""
        reply: dict[str, Any] = self._send("GET", f"/schema/{stage}").json()
        return reply

    def preflight(self, config: Mapping[str, Any]) -> s.PreflightReply:
        """Would this config run, and why not."""
        return self._post("/preflight", s.PreflightReply, {"config": dict(config)})

    # data sets of users

    def data_files(self) -> s.DataFiles:
        """Files of the backend's machine that may be named, and the limit of uploads."""
        return self._get("/data-sets/files", s.DataFiles)

    def upload(
        self, open_file: Callable[[], BinaryIO], name: str, size: int, progress: Callable[[int], None] = lambda _: None
    ) -> s.UploadOut:
        """Send a file of rows, piece by piece.

        Args:
            open_file: opens it at its beginning; asked again where a busy backend wants it again.
            name: its ending says the format.
            size: bytes.
            progress: told how many bytes have been sent.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        content = _Pieces(open_file, progress)
        reply = self._send(
            "POST", "/data-sets/uploads", params={"name": name}, content=content, headers=headers, timeout=READING
        )
        return self._read(s.UploadOut, reply)

    def preview_data_set(self, check: s.DataSetCheck) -> Report:
        """What is right and wrong with rows; nothing is kept."""
        body = check.model_dump(mode="json")
        return self._read(Report, self._send("POST", "/data-sets/preview", json=body, timeout=READING))

    def register_data_set(self, create: s.DataSetCreate, *, key: str | None = None) -> Report:
        """Register rows as a data set, whose name is the report's. The same `key` and body get the same reply."""
        body, headers = create.model_dump(mode="json"), {"Idempotency-Key": key or uuid4().hex}
        return self._read(Report, self._send("POST", "/data-sets", json=body, headers=headers, timeout=READING))

    def data_set(self, name: str) -> s.DataSetDetail:
        """One data set."""
        return self._get(f"/data-sets/{name}", s.DataSetDetail)

    def delete_data_set(self, name: str, *, confirm: bool = False) -> s.DataSetDeletion:
        """Preview of what deleting a registered data set takes away; with `confirm` it is done."""
        reply = self._send("DELETE", f"/data-sets/{name}", params={"confirm": confirm})
        return self._read(s.DataSetDeletion, reply)

    # runs

    def submit(self, config: Mapping[str, Any], *, note: str = "", key: str | None = None) -> s.RunDetail:
        """Submit a run. The same `key` and body never makes a second run."""
        body = {"config": dict(config), "note": note}
        return self._post("/runs", s.RunDetail, body, key=key or uuid4().hex)

    def runs(
        self,
        *,
        status: str | None = None,
        stage: str | None = None,
        preset: str | None = None,
        setting: str | None = None,
        text: str | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> s.RunList:
        """A page of runs, newest first; `sort` is a column, after `-` the highest first."""
        return self._get(
            "/runs",
            s.RunList,
            status=status,
            stage=stage,
            preset=preset,
            setting=setting,
            text=text,
            sort=sort,
            cursor=cursor,
            limit=limit,
        )

    def run(self, run_id: int) -> s.RunDetail:
        """One run."""
        return self._get(f"/runs/{run_id}", s.RunDetail)

    def stop(self, run_id: int, mode: StopMode = StopMode.SAVE) -> s.RunDetail:
        """Ask a run to stop."""
        return self._post(f"/runs/{run_id}/stop", s.RunDetail, {"mode": mode.value})

    def set_priority(self, run_id: int, priority: int) -> s.RunDetail:
        """Change the place of a run that has not started."""
        return self._post(f"/runs/{run_id}/priority", s.RunDetail, {"priority": priority})

    def set_note(self, run_id: int, note: str) -> s.RunDetail:
        """Change the note of a run."""
        return self._post(f"/runs/{run_id}/note", s.RunDetail, {"note": note})

    def resume(self, run_id: int) -> s.RunDetail:
        """Next attempt, from where the last one got."""
        return self._post(f"/runs/{run_id}/resume", s.RunDetail, {})

    def retry(self, run_id: int) -> s.RunDetail:
        """Next attempt, from the start."""
        return self._post(f"/runs/{run_id}/retry", s.RunDetail, {})

    def rescore(self, run_id: int) -> s.RunDetail:
        """Score a finished evaluation's answers with the newest version of the scorer, beside the old scores."""
        return self._post(f"/runs/{run_id}/rescore", s.RunDetail, {})

    def delete(self, run_id: int, *, confirm: bool = False) -> s.DeletePreview:
        """Preview of what deleting a run takes away; with `confirm` it is done."""
        reply = self._send("DELETE", f"/runs/{run_id}", params={"confirm": confirm})
        return s.DeletePreview.model_validate(reply.json())

    def stop_runs(
        self, run_ids: Sequence[int], mode: StopMode = StopMode.SAVE, *, confirm: bool = False, key: str | None = None
    ) -> s.BulkOut:
        """What stopping many runs would do; with `confirm` it is done."""
        body = {"runs": list(run_ids), "mode": mode.value, "confirm": confirm}
        return self._post("/runs/stop", s.BulkOut, body, key=key)

    def delete_runs(self, run_ids: Sequence[int], *, confirm: bool = False, key: str | None = None) -> s.BulkOut:
        """What deleting many runs would take away; with `confirm` it is done."""
        body = {"runs": list(run_ids), "confirm": confirm}
        return self._post("/runs/delete", s.BulkOut, body, key=key)

    def metrics(
        self,
        run_id: int,
        *,
        name: str | None = None,
        since: int | None = None,
        max_points: int = 2000,
        attempt: int | None = None,
    ) -> s.MetricsOut:
        """Metrics of a run, downsampled to `max_points` a series; of one attempt, or joined."""
        return self._get(
            f"/runs/{run_id}/metrics", s.MetricsOut, name=name, since=since, max_points=max_points, attempt=attempt
        )

    def log(
        self, run_id: int, *, attempt: int | None = None, offset: int | None = None, limit: int = 65536
    ) -> s.LogOut:
        """A piece of the log; without an offset its end."""
        return self._get(f"/runs/{run_id}/log", s.LogOut, attempt=attempt, offset=offset, limit=limit)

    def log_lines(
        self,
        run_id: int,
        *,
        attempt: int | None = None,
        text: str | None = None,
        level: s.LogLevel | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> s.LogLines:
        """Lines of the log that hold a text or are of a level, searched from `offset` on."""
        return self._get(
            f"/runs/{run_id}/log/lines",
            s.LogLines,
            attempt=attempt,
            text=text,
            level=level,
            offset=offset,
            limit=limit,
        )

    def answers(
        self,
        run_id: int,
        *,
        show: str = "all",
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        newest: bool = False,
        scorer_version: int | None = None,
    ) -> s.AnswersOut:
        """A page of answers; `show` is all, right, wrong, truncated or no_box. Without a version the newest scores.

        With `newest` they come from the last question to the first.
        """
        return self._get(
            f"/runs/{run_id}/answers",
            s.AnswersOut,
            show=show,
            text=text,
            cursor=cursor,
            limit=limit,
            newest=newest or None,
            scorer_version=scorer_version,
        )

    def run_events(self, run_id: int, *, cursor: str | None = None, newest: bool = False) -> s.RunEventList:
        """History of a run, oldest first; with `newest` from its end back."""
        return self._get(f"/runs/{run_id}/events", s.RunEventList, cursor=cursor, newest=newest or None)

    # checkpoints and lineage

    def checkpoints(
        self,
        *,
        stage: str | None = None,
        setting: str | None = None,
        preset: str | None = None,
        prompt_latents_len: int | None = None,
        inference_latents_len: int | None = None,
    ) -> s.CheckpointList:
        """What training runs left; with a stage and what its run is to be, whether each can be its parent."""
        return self._get(
            "/checkpoints",
            s.CheckpointList,
            stage=stage,
            setting=setting,
            preset=preset,
            prompt_latents_len=prompt_latents_len,
            inference_latents_len=inference_latents_len,
        )

    def checkpoint_results(
        self, *, sort: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> s.CheckpointResults:
        """A page of checkpoints with the best of their evaluations; `sort` is a column, after `-` the highest first."""
        return self._get("/checkpoints/results", s.CheckpointResults, sort=sort, cursor=cursor, limit=limit)

    def checkpoint(self, checkpoint_id: int) -> s.CheckpointOut:
        """One checkpoint, its files checked against their hashes."""
        return self._get(f"/checkpoints/{checkpoint_id}", s.CheckpointOut)

    def lineage(self, *, run: int | None = None, pipeline: int | None = None) -> s.LineageOut:
        """Descent of all runs, of one run's family, or of a pipeline's runs."""
        return self._get("/lineage", s.LineageOut, run=run, pipeline=pipeline)

    # pipelines

    def submit_pipeline(self, spec: PipelineSpec, *, key: str | None = None) -> s.PipelineOut:
        """Submit a pipeline. The same `key` and body never makes a second one."""
        return self._post("/pipelines", s.PipelineOut, spec.model_dump(mode="json"), key=key or uuid4().hex)

    def candidates(self, preset: str, data: str, *, also: Sequence[int] = ()) -> s.Candidates:
        """Finished runs that may stand for each step of a pipeline; `also` are looked for whatever their age."""
        return self._get("/pipelines/candidates", s.Candidates, preset=preset, data=data, also=list(also))

    def preflight_pipeline(self, spec: PipelineSpec) -> s.PipelinePreflight:
        """Would this pipeline run, and why not."""
        return self._post("/pipelines/preflight", s.PipelinePreflight, spec.model_dump(mode="json"))

    def pipelines(self, *, sort: str | None = None, cursor: str | None = None, limit: int = 20) -> s.PipelineList:
        """A page of pipelines, newest first; `sort` is a column, after `-` the highest first."""
        return self._get("/pipelines", s.PipelineList, sort=sort, cursor=cursor, limit=limit)

    def pipeline(self, pipeline_id: int) -> s.PipelineOut:
        """One pipeline."""
        return self._get(f"/pipelines/{pipeline_id}", s.PipelineOut)

    def continue_pipeline(self, pipeline_id: int) -> s.PipelineOut:
        """Go on from the steps that failed, were cancelled or skipped; finished steps stay."""
        return self._post(f"/pipelines/{pipeline_id}/continue", s.PipelineOut, {})

    def stop_pipeline(self, pipeline_id: int, mode: StopMode = StopMode.SAVE) -> s.PipelineOut:
        """Stop every step that has not ended."""
        return self._post(f"/pipelines/{pipeline_id}/stop", s.PipelineOut, {"mode": mode.value})

    # comparison

    def compare(self, runs: Sequence[int], *, base: int | None = None) -> s.CompareOut:
        """Evaluations side by side; `base` is the one with the setting base where it is not given."""
        return self._get("/compare", s.CompareOut, runs=",".join(map(str, runs)), base=base)

    def compare_answers(
        self, before: int, after: int, *, show: str = "all", cursor: str | None = None, limit: int = 20
    ) -> s.AnswerPairs:
        """Questions that two evaluations answered; `show` is all, fixed, broken, both_right, both_wrong or
        without_box."""
        return self._get(
            "/compare/answers", s.AnswerPairs, before=before, after=after, show=show, cursor=cursor, limit=limit
        )

    def insertion_groups(self, before: int, after: int) -> s.InsertionGroups:
        """Questions by the insertions of the second evaluation, and how many of them both answered rightly."""
        return self._get("/compare/insertions", s.InsertionGroups, before=before, after=after)

    # the house

    def home(self) -> s.HomeOut:
        """What runs, what needs attention, what waits, what came out, what is free."""
        return self._get("/home", s.HomeOut)

    def workers(self) -> s.WorkerList:
        """Workers and their slots."""
        return self._get("/workers", s.WorkerList)

    def queue(self) -> s.QueueOut:
        """Queued runs in their order."""
        return self._get("/queue", s.QueueOut)

    def pause_queue(self, paused: bool) -> s.QueueOut:
        """Pause or resume the queue; running runs go on."""
        return self._post("/queue/pause", s.QueueOut, {"paused": paused})

    # workers and supervisors

    def announce(self, announce: s.Announce) -> s.AnnounceReply:
        """Say that a worker is alive; the reply says when to say so again."""
        return self._post("/worker/announce", s.AnnounceReply, announce.model_dump(mode="json"))

    def look(self, request: s.ClaimRequest) -> s.LookReply:
        """Whether a claim would get something now."""
        return self._post("/worker/look", s.LookReply, request.model_dump(mode="json"))

    def claim(self, request: s.ClaimRequest) -> s.ClaimReply:
        """Ask for work."""
        return self._post("/worker/claim", s.ClaimReply, request.model_dump(mode="json"))

    def heartbeat(self, attempt_id: int) -> s.HeartbeatReply:
        """Extend the lease of an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/heartbeat", s.HeartbeatReply, {})

    def send_stream(self, attempt_id: int, stream: Stream, offset: int, data: bytes) -> int:
        """Send bytes of an attempt's file that start at `offset`; returns the offset after them."""
        reply = self._send(
            "POST",
            f"/worker/attempts/{attempt_id}/{stream}",
            params={"offset": offset},
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return s.StreamReply.model_validate(reply.json()).offset

    def finish(self, attempt_id: int, request: s.FinishRequest) -> s.FinishReply:
        """End an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/finish", s.FinishReply, request.model_dump(mode="json"))

    # plumbing

    def _get(self, path: str, model: type[_T], **params: object) -> _T:
        given = {name: value for name, value in params.items() if value is not None}
        return self._read(model, self._send("GET", path, params=given))

    def _post(self, path: str, model: type[_T], body: object, *, key: str | None = None) -> _T:
        headers = {"Idempotency-Key": key} if key else {}
        return self._read(model, self._send("POST", path, json=body, headers=headers))

    def _read(self, model: type[_T], response: httpx.Response) -> _T:
        try:
            return model.model_validate(response.json())
        except ValueError as error:  # no JSON, or not of this form
            raise Unreachable(self.url, "something else answers there, or another version") from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        for again in reversed(range(TRIES)):
            response = self._ask(method, path, **arguments)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not again:
                break
            self._sleep(_come_again(response))  # it was refused before anything was done, so it may be sent again
        if self._instance is not None and response.headers.get(s.INSTANCE_HEADER) != self._instance:
            raise Unreachable(self.url, "something else answers there")
        if response.is_error:
            raise ApiError(_problem_of(response))
        return response

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(self.url, type(error).__name__) from error
        except ValueError as error:  # a number that is none, half of a surrogate pair
            raise BadInput(
                "unsendable",
                f"this can't be sent: {error}",
                way_out="Numbers are finite, and text is Unicode.",
            ) from error


class _Pieces:
    """A file as the body of a request, from its beginning whenever it is sent."""

    def __init__(self, open_file: Callable[[], BinaryIO], progress: Callable[[int], None]) -> None:
        self._open = open_file
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._open() as file:
            while piece := file.read(PIECE):
                yield piece
                sent += len(piece)
                self._progress(sent)


def _come_again(response: httpx.Response) -> float:
    """Seconds after which a busy backend wants to be asked again."""
    header = response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_PAUSE) if header.isdecimal() else 1.0


def _problem_of(response: httpx.Response) -> s.ProblemReply:
    try:
        return s.ProblemReply.model_validate(response.json())
    except (ValidationError, ValueError):
        return s.ProblemReply(
            message=f"The backend answered {response.status_code} without saying why.",
            status=response.status_code,
            code="unknown_error",
            way_out="Look at the backend's log.",
        )
