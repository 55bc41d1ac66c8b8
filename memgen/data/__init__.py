"""Rows of data sets and the text of their prompts. No torch: who launches runs reads them as the trainer does."""

from memgen.data.load import load_questions
from memgen.data.questions import SPLITS, Question

__all__ = ["SPLITS", "Question", "load_questions"]
