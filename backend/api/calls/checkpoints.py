"""Checkpoints, and which run came from which."""

from collections.abc import Sequence
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import READING, Connection


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
        limit: int | None = None,
        also: Sequence[int] = (),
    ) -> s.CheckpointList:
        """What training runs left; with a stage and what its run is to be, whether each can be its parent.

        `limit` bounds those that can and those that can't; `also` are listed whatever their age.
        """
        return self._get(
            "/checkpoints",
            s.CheckpointList,
            stage=stage,
            setting=setting,
            preset=preset,
            prompt_latents_len=prompt_latents_len,
            inference_latents_len=inference_latents_len,
            limit=limit,
            also=list(also),
        )

    def checkpoint_results(
        self,
        *,
        archived: s.Shown | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> s.CheckpointResults:
        """A page of checkpoints with the best of their evaluations; `sort` is a column, after `-` the highest first."""
        return self._get(
            "/checkpoints/results", s.CheckpointResults, archived=archived, sort=sort, cursor=cursor, limit=limit
        )

    def shipped_checkpoints(self) -> s.ShippedCheckpoints:
        """The checkpoints that come with the project and that the demo starts from; they are added if need be."""
        return self._post("/checkpoints/shipped", s.ShippedCheckpoints, None)

    def checkpoint(self, checkpoint_id: int) -> s.CheckpointOut:
        """One checkpoint, its files checked against their hashes."""
        return self._get(f"/checkpoints/{checkpoint_id}", s.CheckpointOut)

    def add_checkpoint(self, create: s.CheckpointCreate, *, key: str | None = None) -> s.CheckpointOut:
        """Add a checkpoint from outside, whose files were sent by `upload`. The same `key` and body get the same reply.

        A conversion of the authors' layout may take minutes.
        """
        body, headers = create.model_dump(mode="json"), {"Idempotency-Key": key or uuid4().hex}
        return self._read(
            s.CheckpointOut, self._send("POST", "/checkpoints", json=body, headers=headers, timeout=READING)
        )

    def delete_checkpoint(self, checkpoint_id: int, *, confirm: bool = False) -> s.CheckpointDeletion:
        """Preview of what deleting a checkpoint from outside takes away; with `confirm` it is done."""
        reply = self._send("DELETE", f"/checkpoints/{checkpoint_id}", params={"confirm": confirm})
        return self._read(s.CheckpointDeletion, reply)

    def lineage(
        self,
        *,
        run: int | None = None,
        pipeline: int | None = None,
        limit: int | None = None,
        since: int | None = None,
    ) -> s.LineageOut:
        """Descent of the newest runs (`limit` of them), of one run's family, or of a pipeline's runs.

        With `since`, the `cursor` of an earlier reply, only what has moved after it.
        """
        return self._get("/lineage", s.LineageOut, run=run, pipeline=pipeline, limit=limit, since=since)
