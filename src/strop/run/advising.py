"""Advice in a run: what the model is, what the target can do, and what that means for the recipes."""

from collections.abc import Sequence
from pathlib import Path

from strop.core.errors import ModelError
from strop.core.inspection import Advice, Fit
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.plan.precision import fits, footprints, language_footprint
from strop.plan.space import without_impossible
from strop.run.context import Run
from strop.run.inspect import advice_for
from strop.run.reading import read_inspection

KNOWN = (".onnx", ".xml", ".gguf", "")
"""Suffixes of models that the inspector reads and some backend here too."""


def advised(
    run: Run, task: Task, found: Sequence[Offer], recipes: Sequence[str] = ()
) -> tuple[list[Offer], Advice | None]:  # fmt: skip
    """The offers without what is impossible on the target, and the advice itself.

    What only holds unless it is asked for yields to the backends of the request, and to these recipes.

    A model of a format that the inspector does not know, such as an outsider's backend reads, gets no advice.
    """
    try:
        inspection = read_inspection(Path(run.request.model))
    except ModelError as error:
        if Path(run.request.model).suffix in KNOWN:
            run.note(f"No advice orders the recipes: {error.message}.")
        return list(found), None
    for note in inspection.code:
        run.note(f"{note[0].upper()}{note[1:]}.")
    context = task.language.context if task.language is not None else None
    texts = task.workload.batch
    advice = advice_for(inspection, run.target, run.request.purpose, run.store, context)
    for note in advice.notes:
        run.note(note)
    named = {o.recipe.runtime for o in found if o.recipe is not None and o.name in recipes}
    asked = {*run.request.backends, *named}

    def own_fit(recipe: Recipe) -> Fit | None:
        if recipe.held is None or task.language is None or context is None:
            return None
        return fits(
            [language_footprint(recipe.held, recipe.precision, inspection, context, task.language.window, texts)], run.target
        )[0]

    common = fits(footprints(inspection, texts * context if context is not None else None), run.target)
    return without_impossible(found, advice, common, asked, own_fit), advice
