import pytest

from memgen.contract.errors import BadInput
from memgen.contract.threads import threads_setting


@pytest.mark.parametrize(("value", "threads"), [(None, None), ("", None), (" ", None), ("2", 2), (" 8 ", 8)])
def test_threads_are_a_number_or_torchs_choice(monkeypatch, value: str | None, threads: int | None) -> None:
    monkeypatch.delenv("MEMGEN_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("MEMGEN_THREADS", value)
    assert threads_setting() == threads


@pytest.mark.parametrize("value", ["abc", "0", "-1", "2.5", "²", "99999", "9" * 5000, "1 2"])
def test_what_is_no_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MEMGEN_THREADS", value)
    with pytest.raises(BadInput) as caught:
        threads_setting()
    assert (caught.value.code, caught.value.field) == ("bad_setting", "MEMGEN_THREADS")
