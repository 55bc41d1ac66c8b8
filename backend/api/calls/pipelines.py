"""Pipelines, and the runs that may stand for their steps."""

from collections.abc import Sequence
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import Connection
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.status import StopMode


class PipelineCalls(Connection):
    """Pipelines, and the runs that may stand for their steps."""

    def submit_pipeline(
        self, spec: PipelineSpec, *, tags: Sequence[str] = (), group: str | None = None, key: str | None = None
    ) -> s.PipelineOut:
        """Submit a pipeline; tags are its own and those of its runs, the group is that of its runs.

        The same `key` and body never makes a second one.
        """
        more = {"tags": list(tags), "group": group}
        body = spec.model_dump(mode="json") | {name: value for name, value in more.items() if value}
        return self._post("/pipelines", s.PipelineOut, body, key=key or uuid4().hex)

    def candidates(self, preset: str, data: str, *, also: Sequence[int] = ()) -> s.Candidates:
        """Finished runs that may stand for each step of a pipeline; `also` are looked for whatever their age."""
        return self._get("/pipelines/candidates", s.Candidates, preset=preset, data=data, also=list(also))

    def preflight_pipeline(self, spec: PipelineSpec) -> s.PipelinePreflight:
        """Would this pipeline run, and why not."""
        return self._post("/pipelines/preflight", s.PipelinePreflight, spec.model_dump(mode="json"))

    def pipelines(
        self,
        *,
        text: str | None = None,
        tag: str | None = None,
        archived: s.Shown | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> s.PipelineList:
        """A page of pipelines, newest first; `sort` is a column, after `-` the highest first."""
        return self._get(
            "/pipelines",
            s.PipelineList,
            text=text,
            tag=tag,
            archived=archived,
            sort=sort,
            cursor=cursor,
            limit=limit,
        )

    def pipeline_numbers(
        self, *, text: str | None = None, tag: str | None = None, archived: s.Shown | None = None
    ) -> s.PipelineNumbers:
        """The numbers of up to 2,000 pipelines that match, the newest first, and of the runs that they submitted."""
        return self._get("/pipelines/numbers", s.PipelineNumbers, text=text, tag=tag, archived=archived)

    def pipeline(self, pipeline_id: int) -> s.PipelineOut:
        """One pipeline."""
        return self._get(f"/pipelines/{pipeline_id}", s.PipelineOut)

    def continue_pipeline(self, pipeline_id: int) -> s.PipelineOut:
        """Go on from the steps that failed, were cancelled or skipped; finished steps stay."""
        return self._post(f"/pipelines/{pipeline_id}/continue", s.PipelineOut, {})

    def stop_pipeline(self, pipeline_id: int, mode: StopMode = StopMode.SAVE) -> s.PipelineOut:
        """Stop every step that has not ended."""
        return self._post(f"/pipelines/{pipeline_id}/stop", s.PipelineOut, {"mode": mode.value})
