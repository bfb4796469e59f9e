"""FeatureService: the features of one model, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gnomon.define.base import Definition, Problems, put, tags_of, version_of
from gnomon.define.group import FeatureGroup, Role, Selection
from gnomon.define.ondemand import OnDemand


@dataclass(frozen=True, repr=False, init=False)
class FeatureService(Definition):
    """What a model asks for: selections, whole groups or roles, and on-demand features, in order.

    A whole group is all its features; its labels are chosen by name, and come with training sets alone.

    Raises: DefinitionError with all problems at once. Two outputs of one name are an error here unless
    `full_names=True` tells them apart when asked for; then they are reported at that time.
    """

    name: str
    features: tuple[Selection | OnDemand, ...]
    version: int = 1
    description: str = ""
    owner: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        name: str,
        *,
        features: Sequence[FeatureGroup | Role | Selection | OnDemand],
        version: int = 1,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
    ) -> None:
        problems = Problems(f"service {name}")
        problems.name(name)
        version_of(version, problems)
        chosen: list[Selection | OnDemand] = []
        for i, given in enumerate(features):
            if isinstance(given, FeatureGroup | Role):
                whole = list(given)
                chosen.extend(whole)
                if not whole:
                    group = given.group if isinstance(given, Role) else given
                    problems.add(
                        f"group `{group.name}` has only labels, which are chosen by name",
                        at=f"features[{i}]",
                        hint=f'such as {group.name}["{group.label_names[0]}"]' if group.label_names else None,
                    )
            elif isinstance(given, Selection | OnDemand):
                chosen.append(given)
            else:
                problems.add(
                    f"`{given!r}` is not a feature",
                    at=f"features[{i}]",
                    hint='use a group, group["feature"] or an on-demand function',
                )
        if not chosen and not problems.found:
            problems.add("a service needs at least one feature", at="features")
        put(
            self, name=name, features=tuple(chosen), version=version, description=description, owner=owner,
            tags=tags_of(tags, problems),
        )  # fmt: skip
        problems.done()

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"
