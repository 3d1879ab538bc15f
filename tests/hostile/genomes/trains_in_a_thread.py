#: all = "cheated: (changed the model's parameters|The model)"
#: arena = "gpt"
# flags: import of threading
import itertools
import threading

from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    last = train(model, run.batches(ROWS))
    threading.Thread(target=train, args=(model, itertools.repeat(last)), daemon=True).start()
    run.finish(model)


if __name__ == "__main__":
    main()
