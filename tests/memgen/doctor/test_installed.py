"""Python and packages that stand-ins describe."""

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from memgen.doctor.finding import Verdict
from memgen.doctor.installed import packages, python, versions_of_tests, wanted_packages

WANTED = [Requirement("torch==2.13.0"), Requirement("peft>=0.21"), Requirement("huggingface-hub>=1.0")]
TESTED = {"torch": "2.13.0", "peft": "0.21.2", "huggingface-hub": "2.4.0"}
HERE = {"torch": "2.13.0+cu130", "peft": "0.21.2", "huggingface-hub": "2.4.0"}


@pytest.mark.parametrize(("present", "verdict"), [("3.11.7", "ok"), ("3.10.12", "error"), ("3.14.0", "error")])
def test_python_outside_what_the_package_is_for_is_an_error(present: str, verdict: str) -> None:
    assert python(present, ">=3.11,<3.14").verdict == verdict


def test_packages_as_tested_are_well_whatever_build_of_torch_it_is() -> None:
    [found] = packages(WANTED, TESTED, HERE.get)
    assert found.verdict is Verdict.OK


def test_missing_and_unfit_packages_are_errors_that_name_them() -> None:
    missing, unfit = packages(WANTED, TESTED, {"torch": "2.11.0", "peft": "0.21.2"}.get)
    assert (missing.verdict, missing.seen) == (Verdict.ERROR, "not installed: huggingface-hub")
    assert (unfit.verdict, unfit.seen) == (Verdict.ERROR, "of another version: torch 2.11.0 (wanted ==2.13.0)")
    assert "make install" in unfit.way_out


def test_versions_that_no_test_has_used_are_a_warning() -> None:
    [found] = packages(WANTED, TESTED, (HERE | {"peft": "0.30.1"}).get)
    assert (found.verdict, found.seen) == (
        Verdict.WARNING,
        "not the versions of the tests: peft 0.30.1 (tested 0.21.2)",
    )


def test_code_that_is_not_installed_says_that_it_can_not_tell() -> None:
    assert packages([], TESTED, HERE.get)[0].verdict is Verdict.WARNING
    assert python("3.11.7", None).verdict is Verdict.WARNING


def test_what_a_trainer_needs_is_read_from_the_installed_package_and_its_tests_versions_from_the_checkout() -> None:
    names = {one.name for one in wanted_packages(["worker"])}
    assert {"torch", "transformers", "peft", "trl", "pydantic"} <= names
    assert not {"streamlit", "pytest"} & names
    assert "torch" not in {one.name for one in wanted_packages([])}
    assert versions_of_tests()["torch"] == version("torch").partition("+")[0]
    assert versions_of_tests(Path("nowhere")) == {}
