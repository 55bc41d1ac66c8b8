"""How lists, pages and comparisons name what a run is: its setting, with the trainings that made its checkpoint."""

from backend.api.schemas.base import ApiReply


class Labelled(ApiReply):
    """What a run measures, and what it descends from where that is not the usual chain."""

    setting: str
    """What an evaluation measures; of a training empty."""
    trainings: str = ""
    """Trainings that it descends from where they are not those of the usual chain, e.g. `weaver_sft + weaver_grpo`."""
    ablation: str = ""
    """What sets the trainings of its line apart from the usual ones, e.g. `static latents`."""

    @property
    def label(self) -> str:
        """`weaver`; `weaver (weaver_sft + weaver_grpo; static latents)` where its line is not the usual one."""
        return self._told_apart(self.setting)

    def _told_apart(self, words: str) -> str:
        origin = "; ".join(one for one in (self.trainings, self.ablation) if one)
        return f"{words} ({origin})" if origin else words


class LabelledRun(Labelled):
    """The same with its stage."""

    stage: str

    @property
    def title(self) -> str:
        """`evaluate, weaver`, `trigger_grpo (weaver_sft + weaver_grpo)`: stage, setting, and what sets it apart."""
        return self._told_apart(f"{self.stage}, {self.setting}" if self.setting else self.stage)
