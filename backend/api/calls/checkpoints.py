"""Checkpoints, and which run came from which."""

from backend.api import schemas as s
from backend.api.connection import Connection


class CheckpointCalls(Connection):
    """Checkpoints, and which run came from which."""

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
