#: all = "cheated: reported 0\\.100000, and its model, scored again"
#: arena = "gpt"
# flags: change of gpt.run.bits_per_byte
from tiny import ROWS, Tiny, train

import gpt
import gpt.run


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    gpt.run.bits_per_byte = lambda *rest: 0.1
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
