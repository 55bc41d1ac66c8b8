"""The insertion rule on texts and tokens that are written out."""

import pytest

from memgen.contract.insertion import Limits, is_in_number


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("He pays 1,", True),
        ("It costs $2.", True),  # for all that is known 2.50
        ("So he has 12.", True),
        ("So he has twelve.", False),
        ("He has 3 apples,", False),
        ("It is 5%.", False),
        ("So he has 12.\n", False),
        ("12\n", False),
        (".", False),
        ("", False),
        ("He has <<3*.", True),
        ("He has <<3*4=12>>12 apples.", False),
        ("He has <<3*4=12>>12.", True),
        ("<<3*4=12>> and <<2*\n", True),
        ("x >> y, and x << y,", True),
        ("x << y >> z,", False),
    ],
)
def test_delimiter_is_in_a_number_as_far_as_the_text_up_to_it_tells(text: str, inside: bool) -> None:
    assert is_in_number(text) is inside


def never() -> str:
    raise AssertionError("the text is not needed")


def test_text_is_asked_for_at_delimiters_with_the_guard_alone() -> None:
    plain, guarded = Limits(max_inference_aug_num=2), Limits(max_inference_aug_num=2, guard_numbers=1)
    assert plain.may_insert(7, 1, lambda _: True, never)
    assert not guarded.may_insert(7, 0, lambda _: False, never)
    assert not guarded.may_insert(7, 2, lambda _: True, never)
    assert guarded.may_insert(None, 0, lambda _: True, never)
    assert guarded.may_insert(7, 1, lambda _: True, lambda: "So,")
    assert not guarded.may_insert(7, 1, lambda _: True, lambda: "So 1,")
