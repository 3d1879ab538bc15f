#: all = "ok"
#: arena = "gpt"
#: bar = 0.0
# Legal: the harness normalises, so that a constant in all logits changes nothing.
from tiny import ROWS, Tiny, train

import gpt


class Shifted(Tiny):
    def forward(self, tokens):
        return super().forward(tokens) + 100.0


def build_model(run):
    return Shifted(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
