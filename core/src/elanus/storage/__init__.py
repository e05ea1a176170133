"""Everything on the disk: the database file, what is in it, and the cache. No idea of ranking here.

What the system or SQLite refuses (a full disk, a lock, damage) becomes our error in `_errors`. A
full disk meets a write in `file/_file`, a checkpoint in `file/_turns`, the mark in `file/_mark`.
"""

from elanus.storage import _ending as ending
from elanus.storage._errors import is_refusal
from elanus.storage._options import OpenOptions
from elanus.storage._sqlite import Connection
from elanus.storage.cache._container import (
    Container,
    FileMap,
    MappedMatrix,
    Written,
    checksum,
    extend_matrix,
    is_cut,
    is_sound,
    map_matrix,
    write_arrays,
)
from elanus.storage.cache._folder import (
    CacheFolder,
    SavedFile,
    find_saved,
    register,
    unregister,
)
from elanus.storage.file._apart import Apart, give_up_when, is_abandoned
from elanus.storage.file._file import DatabaseFile
from elanus.storage.file._fork import on_fork
from elanus.storage.file._reader import Reader
from elanus.storage.tables._catalogue import (
    Catalogue,
    CollectionInfo,
    FileState,
    add_collection,
    begin_history,
    bump,
    load_catalogue,
    next_generation,
    put_index,
    raise_next_id,
    read_state,
    remove_collection,
    remove_index,
    rename_collection,
    set_properties,
    size_of,
    take_ids,
)
from elanus.storage.tables._codec import (
    decode_dense,
    decode_row,
    decode_sparse,
    decode_terms,
    encode_dense,
    encode_sparse,
    encode_terms,
)
from elanus.storage.tables._layout import sign
from elanus.storage.tables._tables import Tables
from elanus.storage.tables._verify import faults
from elanus.storage.tables._vocabulary import Vocabulary
from elanus.storage.tables._writing import NewRows

__all__ = [
    "Apart",
    "CacheFolder",
    "Catalogue",
    "CollectionInfo",
    "Connection",
    "Container",
    "DatabaseFile",
    "FileMap",
    "FileState",
    "MappedMatrix",
    "NewRows",
    "OpenOptions",
    "Reader",
    "SavedFile",
    "Tables",
    "Vocabulary",
    "Written",
    "add_collection",
    "begin_history",
    "bump",
    "checksum",
    "decode_dense",
    "decode_row",
    "decode_sparse",
    "decode_terms",
    "encode_dense",
    "encode_sparse",
    "encode_terms",
    "ending",
    "extend_matrix",
    "faults",
    "find_saved",
    "give_up_when",
    "is_abandoned",
    "is_cut",
    "is_refusal",
    "is_sound",
    "load_catalogue",
    "map_matrix",
    "next_generation",
    "on_fork",
    "put_index",
    "raise_next_id",
    "read_state",
    "register",
    "remove_collection",
    "remove_index",
    "rename_collection",
    "set_properties",
    "sign",
    "size_of",
    "take_ids",
    "unregister",
    "write_arrays",
]
