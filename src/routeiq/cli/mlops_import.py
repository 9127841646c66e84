"""`routeiq mlops import`: outcomes as other projects keep them, for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from routeiq.cli.place import Json, fail


def import_outcomes(
    form: Literal["llmrouter", "routellm", "routerbench"],
    *files: Path,
    out: Path,
    llm_data: Path | None = None,
    price: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    json: Json = False,
) -> int:
    """Write outcomes in another project's format as a Parquet file that train and evaluate take.

    Parameters
    ----------
    form
        Whose format the files have.
    files
        JSON lines or a JSON list of LLMRouter, CSV files of RouteLLM, CSV or Parquet files of RouterBench.
    out
        The Parquet file to write.
    llm_data
        LLMRouter's JSON of models, with their prices.
    price
        MODEL=INPUT/OUTPUT, US dollars a million tokens; else the table that comes with the gateway.
    """
    from routeiq.mlops.dataset import BadData, write_dataset
    from routeiq.mlops.importing import FORMATS, gather, parse_price, prices_of

    if not files:
        return fail("name at least one file")
    try:
        prices = {**(prices_of(llm_data) if llm_data is not None else {}), **dict(map(parse_price, price))}
        data = gather(FORMATS[form](files), prices)
        partial = out.with_name(f".{out.name}.partial")
        write_dataset(data, partial)
        partial.replace(out)
    except BadData as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{out} can't be written: {error.strerror}")
    splits = {name: int((data.splits == name).sum()) for name in ("train", "val", "test")}
    if json:
        told = {"out": str(out), "prompts": len(data), "models": data.models, "splits": splits}
        print(msgspec.json.encode(told).decode())
        return 0
    shown = ", ".join(f"{count} {name}" for name, count in splits.items())
    print(f"{len(data)} prompts ({shown}), {len(data.models)} models, written to {out}")
    return 0
