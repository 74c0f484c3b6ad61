"""What kind of operation each function of torch is, for modified backward passes.

Functions are known by name, so that ``torch.relu``, ``Tensor.relu``, ``Tensor.relu_`` and
``torch.nn.functional.relu`` are one operation. A function that is not listed has no rule;
`register` gives it one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from glassgraph.errors import HyperParameterError

Kind = Literal[
    "linear",
    "scale",
    "dense",
    "add",
    "homogeneous",
    "elementwise",
    "gate",
    "constant",
    "inert",
    "special",
]
#: What a user may say of an operation.
_FOR_USERS = ("linear", "homogeneous", "elementwise", "gate", "constant")

_NAMES: dict[Kind, str] = {
    # Move, copy or sum values; zero where all arguments are.
    "linear": """
        __get__ alias as_strided atleast_1d atleast_2d broadcast_tensors broadcast_to cat chunk
        clone column_stack concat concatenate contiguous copy cumsum diagonal double
        dsplit dstack dynamic_stitch expand expand_as flatten flip float gather getitem half hstack
        index_add index_copy index_put index_reduce index_select masked_fill masked_scatter
        masked_select mean moveaxis movedim narrow nan_to_num permute pin_memory ravel
        repeat repeat_interleave reshape reshape_as resolve_conj roll row_stack scatter scatter_add
        select segment_reduce setitem slice_scatter split split_with_sizes squeeze stack sum
        sum_to_size swapaxes swapdims t take take_along_dim tensor_split tile to to_dense transpose
        tril triu type type_as unbind unflatten unfold unsqueeze view view_as vsplit vstack where
        bfloat16 positive pad scatter_reduce
    """,
    # Products; with weights on the right they start a linear segment.
    "scale": "mul multiply div divide true_divide rmul rtruediv rdiv",
    "dense": "linear matmul mm bmm mv rmatmul einsum dot",
    "add": "add sub subtract radd rsub",
    # f(c x) = c f(x) for c > 0: the gradient times the input is the output.
    "homogeneous": """
        relu leaky_relu prelu abs absolute max amax min amin maximum minimum fmax fmin sort topk
        median cummax cummin kthvalue
    """,
    # f(0) = 0, one value at a time: relevance passes through.
    "elementwise": """
        tanh elu selu celu gelu silu mish softsign tanhshrink hardshrink softshrink hardtanh relu6
        hardswish erf sin sinh tan asinh atan arctan expm1 log1p square sqrt clamp clip
        clamp_min clamp_max threshold rrelu
    """,
    # Weights of other values between 0 and 1 (attention, gates of recurrent layers): held constant.
    "gate": "sigmoid softmax log_softmax logsigmoid log_sigmoid hardsigmoid exp softmin",
    # Statistics that values are divided by: held constant.
    "constant": """
        norm vector_norm linalg_vector_norm linalg_norm matrix_norm linalg_matrix_norm var std
        var_mean std_mean logsumexp cdist cosine_similarity pairwise_distance reciprocal rsqrt
    """,
    # Results are no function of the features that could be explained.
    "inert": """
        size dim ndimension numel nelement len is_floating_point is_complex element_size stride
        storage_offset is_contiguous get_device detach item tolist bool int long new_zeros new_ones
        new_empty new_full new_tensor zeros_like ones_like empty_like full_like rand_like randn_like
        eq ne lt gt le ge isnan isinf isfinite any all argmax argmin argsort count_nonzero nonzero
        format repr requires_grad hash
    """,
    # Each has a handler of its own.
    "special": "batch_norm layer_norm normalize neg negative gated dropout addmm gru_cell pow",
}

#: Kind of each operation by its plain name.
KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def plain_name(function: Callable[..., Any]) -> str:
    """The name of an operation: without the underscore of in-place and dunder variants.

    >>> import torch
    >>> plain_name(torch.relu_), plain_name(torch.Tensor.__rsub__)
    ('relu', 'rsub')
    """
    name = getattr(function, "__name__", type(function).__name__)
    return name if name == "__get__" else name.strip("_")


def writes_in_place(function: Callable[..., Any]) -> bool:
    """Whether an operation writes into its first argument."""
    name = getattr(function, "__name__", "")
    is_dunder = name.startswith("__") and name.endswith("__")
    return name == "__setitem__" or (name.endswith("_") and not is_dunder)


def register(function: Callable[..., Any] | str, kind: Kind) -> None:
    """Give an operation a rule: what becomes of relevance that arrives at its result?

    Rules hold for operations on tensors, whichever module calls them; `LRP`, `GNNLRP` and
    `ExcitationBackprop` raise a `MissingRuleError` where one has none. In the words of Bach et al.
    (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140), linear operations share relevance
    and nonlinear ones pass it on.

    Args:
        function: the function as torch sees it (an overridable one), or its name.
        kind: ``"linear"`` (moves or sums values), ``"homogeneous"`` (``f(c x) = c f(x)`` for
            ``c > 0``), ``"elementwise"`` (one value at a time and ``f(0) = 0``; relevance passes
            through), ``"gate"`` or ``"constant"`` (its result is held constant).

    Raises:
        HyperParameterError: for another kind.

    Example:
        >>> import glassgraph as gg
        >>> gg.rules.register("my_activation", "elementwise")
    """
    if kind not in _FOR_USERS:
        raise HyperParameterError(f"kind must be one of {', '.join(_FOR_USERS)}; got {kind!r}")
    KINDS[function if isinstance(function, str) else plain_name(function)] = kind


def is_relu(function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Whether an operation is ``max(0, x)``: a ReLU, or ``clamp`` from zero upwards."""
    name = plain_name(function)
    if name == "relu":
        return True
    if name not in ("clamp", "clip", "clamp_min"):
        return False
    low = kwargs.get("min", args[1] if len(args) > 1 else None)
    high = kwargs.get("max", args[2] if len(args) > 2 else None)
    return high is None and isinstance(low, (int, float)) and low == 0
