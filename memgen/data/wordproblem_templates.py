"""Texts of the word problems: templates with gaps, and the words that fill them.

Knows nothing of chance: `memgen.data.wordproblems` draws words and numbers. Numbers of a template, by letter:
`a b c` go up to the generator's `max_number`, `m n k` up to 12; all are at least 2, so questions need plurals only.
"""

from dataclasses import dataclass
from typing import Literal

Steps = Literal[1, 2]


@dataclass(frozen=True)
class Step:
    """One calculation: `result` names its outcome, `formula` is `left operator right`, `line` says it.

    In the line `{work}` is `16 - 3 = <<16-3=13>>` and `{paid}` the same in dollars, `= $<<16-3=13>>`.
    """

    result: str
    formula: str
    line: str


@dataclass(frozen=True)
class Template:
    """A question with gaps and its steps. `{a:{item}}` is a count with its noun, `{item.many}` the noun "
    "alone."""

    name: str
    question: str
    steps: tuple[Step, ...]
    known: str = ""
    """What the question says, in short: the first line of a rationale that begins with it."""


class Noun(str):
    """`scarf|scarves`: singular and plural of a thing that can be counted."""

    @property
    def one(self) -> str:
        """The singular."""
        return self.partition("|")[0]

    @property
    def many(self) -> str:
        """The plural."""
        return self.partition("|")[2]


# fmt: off
SHE = (
    "Ava", "Amina", "Bianca", "Chloe", "Dalia", "Elena", "Farah", "Grace", "Hana", "Ingrid",
    "Jasmine", "Keiko", "Leila", "Maria", "Nadia", "Olga", "Priya", "Rosa", "Sofia", "Yara",
)
HE = (
    "Adam", "Amir", "Bruno", "Carlos", "Daniel", "Emil", "Felix", "George", "Hugo", "Ivan",
    "Jamal", "Kenji", "Liam", "Marco", "Nikhil", "Oscar", "Pedro", "Rafael", "Samuel", "Tomas",
)
# fmt: on
_NOUN_LISTS = {
    "item": "marble|marbles sticker|stickers seashell|seashells stamp|stamps button|buttons bead|beads "
    "coin|coins "
    "postcard|postcards pencil|pencils crayon|crayons pebble|pebbles badge|badges magnet|magnets card|cards "
    "balloon|balloons dinosaur_figure|dinosaur_figures toy_car|toy_cars wooden_block|wooden_blocks",
    "crop": "apple|apples pear|pears tomato|tomatoes carrot|carrots pumpkin|pumpkins peach|peaches "
    "potato|potatoes "
    "cherry|cherries lemon|lemons strawberry|strawberries",
    "baked": "cookie|cookies muffin|muffins cupcake|cupcakes bread_roll|bread_rolls bagel|bagels pie|pies "
    "pastry|pastries waffle|waffles",
    "good": "notebook|notebooks mug|mugs scarf|scarves candle|candles poster|posters hat|hats lamp|lamps "
    "paintbrush|paintbrushes plant|plants toothbrush|toothbrushes water_bottle|water_bottles "
    "picture_frame|picture_frames",
    "container": "box|boxes bag|bags jar|jars basket|baskets crate|crates drawer|drawers tin|tins",
    "group": "classmate|classmates cousin|cousins neighbor|neighbors friend|friends teammate|teammates",
    "crowd": "student|students player|players camper|campers guest|guests dancer|dancers scout|scouts",
}
NOUNS = {slot: tuple(Noun(noun.replace("_", " ")) for noun in nouns.split()) for slot, nouns in _NOUN_LISTS.items()}
WORDS = {
    "chore": (
        "walking dogs",
        "washing cars",
        "mowing lawns",
        "babysitting",
        "raking leaves",
        "painting fences",
    ),
    "place": (
        "at the park",
        "in the attic",
        "on the beach",
        "at the market",
        "under the bed",
        "in the garden",
    ),
    "moves": ("rides a bike", "walks", "runs", "hikes", "drives"),
    "wish": ("a bicycle", "a guitar", "a tent", "a telescope", "a skateboard", "a camera", "a pair of skis"),
    "giver": ("grandmother", "aunt", "uncle", "brother", "sister", "coach"),
}

ONE_STEP = (
    Template(
        "gives_away",
        "{name} has {a:{item}} and gives {b} of them to {friend}. How many {item.many} does {name} have left?",
        (Step("x", "a - b", "{name} has {work}{x:{item}} left."),),
        "{name} has {a}, and {b} go to {friend}.",
    ),
    Template(
        "finds_more",
        "{name} has {a:{item}} and finds {b} more {place}. How many {item.many} does {name} have now?",
        (Step("x", "a + b", "{name} now has {work}{x:{item}}."),),
        "{name} has {a}, and {he} finds {b}.",
    ),
    Template(
        "packs",
        "{name} fills {m:{container}} with {item.many}. Each {container.one} holds {a:{item}}. "
        "How many {item.many} does {he} pack in all?",
        (Step("x", "m * a", "{name} packs {work}{x:{item}}."),),
        "There are {m:{container}}, with {a} in each.",
    ),
    Template(
        "shares",
        "{name} shares {a:{item}} equally among {m:{group}}. How many {item.many} does each {group.one} get?",
        (Step("x", "a / m", "Each {group.one} gets {work}{x:{item}}."),),
        "There are {a:{item}}, for {m:{group}}.",
    ),
    Template(
        "pays",
        "{name} buys {m:{good}}. Each {good.one} costs ${n}. How many dollars does {he} pay?",
        (Step("x", "m * n", "{name} pays {paid}{x}."),),
        "There are {m:{good}}, for ${n} each.",
    ),
    Template(
        "spends",
        "{name} got ${a} from {his} {giver} and spent ${b} of it on a {good.one}. How much money is left, in dollars?",
        (Step("x", "a - b", "{name} has {paid}{x} left."),),
        "{name} got ${a}, and {he} spent ${b}.",
    ),
    Template(
        "counts_difference",
        "{name} collected {a:{item}} and {friend} collected {b}. "
        "How many more {item.many} did {name} collect than {friend}?",
        (Step("x", "a - b", "{name} collected {work}{x} more."),),
        "{name} has {a}, and {friend} has {b}.",
    ),
    Template(
        "earns",
        "{name} earns ${a} an hour {chore}. How many dollars does {he} earn in {m:hour|hours}?",
        (Step("x", "a * m", "{name} earns {paid}{x}."),),
        "{name} works {m:hour|hours}, for ${a} each.",
    ),
    Template(
        "travels",
        "{name} {moves} {n:mile|miles} every day. How many miles does {he} cover in {a:day|days}?",
        (Step("x", "n * a", "{name} covers {work}{x:mile|miles}."),),
        "There are {a:day|days}, with {n:mile|miles} in each.",
    ),
    Template(
        "ages",
        "{name} is {a} years old. {friend} is {n} years older than {name}. How old is {friend}?",
        (Step("x", "a + n", "{friend} is {work}{x} years old."),),
        "{name} is {a}, and {friend} is {n} years older.",
    ),
    Template(
        "reads",
        "A book has {a:page|pages}. {name} reads {m:page|pages} of it every evening. "
        "How many evenings does {he} need to finish the book?",
        (Step("x", "a / m", "{name} needs {work}{x:evening|evenings}."),),
        "There are {a:page|pages}, and {name} reads {m} every evening.",
    ),
    Template(
        "makes_teams",
        "{name} splits {a:{crowd}} into teams of {m}. How many teams are there?",
        (Step("x", "a / m", "That makes {work}{x:team|teams}."),),
        "There are {a:{crowd}}, in teams of {m}.",
    ),
    Template(
        "picks_times_as_many",
        "{name} picked {a:{crop}}. {friend} picked {m} times as many. How many {crop.many} did {friend} pick?",
        (Step("x", "a * m", "{friend} picked {work}{x:{crop}}."),),
        "{name} picked {a}, and {friend} picked {m} times as many.",
    ),
    Template(
        "sets_up_rows",
        "{name} sets up {m:row|rows} of chairs with {n:chair|chairs} in each row. How many chairs does {he} set up?",
        (Step("x", "m * n", "{name} sets up {work}{x:chair|chairs}."),),
        "There are {m:row|rows}, with {n:chair|chairs} in each.",
    ),
    Template(
        "bakes_twice",
        "{name} baked {a:{baked}} in the morning and {b} in the afternoon. "
        "How many {baked.many} did {he} bake that day?",
        (Step("x", "a + b", "{name} baked {work}{x:{baked}}."),),
        "{name} baked {a}, and then {b}.",
    ),
    Template(
        "leaves_early",
        "{a:{crowd}} came to {name}'s party. {b} of them went home early. How many {crowd.many} stayed until the end?",
        (Step("x", "a - b", "{work}{x:{crowd}} stayed until the end."),),
        "{a:{crowd}} came, and {b} went home.",
    ),
)

TWO_STEPS = (
    Template(
        "finds_and_gives",
        "{name} has {a:{item}}. {He} finds {b} more {place} and then gives {c} to {friend}. "
        "How many {item.many} does {name} have in the end?",
        (
            Step("x", "a + b", "{name} has {work}{x:{item}} before giving any away."),
            Step("y", "x - c", "In the end {he} has {work}{y:{item}}."),
        ),
    ),
    Template(
        "packs_and_gives",
        "{name} fills {m:{container}} with {n:{item}} each and gives {a:{item}} to {friend}. "
        "How many {item.many} does {name} keep?",
        (
            Step("x", "m * n", "{name} packs {work}{x:{item}}."),
            Step("y", "x - a", "{He} keeps {work}{y:{item}}."),
        ),
    ),
    Template(
        "gets_change",
        "{name} buys {m:{good}} for ${n} each and pays with ${a}. How many dollars of change does {he} get?",
        (
            Step("x", "m * n", "The {good.many} cost {paid}{x}."),
            Step("y", "a - x", "The change is {paid}{y}."),
        ),
    ),
    Template(
        "buys_and_adds",
        "{name} buys {m:{good}} for ${n} each and a gift for {friend} that costs ${a}. "
        "How many dollars does {he} spend?",
        (
            Step("x", "m * n", "The {good.many} cost {paid}{x}."),
            Step("y", "x + a", "With the gift {he} spends {paid}{y}."),
        ),
    ),
    Template(
        "gathers_and_shares",
        "{name} picked {a:{crop}} and {friend} picked {b}. "
        "They shared all of them equally among {m:{group}}. "
        "How many {crop.many} did each {group.one} get?",
        (
            Step("x", "a + b", "Together they picked {work}{x:{crop}}."),
            Step("y", "x / m", "Each {group.one} got {work}{y:{crop}}."),
        ),
    ),
    Template(
        "keeps_and_shares",
        "{name} has {a:{item}}. {He} keeps {b} and shares the rest equally among {m:{group}}. "
        "How many {item.many} does each {group.one} get?",
        (
            Step("x", "a - b", "{name} shares {work}{x:{item}}."),
            Step("y", "x / m", "Each {group.one} gets {work}{y:{item}}."),
        ),
    ),
    Template(
        "has_more_together",
        "{name} has {a:{item}}. {friend} has {b} more than {name}. How many {item.many} do they have together?",
        (
            Step("x", "a + b", "{friend} has {work}{x:{item}}."),
            Step("y", "a + x", "Together they have {work}{y:{item}}."),
        ),
    ),
    Template(
        "has_times_together",
        "{name} picked {a:{crop}} and {friend} picked {m} times as many. How many {crop.many} did they pick together?",
        (
            Step("x", "a * m", "{friend} picked {work}{x:{crop}}."),
            Step("y", "a + x", "Together they picked {work}{y:{crop}}."),
        ),
    ),
    Template(
        "works_two_days",
        "{name} spends {m:hour|hours} on Monday and {n:hour|hours} on Tuesday {chore}, for ${a} an hour. "
        "How many dollars does {he} earn?",
        (
            Step("x", "m + n", "{name} works {work}{x:hour|hours}."),
            Step("y", "x * a", "{He} earns {paid}{y}."),
        ),
    ),
    Template(
        "saves_for",
        "{name} wants to buy {wish} that costs ${a}. {He} has ${b} and saves ${m} a week. "
        "How many weeks does {he} need to save up the rest?",
        (
            Step("x", "a - b", "{name} still needs {paid}{x}."),
            Step("y", "x / m", "That takes {work}{y:week|weeks}."),
        ),
    ),
    Template(
        "reads_two_days",
        "A book has {a:page|pages}. {name} read {b} of them on Saturday and {c} on Sunday. "
        "How many pages are left to read?",
        (
            Step("x", "b + c", "{name} read {work}{x:page|pages}."),
            Step("y", "a - x", "That leaves {work}{y:page|pages}."),
        ),
    ),
    Template(
        "harvests_orchard",
        "{name} has {m:row|rows} of {n:tree|trees} in {his} orchard. "
        "Each tree gives {k:basket|baskets} of fruit. "
        "How many baskets of fruit does {he} harvest?",
        (
            Step("x", "m * n", "There are {work}{x:tree|trees}."),
            Step("y", "x * k", "{name} harvests {work}{y:basket|baskets}."),
        ),
    ),
    Template(
        "bakes_and_boxes",
        "{name} bakes {m:tray|trays} of {a:{baked}} each and packs all of them into boxes of {n}. "
        "How many boxes does {he} fill?",
        (
            Step("x", "m * a", "{name} bakes {work}{x:{baked}}."),
            Step("y", "x / n", "{He} fills {work}{y:box|boxes}."),
        ),
    ),
    Template(
        "bus_stop",
        "{name} drives a bus with {a:passenger|passengers}. At the next stop {b} get off and {c} get on. "
        "How many passengers are on the bus then?",
        (
            Step("x", "a - b", "The bus goes on with {work}{x:passenger|passengers}."),
            Step("y", "x + c", "Then there are {work}{y:passenger|passengers}."),
        ),
    ),
    Template(
        "spends_the_rest",
        "{name} has ${a}. {He} buys {wish} for ${b} and spends the rest on {good.many} that cost ${m} each. "
        "How many {good.many} does {he} buy?",
        (
            Step("x", "a - b", "{name} has {paid}{x} left."),
            Step("y", "x / m", "{He} buys {work}{y:{good}}."),
        ),
    ),
    Template(
        "earns_and_spends",
        "{name} earns ${a} a day {chore}. After {m:day|days} {he} buys {wish} for ${b}. How many dollars are left?",
        (
            Step("x", "a * m", "{name} earns {paid}{x}."),
            Step("y", "x - b", "{He} has {paid}{y} left."),
        ),
    ),
)

TEMPLATES: dict[Steps, tuple[Template, ...]] = {1: ONE_STEP, 2: TWO_STEPS}
