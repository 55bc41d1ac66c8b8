"""Where two answers differ, word by word: signs in the texts, which stay plain text."""

import re
from difflib import SequenceMatcher

FIRST, OPEN, CLOSE = "▶", "⟦", "⟧"
COMPARED_WORDS = 400  # after the first that differs: the comparison takes time by the square of their number
_WORD = re.compile(r"\S+")
Spans = list[tuple[int, int]]


def marked_pair(before: str, after: str) -> tuple[str, str]:
    """Both texts with `⟦ ⟧` around the words that the other does not have in that place, the first of them after `▶`.

    Where one text has only words more than the other, the sign in the other stands where they are missing. Words far
    after the first difference are left unmarked.
    """
    words = tuple([(match.start(), match.end()) for match in _WORD.finditer(text)] for text in (before, after))
    texts = tuple([text[start:end] for start, end in spans] for text, spans in zip((before, after), words, strict=True))
    first = next(
        (place for place, words_there in enumerate(zip(*texts, strict=False)) if words_there[0] != words_there[1]),
        min(map(len, texts)),
    )
    if first == len(texts[0]) == len(texts[1]):
        return before, after
    one, other = (part[first : first + COMPARED_WORDS] for part in texts)
    changes = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    differing = [change for change in changes if change[0] != "equal"]
    return (
        _marked(before, words[0], first, [(start, end) for _, start, end, _, _ in differing]),
        _marked(after, words[1], first, [(start, end) for _, _, _, start, end in differing]),
    )


def _marked(text: str, words: Spans, offset: int, runs: Spans) -> str:
    """The text with signs around runs of words.

    Args:
        text: to be marked.
        words: where each word begins and ends.
        offset: of the word from which `runs` count.
        runs: first word and word after the last; the first run has the sign of the first difference, also where it is
            empty.
    """
    pieces, at = [], 0
    for number, (start, end) in enumerate(runs):
        if start == end and number:
            continue
        place = words[start + offset][0] if start + offset < len(words) else len(text)
        pieces += [text[at:place], FIRST * (number == 0)]
        at = place
        if start < end:
            last = words[end + offset - 1][1]
            pieces += [OPEN, text[place:last], CLOSE]
            at = last
    return "".join([*pieces, text[at:]])
