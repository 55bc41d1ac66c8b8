"""Many runs at once: stop them, delete them; what would happen is told before it is confirmed."""

from fastapi import APIRouter, Depends

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import Key
from backend.http.routes.route import Route
from backend.services.bulk_stop import left_without_parent, stop_all
from backend.services.disk import size_of
from backend.services.idempotency import once, replayed
from backend.views.bulk import deletion_consequences, deletion_items, stop_consequences, stop_items

router = APIRouter(route_class=Route, prefix="/runs", dependencies=[Depends(require_user)], tags=["runs"])


@router.post("/stop")
def stop(body: s.BulkStop, context: ContextDep, key: Key = None) -> s.BulkOut:
    """Stop up to 200 runs; those that have ended already stay as they are and are named."""
    chosen = list(dict.fromkeys(body.runs))
    at = context.clock()
    if not body.confirm:
        with context.database.read() as session:
            outcomes = stop_all(session, chosen, body.mode, confirm=False, at=at)
            going = [run_id for run_id, (_, _, error) in outcomes.items() if error is None]
            also = stop_consequences(left_without_parent(session, going))
        return s.BulkOut(confirmed=False, items=stop_items(outcomes), also=also)
    with context.database.write() as session:

        def make() -> s.BulkOut:
            outcomes = stop_all(session, chosen, body.mode, confirm=True, at=at)
            going = [run_id for run_id, (_, _, error) in outcomes.items() if error is None]
            also = stop_consequences(left_without_parent(session, going))
            return s.BulkOut(confirmed=True, items=stop_items(outcomes), also=also)

        return once(session, key, "POST /runs/stop", body.model_dump(mode="json"), s.BulkOut, make, at=at)


@router.post("/delete")
def delete(body: s.BulkDelete, context: ContextDep, key: Key = None) -> s.BulkOut:
    """Delete up to 200 ended runs with their files; those that can't be deleted stay and are named."""
    route, data = "POST /runs/delete", body.model_dump(mode="json")
    if body.confirm:
        with context.database.read() as session:
            earlier = replayed(session, key, route, data, s.BulkOut)
        if earlier is not None:
            return earlier
    reply = _deletion(context, list(dict.fromkeys(body.runs)), confirm=body.confirm)
    if not body.confirm or key is None:
        return reply
    with context.database.write() as session:
        return once(session, key, route, data, s.BulkOut, lambda: reply, at=context.clock())


def _deletion(context: Context, chosen: list[int], *, confirm: bool) -> s.BulkOut:
    preview = context.deleter.preview(chosen)
    refused, left = preview.refused, list[str]()
    size = size_of(preview.paths)
    if confirm:
        late, left = context.deleter.delete_all([run_id for run_id in chosen if run_id not in refused])
        refused = refused | late
    return s.BulkOut(
        confirmed=confirm,
        items=deletion_items(chosen, preview.statuses, refused),
        also=deletion_consequences(preview.num_checkpoints),
        size_bytes=size,
        left=left,
    )
