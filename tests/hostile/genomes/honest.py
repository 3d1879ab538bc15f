#: all = "ok"
#: arena = "gpt"
from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
