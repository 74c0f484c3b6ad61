"""The laws by theme, in the order in which they are asked: from what is plain to what is subtle."""

from __future__ import annotations

from glassgraph.testing.law import Law
from glassgraph.testing.laws.batching import (
    budget_is_irrelevant,
    far_graph_is_irrelevant,
    field_is_full_graph,
    together_is_alone,
)
from glassgraph.testing.laws.definition import explains, signs_are_told
from glassgraph.testing.laws.evidence import (
    model_matters,
    outside_is_zero,
    planted_edge_is_first,
)
from glassgraph.testing.laws.files import save_and_load, settings_make_it_again
from glassgraph.testing.laws.limits import limits_are_explained, precision_is_kept
from glassgraph.testing.laws.order import (
    edge_order_is_irrelevant,
    node_order_is_irrelevant,
    twins_score_alike,
)
from glassgraph.testing.laws.randomness import global_random_state, seed_decides
from glassgraph.testing.laws.unchanged import (
    model_unchanged,
    unchanged_after_error,
    unchanged_after_interrupt,
)

LAWS: tuple[Law, ...] = (
    explains,
    signs_are_told,
    model_matters,
    model_unchanged,
    unchanged_after_error,
    unchanged_after_interrupt,
    global_random_state,
    seed_decides,
    settings_make_it_again,
    save_and_load,
    together_is_alone,
    budget_is_irrelevant,
    edge_order_is_irrelevant,
    node_order_is_irrelevant,
    twins_score_alike,
    outside_is_zero,
    field_is_full_graph,
    far_graph_is_irrelevant,
    planted_edge_is_first,
    precision_is_kept,
    limits_are_explained,
)
