"""What a process of ours inherits from the one that starts it: an allow-list of environment variables for each kind.

A trainer runs a model's code and its libraries write what they like into logs and crash reports, so it gets no token of
ours and none of the model hub's. Every other process gets what it needs and no more. What a kind needs is said by exact
names and by prefixes; a name that looks like a secret never passes by a prefix.
"""

import re
from collections.abc import Mapping
from typing import Literal

from memgen.contract.data_sets.folders import folder_settings
from memgen.contract.errors import BadInput

Kind = Literal[
    "redis",
    "backend",
    "worker",
    "dashboard",
    "supervisor",
    "fetcher",
    "trainer",
    "judge",
    "reader",
    "pip",
    "git",
    "job",
]

PASS_ON = "MEMGEN_PASS_ON"
"""The operator's own names: all processes but Redis, pip, git, readers of rows and the judge of expressions
inherit them."""
HUB_TOKENS = frozenset({"HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN"})
KEPT_BACK = HUB_TOKENS | {
    "MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "MEMGEN_REDIS_PASSWORD", "MEMGEN_SMTP_PASSWORD", "REDIS_URL",
}  # fmt: skip
"""What the operator can't pass on either: a trainer would have it."""

_SECRET = {"TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS", "KEY", "APIKEY"}
_ADDED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?")

# a name that ends in * stands for all names that begin so
_SYSTEM = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR", "TMPDIR", "TMP",
    "TEMP", "TERM", "NO_COLOR", "HOSTNAME", "XDG_*", "PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_*",
    "DYLD_*", "MALLOC_*", "GLIBC_TUNABLES",
]  # fmt: skip
_NETWORK = [
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "ftp_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "OPENSSL_CONF",
]  # fmt: skip
_HUB = [  # its home, endpoint, time-outs; the last is a switch and no token
    "HF_*", "HUGGINGFACE_*", "HUGGING_FACE_*", "TRANSFORMERS_*", "TQDM_*", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
]  # fmt: skip
_COMPUTE = [
    "CUDA_*", "NVIDIA_*", "NCCL_*", "CUDNN_*", "CUBLAS_*", "GPU_*", "ROCR_*", "ROCM_*", "HIP_*", "HSA_*",
    "RCCL_*", "MIOPEN_*", "UCX_*", "FI_*", "GLOO_*", "TORCH_*", "TORCHINDUCTOR_*", "TORCHELASTIC_*",
    "PYTORCH_*", "TRITON_*", "ACCELERATE_*", "TOKENIZERS_*", "SAFETENSORS_*", "RAYON_*", "OMP_*", "GOMP_*",
    "KMP_*", "MKL_*", "OPENBLAS_*", "VECLIB_*", "NUMEXPR_*", "CC", "CXX", "CPATH", "LIBRARY_PATH",
]  # fmt: skip

_BATCH = ["SLURM_CONF"]

_ALLOWED: dict[Kind, list[str]] = {
    "redis": _SYSTEM,
    "backend": [
        *_SYSTEM, *_NETWORK, *_HUB, "MEMGEN_*", "MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "MEMGEN_SMTP_PASSWORD",
        "REDIS_URL", *_BATCH,
    ],
    "dashboard": [*_SYSTEM, "MEMGEN_*", "STREAMLIT_*", "MEMGEN_TOKEN"],
    # worker and supervisor hold the hub's token for the fetcher alone
    "worker": [
        *_SYSTEM, *_NETWORK, *_HUB, *_COMPUTE, *HUB_TOKENS, "PIP_*", "NETRC", "MEMGEN_*", "MEMGEN_WORKER_TOKEN",
        "REDIS_URL",
    ],
    "supervisor": [
        *_SYSTEM, *_NETWORK, *_HUB, *_COMPUTE, *HUB_TOKENS, "PIP_*", "NETRC", "MEMGEN_*", "MEMGEN_WORKER_TOKEN",
    ],
    "fetcher": [
        *_SYSTEM, *_NETWORK, *_HUB, *_COMPUTE, *HUB_TOKENS, "PIP_*", "NETRC", "MEMGEN_HOME", "MEMGEN_PRESETS",
    ],
    "trainer": [
        *_SYSTEM, *_NETWORK, *_HUB, *_COMPUTE, "MEMGEN_HOME", "MEMGEN_PRESETS", "MEMGEN_THREADS",
        "MEMGEN_MEMORY_SHARE", "MEMGEN_SUPERVISOR_PID", "MEMGEN_SLOT_LOCK",
    ],  # and the settings that name folders of data sets
    "reader": _SYSTEM,  # of files that anybody may have sent
    "pip": [*_SYSTEM, *_NETWORK, "PIP_*", "NETRC"],
    "git": _SYSTEM,
    "judge": _SYSTEM,
    # commands of a batch system, and what it starts elsewhere: it stores the environment, so no secret is in it
    "job": [*_SYSTEM, *_HUB, "MEMGEN_*", *_BATCH],
}  # fmt: skip


def inherited(kind: Kind, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process of this kind is given.

    Args:
        kind: of the process that is to be started.
        environment: of the process that starts it, usually `os.environ`.

    Raises:
        BadInput: `bad_setting`, if MEMGEN_PASS_ON can't be used.
    """
    allowed = [*_ALLOWED[kind], *folder_settings()] if kind == "trainer" else _ALLOWED[kind]
    passed = {name: value for name, value in environment.items() if _is_named(name, allowed)}
    if kind in {"redis", "reader", "pip", "git", "judge"}:
        return passed
    added = added_names(environment)
    if added:
        passed |= {PASS_ON: environment[PASS_ON]}  # for those that this process starts in its turn
    return passed | {
        name: value for name, value in environment.items() if name not in KEPT_BACK and _is_named(name, added)
    }


def added_names(environment: Mapping[str, str]) -> list[str]:
    """The names of MEMGEN_PASS_ON, separated by spaces or commas; a name that ends in * is a prefix.

    Raises:
        BadInput: `bad_setting`, for what is no name, and for tokens that no trainer may have.
    """
    names = environment.get(PASS_ON, "").replace(",", " ").split()
    for name in names:
        if _ADDED_NAME.fullmatch(name) is None:
            raise BadInput(
                "bad_setting",
                "this is not the name of an environment variable",
                field=PASS_ON,
                value=name,
                way_out="List names with commas, e.g. `WANDB_MODE,SLURM_*`.",
            )
        if name in KEPT_BACK:
            raise BadInput(
                "bad_setting",
                "this holds a secret, which is never passed on to a trainer",
                field=PASS_ON,
                value=name,
                way_out="Leave it out: the processes that need it have it.",
            )
    return names


def _is_named(name: str, allowed: list[str]) -> bool:
    if name in allowed:
        return True
    if _SECRET & set(name.upper().split("_")):
        return False
    return any(entry.endswith("*") and name.startswith(entry[:-1]) for entry in allowed)
