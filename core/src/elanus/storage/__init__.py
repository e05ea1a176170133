"""The database file: tables, transactions, locks. No idea of ranking here."""

from elanus.storage._catalogue import (
    Catalogue,
    CollectionInfo,
    add_collection,
    bump,
    load_catalogue,
    next_generation,
    put_index,
    raise_next_id,
    read_state,
    remove_collection,
    remove_index,
    rename_collection,
    take_ids,
)
from elanus.storage._codec import (
    decode_dense,
    decode_sparse,
    decode_terms,
    encode_dense,
    encode_sparse,
    encode_terms,
)
from elanus.storage._file import DatabaseFile, OpenOptions
from elanus.storage._tables import NewRows, Tables
from elanus.storage._verify import faults
from elanus.storage._vocabulary import Vocabulary

__all__ = [
    "Catalogue",
    "CollectionInfo",
    "DatabaseFile",
    "NewRows",
    "OpenOptions",
    "Tables",
    "Vocabulary",
    "add_collection",
    "bump",
    "decode_dense",
    "decode_sparse",
    "decode_terms",
    "encode_dense",
    "encode_sparse",
    "encode_terms",
    "faults",
    "load_catalogue",
    "next_generation",
    "put_index",
    "raise_next_id",
    "read_state",
    "remove_collection",
    "remove_index",
    "rename_collection",
    "take_ids",
]
