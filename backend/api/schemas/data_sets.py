"""Data sets of users: files on their way, what is said of them, and what was registered."""

from typing import Self

from pydantic import Field, model_validator

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.launch import DataSetOut
from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import RegisteredRecord, Registration


class UploadOut(ApiReply):
    """A file that was sent, and waits for a day to become part of a data set or a checkpoint."""

    id: str
    name: str
    bytes: int
    sha256: str


class DataFiles(ApiReply):
    """What rows can be read from."""

    paths: list[str]
    """Files and folders that the operator allows."""
    hub: list[str]
    """Data sets of the hub that the operator allows."""
    most_bytes: int
    """Of an upload."""


class GivenFile(ApiRequest):
    """A file with rows: one that was uploaded, or one that lies where the operator allows; or rows of the hub."""

    upload: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    """Id of an upload."""
    path: str | None = Field(default=None, min_length=1, max_length=4096)
    """Absolute path of a file, or of a folder whose files `train.*`, `validation.*` and `test.*` are the splits."""
    hub: HubRows | None = None
    """A data set of the hub that the operator allows; its splits keep their names."""
    split: Split | None = None
    """What all its rows are; null where a column or a file's name says so, or splits are drawn."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(one is not None for one in (self.upload, self.path, self.hub)) != 1:
            raise ValueError("name an upload, a path, or a data set of the hub")
        return self


class DataSetCheck(ApiRequest):
    """Rows to look at."""

    files: list[GivenFile] = Field(min_length=1, max_length=20)
    registration: Registration | None = None
    """Null: only columns and first rows are wanted."""


class DataSetCreate(ApiRequest):
    """Rows to register."""

    files: list[GivenFile] = Field(min_length=1, max_length=20)
    registration: Registration


class DataSetDetail(DataSetOut):
    """A data set, and what it is used for."""

    runs: int
    """That use it."""
    record: RegisteredRecord | None
    """Of a registered one what was said of it, and where its rows came from."""


class QuestionOut(ApiReply):
    """A question of a data set."""

    number: int
    """Its place in the split; 1 is the first."""
    question: str
    solution: str
    """What answers are scored against."""


class QuestionList(ApiReply):
    """Questions of a split, in its order."""

    items: list[QuestionOut]
    total: int
    """All that the search finds."""
    next_cursor: str | None = None


class DataSetDeletion(ApiReply):
    """What deleting a registered data set takes away."""

    name: str
    bytes: int
    runs: int
    """That have used it: they stay, and can't be scored anew or started again."""
    deleted: bool = False
