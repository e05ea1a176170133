"""From what a caller gives as an argument to a plain value of Python, for every distribution.

Each takes the name of an argument and its value, and raises ``ParamError`` with both; what is to be
stored (``checked_vectors``) raises ``DataNotMatchException``.
"""

from elanus.schema import (
    DEFAULT_URI,
    LARGEST,
    MAX_NAME,
    Nothing,
    as_json,
    as_path,
    as_query,
    check_name,
    checked_vectors,
    choice,
    flag,
    is_blank,
    is_mapping,
    is_unseen,
    mapping,
    members,
    names,
    number,
    refuse,
    repaired_texts,
    text,
    whole,
)

__all__ = [
    "DEFAULT_URI",
    "LARGEST",
    "MAX_NAME",
    "Nothing",
    "as_json",
    "as_path",
    "as_query",
    "check_name",
    "checked_vectors",
    "choice",
    "flag",
    "is_blank",
    "is_mapping",
    "is_unseen",
    "mapping",
    "members",
    "names",
    "number",
    "refuse",
    "repaired_texts",
    "text",
    "whole",
]
