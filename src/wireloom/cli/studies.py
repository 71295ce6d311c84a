"""The commands on a study that is there: `wireloom status` and `wireloom report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    from wireloom.study import Study


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = add_command(
        commands,
        "status",
        status,
        "how far a study is",
        "Say how far a study is: networks trained, populations left, and where its page is.",
        "wireloom status runs/first",
    )
    command.add_argument("study", metavar="STUDY", help="folder of a study")
    command = add_command(
        commands,
        "report",
        report,
        "write a study's page again",
        "Write a study's page, as far as it is, and print what it says.",
        """
wireloom report runs/first
wireloom report runs/first --out first.html
""",
    )
    command.add_argument("study", metavar="STUDY", help="folder of a study")
    command.add_argument("--out", metavar="FILE", help="the page (STUDY/report.html)")


def status(*, study: str) -> int:
    """Say how far a study is."""
    from wireloom.study import Study

    opened = Study.open(study)
    found = opened.status()
    print(description(opened))
    print(f"{found.done:,} of {found.runs:,} networks trained ({found.done / found.runs:.0%})")
    if found.left:
        waiting = sum(opened._checkpoint(i).exists() for i in found.left)
        print(
            f"populations left: {len(found.left)} of {found.chunks}, {waiting} of them begun; "
            "the command that made the study goes on"
        )
    else:
        print(f"complete; the page: {opened.folder / 'report.html'}")
    return 0


def report(*, study: str, out: str | None) -> int:
    """Write a study's page."""
    from wireloom.study import Study

    opened = Study.open(study)
    page = opened.report(out)
    print("\n".join(verdict(opened)))
    print(f"\nThe page: {page}")
    return 0


def description(study: Study) -> str:
    """What the study trains, in a line."""
    plan, data = study.plan, study.data
    dense = plan.build(data).baseline.cost(None)
    return (
        f"{len(plan.runs()):,} networks: {len(plan.wirings)} wirings x {len(plan.seeds)} seeds on "
        f"{data.name} ({len(data.train_labels):,} training images), {plan.recipe.epochs} epochs, "
        f"{dense.macs:,} multiply-adds each, in {len(study.chunks)} "
        f"population{'s' * (len(study.chunks) > 1)}"
    )


def verdict(study: Study) -> list[str]:
    """What came of it, in sentences."""
    from wireloom.analysis import compare_connectomes
    from wireloom.base import InvalidValue

    try:
        brains = compare_connectomes(study.frame(), study.plan.wirings)
        if brains is not None:
            return [brains.section().text()]
        return study.sweet_spot(resamples=0).verdict()
    except InvalidValue as error:
        return [f"There is no verdict: {error}."]
