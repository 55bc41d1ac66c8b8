"""Sites: where runs may go beside the workers of this service."""

from typing import Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest


class SizeOut(ApiReply):
    """What a job of a site may be given."""

    name: str
    device: Literal["cpu", "cuda"]
    gpus: int
    memory_bytes: int
    """Of each of its GPUs; without GPUs that of the whole job."""


class SiteOut(ApiReply):
    """A site as the operator's file describes it, and what it has of ours."""

    name: str
    executor: str
    """Kind of its batch system."""
    title: str
    """The same in words."""
    sizes: list[SizeOut]
    most_jobs: int
    """Jobs of ours that it has at the same time; other runs wait here."""
    jobs: int
    """Jobs of ours that it has now, pending ones included."""
    trouble: str | None
    """Why it is not asked to do anything now; null where all is well."""
    drained: bool = False
    """Whether nothing more is handed in there until somebody says otherwise."""


class SiteList(ApiReply):
    """All sites, in the order of the operator's file."""

    items: list[SiteOut]


class SiteDrainRequest(ApiRequest):
    """Nothing more is to be handed in at a site; or runs may go there again."""

    site: str = Field(min_length=1, max_length=200)
    drained: StrictBool
