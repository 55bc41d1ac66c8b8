"""GPQA (Idavidrein/gpqa, configuration `gpqa_main`): 448 questions of four choices that experts wrote.

Its authors ask readers for their consent on the hub, and not to show the questions where a model could learn them.
"""

from memgen.contract.data_sets.prompts import PROMPTS
from memgen.contract.data_sets.record import DataFolder, DataSet

_SETTING = "MEMGEN_GPQA_DIR"

GPQA = DataSet(
    name="gpqa",
    word="GPQA",
    help="448 questions of experts, of four choices, to evaluate on",
    sizes={"test": 448},
    longest=(2500, 3000),  # not measured
    fullest=(2500, 3000),
    prompt=PROMPTS["choice"],
    answer="choice",
    loader="memgen.data.gpqa:load_gpqa",
    is_local=False,
    folder=DataFolder(
        setting=_SETTING,
        files=("gpqa_main.csv",),
        way_out="Its authors ask for your consent: log in at https://huggingface.co/datasets/Idavidrein/gpqa, agree, "
        f"download gpqa_main.csv, and set {_SETTING} to its folder. A trainer of the service has no token of the hub; "
        "`memgen run` by hand finds that of `hf auth login`.",
    ),
)
