"""A second process: opens the file by itself, and answers calls line by line in JSON."""

import importlib
import sys

import orjson

from elanus import AnnSearchRequest, MilvusClient
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.upkeep._thresholds import Thresholds


def repaired(row):
    """JSON made strings of the dimensions."""
    return {**row, "s": {int(d): x for d, x in row["s"].items()}} if "s" in row else row


def answer(state, call, args):
    if call == "open":
        state["client"] = MilvusClient(args["path"], durability="normal")
        return None
    if call == "close":
        return state.pop("client").close()
    if call == "patch":
        for module, name, value in args["constants"]:
            setattr(importlib.import_module(module), name, value)
        BackgroundUpkeep.thresholds = Thresholds(**args["thresholds"])
        return None
    if call in ("insert", "upsert", "replace"):
        args["data"] = [repaired(row) for row in args["data"]]
    if call == "hybrid_search":
        args["reqs"] = [AnnSearchRequest(**request) for request in args["reqs"]]
    return getattr(state["client"], call)(**args)


def main():
    state = {}
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        try:
            reply = {"result": answer(state, asked["call"], asked["args"])}
        except Exception as error:  # noqa: BLE001  # whatever it is, the parent is to see it
            reply = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.buffer.write(orjson.dumps(reply, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
