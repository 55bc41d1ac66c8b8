"""The lines of the tuple: Python imports this at start where this folder is in PYTHONPATH, before anything else."""

import drift_stage
import guess_stage

from memgen.contract import stages

stages.STAGES = (*stages.STAGES, guess_stage.STAGE, drift_stage.STAGE)
