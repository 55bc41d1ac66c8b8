"""Sites as the API shows them, and as what a run can be planned on."""

from sqlmodel import Session

from backend.api import schemas as s
from backend.executors import EXECUTORS
from backend.executors.executor import Site
from backend.services import jobs
from backend.services.drains import drained_sites
from backend.services.surroundings import Surroundings


def site_list(session: Session, around: Surroundings) -> s.SiteList:
    """All sites with what they have of ours."""
    troubles, drained = around.site_troubles, drained_sites(session)
    return s.SiteList(
        items=[
            _out(session, site, troubles.get(site.name), is_drained=site.name in drained)
            for site in around.sites.values()
        ]
    )


def slots_of_site(site: Site) -> list[tuple[str, s.SlotReport]]:
    """The sizes of a site as slots of it, for whoever plans a run."""
    return [
        (
            site.name,
            s.SlotReport(
                name=size.name,
                device=size.device,
                gpus=list(range(size.gpus)),
                total_memory=sum(size.device_memory),
                gpu_memory=size.device_memory if size.gpus else [],
            ),
        )
        for size in site.offers
    ]


def _out(session: Session, site: Site, trouble: str | None, *, is_drained: bool) -> s.SiteOut:
    return s.SiteOut(
        name=site.name,
        executor=site.executor,
        title=next(one.title for one in EXECUTORS if one.name == site.executor),
        sizes=[
            s.SizeOut(name=size.name, device=size.device, gpus=size.gpus, memory_bytes=size.device_memory[0])
            for size in site.offers
        ],
        most_jobs=site.most_jobs,
        jobs=jobs.in_queue(session, site.name),
        trouble=trouble,
        drained=is_drained,
    )
