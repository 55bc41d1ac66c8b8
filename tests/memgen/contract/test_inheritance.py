import re
from pathlib import Path
from typing import get_args

import pytest

from memgen.contract.errors import BadInput
from memgen.contract.inheritance import HUB_TOKENS, KEPT_BACK, Kind, inherited

REPOSITORY = Path(__file__).parents[3]
SECRETS = {
    "MEMGEN_TOKEN": "user's", "MEMGEN_WORKER_TOKEN": "worker's", "REDIS_URL": "redis://:password@host/0",
    "HF_TOKEN": "hf_1", "HUGGING_FACE_HUB_TOKEN": "hf_2", "HUGGINGFACE_HUB_TOKEN": "hf_3", "HF_TOKEN_PATH": "/t",
    "MEMGEN_REDIS_PASSWORD": "redis's",
}  # fmt: skip
STRANGERS = {
    "AWS_SECRET_ACCESS_KEY": "a", "SSH_AUTH_SOCK": "/s", "GITHUB_TOKEN": "g", "DATABASE_PASSWORD": "d", "OTHER": "o",
    "CUDA_API_TOKEN": "c", "HF_HUB_SECRET": "h", "PYTHON_KEYRING_PASSWORD": "k", "LD_KEY": "l", "MEMGEN": "m",
}  # fmt: skip
NEEDED = [
    "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "NCCL_DEBUG", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "HTTPS_PROXY", "https_proxy",
    "no_proxy", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE",
    "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "XDG_CACHE_HOME", "HOME", "PATH", "USER", "LANG",
    "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF",
    "TORCH_HOME", "TRITON_CACHE_DIR", "TOKENIZERS_PARALLELISM", "MEMGEN_HOME", "MEMGEN_PRESETS",
    "MEMGEN_GSM8K_DIR", "MEMGEN_THREADS", "MEMGEN_SUPERVISOR_PID", "MEMGEN_SLOT_LOCK",
]  # fmt: skip


def test_trainer_keeps_what_gpus_networks_and_python_need() -> None:
    environment = dict.fromkeys(NEEDED, "x")
    assert inherited("trainer", environment | SECRETS | STRANGERS) == environment


def test_every_setting_that_the_core_reads_is_on_the_trainers_list() -> None:
    sources = [path for path in (REPOSITORY / "memgen").rglob("*.py") if path.name != "inheritance.py"]
    named = {name for path in sources for name in re.findall(r'"(MEMGEN_[A-Z0-9_]+)"', path.read_text())}
    assert "MEMGEN_PRESETS" in named
    named -= {"MEMGEN_GROUP", "MEMGEN_DATA_FOLDERS", "MEMGEN_HUB_DATA_SETS"}  # named in errors, read by the backend
    assert set(inherited("trainer", dict.fromkeys(named, "x"))) == named


@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_process_inherits_what_is_not_listed(kind: Kind) -> None:
    assert set(inherited(kind, STRANGERS)) == set()


@pytest.mark.parametrize(
    ("kind", "secrets"),
    [
        ("redis", set()),
        ("pip", set()),
        ("trainer", set()),
        ("reader", set()),
        ("job", set()),
        ("fetcher", HUB_TOKENS),
        ("supervisor", HUB_TOKENS | {"MEMGEN_WORKER_TOKEN"}),
        ("worker", HUB_TOKENS | {"MEMGEN_WORKER_TOKEN", "REDIS_URL"}),
        ("dashboard", {"MEMGEN_TOKEN"}),
        ("backend", {"MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "REDIS_URL"}),
    ],
)
def test_each_process_gets_the_secrets_that_it_needs_alone(kind: Kind, secrets: set[str]) -> None:
    assert set(inherited(kind, SECRETS)) == secrets


def test_names_of_the_operator_pass_and_reach_those_that_are_started_in_turn() -> None:
    environment = {"MEMGEN_PASS_ON": "SLURM_*, WANDB_API_KEY\tMY", "SLURM_JOB_ID": "1", "WANDB_API_KEY": "k", "MY": "m"}
    for kind in ("backend", "worker", "supervisor", "fetcher", "trainer", "dashboard"):
        assert inherited(kind, environment | SECRETS).items() >= environment.items()
    assert not {"MY", "WANDB_API_KEY"} & set(inherited("redis", environment))


@pytest.mark.parametrize("names", ["MEMGEN_*", "HF_*", "REDIS_*", "H*,M*,R*", "MEMGEN_TOKE*", "HUGGING*"])
def test_prefix_of_the_operator_brings_the_trainer_no_token(names: str) -> None:
    assert not set(inherited("trainer", SECRETS | {"MEMGEN_PASS_ON": names})) & KEPT_BACK


@pytest.mark.parametrize("names", ["*", "A=B", "9A", "A B*C", "A;B", "ä", "A\0", *sorted(KEPT_BACK)])
def test_what_is_no_name_or_a_token_is_refused_by_name(names: str) -> None:
    with pytest.raises(BadInput) as caught:
        inherited("trainer", {"MEMGEN_PASS_ON": names})
    assert (caught.value.code, caught.value.field) == ("bad_setting", "MEMGEN_PASS_ON")
    assert caught.value.way_out
