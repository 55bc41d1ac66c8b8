"""Events as lines, also those of earlier versions."""

import pytest
from pydantic import ValidationError

from memgen.contract.events import Phase, read_event


def test_line_holds_the_event_that_was_written() -> None:
    event = Phase(time=1.0, name="load", detail="é")
    assert read_event(event.model_dump_json()) == event


def test_kind_that_earlier_versions_wrote_is_passed_over_and_no_other() -> None:
    assert read_event(b'{"time": 1.0, "event": "artifact", "kind": "checkpoint", "path": "weaver_sft"}') is None
    for line in (b'{"time": 1.0, "event": "artefact"}', b'{"event": "phase", "name": "artifact"}', b"artifact", b"[]"):
        with pytest.raises(ValidationError):
            read_event(line)
