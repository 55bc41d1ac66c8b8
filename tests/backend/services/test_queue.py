"""Which run a slot gets, and why a run waits."""

import shutil

from backend.services.disk import disk_bytes
from memgen.contract.config import parse_config
from memgen.contract.planner.memory import plan
from memgen.contract.planner.parts import Lora, Parts
from memgen.contract.planner.placement import gib, share
from memgen.contract.presets import get_preset
from memgen.contract.rundir import attempt_dir
from memgen.contract.weaver_variants import LORA_TARGETS
from tests.backend.conftest import SLOT, Backend, check_problem
from tests.conftest import TINY


def waits_for(backend: Backend, run_id: int) -> str:
    return str(backend.run(run_id)["waits_for"])


def needed(backend: Backend, **changes: object) -> int:
    config = parse_config(backend.config | changes)
    return plan(config, get_preset(config.preset), "cpu").total


def set_priority(backend: Backend, run_id: int, priority: int) -> None:
    reply = backend.user("POST", f"/runs/{run_id}/priority", json={"priority": priority})
    assert (reply.status_code, reply.json()["priority"]) == (200, priority), reply.text


def test_runs_are_handed_out_by_priority_then_age(backend: Backend) -> None:
    for _ in range(4):
        backend.submit()
        backend.clock.pass_time(1)
    set_priority(backend, 3, 5)
    set_priority(backend, 1, -1)
    assert [run["id"] for run in backend.get("/queue")["items"]] == [3, 2, 4, 1]
    assert [backend.held().run_id for _ in range(4)] == [3, 2, 4, 1]
    assert backend.claim() is None


def test_first_of_a_long_queue_come_with_how_many_there_are_and_the_lowest_priority(backend: Backend) -> None:
    assert (backend.get("/queue", limit=2)["total"], backend.get("/queue")["lowest_priority"]) == (0, None)
    for _ in range(4):
        backend.submit()
    set_priority(backend, 4, 5)
    set_priority(backend, 1, -3)
    reply = backend.get("/queue", limit=2)
    assert ([run["id"] for run in reply["items"]], reply["total"], reply["lowest_priority"]) == ([4, 2], 4, -3)
    assert [run["waits_for"] for run in reply["items"]] == [
        run["waits_for"] for run in backend.get("/queue")["items"][:2]
    ]


def test_change_of_place_is_history_and_only_for_what_has_not_started(backend: Backend) -> None:
    backend.submit()
    set_priority(backend, 1, 7)
    last = backend.history(1)[-1]
    assert (last["kind"], last["actor"], last["detail"]) == ("priority", "user", "from 0 to 7")
    attempt = backend.held()
    move = {"json": {"priority": 3}}
    check_problem(backend.user("POST", "/runs/1/priority", **move), 409, "run_started")
    attempt.finish()
    check_problem(backend.user("POST", "/runs/1/priority", **move), 409, "run_started")
    check_problem(backend.user("POST", "/runs/9/priority", **move), 404, "run_not_found")
    check_problem(backend.user("POST", "/runs/1/priority", json={"priority": 10**9}), 422, "invalid_request")
    assert backend.run(1)["priority"] == 7


def test_step_of_a_pipeline_keeps_its_priority_when_it_comes_to_the_queue(backend: Backend) -> None:
    steps = backend.steps(backend.submit_pipeline()["id"])
    child = steps["weaver_eval"]["run"]["id"]
    set_priority(backend, child, 9)
    first = backend.submit()
    assert backend.run(first)["status"] == "queued"
    assert backend.run(child)["status"] == "waiting"
    while backend.run(child)["status"] == "waiting":
        backend.work()
        backend.reconciler.round()
    assert backend.get("/queue")["items"][0]["id"] == child


def test_run_that_starts_again_queues_behind_the_others(backend: Backend) -> None:
    first = backend.started()
    backend.clock.pass_time(1)
    backend.submit()
    backend.clock.pass_time(1)
    first.finish("failed", "error")
    backend.user("POST", "/runs/1/retry")
    assert [run["id"] for run in backend.get("/queue")["items"]] == [2, 1]


def test_run_that_does_not_fit_is_passed_by_a_smaller_one(backend: Backend) -> None:
    large = backend.submit(batch_size=512)
    small = backend.submit()
    free = needed(backend)
    assert needed(backend, batch_size=512) > free
    assert backend.claim(free_memory=free - 1) is None
    assert backend.held(free_memory=free).run_id == small
    assert backend.claim(free_memory=free) is None
    assert backend.held().run_id == large


def gpu_slot(*memory: int) -> dict[str, object]:
    gpus = list(range(len(memory)))
    return SLOT | {
        "name": ",".join(map(str, gpus)),
        "device": "cuda",
        "gpus": gpus,
        "total_memory": sum(memory),
        "gpu_memory": memory,
    }


def test_slot_of_two_gpus_runs_twice_in_parallel_or_spreads_layers_or_waits(backend: Backend) -> None:
    large = {"preset": "Qwen/Qwen3-14B", "data": "wordproblems"}
    own = plan(parse_config(backend.config | large), get_preset("Qwen/Qwen3-14B"), "cuda")
    whole, part = own.total, share(own, 2)
    run = backend.submit(**large)
    for _ in range(2):
        backend.submit(**large)
    said = {  # bytes of each GPU
        (part - 1, part): f"It needs {gib(whole)}, the largest slot has 2 GPUs of {gib(part - 1)}. Lower batch_size",
        (part, part): "Redis can't be reached",
    }
    for memory, reason in said.items():
        backend.announce(slots=[gpu_slot(*memory)])
        assert waits_for(backend, run).startswith(reason)
    assert backend.claim(slot="0,1", gpus=[part - 1, whole]) is None
    assert backend.held(slot="0,1", gpus=[part, whole - 1]).placement == "spread"
    assert backend.held(slot="0,1", gpus=[whole, whole]).placement == "parallel"
    assert backend.held(slot="0", gpus=[whole]).placement == "parallel"


def test_preflight_says_how_a_slot_holds_the_run(backend: Backend) -> None:
    def placement(*memory: int) -> str:
        backend.announce(slots=[gpu_slot(*memory)])
        return str(backend.user("POST", "/preflight", json={"config": config}).json()["placement"])

    config = backend.config | {"preset": "Qwen/Qwen3-14B"}
    own = plan(parse_config(config), get_preset("Qwen/Qwen3-14B"), "cuda")
    whole, part = own.total, share(own, 2)
    assert placement(whole) == "Fits on 1 of 1 slot alive: on one GPU."
    assert placement(whole, whole).endswith("on one GPU, with a copy on each of the slot's 2.")
    assert placement(part, part) == "Fits on 1 of 1 slot alive: its layers are spread over the slot's 2 GPUs."
    needs = f"it needs {gib(whole)}, the largest slot has {gib(part)}."
    assert placement(part) == f"Fits on none of 1 slot alive: {needs}"


WIDE = {"r": 256, "lora_alpha": 512, "lora_dropout": 0.0, "target_modules": list(LORA_TARGETS["all"])}


def test_memory_and_disk_of_a_child_are_those_of_the_lora_in_its_checkpoint(backend: Backend) -> None:
    backend.announce()
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    backend.work(manifest={"lora": {"weaver": WIDE, "trigger": WIDE}})
    child = backend.config | {"stage": "trigger_grpo", "checkpoint": "1", "batch_size": 8}
    small = plan(parse_config(child), get_preset(TINY), "cpu").total
    told = backend.user("POST", "/preflight", json={"config": child}).json()
    wide = Lora(256, LORA_TARGETS["all"])
    start = Parts({"weaver": wide, "trigger": wide}, {})
    assert told["memory_bytes"] == plan(parse_config(child), get_preset(TINY), "cpu", start=start).total > small
    assert told["disk_bytes"] > disk_bytes(parse_config(child))
    backend.submit(stage="trigger_grpo", checkpoint="1", batch_size=8)
    assert backend.claim(free_memory=told["memory_bytes"] - 1) is None
    assert backend.claim(free_memory=told["memory_bytes"]) is not None


def test_preflight_of_a_pipeline_counts_the_lora_that_its_training_will_make(backend: Backend) -> None:
    def memory(**sft: object) -> list[int]:
        spec = backend.spec(steps={"weaver_sft": sft})
        steps = backend.user("POST", "/pipelines/preflight", json=spec).json()["steps"]
        return [steps[name]["memory_bytes"] for name in ("base_eval", "weaver_eval", "trigger_grpo", "ltpo_eval")]

    usual, wide = memory(), memory(lora_r=256, lora_targets="all")
    assert [large > small for small, large in zip(usual, wide, strict=True)] == [False, True, True, True]


def test_paused_queue_hands_out_nothing_and_running_runs_go_on(backend: Backend) -> None:
    running = backend.started()
    waiting = backend.submit()
    reply = backend.user("POST", "/queue/pause", json={"paused": True}).json()
    assert (reply["paused"], [run["id"] for run in reply["items"]]) == (True, [waiting])
    assert waits_for(backend, waiting) == "The queue is paused."
    assert backend.claim() is None
    assert running.beat().status_code == 200
    assert backend.user("POST", "/queue/pause", json={"paused": False}).json()["paused"] is False
    assert backend.held().run_id == waiting


def test_pause_needs_a_body(backend: Backend) -> None:
    check_problem(backend.user("POST", "/queue/pause"), 422, "invalid_request")


def test_training_that_no_slot_holds_is_to_work_on_fewer_rows_at_a_time(backend: Backend) -> None:
    training = backend.submit(stage="weaver_sft", num_questions=8)
    backend.announce(slots=[SLOT | {"total_memory": 2**20}])
    assert waits_for(backend, training).endswith("Lower micro_batch_size or the lengths.")
    warnings = backend.user("POST", "/preflight", json={"config": backend.run(training)["config"]}).json()["warnings"]
    assert any(one.endswith("Lower micro_batch_size or the lengths.") for one in warnings)


def test_each_reason_to_wait_is_said(backend: Backend) -> None:
    first = backend.submit()
    assert waits_for(backend, first) == "No worker is alive. Start one with `make up`."
    backend.announce(slots=[])
    assert waits_for(backend, first) == "No worker is alive. Start one with `make up`."
    backend.announce(slots=[SLOT | {"total_memory": 2**20}])
    assert "the largest slot has 0.0 GiB. Lower batch_size" in waits_for(backend, first)
    backend.announce()
    assert waits_for(backend, first).startswith("Redis can't be reached (Error 2 connecting to")
    backend.clock.pass_time(30)
    second = backend.submit()
    assert waits_for(backend, second) == "1 run stands before it."
    set_priority(backend, second, 1)
    assert waits_for(backend, first) == "1 run stands before it."
    assert backend.held().run_id == second
    assert waits_for(backend, first) == f"Slot cpu of lab is busy with run {second}."
    backend.clock.pass_time(60)
    assert waits_for(backend, first) == "No worker is alive. Start one with `make up`."


def test_free_slot_is_named_when_the_doorbell_works(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    monkeypatch.setattr(backend.context.doorbell, "ring", lambda: "ok")
    backend.announce()
    assert waits_for(backend, backend.submit()).startswith("Slot cpu of lab is about to take it.")


def test_workers_are_listed_with_what_their_slots_do(backend: Backend) -> None:
    gpus = [SLOT | {"name": name, "device": "cuda", "gpus": [int(name)]} for name in "01"]
    backend.announce("lab", gpus)
    backend.started()
    backend.clock.pass_time(1)
    backend.submit()
    held = backend.held(slot="1")
    backend.clock.pass_time(50)
    backend.announce("desk")
    backend.clock.pass_time(20)
    workers = {worker["host"]: worker for worker in backend.get("/workers")["items"]}
    assert (workers["lab"]["alive"], workers["desk"]["alive"]) == (False, True)
    assert [slot["run_id"] for slot in workers["lab"]["slots"]] == [None, held.run_id]
    assert backend.get("/health")["workers_alive"] == 1


def test_health_tells_that_redis_is_away_and_how_old_the_last_round_is(backend: Backend) -> None:
    health = backend.get("/health")
    assert (health["status"], health["reconciler_age_seconds"]) == ("degraded", None)
    assert health["broker"].startswith("Error 2")
    backend.reconciler.round()
    backend.clock.pass_time(3)
    health = backend.get("/health")
    assert health["reconciler_age_seconds"] == 3
    assert health["reconciler_round_seconds"] >= 0


def test_bad_announcement_and_claim_are_refused(backend: Backend) -> None:
    for slot in ({"name": "../x"}, {"name": ""}, {"device": "tpu"}, {"total_memory": -1}):
        body = {"host": "h", "boot_id": "b", "pid": 1, "slots": [SLOT | slot]}
        check_problem(backend.worker("announce", json=body), 422, "invalid_request")
        body = {"host": "h", "boot_id": "b", "pid": 1, "slot": SLOT | slot, "free_memory": 1}
        check_problem(backend.worker("claim", json=body), 422, "invalid_request")


def announce_free(backend: Backend, free: list[int], **slot: object) -> None:
    backend.announce(slots=[SLOT | {"free": free} | slot])


def test_run_that_waits_for_memory_says_that_another_program_holds_it(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    run_id = backend.submit()
    announce_free(backend, [2**20])
    said = waits_for(backend, run_id)
    assert said == "Slot cpu of lab is free, but another program holds 1024.0 GiB of the machine's memory."
    gpus = {"name": "0,1", "device": "cuda", "gpus": [0, 1], "total_memory": 2**35, "gpu_memory": [2**34, 2**34]}
    announce_free(backend, [2**10, 2**20], **gpus)
    assert waits_for(backend, run_id) == "Slot 0,1 of lab is free, but another program holds 16.0 GiB of GPU 0."
    announce_free(backend, [2**34, 2**34], **gpus)
    assert "about to take it" in waits_for(backend, run_id)


def test_memory_that_a_slot_told_while_it_worked_is_not_put_down_to_others(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    attempt = backend.started()
    announce_free(backend, [2**20])
    backend.clock.pass_time(1)
    run_id = backend.submit()
    attempt.finish()
    assert "about to take it" in waits_for(backend, run_id)


def test_run_whose_output_the_disk_can_not_hold_waits_and_says_so(backend: Backend, monkeypatch) -> None:
    large = backend.submit(stage="weaver_sft", num_questions=None)
    backend.clock.pass_time(1)
    backend.announce()
    usage = shutil.disk_usage(backend.home)
    monkeypatch.setattr("backend.services.disk.shutil.disk_usage", lambda _: usage._replace(free=10**6))
    assert backend.claim() is None
    said = waits_for(backend, large)
    assert said.startswith("It may write ")
    assert "has 0.00 GB that no running run may still need. Make room" in said
    monkeypatch.undo()
    assert backend.held().run_id == large


def test_claim_leaves_room_for_what_running_runs_may_still_write(backend: Backend, monkeypatch) -> None:
    first, second = (backend.submit(stage="weaver_sft", num_questions=None) for _ in range(2))
    most = disk_bytes(parse_config(backend.config | {"stage": "weaver_sft", "num_questions": None}))
    usage = shutil.disk_usage(backend.home)
    monkeypatch.setattr("backend.services.disk.shutil.disk_usage", lambda _: usage._replace(free=int(1.5 * most)))
    held = backend.held()
    assert held.run_id == first
    assert backend.claim(slot="cpu1") is None
    assert "no running run may still need" in waits_for(backend, second)
    folder = attempt_dir(backend.home, first, 1, "weaver_sft").path
    folder.mkdir(parents=True)
    with (folder / "log.txt").open("wb") as file:
        file.truncate(most)  # it has written all that it may
    assert backend.claim(slot="cpu1") is None  # nobody has looked since
    backend.reconciler.round()
    assert backend.held(slot="cpu1").run_id == second


SICK = {
    "reason": {"code": "card_lost", "message": "GPU 0 does not answer", "way_out": "Restart the machine."},
    "seconds": 3.0,
    "asked_again_in": 20.0,
}
SICK_SAYS = "Slot cpu0 of lab takes no work: GPU 0 does not answer. It is asked again in 20 s. Restart the machine."


def test_run_waits_for_a_sick_slot_and_says_what_is_wrong_with_it(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    run_id = backend.submit()
    sick, well = SLOT | {"name": "cpu0", "sick": SICK}, SLOT | {"name": "cpu1"}
    backend.announce(slots=[sick])
    assert waits_for(backend, run_id) == SICK_SAYS
    backend.announce(slots=[sick, well])
    assert waits_for(backend, run_id).startswith("Slot cpu1 of lab is about to take it.")
    held = backend.held(slot="cpu1")
    second = backend.submit()
    assert waits_for(backend, second) == f"Slot cpu1 of lab is busy with run {held.run_id}."
    backend.announce(slots=[SLOT | {"name": "cpu0"}, well])
    assert "Slot cpu0 of lab is about to take it" in waits_for(backend, second)


def test_sick_slots_of_live_workers_stand_in_queue_health_workers_and_preflight(backend: Backend, monkeypatch) -> None:
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    backend.reconciler.round()
    backend.announce(slots=[SLOT | {"name": "cpu0", "sick": SICK}, SLOT | {"name": "cpu1"}])
    told = SICK | {"host": "lab", "slot": "cpu0", "reason": SICK["reason"] | {"field": None, "value": None}}
    assert backend.get("/queue")["sick_slots"] == [told]
    health = backend.get("/health")
    assert (health["status"], health["sick_slots"]) == ("degraded", [told])
    slots = backend.get("/workers")["items"][0]["slots"]
    assert [slot["sick"] and slot["sick"]["reason"]["code"] for slot in slots] == ["card_lost", None]
    reply = backend.user("POST", "/preflight", json={"config": backend.config}).json()
    assert "Slot cpu0 takes no work now: GPU 0 does not answer. Restart the machine." in reply["warnings"]
    backend.clock.pass_time(1000)
    assert backend.get("/queue")["sick_slots"] == []
    backend.announce()
    backend.reconciler.round()
    assert (backend.get("/health")["status"], backend.get("/health")["sick_slots"]) == ("ok", [])
