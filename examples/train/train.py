"""Train a very small model."""

import argparse
import json
import os
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--tag", action="append", default=[])
parser.add_argument("data")
args = parser.parse_args()


def report(**facts: object) -> None:
    with open(os.environ["HEADWAY_REPORT"], "a") as file:
        print(json.dumps(facts), file=file)


for epoch in range(1, args.epochs + 1):
    print(f"epoch {epoch}: {args.data}")
    report(progress=epoch / args.epochs, message=f"epoch {epoch} of {args.epochs}")
report(result={"loss": 0.12, "tags": args.tag})
pathlib.Path(os.environ["HEADWAY_ARTIFACTS"], "weights.bin").write_bytes(b"12345")
