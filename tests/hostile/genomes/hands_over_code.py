#: all = "ok"
#: arena = "gpt"
# flags: change of torch.export.save
# A graph's file may hold pickled objects: this one would print its word where it is loaded.
import pickle

import torch
from tiny import ROWS, Tiny, train

import gpt


class Payload:
    def __reduce__(self):
        return print, ("ESCAPED",)


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    torch.export.save = lambda program, file: torch.save(Payload(), file, pickle_module=pickle)
    run.finish(model)


if __name__ == "__main__":
    main()
