"""The records of the stages against the configs that they stand beside."""

from typing import Any, get_args

import pytest

from memgen.contract.checkpoint_kinds import KINDS, LORA, MEMGEN
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import STEPS
from memgen.contract.stage import Stage
from memgen.contract.stages import (
    STAGES,
    evaluation_names,
    find_stage,
    forms,
    set_apart,
    stage_named,
    training_names,
    trains,
)

each_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


@each_stage
def test_record_names_the_stage_of_its_config_and_all_its_settings(stage: Stage[Any]) -> None:
    fields = stage.config.model_fields
    assert fields["stage"].default == stage.name
    assert get_args(fields["stage"].annotation) == (stage.name,)
    if stage.trains:
        assert list(stage.needs) == [""]
    else:
        assert (set(stage.needs), next(iter(stage.needs))) == (
            set(get_args(fields["setting"].annotation)),
            fields["setting"].default,
        )


@each_stage
def test_record_speaks_of_fields_that_its_config_has(stage: Stage[Any]) -> None:
    launch = stage.launch
    named = {*launch.first, *launch.empty, *stage.work.pace, *stage.told, *(name for name, _ in launch.defaults)}
    named |= {name for one in launch.variations for name in one.values}
    named |= {name for others in launch.defaults.values() for name in others}
    for form in launch.forms:
        named |= {*form.absent, *form.turns}
        assert form.setting in stage.needs or (form.setting is None and stage.trains)
        assert set(form.turns.values()) <= set(stage.needs)
    assert named - set(stage.config.model_fields) == set()


@each_stage
def test_setting_needs_no_checkpoint_where_the_config_takes_none(stage: Stage[Any]) -> None:
    for setting, need in stage.needs.items():
        given = {"setting": setting} if setting else {}
        given |= {"insert_probability": 0.5} if setting == "weaver+random" else {}
        if need is None:
            assert stage.config(**given).checkpoint is None
        else:
            with pytest.raises(ValueError, match="checkpoint"):
                stage.config(**given)
            config, layout = stage.config(**given, checkpoint="1"), KINDS[need].layout
            assert (config.has_latents, config.has_lora) == (layout == MEMGEN, layout == LORA)


def test_trainings_have_steps_and_make_something_and_evaluations_neither() -> None:
    assert [(stage.work.steps is not None, stage.makes is not None) for stage in STAGES] == [
        (stage.trains, stage.trains) for stage in STAGES
    ]
    assert sorted(training_names() + evaluation_names()) == sorted(stage.name for stage in STAGES)


def test_names_are_unique_and_next_steps_and_steps_of_the_pipeline_are_forms() -> None:
    names = [form.name for stage in STAGES for form in stage.launch.forms]
    assert len(names) == len(set(names))
    assert {one.form for stage in STAGES for one in stage.next} | set(STEPS) <= set(forms())
    outputs = [(stage.output.area, stage.output.folder) for stage in STAGES]
    assert len(outputs) == len(set(outputs))


def test_next_of_a_checkpoint_needs_no_more_than_it_has() -> None:
    for stage in STAGES:
        for one in stage.next:
            after, form = forms()[one.form]
            assert after.need(form.setting) in {None, *KINDS[stage.makes].offers}


def test_unknown_stage_is_refused_by_name_and_is_no_training() -> None:
    with pytest.raises(BadInput, match="Known: evaluate, weaver_sft"):
        stage_named("wever_sft")
    assert (find_stage("wever_sft"), trains("wever_sft"), trains(training_names()[0])) == (None, False, True)


def test_run_whose_setting_is_not_known_needs_the_least_of_what_its_stage_needs() -> None:
    needs = [(stage.name, stage.need(None), stage.need("no such setting")) for stage in STAGES]
    assert needs == [
        ("evaluate", "weaver", "weaver"),
        ("weaver_sft", None, None),
        ("weaver_grpo", None, None),
        ("trigger_grpo", "weaver", "weaver"),
        ("ltpo_evaluate", "weaver", "weaver"),
        ("lora_sft", None, None),
        ("lora_grpo", None, None),
    ]


@each_stage
def test_variations_are_configs_that_labels_tell_apart(stage: Stage[Any]) -> None:
    labels = [", ".join(set_apart(stage.name, one.values)) for one in stage.launch.variations]
    assert all(labels)
    assert len({one.label for one in stage.launch.variations}) == len(set(labels)) == len(labels)
    for one in stage.launch.variations:
        assert stage.config(**one.values)
