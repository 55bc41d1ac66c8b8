r"""A row in GSM8K's format: `{"question": ..., "answer": "rationale\n#### 18"}`."""

from collections.abc import Mapping

from memgen.contract.errors import BadInput
from memgen.data.questions import Question, make_question


def from_gsm8k_row(row: Mapping[str, object], prefix: str) -> Question:
    """Build a question from a row in GSM8K's format, `{"question": ..., "answer": "rationale\\n#### 18"}`.

    The answer keeps its thousands separators: `compute_reward` compares texts, and would refuse the row's own answer.

    Args:
        row: the row; other keys are ignored.
        prefix: name of the data set, the part of the id in front of the colon.

    Raises:
        BadInput: `bad_data_row`, where a key is missing or empty, a text can't be written in UTF-8, or the answer has
            nothing after a `####`.
    """
    question, answer_text = _text(row, "question"), _text(row, "answer")
    rationale, _, answer = answer_text.rpartition("####")
    answer = answer.strip()
    if "####" not in answer_text or not answer:
        raise BadInput(
            "bad_data_row",
            "the answer has no '####' with the final answer after it",
            field="answer",
            value=answer_text,
            way_out="End each answer with a line such as '#### 18'.",
        )
    return make_question(prefix, question, rationale.strip(), answer)


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(
            "bad_data_row",
            f"the row has no text under '{key}'",
            field=key,
            value=sorted(row) if value is None else value,
            way_out='Each row needs the keys "question" and "answer", both non-empty texts.',
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            "bad_data_row",
            f"the text under '{key}' holds half of a surrogate pair at character {error.start + 1}",
            field=key,
            value=ascii(value[error.start]),
            way_out="Write the whole character, or leave it out.",
        ) from None
    return value
