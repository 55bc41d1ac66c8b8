"""GSM8K (openai/gsm8k, configuration `main`): grade-school maths, from the hub or a folder of the user's."""

from memgen.contract.data_sets.prompts import MATHS_PROMPT
from memgen.contract.data_sets.record import DataFolder, DataSet

_FILES = ("train.jsonl", "test.jsonl")
_SETTING = "MEMGEN_GSM8K_DIR"

GSM8K = DataSet(
    name="gsm8k",
    word="GSM8K",
    help="grade-school maths",
    sizes="memgen.data.gsm8k:split_sizes",
    longest=(300, 512),  # a little above what SmolLM2's tokenizer makes of them
    # none of 6,700 random batches of four rows had more than 400 tokens a row, and larger batches had fewer; of
    # batches of two rows, one in some thousands has more
    fullest=(170, 300),
    prompt=MATHS_PROMPT,
    answer="number",
    loader="memgen.data.gsm8k:load_gsm8k",
    is_local=False,
    folder=DataFolder(
        setting=_SETTING,
        files=_FILES,
        way_out=f"Put {' and '.join(_FILES)} of openai/grade-school-math there, unset {_SETTING} to load GSM8K from "
        "the hub, or choose the data set wordproblems.",
    ),
)
