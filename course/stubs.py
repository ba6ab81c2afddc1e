"""From a source notebook to the learner's: nbgrader's own steps, with stubs that name their TODO."""
import re

from nbgrader import preprocessors as steps

REGION = re.compile(r"^( *)### BEGIN SOLUTION (\d+)\n(.*?)^ *### END SOLUTION\b[^\n]*\n?", re.DOTALL | re.MULTILINE)


def clear(source, keep=()):
    """Replace each solution region by `raise NotImplementedError("TODO n")`; TODOs in `keep` stay solved.

    >>> print(clear("### BEGIN SOLUTION 4\\nx = 1\\n### END SOLUTION\\n"), end="")
    raise NotImplementedError("TODO 4")
    """
    def stub(match):
        indent, todo, solution = match.groups()
        return solution if int(todo) in keep else f'{indent}raise NotImplementedError("TODO {todo}")\n'

    return REGION.sub(stub, source + "\n").rstrip("\n") + ("\n" if source.endswith("\n") else "")


class TodoStubs(steps.ClearSolutions):
    """nbgrader's ClearSolutions, but the region `### BEGIN SOLUTION 11` leaves `raise NotImplementedError("TODO 11")`.
    """

    def _replace_solution_region(self, cell, language):
        cleared = clear(cell.source)
        changed = cleared != cell.source
        cell.source = cleared
        # A marker that is left has no number or no end: nbgrader's own step says so.
        return super()._replace_solution_region(cell, language) or changed


# What `nbgrader generate_assignment` does, in its own order, without InstantiateTests (it would start a kernel).
PREPROCESSORS = [
    steps.IncludeHeaderFooter,
    steps.LockCells,
    TodoStubs,
    steps.ClearOutput,
    steps.CheckCellMetadata,
    steps.ComputeChecksums,
    steps.SaveCells,
    steps.ClearHiddenTests,
    steps.ClearMarkScheme,
    steps.ComputeChecksums,
    steps.CheckCellMetadata,
]
