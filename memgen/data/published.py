"""Published data sets whose columns are mapped like a user's: from a folder of the user's, or from the hub."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memgen.contract.data_sets.folders import check_folder, unusable_folder
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registered import Registration
from memgen.contract.errors import BadInput
from memgen.data.hub import hub_rows
from memgen.data.questions import Question, check_split, drop_duplicates, make_question
from memgen.data.registered.mapping import mapped
from memgen.data.registered.tables import Table


@dataclass(frozen=True)
class Published:
    """Where the rows of a published data set lie, and what their columns mean.

    Attributes:
        record: what the product knows of it.
        said: which column is what.
        repository: `owner/name` on the hub.
        config: the hub's configuration, where there are several.
        parts: of each split of ours the hub's split, and the file in a folder of the user's.
    """

    record: DataSet
    said: Registration
    repository: str
    config: str | None
    parts: Mapping[str, tuple[str, str]]

    def load(self, split: str, folder: Path | None) -> list[Question]:
        """All questions of one split, in the order of the file; of two with the same text the first.

        Raises:
            BadInput: `unknown_split`, `no_such_split`, `data_folder_incomplete`, `bad_data_row` (with file and row),
                `dataset_unavailable` (no folder given and the hub can't be reached).
        """
        check_split(split)
        if split not in self.parts:
            raise BadInput(
                "no_such_split", f"{self.record.name} has no {split} split", field="split", value=split,
                way_out=f"It has: {', '.join(self.parts)}.",
            )  # fmt: skip
        part, file = self.parts[split]
        if folder is not None:
            check_folder(self.record, folder)
        rows = self._hub_rows(part) if folder is None else self._file_rows(folder, file)
        return drop_duplicates(self._question(place, values) for place, values in rows)

    def _hub_rows(self, part: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        assert self.record.folder is not None
        needed = self.record.folder
        rows = hub_rows(
            self.repository, self.config, part, data=self.record.name,
            way_out=f"Check the network, or set {needed.setting} to a folder with {' and '.join(needed.files)}. "
            f"{needed.way_out}",
        )  # fmt: skip
        for number, values in enumerate(rows, start=1):
            yield f"row {number} of {self.repository}, {part}", values

    def _file_rows(self, folder: Path, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        assert self.record.folder is not None
        try:
            table = Table(folder / name, name)
        except BadInput as error:
            raise unusable_folder(self.record.folder, folder, f"{name}: {error.message}") from error
        for number, values, problem in table.rows():
            if values is None:
                raise self._bad(f"{name}, row {number}", problem, None)
            yield f"{name}, row {number}", values

    def _question(self, place: str, values: Mapping[str, Any]) -> Question:
        try:
            row = mapped(values, self.said)
        except BadInput as error:
            raise self._bad(place, f"column {error.field}: {error.message}", error.value) from error
        return make_question(self.record.name, row.question, row.rationale, row.answer)

    def _bad(self, place: str, message: str, value: object) -> BadInput:
        assert self.record.folder is not None
        return BadInput(
            "bad_data_row",
            f"{place}: {message}",
            field=self.record.folder.setting,
            value=value,
            way_out=f"Mend the row, or fetch the file again from {self.repository}.",
        )
