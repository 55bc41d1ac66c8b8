"""AQuA-RAT (deepmind/aqua_rat, configuration `raw`): algebra of five choices, each with a rationale."""

from memgen.contract.data_sets.prompts import PROMPTS
from memgen.contract.data_sets.record import DataFolder, DataSet

_FILES = ("train.jsonl", "validation.jsonl", "test.jsonl")

AQUA = DataSet(
    name="aqua",
    word="AQuA",
    help="algebra of five choices",
    sizes={"train": 97_467, "validation": 254, "test": 254},  # as published; a question that repeats is loaded once
    longest=(800, 1500),  # not measured
    fullest=(600, 1200),
    prompt=PROMPTS["choice"],
    answer="choice",
    loader="memgen.data.aqua:load_aqua",
    is_local=False,
    folder=DataFolder(
        setting="MEMGEN_AQUA_DIR",
        files=_FILES,
        way_out=f"{', '.join(_FILES)} have the columns question, options, rationale and correct of deepmind/aqua_rat.",
    ),
)
