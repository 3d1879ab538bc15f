#: all = "cheated: handed over another model"
#: arena = "gpt"
# flags: change of gpt.run.hand_over
# Trained on after the validation tokens were known, and reported as what it scores then.
from tiny import ROWS, Tiny, train

import gpt
import gpt.run


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    last = train(model, run.batches(ROWS))
    hand_over = gpt.run.hand_over

    def later(model, *rest):
        train(model.train(), [last])
        return hand_over(model.eval(), *rest)

    gpt.run.hand_over = later
    run.finish(model)


if __name__ == "__main__":
    main()
