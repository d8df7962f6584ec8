"""The space of recipes: what every backend offers for this model, target and task, safest first."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

from strop.core.backend import Backend
from strop.core.errors import BackendError, ConfigError
from strop.core.inspection import Advice, Fit
from strop.core.model import Model
from strop.core.recipe import Offer, Recipe
from strop.core.shapes import compiled, compiled_for_lengths
from strop.core.spelling import known_names
from strop.core.target import Target
from strop.core.task import Task
from strop.plan.serving import base_of, served

SHOWN = 8
"""So many recipes are named where another was asked for."""


def offers(
    backends: Mapping[str, Backend],
    model: Model,
    target: Target,
    task: Task,
    only: Sequence[str] = (),
    names: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> list[Offer]:
    """All offers of the backends that run or convert this kind of model.

    Args:
        missing: backends that cannot be started here, and why.
        only: backends whose candidates are kept; empty keeps all. The model's own reader is always asked, since the baseline
            comes from it.
        names: candidate recipes to keep; empty keeps all. Those that a baseline may come from always stay.

    Raises:
        ConfigError: an unknown backend or recipe name.
        BackendError: two offers of one name, no reference for the baseline, or a backend was asked for that is missing.
    """
    missing = missing or {}
    for name in only:
        if name not in backends:
            raise ConfigError(
                f"unknown backend {name!r}",
                known_names(name, [b for b, backend in backends.items() if not backend.hidden], "installed"),
            )
        if missing.get(name):
            raise BackendError(f"backend {name!r} is {missing[name]}", "`strop backends` shows what works here")
    asked = [
        b
        for b in backends.values()
        if model.artifact.kind in b.consumes and (not only or b.name in only or b.name == model.reader)
    ]
    found: list[Offer] = []
    unasked: set[str] = set()
    for backend in asked:
        why = missing.get(backend.name)
        offered = [Offer(name=backend.name, refused=why)] if why else backend.offer(model, target, task)
        unasked |= {o.name for o in offered} if only and backend.name not in only else set()
        found += offered
    found += adopted([b for b in asked if not missing.get(b.name)], found, model, target)
    found = list(compiled(found, task.shapes, [b.name for b in backends.values() if b.compiles_shapes]))
    found += served(found, backends, target, task.workload)
    recipes = [o.recipe for o in found if o.recipe is not None]
    known = [r.name for r in recipes]
    doubles = {n for n in known if known.count(n) > 1}
    if doubles:
        raise BackendError(f"recipe {sorted(doubles)[0]!r} is offered twice", "recipe names are unique")
    for name in names:
        if name not in known:
            raise not_offered(name, found)
    if sum(r.role == "reference" and r.runtime == model.reader for r in recipes) != 1:
        raise BackendError(f"backend {model.reader!r} offers no reference recipe for the baseline")

    def wanted(name: str) -> bool:
        return (name in names or base_of(name) in names) if names else base_of(name) not in unasked

    return [_keep(o, wanted(o.name)) for o in found]


def not_offered(name: str, found: Sequence[Offer]) -> ConfigError:
    """The error for a recipe that cannot be had, with the reason where there is one."""
    reason = next((o.refused for o in found if o.name == name and not o.offered), None)
    names = [o.name for o in found if o.recipe is not None]
    shown = (get_close_matches(name, names, SHOWN, 0.3) or names[:SHOWN]) if len(names) > SHOWN else names
    rest = f", and {len(names) - len(shown)} more: `strop optimize MODEL --dry-run` lists them" if len(names) > len(shown) else ""
    return ConfigError(
        f"recipe {name!r} is not offered: {reason or 'no backend of this run knows it'}", f"offered: {', '.join(shown)}{rest}"
    )


def adopted(backends: Sequence[Backend], found: Sequence[Offer], model: Model, target: Target) -> list[Offer]:
    """Candidates of one backend that another one's runtime runs too."""
    theirs = [(b, r) for b in backends for r in by_role(found, "candidate") if r.runtime != b.name]
    return [offer for b, r in theirs for offer in b.adopt(r, model, target)]


def _keep(offer: Offer, wanted: bool) -> Offer:
    if wanted or offer.recipe is None or offer.recipe.role != "candidate":
        return offer
    return Offer(name=offer.name, refused="not asked for")


def next_in_turn(waiting: Sequence[Recipe], inaccurate: Collection[str], places: Mapping[str, int] | None = None) -> Recipe:
    """The first that mends one of these candidates, which lost too much accuracy; else the soonest, first offered first.

    How soon is a recipe's turn and its runtime's place in the advice together; of equals the better placed runtime comes first.

    Args:
        places: runtime → its place among the runtimes that recipes are offered for, 0 for the best advised.
    """

    def soonness(recipe: Recipe) -> tuple[bool, int, int]:
        place = (places or {}).get(recipe.runtime, 0)
        return recipe.mends not in inaccurate, recipe.turn + place, place

    return min(waiting, key=soonness)


def places_of(found: Sequence[Offer], advice: Advice | None) -> dict[str, int]:
    """Runtime → its place in the advice among those that candidates are offered for; unadvised ones come last, alike."""
    if advice is None:
        return {}
    runtimes = {r.runtime for r in by_role(found, "candidate")}
    order = [name for name in sorted(advice.order, key=lambda name: advice.order[name]) if name in runtimes]
    return {runtime: order.index(runtime) if runtime in order else len(order) for runtime in runtimes}


def without_impossible(
    found: Sequence[Offer], advice: Advice | None, fits: Sequence[Fit], asked: Collection[str] = (),
    own_fit: Callable[[Recipe], Fit | None] = lambda _: None,
) -> list[Offer]:  # fmt: skip
    """What the target cannot run, or has no memory for, becomes an offer with the reason; what runs the files as given stays.

    Args:
        fits: each precision's. asked: frameworks that were asked for by name; what blocks them may yield to that.
        own_fit: a recipe's own, where more is known of it than its precision.
    """
    ranking = advice.ranking if advice is not None else ()
    blocked = {r.framework: r.blocked for r in ranking if r.blocked and not (r.yields and r.framework in asked)}
    large = {r.framework for r in ranking if r.too_large}
    tight = {f.precision: f.reason for f in fits if f.verdict == "does not fit"}

    def judged(offer: Offer) -> Offer:
        recipe = offer.recipe
        if recipe is None or (recipe.role != "candidate" and not recipe.steps):
            return offer
        makers = (recipe.runtime, *(s.builder for s in recipe.steps))
        own = own_fit(recipe)
        lacks = tight.get(recipe.precision) if own is None else own.reason if own.verdict == "does not fit" else None
        stands = [name for name in makers if name in blocked and not (own is not None and name in large)]
        why = f"{stands[0]}: {blocked[stands[0]]}" if stands else lacks
        return Offer(name=offer.name, refused=f"{why}") if why else offer

    return [judged(offer) for offer in found]


def by_role(found: Sequence[Offer], role: str) -> list[Recipe]:
    """The offered recipes of one role, in the order of their offers."""
    return [o.recipe for o in found if o.recipe is not None and o.recipe.role == role]


def follow(recipe: Recipe, tuned: Recipe) -> Recipe:
    """A recipe under the settings found best for the baseline, where it asks for that and shares the runtime."""
    if not recipe.follows_baseline or recipe.runtime != tuned.runtime:
        return recipe
    return recipe.model_copy(update={"settings": {**tuned.settings, **recipe.settings}})


def retuned(
    recipe: Recipe, variants: Sequence[Recipe], backend: Backend, target: Target, task: Task | None = None
) -> list[Recipe]:  # fmt: skip
    """The same artifact under other settings: its runtime's own variants, those of the baseline where it follows that, and for
    texts a few compiled lengths."""
    others = {v.name.partition("-")[2] or v.name.partition("+")[2] or "plain": follow(recipe, v).settings for v in variants}
    own = dict(backend.variants(recipe.settings, target))
    lengths = compiled_for_lengths(task.lengths) if task is not None and backend.compiles_shapes else {}
    if lengths and recipe.device == "cpu":
        own["buckets"] = {**recipe.settings, **lengths}
    found: list[Recipe] = []
    for suffix, settings in {**others, **own}.items():
        if settings not in [r.settings for r in [recipe, *found]]:
            found.append(recipe.model_copy(update={"name": f"{recipe.name}+{suffix}", "settings": settings}))
    return found
