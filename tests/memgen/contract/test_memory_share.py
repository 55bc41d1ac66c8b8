import pytest

from memgen.contract.errors import BadInput
from memgen.contract.memory_share import memory_share


@pytest.mark.parametrize(("value", "share"), [(None, 1.0), ("", 1.0), (" 0.5 ", 0.5), ("1", 1.0)])
def test_share_is_a_number_or_all(value: str | None, share: float) -> None:
    assert memory_share({} if value is None else {"MEMGEN_MEMORY_SHARE": value}) == share


@pytest.mark.parametrize("value", ["half", "0", "-0.5", "1.1", "nan", "inf"])
def test_what_is_no_share_is_refused(value: str) -> None:
    with pytest.raises(BadInput) as caught:
        memory_share({"MEMGEN_MEMORY_SHARE": value})
    assert (caught.value.code, caught.value.field) == ("bad_setting", "MEMGEN_MEMORY_SHARE")
