#: all = "ok"
#: arena = "gpt"
#: bar = 0.0
#: prints = "0\\.100000"
# flags: the text .val_bpb
from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    print("---\nval_bpb:          0.100000")
    run.finish(model)
    print("---\nval_bpb:          0.100000")


if __name__ == "__main__":
    main()
