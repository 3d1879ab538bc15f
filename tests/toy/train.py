"""Reports, through the harness's pipe, a score that follows from the constants."""

import json
import os
import time

WIDTH = 2.0  # range: 0.5..8 log
DEPTH = 3  # range: 1..12
BIAS = 0.5  # range: -1..1
SHAPE = "round"  # choices: round flat sharp


def score():
    penalty = {"round": 0.3, "flat": 0.1, "sharp": 0.0}[SHAPE]
    return 1.0 + (WIDTH - 5.0) ** 2 / 20 + (DEPTH - 7) ** 2 / 50 + (BIAS + 0.25) ** 2 + penalty


def main():
    report = os.fdopen(int(os.environ["GPT_REPORT_FD"]), "w")

    def tell(**event):
        report.write(json.dumps(event) + "\n")
        report.flush()

    tell(event="start", device="cpu", corpus="toy")
    tell(event="open")
    began = time.monotonic()
    tell(event="point", progress=0.5, loss=score() + 1.0, step=1)
    time.sleep(float(os.environ["GPT_BOX"]))
    tell(event="close", training_seconds=time.monotonic() - began, steps=2, tokens=20)
    constants = {"WIDTH": WIDTH, "DEPTH": DEPTH, "BIAS": BIAS, "SHAPE": SHAPE}
    tell(
        event="result",
        val_bpb=score(),
        scoring_seconds=0.0,
        parameters=1,
        peak_memory_mb=1.0,
        constants=constants,
    )
    print("val_bpb:", score())


if __name__ == "__main__":
    main()
