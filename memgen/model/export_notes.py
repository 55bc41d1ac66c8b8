"""What a checkpoint of ours has that the authors' layout has no word for: written beside its files, and read again."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memgen.contract.errors import first_error
from memgen.contract.manifest import AdapterName, Label, Manifest, damaged
from memgen.contract.rundir import write_json
from memgen.model.adapter_files import read_json

NOTES = "memgen_studio.json"


class ExportNotes(BaseModel):
    """Beside an exported checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    guard_numbers: int = Field(ge=0, le=1)
    prompt_hash: Label
    trained: list[AdapterName] = Field(min_length=1)

    @classmethod
    def of(cls, manifest: Manifest) -> "ExportNotes":
        """Of a checkpoint of ours."""
        guard = manifest.latents.get("guard_numbers", 0)
        return cls(guard_numbers=guard, prompt_hash=manifest.prompt_hash, trained=manifest.trained)

    def write(self, folder: Path) -> None:
        """Put them into the folder of an export."""
        write_json(folder / NOTES, self.model_dump())


def read_notes(folder: Path) -> ExportNotes | None:
    """What an export of ours has left beside the authors' files; None where there is nothing of it.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    if not (folder / NOTES).exists():
        return None
    try:
        return ExportNotes.model_validate(read_json(folder / NOTES))
    except ValidationError as error:
        raise damaged(NOTES, first_error(error)) from error
