"""Long chains of equalities as one membership: one pass over the rows instead of one for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from typing import Literal as OneOf

from elanus.query.filter import _tree as tree

if TYPE_CHECKING:
    from collections.abc import Sequence

# A shorter chain is not worth the look.
_FEW: Final = 8


def merged(operands: Sequence[tree.Node], operator: OneOf["==", "!="]) -> Sequence[tree.Node]:
    """Put together the comparisons of one path with many values.

    ``a == 1 or a == 2 or …`` is ``a in [1, 2, …]``, and ``a != 1 and a != 2 and …`` its opposite;
    what is unknown in one is unknown in the other.

    Args:
        operands: of an ``or`` for ``==``, of an ``and`` for ``!=``.
        operator: which comparisons to put together.
    """
    if len(operands) < _FEW:
        return operands
    values: dict[tree.Path, list[bool | float | str]] = {}
    others: list[tree.Node] = []
    for node in operands:
        match node:
            case tree.Compare(operator=sign, left=tree.Path() as path, right=tree.Literal(value=v)):
                pass
            case tree.Compare(operator=sign, left=tree.Literal(value=v), right=tree.Path() as path):
                pass
            case _:
                others.append(node)
                continue
        if sign == operator:
            values.setdefault(path, []).append(v)
        else:
            others.append(node)
    for path, listed in values.items():
        node = tree.In(path.position, path, tree.ListLiteral(path.position, tuple(listed)))
        others.append(node if operator == "==" else tree.Not(path.position, node))
    return others
