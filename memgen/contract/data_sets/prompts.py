"""What stands before a question, by the kind of its answer, where a data set has no words of its own."""

from memgen.contract.data_sets.record import AnswerKind

MATHS_PROMPT = "Solve the math problem with proper reasoning, and make sure to put the FINAL ANSWER inside \\boxed{}."
"""The authors' instruction; one character of it moves accuracy by points."""
PROMPTS: dict[AnswerKind, str] = {
    "number": MATHS_PROMPT,
    "expression": MATHS_PROMPT,
    "choice": "Choose the right answer with proper reasoning, and make sure to put its LETTER inside \\boxed{}.",
    "exact text": "Answer the question, and make sure to put the FINAL ANSWER inside \\boxed{}.",
}
