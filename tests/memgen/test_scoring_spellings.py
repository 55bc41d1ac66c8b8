r"""The table of docs/scoring.md: spellings of an answer with their value, in every place where an answer may stand.

A spelling has `{n}` where its number goes; its value is `factor` times the number, and `more` further from zero.
"""

import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from memgen.answer_text import value_of
from memgen.scoring import accuracy, extract_answer

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("MEMGEN_SHARED", REPOSITORY.parent / "shared"))


@dataclass(frozen=True)
class Spelling:
    text: str
    factor: Fraction = Fraction(1)
    more: Fraction = Fraction(0)

    def write(self, number: int) -> str:
        return self.text.replace("{n}", str(number)).replace("{n,}", f"{number:,}").replace("{m}", str(abs(number)))

    def value(self, number: int) -> Fraction:
        return self.factor * number + (self.more if number >= 0 else -self.more)


SAME = r"""
{n}|{n}.|{n},|{n}:|{n};|{n}..|{n}.0|{n}.00|{n},00|+{m}|0{m}|{n,}|{n,}.00| {n} |{n}/1|{n} / 1|{n}e0|{n}E+0|{n}.0e0
**{n}**|*{n}*|__{n}__|_{n}_|`{n}`|***{n}***|**{n}.**|**{n}**.|**{n}** eggs|"{n}"|'{n}'|“{n}”|({n})|[{n}]|(${n})|{{n}}
${n}|\${n}|{n}$|{n} $|€{n}|{n} €|{n}€|£{n}|¥{n}|₹{n}|{n}₽|$ {n}|\$ {n}|USD {n}|{n} USD|US${n}|Rs. {n}|Rs {n}|EUR {n}
{n}%|{n}\%|{n} %|{n} percent|{n} per cent|{n} \text{ percent}|{n}％|{n}°|{n}^\circ|{n}^{\circ}|{n}°C|{n}\degree
\text{{n}^\circ}
$${n}$$|\({n}\)|\[{n}\]|\text{{n}}|\textbf{{n}}|\mathbf{{n}}|\mathrm{{n}}|\textbf{\text{{n}}}|\textbf{\${n}}
\boldsymbol{{n}}
{n}\,|\,{n}|{n}\!|\!{n}|{n}~|{n}\;\text{cm}|{n}\ \text{cm}|{n}\quad\text{cm}|{n}\\|\displaystyle {n}
\left({n}\right)|\bf {n}
{n} eggs|{n} eggs.|{n} eggs per day|{n} km/h|{n}km|{n}-inch|{n} m^2|{n} m²|{n} cm^{3}|{n} cm2|{n} m/s^{2}
{n} square feet
{n} \text{ eggs}|{n}\text{eggs}|\text{{n} eggs}|{n} \mathrm{kg}|{n}\,\mathrm{cm}^2|{n} \text{ cm}^{2}
{n} яблок|{n}元|{n} 個
\#{n}|{n}th|{n}^{\text{th}}|{n}\,\frac{\text{km}}{\text{h}}|{n}\text{.}|{n} dollars ({n})|\color{blue}{{n}}|{n} $/h
{n} (eggs)|{n} (three dozen eggs)|{n} (out of 99 eggs)|{n} [eggs]|{n} US dollars|{n}/day|{n} / day|{n} T-shirts|{n} m
x = {n}|x={n}|x \approx {n}|\approx {n}|≈ {n}|= {n}|{n} = x|0 + 0 = {n}|x \to {n}|⇒ {n}|\implies {n}|-> {n}
a = b = {n}
Answer: {n}|answer {n}|The answer is {n}|The answer is: **{n}**|Final Answer: {n}|**Answer:** {n}
So the total is {n}.|Ans. {n}
\text{Answer: } {n}|Total: ${n}|Total cost = ${n}|about {n}|approximately {n} eggs|It is {n}
Therefore, the final answer is {n}
<b>{n}</b>|<answer>{n}</answer>|<<0+0={n}>>{n}|{n}&nbsp;eggs|\color{red}{n}|\textcolor{red}{{n}}
\begin{aligned}{n}\end{aligned}
\frac{{n}}{1}|\dfrac{{n}}{1}|\tfrac{{n}}{1}|\cfrac{{n}}{1}|{n} \cdot 1|{n} \times 1|{n} * 1|{n} × 1|{n} ÷ 1
{n} \div 1|{n} x 1
{n} + 0|{n} - 0|({n})(1)|2({n})/2|{n} \times 10^{0}|{n} × 10⁰|{n} * 10^0|\sqrt{1} \cdot {n}|{ {n} \over 1}
"""
LARGER = [
    *(
        Spelling(text, Fraction(10**3))
        for text in (
            "{n} thousand",
            "{n} Thousand",
            "{n} THOUSAND",
            "{n} thousands",
            "{n}-thousand",
            r"{n} \text{ thousand}",
            r"{n}\text{thousand}",
            "{n} thousand dollars",
            "${n} thousand",
            "{n}k",
            "{n}K",
            "${n}k",
            "{n}k dollars",
            r"{n}\text{k}",
            "{n} k",
            "{n} grand",
            "**{n}k**",
            "{n}e3",
            "{n}E3",
            "{n}e+03",
            r"{n} \times 10^{3}",
            "{n} × 10³",
            "{n} * 10^3",
            "{n}*1000",
            r"{n}\cdot 1,000",
            "{n} thou",
            "about {n} thousand",
            "{n}.0 thousand",
        )
    ),
    *(
        Spelling(text, Fraction(10**6))
        for text in (
            "{n} million",
            "{n} Millions",
            r"{n} \text{ million}",
            "{n} million people",
            "{n}M",
            "${n}M",
            "{n} M",
            "${n} m",
            "£{n}m",
            "{n} mn",
            "{n} mln",
            "{n} mil",
            "{n}MM",
            "{n} thousand thousand",
            "{n}e6",
            r"{n}\,\text{million}",
        )
    ),
    *(
        Spelling(text, Fraction(10**9))
        for text in (
            "{n} billion",
            "{n}B",
            "${n}b",
            "{n} bn",
            "{n}bn",
            "{n} thousand million",
            r"{n} \mathrm{billion}",
        )
    ),
    *(Spelling(text, Fraction(10**12)) for text in ("{n} trillion", "{n}T", "${n} trillion", "{n} tn")),
    *(Spelling(text, Fraction(12)) for text in ("{n} dozen", "{n} dozens", "{n} dozen eggs", r"{n}\text{ dozen}")),
    *(Spelling(text, Fraction(100)) for text in ("{n} hundred", "{n} hundreds", "{n} hundred eggs", "{n}-hundred")),
    *(Spelling(text, Fraction(10**5)) for text in ("{n} lakh", "{n} lakhs", "Rs {n} lakh")),
    Spelling("{n} crore", Fraction(10**7)),
    Spelling("{n} hundred thousand", Fraction(10**5)),
    Spelling("{n} tenths", Fraction(1, 10)),
    Spelling("{n} hundredths", Fraction(1, 100)),
    Spelling("{n} thousandths", Fraction(1, 1000)),
    Spelling("{n} thirds", Fraction(1, 3)),
    Spelling("{n}/2", Fraction(1, 2)),
    Spelling(r"\frac{{n}}{2}", Fraction(1, 2)),
    Spelling("{n}/2 eggs", Fraction(1, 2)),
    Spelling("{n}/2/3/4", Fraction(1, 24)),
    Spelling("{n}^{1}/2^{1}", Fraction(1, 2)),
    Spelling("{n}e-3", Fraction(1, 1000)),
    Spelling("-({n})", Fraction(-1)),
    Spelling("minus {m}", Fraction(-1)),
    Spelling(r"\sqrt{4} \cdot {n}", Fraction(2)),
]
MIXED = [
    Spelling(text, more=Fraction(1, 2))
    for text in (
        "{n} 1/2",
        r"{n}\frac{1}{2}",
        r"{n} \frac12",
        r"{n}\dfrac{1}{2}",
        "{n}½",
        "{n} ½",
        "{n} 1/2 hours",
        "{n} and 1/2",
        "{n} and a half",
        "{n} and one half",
        "{n} and a half hours",
        "{n}.5",
        "{n}.50",
        "{n},5",
        "${n}.50",
    )
]
SPELLINGS = [
    *(Spelling(text) for line in SAME.strip().splitlines() for text in line.split("|")),
    *LARGER,
    *MIXED,
]
# Spellings of one number, and what has no value.
FIXED: list[tuple[str, str | None]] = [
    ("1,234.56", "1234.56"),
    ("1.234,56", "1234.56"),
    ("1 234,56", "1234.56"),
    ("1 234.56", "1234.56"),
    ("1'234.56", "1234.56"),
    ("1_234", "1234"),
    ("1.234.567.", "1234567"),
    ("3 million (3,000,000)", "3000000"),
    ("1.234.567", "1234567"),
    ("1,234,567", "1234567"),
    ("12,34,567", "1234567"),
    ("1{,}234", "1234"),
    (r"1\,234", "1234"),
    (r"1,\!234", "1234"),
    ("1\u202f234", "1234"),
    ("1\u00a0234", "1234"),
    ("1\u2009234", "1234"),
    ("1 234 567", "1234567"),
    ("12 345", "12345"),
    ("1.234", "1.234"),
    ("0,5", "0.5"),
    ("3,14", "3.14"),
    ("0,125", "0.125"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("−7", "-7"),
    ("–7", "-7"),
    ("- 7", "-7"),
    ("-$7", "-7"),
    ("$-7", "-7"),
    (r"-\$7", "-7"),
    ("(-7)", "-7"),
    ("negative 7", "-7"),
    ("７", "7"),
    ("１８．５", "18.5"),
    ("١٨", "18"),
    ("١٬٢٣٤", "1234"),
    ("१८", "18"),
    ("𝟏𝟖", "18"),
    ("½", "1/2"),
    ("¾", "3/4"),
    (r"\frac12", "1/2"),
    (r"\frac1{72}", "1/72"),
    (r"\frac{1}2", "1/2"),
    (r"-\frac{1}{2}", "-1/2"),
    ("2^{10}", "1024"),
    ("2^10", "1024"),
    ("2**10", "1024"),
    ("2^-1", "1/2"),
    ("5²", "25"),
    (r"\sqrt{16}", "4"),
    (r"\sqrt16", "4"),
    ("√16", "4"),
    ("sqrt(16)", "4"),
    (r"\sqrt[3]{8}", "2"),
    (r"\sqrt{\frac{1}{4}}", "1/2"),
    ("6/2(1+2)", "9"),
    ("1/2^{99}", f"1/{2**99}"),
    ("-2 1/2", "-5/2"),
    ("-2^2", "-4"),
    ("2.5 million", "2500000"),
    ("1/2 million", "500000"),
    ("1/2 dozen", "6"),
    ("18 third graders", "18"),
    ("1 third", "1/3"),
    ("5 quarters", "5"),
    ("2 hours", "2"),
    ("5 feet squared", "5"),
    ("5m", "5"),
    ("$5m", "5000000"),
    ("5 T-shirts", "5"),
    ("18 (9 eggs)", "18"),
    ("3 (times 4)", "3"),
    ("", None),
    ("eggs", None),
    ("Step 2", None),
    ("2. Add them up", None),
    ("2) Add", None),
    ("18!", None),
    ("18x", None),
    ("18 x^2", None),
    (r"18\pi", "18pi"),
    ("18 pi", None),
    ("18 and 19", None),
    ("18 or 19", None),
    ("3:30", None),
    ("2:1", None),
    ("(1,2)", None),
    ("1,2,3", None),
    ("{1,2}", "1.2"),
    ("1/0", None),
    ("0^0", None),
    ("5 squared", None),
    ("±5", None),
    ("≤ 5", None),
    ("x < 5", None),
    ("x >= 5", None),
    (r"\neq 5", None),
    ("5 minus x", None),
    ("18 and nineteen", None),
    ("2 hours 30 minutes", None),
    ("5 dollars and 3 cents", None),
    ("2 + 3 million", None),
    ("NaN", None),
    ("inf", None),
    ("1e99999999", None),
    ("9^12345678", None),
    ("9^9^9", None),
    (r"\text{}", None),
    ("73_{10}", None),
    ("0x12", None),
    ("--", None),
    ("$", None),
    (r"\frac{1}{}", None),
    (r"\sqrt{-4}", None),
    ("1 2", None),
    ("3 5 7", None),
    ("five", None),
]


def number(text: str) -> dict[tuple[int, int], Fraction] | None:
    if text == "18pi":
        return {(1, 1): Fraction(18)}
    value = Fraction(text)
    return {(1, 0): value} if value else {}


@pytest.mark.parametrize(("text", "value"), FIXED, ids=[text or "empty" for text, _ in FIXED])
def test_fixed_spelling_has_its_value(text: str, value: str | None) -> None:
    assert value_of(text) == (None if value is None else number(value))


def test_table_has_the_spellings_that_the_docs_promise() -> None:
    texts = [spelling.text for spelling in SPELLINGS]
    assert len(set(texts)) == len(texts) >= 150


@pytest.mark.parametrize(
    "place", [r"so \boxed{ANSWER}", "#### ANSWER", "**#### ANSWER**", "text 5\n#### ANSWER\nand 7 more"]
)
@pytest.mark.parametrize("amount", [73, 1250, -12, 2000000])
def test_spelling_has_its_value_in_a_box_and_behind_a_mark(place: str, amount: int) -> None:
    wrong = []
    for spelling in SPELLINGS:
        if amount < 0 and "{m}" in spelling.text and "minus" not in spelling.text:
            continue
        amount_here = abs(amount) if "minus" in spelling.text else amount
        answer = extract_answer(place.replace("ANSWER", spelling.write(amount_here)))
        if answer is None or value_of(answer) != number(str(spelling.value(amount_here))):
            wrong.append((spelling.write(amount_here), answer))
    assert wrong == []


IN_TEXT = [
    "The total is {n}.",
    "The total is **{n}**.",
    r"So the total is $\${n}$.",
    "It costs ${n,} in all.",
    "There are {n} m^2.",
    "It has {n} cm2.\n#### **{n}**",
    "**#### {n}**",
    "#### Answer: {n}",
    "#### {n},",
    "#### Step 2\nSo the total is {n}.",
    "#### Final answer\n{n}",
    "####{n}",
    r"\#\#\#\# {n}",
    "##### {n}",
    "####\n{n}",
    "Janet makes {n} T-shirts.",
    r"The answer is \({n}\)",
    "答案是{n}元",
    "Step 2: {n}",
    "**Final Answer:** {n}",
    "It is `{n}`",
    r"\boxed{{n}",
    "boxed{{n}}\n#### 2. Add up\nIt is {n}",
    "x = {n}",
    "Total: {n} eggs",
    "= {n}",
    "She paid <b>{n}</b>",
    "so <<0+0={n}>>{n} eggs",
    "so <<0+0={n}>>",
    r"\fbox{{n}}",
    r"\boxed {n}$",
]
TEXTS = [Spelling(text) for text in IN_TEXT] + [
    Spelling("It sells {n} million copies.", Fraction(10**6)), Spelling("It costs ${n}k.", Fraction(1000)),
    Spelling("It took {n} 1/2 hours.", more=Fraction(1, 2)), Spelling(r"It is \frac{{n}}{2}.", Fraction(1, 2)),
    Spelling("It is {n}/2.", Fraction(1, 2)), Spelling(r"It is {n}\,\text{thousand}.", Fraction(1000)),
]  # fmt: skip


@pytest.mark.parametrize("amount", [73, 1250, 2000000])
def test_answer_in_a_text_is_cleaned_as_one_in_a_box(amount: int) -> None:
    wrong = [
        spelling.write(amount)
        for spelling in TEXTS
        if accuracy(spelling.write(amount), rf"\boxed{{{spelling.value(amount)}}}") != 1.0
    ]
    assert wrong == []


def test_every_gold_answer_is_right_in_every_spelling() -> None:
    file = SHARED / "data" / "gsm8k" / "test.jsonl"
    if not file.exists():
        pytest.skip("GSM8K is not at hand: MEMGEN_SHARED names a folder that holds data/gsm8k/test.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines()
    golds = [json.loads(line)["answer"].rpartition("####")[2].strip().replace(",", "") for line in lines]
    assert len(golds) == 1319
    wrong = []
    for gold in sorted({int(gold) for gold in golds}):  # the score is of the number alone
        for spelling in SPELLINGS:
            if gold >= 0 or "{m}" not in spelling.text:
                solution = rf"\boxed{{{spelling.value(gold)}}}"
                if accuracy(rf"\boxed{{{spelling.write(gold)}}}", solution) != 1.0:
                    wrong.append((gold, spelling.text))
    assert wrong == []


@pytest.mark.parametrize(("expected", "right"), [("84", 1.0), ("7", 1.0), ("12", 0.0), ("8", 0.0)])
def test_dozens_are_twelve_or_the_unit_that_was_asked_for(expected: str, right: float) -> None:
    assert accuracy(r"\boxed{7 \text{ Dozen eggs}}", rf"\boxed{{{expected}}}") == right
    assert accuracy("She eats 7 dozen.", rf"\boxed{{{expected}}}") == right
    assert accuracy(r"\boxed{7 million}", r"\boxed{7}") == 0.0
