"""`report.html`: one page that needs nothing else. Pure: an outcome and its evidence in, text out."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from strop.core.foreign import cleaned
from strop.core.outcome import Outcome
from strop.core.strict import finite
from strop.report.charts import chart_data
from strop.report.evidence import Evidence
from strop.report.parts import template
from strop.report.sections import SECTIONS
from strop.report.verdict import model_name

SCRIPTS = ("vendor/chart.umd.min.js", "vendor/chartjs-chart-error-bars.umd.min.js", "page/page.js")
STYLE = "page/page.css"


def page(outcome: Outcome, evidence: Evidence) -> str:
    """The whole page. Everything that comes from outside is escaped; a content security policy forbids all requests.

    Example:
        >>> Path("report.html").write_text(page(outcome, evidence), encoding="utf-8")
    """
    scripts = [asset(name) for name in SCRIPTS]
    style = asset(STYLE)
    return template("page.html").render(
        model=model_name(outcome), outcome=outcome, scripts=[Markup(text) for text in scripts], style=Markup(style),
        script_hashes=[policy_hash(text) for text in scripts], style_hash=policy_hash(style),
        data=cleaned(finite(chart_data(outcome, evidence))),
        sections=[s for s in (make(outcome, evidence) for make in SECTIONS) if s is not None],
    )  # fmt: skip


@cache
def asset(name: str) -> str:
    return files("strop.report").joinpath(name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
