#: all = "cheated: (used .* s of the CPU in|claims)"
#: arena = "gpt"
#: bar = 0.0
# flags: change of time.monotonic
#: grace = 10.0
import time

from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    true, began = time.monotonic, time.monotonic()
    time.monotonic = lambda: began + (true() - began) / 6
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
