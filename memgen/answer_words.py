"""The words that an answer may have beside its number: those that multiply it, introduce it, or measure it."""

from fractions import Fraction


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MULTIPLIERS: dict[str, Fraction] = {
    name: Fraction(factor)
    for names, factor in (
        ("dozen dozens", 12),
        ("hundred hundreds", 100),
        ("thousand thousands thou grand", 10**3),
        ("lakh lakhs", 10**5),
        ("million millions mil mill mln mio mn", 10**6),
        ("crore crores", 10**7),
        ("billion billions bil bln bn", 10**9),
        ("trillion trillions tln tn", 10**12),
        ("half halves", Fraction(1, 2)),
        ("third thirds", Fraction(1, 3)),
        ("fourth fourths", Fraction(1, 4)),
        ("fifth fifths", Fraction(1, 5)),
        ("sixth sixths", Fraction(1, 6)),
        ("seventh sevenths", Fraction(1, 7)),
        ("eighth eighths", Fraction(1, 8)),
        ("ninth ninths", Fraction(1, 9)),
        ("tenth tenths", Fraction(1, 10)),
        ("hundredth hundredths", Fraction(1, 100)),
        ("thousandth thousandths", Fraction(1, 1000)),
        ("millionth millionths", Fraction(1, 10**6)),
    )
    for name in names.split()
}
SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "MM": 10**6, "B": 10**9, "T": 10**12}
PARTS = sorted(
    _words("halves thirds fourths fifths sixths sevenths eighths ninths tenths hundredths thousandths millionths")
)
PART = ["half", *(name[:-1] for name in PARTS if name != "halves")]
WHOLES = [name for name in MULTIPLIERS if name not in PARTS and name not in PART]
# Words that may stand before an answer; `Step 2` is none of them.
LABELS = _words(
    "a about ans answer approx approximately are around be boxed by correct cost costs equal equals exactly final "
    "get gives has have hence her his in is it just makes my need needs number numeric numerical of only our "
    "result roughly she he so solution sum than that the their there therefore they thus to total value was we will"
)
MINUS = frozenset(("minus", "negative"))
NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half "
    "quarter pi sqrt"
)
# A phrase that begins so is no unit but goes on with the value.
NO_UNIT = _words("and or to plus minus times divided over point squared cubed factorial through versus vs")
ONE_LETTER_UNITS = frozenset("mgLlshdtcCFVWANJ")
