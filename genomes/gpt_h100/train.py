"""A GPT for five minutes on one data-centre GPU: what is publicly known to be best for this box, in one file."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import gpt

# Model
DEPTH = 9  # range: 2..16
WIDTH = 640  # choices: 256 384 512 640 768 896 1024
HEAD_DIM = 128  # choices: 64 128
MLP_RATIO = 4.0  # range: 2.0..6.0
ACTIVATION = "relu2"  # choices: relu2 gelu silu
WINDOW_PATTERN = "SSSSL"  # choices: L SL SSL SSSL SSSSL SSSSSL
SHORT_WINDOW = 256  # choices: 64 128 192 256 384 512 768 1024
ROTARY_BASE = 200000.0  # range: 1000.0..1000000.0 log
QK_SCALE = 1.15  # range: 0.7..2.0 log
LOGIT_SOFTCAP = 15.0  # range: 8.0..40.0 log
GATE_CHANNELS = 32  # choices: 8 16 32 64
BIGRAM_ROWS = 262144  # choices: 0 65536 131072 262144 524288
TRIGRAM_ROWS = 262144  # choices: 0 65536 131072 262144 524288
INIT_SCALE = 0.68  # range: 0.3..1.5 log
RESIDUAL_INIT = 1.0  # range: 0.8..1.2
SKIP_INIT = 0.05  # range: 0.0..0.3

# Optimisation. A batch is BATCH_ROWS rows of the sequence length, taken MICRO_ROWS at a time.
BATCH_ROWS = 128  # choices: 32 64 128 256
MICRO_ROWS = 64  # choices: 16 32 64 128
MATRIX_LR = 0.04  # range: 0.01..0.15 log
MOMENTUM_START = 0.85  # range: 0.6..0.95
MOMENTUM = 0.95  # range: 0.85..0.99
MOMENTUM_STEPS = 200  # range: 20..1000 log
MATRIX_BETA2 = 0.95  # range: 0.8..0.99
MATRIX_DECAY = 0.2  # range: 0.0..0.6
EMBEDDING_LR = 0.98  # range: 0.1..3.0 log
EMBEDDING_DECAY = 0.001  # range: 0.0..0.02
VALUE_LR = 0.98  # range: 0.1..3.0 log
VALUE_DECAY = 0.003  # range: 0.0..0.02
NGRAM_LR = 0.98  # range: 0.03..2.0 log
NGRAM_DECAY = 0.003  # range: 0.0..0.02
HEAD_LR = 0.0055  # range: 0.001..0.03 log
HEAD_DECAY = 0.01  # range: 0.0..0.1
RESIDUAL_LR = 0.005  # range: 0.0005..0.05 log
SKIP_LR = 0.5  # range: 0.05..2.0 log
ADAM_BETA1 = 0.8  # range: 0.5..0.95
ADAM_BETA2 = 0.95  # range: 0.85..0.995

# Schedule of the learning rates, as parts of the box
WARMUP = 0.0  # range: 0.0..0.1
WARMDOWN = 0.75  # range: 0.2..1.0
FINAL_LR = 0.05  # range: 0.0..0.3

# The iteration that brings all singular values to about one in five steps (Amsel et al. 2025, "Polar Express").
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def norm(x):
    """RMSNorm (Zhang and Sennrich 2019) without a gain."""
    return F.rms_norm(x, (x.size(-1),))


def activation(x):
    if ACTIVATION == "relu2":
        return F.relu(x).square()
    return F.gelu(x) if ACTIVATION == "gelu" else F.silu(x)


def flash3():
    """FlashAttention 3 where its kernel is installed and the GPU is of its kind; else None."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != 9:
        return None
    try:
        from flash_attn_interface import flash_attn_func
    except ImportError:
        return None
    return torch.compiler.disable(flash_attn_func)  # it is no operator of torch: a compiled graph goes around it


def attend(q, k, v, window, kernel):
    """Causal attention, (B, T, H, D) each: a token sees itself and `window` tokens before it; None: all before it."""
    if kernel is not None and q.is_cuda:
        y = kernel(q, k, v, causal=True, window_size=(-1 if window is None else window, 0))
        return y[0] if isinstance(y, tuple) else y
    length = q.size(1)
    if window is not None and q.is_cuda:  # torch's own flash attention knows windows, its public function does not
        flash = torch.ops.aten._flash_attention_forward
        return flash(
            q, k, v, None, None, length, length, 0.0, True, False, window_size_left=window, window_size_right=0
        )[0]
    mask = None
    if window is not None:
        t = torch.arange(length, device=q.device)
        mask = (t[:, None] >= t) & (t[:, None] - t <= window)
    q, k, v = (z.transpose(1, 2) for z in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None).transpose(1, 2)


class Linear(nn.Linear):
    """Weights are kept in float32 and multiplied in the type of what comes in."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Rotary(nn.Module):
    """Rotary position embeddings (Su et al. 2021). Their tables carry the scale of queries and keys, too."""

    def __init__(self, length):
        super().__init__()
        frequency = ROTARY_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angle = torch.outer(torch.arange(length), frequency)[:, None, :]  # (T, 1, D / 2)
        self.register_buffer("cos", QK_SCALE * angle.cos(), persistent=False)
        self.register_buffer("sin", QK_SCALE * angle.sin(), persistent=False)

    def forward(self, x):  # (B, T, H, D)
        cos, sin = self.cos[: x.size(1)].to(x.dtype), self.sin[: x.size(1)].to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Block(nn.Module):
    def __init__(self, window, sources, rotary, kernel):
        """`window`: as of `attend`; `sources`: how many embeddings, with a gate a head, are added to the values."""
        super().__init__()
        self.window = window
        self.sources = sources
        self.kernel = kernel
        self.query = Linear(WIDTH, WIDTH)
        self.key = Linear(WIDTH, WIDTH)
        self.value = Linear(WIDTH, WIDTH)
        self.out = Linear(WIDTH, WIDTH)
        self.gates = Linear(GATE_CHANNELS, sources * WIDTH // HEAD_DIM) if sources else None
        self.up = Linear(WIDTH, int(MLP_RATIO * WIDTH))
        self.down = Linear(int(MLP_RATIO * WIDTH), WIDTH)
        self.residual = nn.Parameter(torch.tensor(RESIDUAL_INIT))
        self.skip = nn.Parameter(torch.tensor(SKIP_INIT))
        self.rotary = rotary

    def forward(self, x, first, values):
        """`x` and `first`, what came into the first block: (B, T, C). `values`: (B, T, C) each, one a source."""
        x = self.residual * x + self.skip * first
        x = x + self.attention(norm(x), values)
        return x + self.down(activation(self.up(norm(x))))

    def attention(self, x, values):
        heads = (*x.shape[:2], WIDTH // HEAD_DIM, HEAD_DIM)  # (B, T, H, D)
        q, k, v = (f(x).view(heads) for f in (self.query, self.key, self.value))
        if self.gates is not None:
            gates = 2 * torch.sigmoid(self.gates(x[..., :GATE_CHANNELS]))
            for gate, source in zip(gates.chunk(self.sources, dim=-1), values, strict=True):
                v = v + gate[..., None] * source.view(heads)
        q, k = self.rotary(norm(q)), self.rotary(norm(k))
        return self.out(attend(q, k, v, self.window, self.kernel).reshape(x.shape))


def hashed(tokens, order, rows):
    """Which of the `rows` of a table stands for the `order` tokens that end at each place: (B, T) -> (B, T)."""
    h = tokens
    for back in range(1, order):
        before = F.pad(tokens, (back, 0))[:, : tokens.size(1)]  # nothing but token 0 is before the first
        h = h * 6364136223846793005 + before  # overflow is part of it
    return (h ^ (h >> 29)) % rows


class Lookup(nn.Module):
    """All that comes out of tables: what goes into the first block, and what is added to the values of every other."""

    def __init__(self, vocab, dtype):
        super().__init__()
        self.dtype = dtype
        self.sizes = [(order, rows) for order, rows in ((2, BIGRAM_ROWS), (3, TRIGRAM_ROWS)) if rows]
        self.with_values = [i % 2 == (DEPTH - 1) % 2 for i in range(DEPTH)]
        self.tokens = nn.Embedding(vocab, WIDTH)
        self.values = nn.ModuleList(nn.Embedding(vocab, WIDTH) for _ in range(sum(self.with_values)))
        self.ngrams = nn.ModuleList(nn.Embedding(rows, WIDTH) for _, rows in self.sizes)

    def forward(self, tokens):
        """(B, T) -> (B, T, C), and for each block a list of (B, T, C), empty where it takes none."""
        x = norm(self.tokens(tokens).to(self.dtype))
        ngrams = [
            table(hashed(tokens, order, rows)).to(self.dtype)
            for table, (order, rows) in zip(self.ngrams, self.sizes, strict=True)
        ]
        tables = iter(self.values)
        return x, [[next(tables)(tokens).to(self.dtype), *ngrams] if one else [] for one in self.with_values]


class GPT(nn.Module):
    def __init__(self, run):
        super().__init__()
        vocab, length = run.vocab_size, run.sequence_length
        self.lookup = Lookup(vocab, torch.bfloat16 if run.device.type == "cuda" else torch.float32)
        short = SHORT_WINDOW if length > SHORT_WINDOW else None
        pattern = (WINDOW_PATTERN * DEPTH)[: DEPTH - 1] + "L"  # the last layer sees everything
        windows = [short if one == "S" else None for one in pattern]
        kernel, rotary, sources = flash3(), Rotary(length), 1 + len(self.lookup.sizes)
        self.blocks = nn.ModuleList(
            Block(window, sources if values else 0, rotary, kernel)
            for window, values in zip(windows, self.lookup.with_values, strict=True)
        )
        self.head = Linear(WIDTH, vocab)
        self.register_buffer("softcap", torch.tensor(LOGIT_SOFTCAP), persistent=False)
        # Of the forward and the backward pass; attention by its window (Chowdhery et al. 2022, appendix B).
        weights = sum(layer.weight.numel() for layer in self.modules() if isinstance(layer, Linear))
        spans = sum(length if window is None else window + 1 for window in windows)
        self.flops_per_token = 6 * weights + 12 * WIDTH * spans
        self.initialise()

    def initialise(self):
        bound = INIT_SCALE * 3**0.5 * WIDTH**-0.5
        nn.init.normal_(self.lookup.tokens.weight)
        nn.init.normal_(self.head.weight, std=0.001)
        for block in self.blocks:
            for layer in (block.query, block.key, block.value, block.up):
                nn.init.uniform_(layer.weight, -bound, bound)
            for layer in (block.out, block.down, block.gates):
                if layer is not None:
                    nn.init.zeros_(layer.weight)
        for table in self.lookup.values:
            nn.init.uniform_(table.weight, -bound, bound)
        for table in self.lookup.ngrams:
            nn.init.zeros_(table.weight)  # a row that was never trained adds nothing

    def hidden(self, tokens):  # (B, T) -> (B, T, C)
        def region(module):
            # Compiled for the one shape of training; scoring has another, for which it is not worth compiling.
            return module if self.training else module.forward

        first, values = region(self.lookup)(tokens)
        x = first.view_as(first)  # given one tensor twice, the first block would be compiled apart from the others
        for block, sources in zip(self.blocks, values, strict=True):
            x = region(block)(x, first, sources)
        return norm(x)

    def forward(self, tokens):  # (B, T) -> (B, T, vocab)
        return capped(self.head(self.hidden(tokens)), self.softcap)


def capped(logits, cap):
    return cap * torch.tanh(logits.float() / cap)


def mean_loss(x, weight, cap, y):
    """Nats a token, from the last hidden states (B, T, C)."""
    logits = capped(F.linear(x, weight.to(x.dtype)), cap)
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def fast(function, device):
    """Compiled on a GPU. Numbers that change come in as tensors, so that no value of them compiles anew."""
    return torch.compile(function, dynamic=False) if device.type == "cuda" else function


def orthogonalize(g):
    """The nearest semi-orthogonal matrix, nearly, of each of a stack (n, rows, columns)."""
    tall = g.size(-2) > g.size(-1)
    x = g.mT if tall else g
    x = x.bfloat16() if x.is_cuda else x
    x = x / (1.02 * x.norm(dim=(-2, -1), keepdim=True) + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).to(g.dtype)


def muon_update(p, g, momentum, variance, lr, beta1, beta2, decay):
    """One step of Muon (Jordan et al. 2024) on a stack of matrices; gives the new ones.

    NorMuon (Li et al. 2025) evens out rows or columns by their variance; weights decay only where the step, too,
    makes them smaller (Chen et al. 2025).
    """
    momentum.lerp_(g, 1 - beta1)
    u = orthogonalize(torch.lerp(g, momentum, beta1))  # Nesterov
    squares = u.square().mean(dim=-1 if u.size(-2) >= u.size(-1) else -2, keepdim=True)
    variance.lerp_(squares, 1 - beta2)
    even = u * variance.clamp_min(1e-10).rsqrt()
    u = even * (u.norm(dim=(-2, -1), keepdim=True) / even.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-10))
    lr = lr * max(1.0, u.size(-2) / u.size(-1)) ** 0.5
    return p - lr * u - lr * decay * p * (u * p >= 0)


class Muon:
    """Momentum, orthogonalized: for the matrices inside the blocks, all of one shape at once."""

    def __init__(self, parameters, device):
        shapes = {}
        for p in parameters:
            shapes.setdefault(p.shape, []).append(p)
        self.groups = list(shapes.values())
        self.update = fast(muon_update, device)
        self.reset()

    def reset(self):
        self.momenta = [torch.zeros_like(torch.stack(group)) for group in self.groups]
        self.variances = [
            torch.zeros_like(m.mean(dim=-1 if m.size(-2) >= m.size(-1) else -2, keepdim=True)) for m in self.momenta
        ]

    @torch.no_grad()
    def step(self, scale, momentum, decay):
        numbers = [torch.tensor(number) for number in (MATRIX_LR * scale, momentum, MATRIX_BETA2, decay)]
        for group, m, variance in zip(self.groups, self.momenta, self.variances, strict=True):
            gradients = torch.stack([p.grad for p in group])
            new = self.update(torch.stack(group), gradients, m, variance, *numbers)
            torch._foreach_copy_(group, list(new.unbind()))


def adam_update(p, g, mean, square, lr, beta1, beta2, decay, correction1, correction2):
    mean.lerp_(g, 1 - beta1)
    square.lerp_(g.square(), 1 - beta2)
    step = mean / correction1 / ((square / correction2).sqrt() + 1e-10)
    p.mul_(1 - lr * decay).sub_(lr * step)


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) with a learning rate, a first beta and a decay for each group."""

    def __init__(self, groups, device):
        """`groups`: (parameters, learning rate, first beta, decay)."""
        self.groups = [(list(parameters), *numbers) for parameters, *numbers in groups]
        self.update = fast(adam_update, device)
        self.reset()

    def reset(self):
        self.steps = 0
        self.state = {p: (torch.zeros_like(p), torch.zeros_like(p)) for group in self.groups for p in group[0]}

    @torch.no_grad()
    def step(self, scale):
        self.steps += 1
        for parameters, lr, beta1, decay in self.groups:
            corrections = (1 - beta1**self.steps, 1 - ADAM_BETA2**self.steps)
            numbers = [torch.tensor(number) for number in (lr * scale, beta1, ADAM_BETA2, decay, *corrections)]
            for p in parameters:
                self.update(p, p.grad, *self.state[p], *numbers)


def build_model(run):
    return GPT(run).to(run.device)


def build_optimizers(model, device):
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    groups = [
        (model.lookup.tokens.parameters(), EMBEDDING_LR, ADAM_BETA1, EMBEDDING_DECAY),
        (model.lookup.values.parameters(), VALUE_LR, ADAM_BETA1, VALUE_DECAY),
        (model.lookup.ngrams.parameters(), NGRAM_LR, ADAM_BETA1, NGRAM_DECAY),
        (model.head.parameters(), HEAD_LR, ADAM_BETA1, HEAD_DECAY),
        ([block.residual for block in model.blocks], RESIDUAL_LR, ADAM_BETA1, 0.0),
        ([block.skip for block in model.blocks], SKIP_LR, 0.96, 0.0),
    ]
    return Muon(matrices, device), AdamW(groups, device)


def gradients(model, loss_of, x, y):
    """Leave the gradients of a whole batch in the parameters; gives its loss."""
    parts = list(zip(x.split(MICRO_ROWS), y.split(MICRO_ROWS), strict=True))
    total = torch.zeros((), device=x.device)
    for part, targets in parts:
        loss = loss_of(model.hidden(part), model.head.weight, model.softcap, targets) / len(parts)
        loss.backward()
        total += loss.detach()
    return total


def schedule(progress):
    """The factor of the learning rates: up, level, and down to FINAL_LR."""
    up = progress / WARMUP if progress < WARMUP else 1.0
    down = (1 - progress) / WARMDOWN if progress > 1 - WARMDOWN else 1.0
    return min(up, FINAL_LR + (1 - FINAL_LR) * down)


def warm_up(run, model, loss_of, muon, adam):
    """Run everything that is compiled once, before the clock; with a learning rate of zero no weight changes."""
    for region in (model.lookup, *model.blocks):  # blocks alike are compiled once: far quicker than the whole model
        region.compile(dynamic=False)
    gradients(model, loss_of, *run.warmup_batch(BATCH_ROWS))
    muon.step(0.0, MOMENTUM, MATRIX_DECAY)
    adam.step(0.0)
    muon.reset()
    adam.reset()
    model.zero_grad(set_to_none=True)


def train(run):
    model = build_model(run)
    muon, adam = build_optimizers(model, run.device)
    loss_of = fast(mean_loss, run.device)
    if run.device.type == "cuda":
        warm_up(run, model, loss_of, muon, adam)
    for step, (x, y) in enumerate(run.batches(BATCH_ROWS)):
        run.log(gradients(model, loss_of, x, y))
        ramp = min(step / MOMENTUM_STEPS, 1.0)
        scale = schedule(run.progress)
        muon.step(scale, MOMENTUM_START + ramp * (MOMENTUM - MOMENTUM_START), MATRIX_DECAY * (1 - run.progress))
        adam.step(scale)
        model.zero_grad(set_to_none=True)
    run.finish(model)


def main():
    run = gpt.start()
    torch.set_float32_matmul_precision("high")
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
        train(run)


if __name__ == "__main__":
    main()
