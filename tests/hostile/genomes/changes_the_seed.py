#: all = "ok"
#: arena = "gpt"
#: bar = 0.0
# flags: seeds: torch.manual_seed
# Found before it runs: what becomes of it is the arena's policy. The data's order does not follow it.
import torch
from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    torch.manual_seed(1234)
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
