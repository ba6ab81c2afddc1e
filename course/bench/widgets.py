"""`bench widgets`: how soon each explorer answers when a control is moved, and what all of them need of memory."""
import ast
import statistics
import time
import types

from course import ROOT


def add_to(commands):
    """The command's arguments."""
    widgets = commands.add_parser("widgets", help="milliseconds from a moved control to the new picture")
    widgets.add_argument("names", nargs="*", metavar="EXPLORER", help="some of them (all)")
    widgets.add_argument("--times", type=int, default=5, help="rounds through all controls (5)")
    widgets.set_defaults(run=run_widgets, parser=widgets)


def run_widgets(options):
    """A line per explorer: median and worst over all of its controls; then, the memory of a kernel with all of them."""
    unknown = [name for name in options.names if name not in EXAMPLES]
    if unknown:
        options.parser.error(f"there is no explorer called {unknown[0]!r}; there are: {', '.join(EXAMPLES)}")
    print(f"{'explorer':28} {'median ms':>10} {'worst ms':>10} {'kB':>6}")
    names = options.names or list(EXAMPLES)
    for name in names:
        explorer = EXAMPLES[name]()
        explorer.widget()
        taken, size = [], 0
        for control, value in [move for _ in range(options.times) for move in moves(explorer)]:
            started = time.perf_counter()
            control.value = value
            taken.append(1000 * (time.perf_counter() - started))
            size = max(size, len(explorer.picture.value))
        print(f"{name:28} {statistics.median(taken):10.1f} {max(taken):10.1f} {size / 1000:6.1f}", flush=True)
    print(f"a kernel with {len(names)} of them open: {kernel_mb(names)} MB")
    return 0


def kernel_mb(names):
    """The most memory that a fresh kernel has needed once these explorers are on display, in MB (None: not known)."""
    from jupyter_client.manager import start_new_kernel

    show = (f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from course.bench import training, widgets\n"
            f"opened = [widgets.EXAMPLES[name]() for name in {names!r}]\n"
            "for explorer in opened: display(explorer)\n")
    manager, client = start_new_kernel(extra_arguments=["--IPKernelApp.log_level=40"])  # errors only
    try:
        reply = client.execute_interactive(show, user_expressions={"mb": "training.memory_mb()"}, allow_stdin=False,
                                           output_hook=lambda message: None)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["status"] != "ok":
        raise RuntimeError(f"{reply['ename']}: {reply['evalue']}")
    return ast.literal_eval(reply["user_expressions"]["mb"]["data"]["text/plain"])


def moves(explorer):
    """Pairs (control, another value): each control is moved away and back, one by one: a move may change limits."""
    for control in explorer.controls.values():
        before = control.value
        yield control, another(control)
        yield control, before


def another(control):
    """A value of a control that it does not have now."""
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return next((value for value in reversed(values) if value != control.value), control.value)
    if isinstance(control.value, bool):
        return not control.value
    if isinstance(control.value, str):
        return control.value[::-1]
    return control.min if control.value != control.min else control.max


# --- what the explorers are fed with here ------------------------------------------------------------------------

def trained():
    """Everything that an explorer of the model wants: the sources' own pieces, as made, with first weights."""
    import torch

    from course import solution
    from helpers import data, training

    pieces = solution.pieces()
    text = data.read_text(data.DATA / "sample_play.txt")
    tokenizer = pieces.CharTokenizer(text)
    torch.manual_seed(0)
    preset = training.preset("cpu")
    model = pieces.TinyLLM(tokenizer.vocab_size, **preset.model)
    return types.SimpleNamespace(pieces=pieces, text=text, tokenizer=tokenizer, model=model, preset=preset)


def attention():
    from helpers import inside, widgets

    made = trained()

    def look(text):
        return inside.look(made.model, inside.encode(made.tokenizer, text)).weights

    return widgets.attention(look, made.text[:24])


def architecture():
    from helpers import widgets

    made = trained()
    return widgets.architecture(made.model, made.tokenizer, text="To be")


def gelu_relu():
    from helpers import widgets

    return widgets.gelu_relu()


def gradients():
    import torch

    from course import solution
    from helpers import widgets

    pieces = solution.pieces()
    torch.manual_seed(0)
    layers = [pieces.FeedForward(64) for _ in range(16)]
    start = torch.randn(8, 10, 64)

    def sizes(residual, count):
        inputs = [start.clone().requires_grad_()]
        for layer in layers[:count]:
            inputs[-1].retain_grad()
            inputs.append(inputs[-1] + layer(inputs[-1]) if residual else layer(inputs[-1]))
        inputs[-1].square().mean().backward()
        return [x.grad.norm().item() for x in inputs[:-1]]

    return widgets.gradients(sizes, len(layers))


def layer_norm():
    import torch

    from helpers import widgets

    x = torch.randn(12, 16, generator=torch.Generator().manual_seed(0))
    return widgets.layer_norm(torch.nn.LayerNorm(16), x)


def residual():
    from helpers import inside, widgets

    made = trained()
    text = made.text[:12]
    return widgets.residual(made.model.blocks, inside.look(made.model, made.tokenizer.encode(text)).embedded, text)


def logit_lens():
    from helpers import widgets

    made = trained()
    return widgets.logit_lens(made.model, made.tokenizer, text=made.text[:24])


def generation():
    from helpers import widgets

    made = trained()
    return widgets.generation(made.model, made.tokenizer, made.pieces.generate, text=made.text[:8])


def next_character():
    from helpers import widgets

    made = trained()
    return widgets.next_character(made.model, made.tokenizer, text=made.text[:24])


def broadcasting():
    import torch

    from helpers import widgets

    a = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    return widgets.broadcasting(a=a, row=torch.tensor([10.0, 20, 30]), column=a[:, :1], refused=a[:, 0])


def matmul():
    import torch

    from course import solution
    from helpers import widgets

    a, b = torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    return widgets.matmul(a, b.T, solution.pieces().tensor_operations(a, b)["scores"])


def strides():
    import torch

    from course import solution
    from helpers import widgets

    pieces = solution.pieces()
    return widgets.strides(torch.arange(18).reshape(3, 6), pieces.split_heads, pieces.merge_heads)


def shifted():
    from helpers import widgets

    made = trained()
    return widgets.shifted(made.pieces.TextDataset, made.tokenizer, made.text[:300])


def sharpness():
    import torch

    from helpers import widgets

    def weigh(C, divide):
        random = torch.Generator().manual_seed(0)
        q, k = (torch.randn(n, C, generator=random) for n in (1000, 8))
        scores = q @ k.T / (C**0.5 if divide else 1)
        return scores, scores.softmax(dim=-1)

    return widgets.sharpness(weigh)


def surprise():
    from helpers import widgets

    made = trained()
    return widgets.surprise(made.model, made.tokenizer, made.text[:2000], 4.0)


def learned_when():
    import torch

    from helpers import widgets

    text = trained().text[:2001]
    losses = 4 * torch.rand(2000, generator=torch.Generator().manual_seed(0))
    return widgets.learned_when([(step, losses * 0.9 ** step) for step in (0, 10, 20, 50)], text)


def embedding_map():
    import torch

    from helpers import widgets

    made = trained()
    before = made.model.token_embedding.embedding.weight.detach()
    after = before + torch.randn(before.shape, generator=torch.Generator().manual_seed(0))
    return widgets.embedding_map(before, after, "".join(made.tokenizer.chars))


def fit_history():
    import torch

    from helpers import widgets

    x = torch.linspace(-3, 3, 100)[:, None]
    return widgets.fit_history(x, x.sin(), [share / 50 * x.sin() for share in range(50)], every=20)


def module_tree():
    from helpers import widgets

    return widgets.module_tree(trained().model)


def position_similarity():
    from course import solution
    from helpers import widgets

    return widgets.position_similarity(solution.pieces().sinusoidal_table)


def positions():
    from course import solution
    from helpers import widgets

    return widgets.positions(solution.pieces().sinusoidal_table)


def waves():
    from course import solution
    from helpers import widgets

    return widgets.waves(solution.pieces().sinusoidal_table(64, 32))


EXAMPLES = {
    "fit_history": fit_history,
    "module_tree": module_tree,
    "broadcasting": broadcasting,
    "matmul": matmul,
    "strides": strides,
    "positions": positions,
    "waves": waves,
    "position_similarity": position_similarity,
    "attention": attention,
    "sharpness": sharpness,
    "architecture": architecture,
    "generation": generation,
    "gelu_relu": gelu_relu,
    "gradients": gradients,
    "layer_norm": layer_norm,
    "logit_lens": logit_lens,
    "residual": residual,
    "next_character": next_character,
    "shifted": shifted,
    "surprise": surprise,
    "learned_when": learned_when,
    "embedding_map": embedding_map,
}
