"""MATH-500 (HuggingFaceH4/MATH-500): 500 competition problems, answered with an expression; a test split alone."""

from memgen.contract.data_sets.prompts import PROMPTS
from memgen.contract.data_sets.record import DataFolder, DataSet

MATH500 = DataSet(
    name="math500",
    word="MATH-500",
    help="500 competition problems, to evaluate on",
    sizes={"test": 500},
    longest=(1000, 3000),  # not measured: the longest problem is a drawing of some 2,000 characters
    fullest=(1000, 3000),
    prompt=PROMPTS["expression"],
    answer="expression",
    loader="memgen.data.math500:load_math500",
    is_local=False,
    folder=DataFolder(
        setting="MEMGEN_MATH500_DIR",
        files=("test.jsonl",),
        way_out="test.jsonl is a file of HuggingFaceH4/MATH-500.",
    ),
)
