"""Writes the Parquet fixtures: two small pictures with captions, as `datasets` and others store them.

    python tests/reference/parquet.py tests/fixtures/parquet

Needs pyarrow and Pillow. `hub.parquet` has images as structs, as `datasets.Image` writes them; `bytes.parquet` a column
of bytes and lists of captions, dictionary-encoded and packed otherwise; `odd.parquet` rows that lack something.
"""

import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(shade):
    out = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 10, 20)).save(out, "PNG")
    return out.getvalue()


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    red, green = png(200), png(20)
    hub = pa.table({
        "image": pa.array([{"bytes": red, "path": "red.png"}, {"bytes": green, "path": "../up/green.png"},
                           {"bytes": red, "path": "red.png"}], image),
        "text": pa.array(["a red one", "a green one", "one more of it"]),
        "label": pa.array([1, 2, 3]),
    })
    pq.write_table(hub, folder / "hub.parquet", row_group_size=2)
    lists = pa.table({
        "picture": pa.array([red, green], pa.binary()),
        "captions": pa.array([["a red one", "red"], ["a green one"]]),
    })
    pq.write_table(lists, folder / "bytes.parquet", compression="zstd", data_page_version="2.0")
    odd = pa.table({
        "image": pa.array([{"bytes": red, "path": None}, None], image),
        "caption": pa.array(["no name", "no image"]),
    })
    pq.write_table(odd, folder / "odd.parquet", compression="gzip")


main(Path(sys.argv[1]))
