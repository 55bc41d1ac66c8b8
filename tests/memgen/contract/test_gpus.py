import pytest

from memgen.contract.gpus import visible_devices


@pytest.mark.parametrize(
    ("value", "names", "stray"),
    [
        ("0,1", ["0", "1"], None),
        ("0, 1", ["0", "1"], None),
        (" 1 ,\t0 ", ["1", "0"], None),
        ("01", ["1"], None),
        ("", [], None),
        ("  ", [], None),
        ("-1", [], None),
        ("0,-1,1", ["0"], None),
        ("0,,1", ["0"], None),
        ("NoDevFiles", [], None),
        ("none", [], None),
        ("GPU-8932f937-d72c", ["GPU-8932f937-d72c"], None),
        ("GPU-8932,1", ["GPU-8932", "1"], None),
        ("MIG-7f4b", ["MIG-7f4b"], None),
        ("MIG-GPU-8932/1/0", ["MIG-GPU-8932/1/0"], None),
        ("0 1", [], "0 1"),
        ("0;1", [], "0;1"),
        ("all", [], "all"),
        ("cuda:0", [], "cuda:0"),
        ("0,two,1", ["0"], "two"),
        ("²", [], "²"),
        ("99999999999999999999", [], "99999999999999999999"),
        ("8932f937", [], "8932f937"),
    ],
)
def test_list_is_read_up_to_the_first_entry_that_is_no_device(value: str, names: list[str], stray: str | None) -> None:
    read = visible_devices(value)
    assert (read.names, read.stray) == (names, stray)
