#: all = "timed_out: of the CPU before its clock opened"
#: arena = "gpt"
#: startup_cpu = 1.0
import time

from tiny import ROWS, Tiny, train

import gpt


def build_model(run):
    return Tiny(run.vocab_size).to(run.device)


def main():
    run = gpt.start()
    model = build_model(run)
    while time.process_time() < 1.2:
        train(model, [run.warmup_batch(ROWS)])
    train(model, run.batches(ROWS))
    run.finish(model)


if __name__ == "__main__":
    main()
