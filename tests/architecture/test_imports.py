"""What imports without torch must go on doing so; the walls between packages are import-linter's (`make check`)."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "peft", "trl")


@pytest.mark.parametrize(
    "package", ["memgen.contract", "memgen.data", "memgen.scoring", "backend", "worker", "dashboard"]
)
def test_package_imports_without_torch(package: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module({package!r})\n"
        "for found in pkgutil.walk_packages(getattr(package, '__path__', []), package.__name__ + '.'):\n"
        # these run when imported: the command lines, the migrations, the pages of the dashboard
        "    if not any(part in found.name for part in ('__main__', '.migrations', '.app_pages', 'dashboard.main')):\n"
        "        importlib.import_module(found.name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
