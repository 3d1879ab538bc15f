"""A small GPT for a few seconds on one CPU core."""

import torch
import torch.nn.functional as F
from torch import nn

import gpt

# Model
DEPTH = 3  # range: 1..6
WIDTH = 64  # choices: 32 48 64 96 128
HEADS = 2  # choices: 1 2 4 8
MLP_RATIO = 4.0  # range: 1.0..6.0
ACTIVATION = "relu2"  # choices: relu2 gelu silu swiglu
NORM = "pre"  # choices: pre post sandwich
PARALLEL_BLOCKS = False  # choices: True False
QK_NORM = True  # choices: True False
ROTARY_BASE = 10000.0  # range: 50.0..100000.0 log
TIED_EMBEDDINGS = True  # choices: True False
EMBEDDING_SKIP = False  # choices: True False
ZERO_INIT = False  # choices: True False
INIT_SCALE = 1.0  # range: 0.25..2.0 log
EMBEDDING_STD = 0.02  # range: 0.005..1.0 log
LOGIT_SOFTCAP = 15.0  # choices: 0.0 10.0 15.0 30.0

# Optimisation
BATCH_SIZE = 8  # range: 2..32 log
OPTIMIZER = "muon"  # choices: muon adamw
MATRIX_LR = 0.01  # range: 0.001..0.1 log
MOMENTUM = 0.95  # range: 0.7..0.99
NEWTON_SCHULZ_STEPS = 5  # range: 1..6
ADAM_LR = 0.003  # range: 0.0003..0.05 log
ADAM_BETA1 = 0.9  # range: 0.5..0.98
ADAM_BETA2 = 0.98  # range: 0.9..0.999
WEIGHT_DECAY = 0.1  # range: 0.0..0.5
GRADIENT_CLIP = 1.0  # range: 0.1..10.0 log

# Schedule of the learning rates, as parts of the box
WARMUP = 0.1  # range: 0.0..0.3
COOLDOWN = 0.3  # range: 0.0..1.0
FINAL_LR = 0.1  # range: 0.0..0.5


def norm(x):
    """RMSNorm (Zhang and Sennrich 2019) without a gain."""
    return F.rms_norm(x, (x.size(-1),))


class Rotary(nn.Module):
    """Rotary position embeddings (Su et al. 2021): turns pairs of features by an angle that grows with t."""

    def __init__(self, head_dim, length):
        super().__init__()
        frequency = ROTARY_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
        angle = torch.outer(torch.arange(length), frequency)  # (T, D / 2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x):  # (B, H, T, D)
        cos, sin = self.cos[: x.size(2)], self.sin[: x.size(2)]
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, length):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.rotary = Rotary(WIDTH // HEADS, length)

    def forward(self, x):  # (B, T, C)
        heads = (x.size(0), x.size(1), HEADS, WIDTH // HEADS)
        q, k, v = (f(x).view(heads).transpose(1, 2) for f in (self.query, self.key, self.value))  # (B, H, T, D)
        if QK_NORM:
            q, k = norm(q), norm(k)
        y = F.scaled_dot_product_attention(self.rotary(q), self.rotary(k), v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(x.shape))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = int(MLP_RATIO * WIDTH)
        self.up = nn.Linear(WIDTH, hidden, bias=False)
        self.gate = nn.Linear(WIDTH, hidden, bias=False) if ACTIVATION == "swiglu" else None
        self.down = nn.Linear(hidden, WIDTH, bias=False)

    def forward(self, x):
        h = self.up(x)
        if ACTIVATION == "relu2":
            h = F.relu(h).square()
        elif ACTIVATION == "gelu":
            h = F.gelu(h)
        elif ACTIVATION == "silu":
            h = F.silu(h)
        else:
            h = F.silu(self.gate(x)) * h
        return self.down(h)


class Block(nn.Module):
    def __init__(self, length):
        super().__init__()
        self.attention = Attention(length)
        self.mlp = MLP()

    def forward(self, x):
        if PARALLEL_BLOCKS:
            return self.add(x, lambda h: self.attention(h) + self.mlp(h))
        return self.add(self.add(x, self.attention), self.mlp)

    def add(self, x, layer):
        """The residual connection around a layer, with the norm where NORM says."""
        if NORM == "post":
            return norm(x + layer(x))
        y = layer(norm(x))
        return x + (norm(y) if NORM == "sandwich" else y)


class GPT(nn.Module):
    def __init__(self, vocab_size, length):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WIDTH)
        self.blocks = nn.ModuleList(Block(length) for _ in range(DEPTH))
        self.skips = nn.Parameter(torch.zeros(DEPTH)) if EMBEDDING_SKIP else None
        self.head = nn.Linear(WIDTH, vocab_size, bias=False)
        self.initialise()
        if TIED_EMBEDDINGS:
            self.head.weight = self.embedding.weight

    def initialise(self):
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=INIT_SCALE * layer.in_features**-0.5)
        for block in self.blocks:
            for layer in (block.attention.out, block.mlp.down):
                layer.weight.data.mul_(0.0 if ZERO_INIT else (2 * DEPTH) ** -0.5)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, tokens):  # (B, T) -> (B, T, vocab)
        x = first = norm(self.embedding(tokens))  # (B, T, C)
        for i, block in enumerate(self.blocks):
            if self.skips is not None:
                x = x + self.skips[i] * first
            x = block(x)
        logits = self.head(norm(x))
        if LOGIT_SOFTCAP > 0:
            logits = LOGIT_SOFTCAP * torch.tanh(logits / LOGIT_SOFTCAP)
        return logits


def orthogonalize(g):
    """The nearest semi-orthogonal matrix, nearly: a quintic Newton-Schulz iteration (Jordan et al. 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315  # steepest at zero, so that few steps are enough
    x = g.T if g.size(0) > g.size(1) else g
    x = x / (x.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.size(0) > g.size(1) else x


class Muon:
    """Momentum, orthogonalized: for the matrices inside the blocks."""

    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.momenta = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, lr_scale):
        lr = MATRIX_LR * lr_scale
        for p, momentum in zip(self.parameters, self.momenta, strict=True):
            momentum.lerp_(p.grad, 1 - MOMENTUM)
            update = orthogonalize(torch.lerp(p.grad, momentum, MOMENTUM))  # Nesterov
            p.mul_(1 - lr * WEIGHT_DECAY)
            p.add_(update, alpha=-lr * max(1.0, p.size(0) / p.size(1)) ** 0.5)


class AdamW:
    """AdamW (Loshchilov and Hutter 2019)."""

    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        self.lr = lr
        self.steps = 0
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, lr_scale):
        self.steps += 1
        lr = self.lr * lr_scale
        correction1 = 1 - ADAM_BETA1**self.steps
        correction2 = 1 - ADAM_BETA2**self.steps
        for p, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            mean.lerp_(p.grad, 1 - ADAM_BETA1)
            square.mul_(ADAM_BETA2).addcmul_(p.grad, p.grad, value=1 - ADAM_BETA2)
            deviation = (square / correction2).sqrt_().add_(1e-8)
            p.mul_(1 - lr * WEIGHT_DECAY)
            p.addcdiv_(mean, deviation, value=-lr / correction1)


def schedule(progress):
    """The factor of the learning rates: up, level, and down to FINAL_LR."""
    up = progress / WARMUP if progress < WARMUP else 1.0
    down = (1 - progress) / COOLDOWN if progress > 1 - COOLDOWN else 1.0
    return min(up, FINAL_LR + (1 - FINAL_LR) * down)


def build_model(run):
    return GPT(run.vocab_size, run.sequence_length).to(run.device)


def build_optimizers(model):
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = AdamW([p for p in model.parameters() if id(p) not in inside], ADAM_LR)
    if OPTIMIZER == "muon":
        return [Muon(matrices), others]
    return [AdamW(matrices, MATRIX_LR), others]


def main():
    run = gpt.start()
    model = build_model(run)
    optimizers = build_optimizers(model)
    for x, y in run.batches(BATCH_SIZE):
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        run.log(loss)
        scale = schedule(run.progress)
        for optimizer in optimizers:
            optimizer.step(scale)
    run.finish(model)


if __name__ == "__main__":
    main()
