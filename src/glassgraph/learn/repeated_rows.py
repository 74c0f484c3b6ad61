"""Rows of which many are alike: the few that differ, and where each of them stands.

    rows[i] = scale[i] * table[index[i]]

States of nodes at the ends of messages are such rows, and messages that are a function of their
sender, or that times a number of the edge's own. A linear map of rows that stand side by side,

    W [a_i, b_i] = sum over parts  scale[i] * (table W_part')[index[i]]

costs one product for each row of the tables, and a sparse sum of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.learn.sparse_product import Pattern, Sparse

#: Rows are looked up in a table where there are this many times fewer of them than places.
_FEW = 2
#: How far a multiple of a row may be off by the rounding of a product and a quotient.
_ROUNDINGS = 4
#: Bytes that an entry of a sparse sum takes: six integers and two numbers.
_ENTRY = 64


@dataclass(frozen=True)
class RepeatedRows:
    """Rows ``[r, W]``.

    Attributes:
        table: ``[t, W]`` rows that differ.
        index: ``[r]`` which of them stands where, None if each is its own (``t = r``).
        scale: ``[r, 1]`` by what it is multiplied, None for 1.
    """

    table: Tensor
    index: Tensor | None = None
    scale: Tensor | None = None

    @property
    def number(self) -> int:
        """Number r of rows."""
        return self.table.size(0) if self.index is None else self.index.numel()

    @property
    def width(self) -> int:
        """Numbers W of a row."""
        return self.table.size(1)

    def places(self) -> Tensor:
        """``[r]`` which row of the table stands where."""
        if self.index is not None:
            return self.index
        return torch.arange(self.number, device=self.table.device)

    def written_out(self) -> Tensor:
        """``[r, W]`` the rows."""
        rows = self.table if self.index is None else self.table.index_select(0, self.index)
        return rows if self.scale is None else rows * self.scale

    def take(self, place: Tensor) -> RepeatedRows:
        """Those at some places."""
        scale = None if self.scale is None else self.scale[place]
        return RepeatedRows(self.table, self.places()[place], scale)


@dataclass(frozen=True)
class SideBySide:
    """Rows ``[r, W]`` that are put together of parts, ``W`` the sum of their widths.

    Attributes:
        parts: ``[r, W_p]`` each; the first has no scale. One that stands twice is read once.
        kind: ``[r]`` a number below K that each row has beside them; None where K is 1.
        num_kinds: K.
    """

    parts: tuple[RepeatedRows, ...]
    kind: Tensor | None = None
    num_kinds: int = 1

    @property
    def number(self) -> int:
        """Number r of rows."""
        return self.parts[0].number

    @property
    def tables(self) -> list[Tensor]:
        """The tables of all parts, each once."""
        return list({id(part.table): part.table for part in self.parts}.values())

    @property
    def num_bytes(self) -> int:
        """Memory that they take, with what `linear` keeps."""
        tables = sum(table.numel() * table.element_size() for table in self.tables)
        return tables + _ENTRY * self.number * (len(self.parts) + 1)

    def take(self, place: Tensor) -> SideBySide:
        """Those at some places."""
        kind = None if self.kind is None else self.kind[place]
        taken = {id(part): part.take(place) for part in self.parts}
        return SideBySide(tuple(taken[id(part)] for part in self.parts), kind, self.num_kinds)

    def linear(self, weight: Tensor, bias: Tensor, terms: Tensor | None = None) -> Tensor:
        """``rows @ weight.T + bias + terms[kind]``, ``[r, H]``.

        Args:
            weight: ``[H, W]``.
            bias: ``[H]``.
            terms: ``[K, H]``, None where K is 1.
        """
        weights = list(weight.split([part.width for part in self.parts], dim=1))
        for number, first in self._repeats.items():
            weights[first] = weights[first] + weights[number]
        tables = [
            F.linear(part.table, weights[number], None if number else bias)
            for number, part in enumerate(self.parts)
            if number not in self._repeats
        ]
        if self.kind is not None:
            assert terms is not None
            tables.append(terms)
        below = torch.cat(tables)
        return self._sum @ below if self.number else below[:0]

    @cached_property
    def _repeats(self) -> dict[int, int]:
        """Parts that are the rows of an earlier one, and which."""
        return {
            number: first
            for number, part in enumerate(self.parts)
            for first in reversed(range(number))
            if part is self.parts[first]
        }

    @cached_property
    def _sum(self) -> Sparse:
        """Each row as a sum of rows of all tables, which stand one below the other."""
        row = torch.arange(self.number, device=self.parts[0].table.device)
        one = self.parts[0].table.new_ones((self.number, 1))
        columns, values, size = [], [], 0
        for number, part in enumerate(self.parts):
            if number not in self._repeats:
                columns.append(part.places() + size)
                values.append(one if part.scale is None else part.scale)
                size += part.table.size(0)
        if self.kind is not None:
            columns.append(self.kind + size)
            values.append(one)
            size += self.num_kinds
        pattern = Pattern.of(row.repeat(len(columns)), torch.cat(columns), self.number, size)
        return Sparse.of(pattern, torch.cat(values).view(-1))


def looked_up(table: Tensor, index: Tensor) -> RepeatedRows:
    """Rows ``table[index]``; what is alike in the table, or not used, is left out of it."""
    used, index = torch.unique(index, return_inverse=True)
    table = table.index_select(0, used)
    found = _find_distinct(table)
    if found is not None:
        table, index = table.index_select(0, found[0]), found[1].index_select(0, index)
    if _FEW * table.size(0) > index.numel():
        return RepeatedRows(table.index_select(0, index))
    return RepeatedRows(table, index)


def find_repeated(rows: Tensor) -> RepeatedRows:
    """Rows ``[r, W]``; those that are alike are kept once if there are few of them."""
    found = _find_distinct(rows)
    if found is None or _FEW * found[0].numel() > rows.size(0):
        return RepeatedRows(rows)
    return RepeatedRows(rows.index_select(0, found[0]), found[1])


def find_multiples(rows: Tensor, base: RepeatedRows) -> RepeatedRows | None:
    """Rows ``[r, W]`` as others, or as multiples of them up to rounding; None if some are neither.

    GraphSAGE sends its senders' states, GCN multiples of them.
    """
    if base.width != rows.size(1) or base.scale is not None:
        return None
    states = base.written_out()
    if torch.equal(states, rows):
        return base
    if base.index is None:  # nothing would be saved
        return None
    at = states.abs().argmax(dim=1, keepdim=True)
    largest = states.gather(1, at)
    scale = torch.where(largest != 0, rows.gather(1, at) / largest, 0)
    off = torch.addcmul(rows, states, scale, value=-1).abs()
    bound = _ROUNDINGS * torch.finfo(rows.dtype).eps * rows.abs()
    is_right = (off <= bound) & off.isfinite()
    return replace(base, scale=scale) if bool(is_right.all()) else None


def share_alike(rows: SideBySide, few: int = _FEW) -> tuple[SideBySide, Tensor] | None:
    """The rows that differ, and ``[r]`` which of them stands where; None unless there are few."""
    number = rows.number
    place = torch.zeros(number, dtype=torch.long, device=rows.parts[0].table.device)
    keys = [part.places() for part in rows.parts]
    keys += [part.scale.view(-1) for part in rows.parts if part.scale is not None]
    for key in keys if rows.kind is None else [*keys, rows.kind]:
        # One by one, so that products of the sizes of several tables do not overflow.
        _, key = torch.unique(key, return_inverse=True)
        distinct, place = torch.unique(place * number + key, return_inverse=True)
        if few * distinct.numel() > number:
            return None
    return rows.take(_first(place)), place


def _find_distinct(rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """``[t]`` a place of each of the rows that differ, and ``[r]`` which of them stands where.

    They are found by sorting one number for each; whether two are the same is then looked up. None
    if numbers met by chance, which says nothing.
    """
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(rows.size(1), generator=generator, dtype=torch.float64)
    # Not a product of matrices, which may round alike rows by where they stand.
    key = (rows.double() * weight.to(rows.device)).sum(dim=1)
    _, number = torch.unique(key, return_inverse=True)
    first = _first(number)
    return (first, number) if torch.equal(rows[first][number], rows) else None


def _first(number: Tensor) -> Tensor:
    """``[t]`` a place where each of the numbers below t stands."""
    size = 1 + int(number.amax()) if number.numel() else 0
    place = torch.arange(number.numel(), device=number.device)
    return torch.empty(size, dtype=torch.long, device=number.device).index_copy(0, number, place)
