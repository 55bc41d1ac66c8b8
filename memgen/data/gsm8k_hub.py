"""GSM8K from the Hugging Face hub."""

from collections.abc import Iterator

from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.errors import BadInput
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.data.hub import hub_rows
from memgen.data.questions import Question

HUB_NAME = "openai/gsm8k"
HUB_CONFIG = "main"


def hub_questions(part: str) -> Iterator[Question]:
    """The questions of one published file, `train` or `test`.

    Raises:
        BadInput: `dataset_unavailable`, if the hub can't be reached; `bad_data_row`.
    """
    assert GSM8K.folder is not None
    setting, files = GSM8K.folder.setting, " and ".join(GSM8K.folder.files)
    rows = hub_rows(
        HUB_NAME,
        HUB_CONFIG,
        part,
        data=GSM8K.name,
        way_out=f"Check the network, or set {setting} to a folder with {files}, or choose the data "
        "'wordproblems', which needs neither.",
    )
    for number, row in enumerate(rows, start=1):
        try:
            yield from_gsm8k_row(row, GSM8K.name)
        except BadInput as error:
            raise BadInput(
                error.code,
                f"row {number} of {HUB_NAME}, {part}: {error.message}",
                field="data",
                value=error.value,
                way_out=f"Set {setting} to a folder with {files} that are whole.",
            ) from error
