"""The operator's file of sites: what is taken from it, and how it is refused in words."""

from pathlib import Path

import pytest

from backend.executors.sites import load_sites
from backend.executors.slurm import BUILT_IN, SlurmSite
from memgen.contract.errors import BadInput

WHOLE = """
[lab]
executor = "slurm"
folder = "/shared/memgen"
backend_url = "http://login1:8000"
python = "/shared/memgen/.venv/bin/python"
flags = ["--partition=gpu", "--account=lab", "-t", "04:00:00"]
most_jobs = 20
signal_seconds = 300

[[lab.sizes]]
name = "one"
gpus = 1
memory_gib = 80
flags = ["--gres=gpu:1", "--cpus-per-task=8"]

[[lab.sizes]]
name = "processor"
memory_gib = 32
"""
LEAST = '[lab]\nexecutor = "slurm"\nfolder = "/shared"\n[[lab.sizes]]\nname = "one"\nmemory_gib = 8\n'


def read(tmp_path: Path, text: str) -> SlurmSite:
    file = tmp_path / "sites.toml"
    file.write_text(text)
    site = load_sites(file, tmp_path / "home")["lab"]
    assert isinstance(site, SlurmSite)
    return site


def test_file_describes_a_site_with_its_sizes(tmp_path: Path) -> None:
    site = read(tmp_path, WHOLE.replace('"-t", "04:00:00"', '"--time=04:00:00"'))
    assert (site.name, site.most_jobs, site.signal_seconds, site.template) == ("lab", 20, 300, BUILT_IN)
    assert [(size.name, size.device, size.device_memory) for size in site.offers] == [
        ("one", "cuda", [80 * 2**30]),
        ("processor", "cpu", [32 * 2**30]),
    ]


def test_without_a_file_there_is_no_site(tmp_path: Path) -> None:
    assert load_sites(None, tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lab", "can't be read"),
        ("name = 1\n", "a table for each site"),
        (LEAST.replace('"slurm"', '"pbs"'), "an executor that is one of: slurm"),
        (LEAST.replace('"slurm"', "[]"), "an executor that is one of: slurm"),
        (LEAST.replace("[lab]", "[lab]\nqueue = 1"), "queue: Extra inputs are not permitted"),
        (LEAST.replace("/shared", "shared"), "folder: Value error, this is no absolute path"),
        (LEAST.replace("memory_gib = 8", "memory_gib = 0"), "sizes.0.memory_gib"),
        (LEAST.partition("[[")[0], "sizes: Field required"),
        (LEAST.replace("[lab]", '[lab]\nflags = ["gpu"]'), "is no flag of sbatch"),
        (LEAST.replace("[lab]", '[lab]\nflags = ["--wrap=ls"]'), "is set by MemGen Studio itself"),
        (LEAST.replace("[lab]", '[lab]\nflags = ["--exp=NONE"]'), "is set by MemGen Studio itself"),
        (LEAST.replace("[lab]", '[lab]\nflags = ["-oout.txt"]'), "is set by MemGen Studio itself"),
        (LEAST.replace("[lab]", '[lab]\ntemplate = "none.sh"'), "can't be read"),
        (LEAST.replace("[lab]", '[lab]\nbackend_url = "login1"'), "http://HOST:PORT"),
        (LEAST.replace("lab", '"a b"'), "name: String should match pattern"),
    ],
)
def test_file_that_can_not_be_used_is_refused_with_the_first_thing_that_is_wrong(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        read(tmp_path, text)
    assert refusal.value.code == "bad_sites_file"
    assert refusal.value.field == "MEMGEN_SITES"
    assert words in refusal.value.message


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        load_sites(tmp_path / "none.toml", tmp_path)


def test_folder_inside_the_home_is_refused_as_backups_would_hold_its_tickets(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="inside MEMGEN_HOME"):
        read(tmp_path, LEAST.replace("/shared", f"{tmp_path}/home/jobs"))


@pytest.mark.parametrize(
    ("script", "is_good"),
    [
        ('#!/bin/bash\nmodule load cuda\nexec "$@"\n', True),
        ('#!/bin/sh\nexec srun "$@"\n', True),
        ('#!/bin/bash\n"$@"\n', False),
        ('exec "$@"\n', False),
    ],
)
def test_script_of_a_site_becomes_the_command_that_it_is_given(tmp_path: Path, script: str, is_good: bool) -> None:
    (tmp_path / "job.sh").write_text(script)
    text = LEAST.replace("[lab]", '[lab]\ntemplate = "job.sh"')
    if is_good:
        assert read(tmp_path, text).template == tmp_path / "job.sh"
    else:
        with pytest.raises(BadInput, match="exec"):
            read(tmp_path, text)


def test_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST).most_jobs == 50
    assert read(tmp_path, LEAST.replace("[lab]", "[lab]\nmost_jobs = 3")).most_jobs == 3
