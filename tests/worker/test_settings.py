from pathlib import Path

import pytest

from memgen.contract.errors import BadInput
from worker.__main__ import main
from worker.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEMGEN_POLL_SECONDS", "abc"),
        ("MEMGEN_POLL_SECONDS", "0"),
        ("MEMGEN_POLL_SECONDS", "inf"),
        ("MEMGEN_POLL_SECONDS", "nan"),
        ("MEMGEN_BACKEND_URL", "localhost:8000"),
        ("MEMGEN_BACKEND_URL", "http://[::1"),
        ("MEMGEN_BACKEND_URL", "http://"),
        ("MEMGEN_TRAINER", "python 'trainer.py"),
        ("REDIS_URL", "nonsense"),
        ("MEMGEN_SLOTS", "gpu0"),
        ("MEMGEN_MOST_RUNS", "0"),
        ("MEMGEN_MEMORY_SHARE", "1.5"),
        ("MEMGEN_PASS_ON", "HF_TOKEN"),
        ("MEMGEN_PASS_ON", "*"),
    ],
)
def test_setting_that_can_not_work_ends_the_worker_with_one_clear_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv("MEMGEN_WORKER_TOKEN", "a-token-of-tests")
    monkeypatch.setenv(name, value)
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {'--slots' if name == 'MEMGEN_SLOTS' else name}: ")
    assert said.count("\n") == 1


def test_setting_that_is_empty_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Settings()
    for name in ("REDIS_URL", "MEMGEN_BACKEND_URL", "MEMGEN_POLL_SECONDS", "MEMGEN_TRAINER"):
        monkeypatch.setenv(name, "")
    assert Settings.read() == plain


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff", "tökén".encode(), b"two\nlines"])
def test_token_that_can_not_be_sent_is_refused(home: Path, content: bytes | None) -> None:
    path = home / "backend" / "worker-token"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        Settings().token()
    assert caught.value.code == ("no_worker_token" if content is None else "bad_token_file")
    path.write_bytes(b"token-of-a-worker\n")
    assert Settings().token() == "token-of-a-worker"
