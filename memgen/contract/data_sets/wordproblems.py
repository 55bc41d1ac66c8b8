"""Word problems that this project generates; they need neither a network nor files."""

from memgen.contract.data_sets.prompts import MATHS_PROMPT
from memgen.contract.data_sets.record import DataSet

# the generated train rows are 4,000, a tenth of which is the validation split
_SIZES = {"train": 3600, "validation": 400, "test": 1000}

WORDPROBLEMS = DataSet(
    name="wordproblems",
    word="Word problems",
    help="generated problems of one or two steps, which need no network",
    sizes=_SIZES,
    longest=(100, 96),
    fullest=(80, 72),
    prompt=MATHS_PROMPT,
    answer="number",
    loader="memgen.data.wordproblems:load_wordproblems",
)
WORDPROBLEMS_EASY = DataSet(
    name="wordproblems_easy",
    word="Easy word problems",
    help="generated problems of one step with numbers up to 10, whose rationales first say what is known",
    sizes=_SIZES,
    longest=(90, 48),
    fullest=(70, 40),
    prompt=MATHS_PROMPT,
    answer="number",
    loader="memgen.data.wordproblems:load_wordproblems_easy",
)
