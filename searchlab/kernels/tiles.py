"""Products of few rows with one matrix again and again, as recurrent layers need them: C += A B, with B in panels.

OpenBLAS copies both matrices into an order of its own at every call, which costs as much as a product of 16 rows. Here
B is put in order once per window. Each number of C is a sum over k in ascending order, whatever the tile it lies in, so
it depends neither on the other rows nor on the number of replicas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from searchlab.kernels.jit import jit

LANES = 8  # float32 numbers in a vector register of AVX2; LLVM splits or joins them for other processors
PANEL = 2 * LANES  # columns of a panel
MAX_ROWS = 6  # 6 x 2 sums, two vectors of B and one of A: 15 of AVX2's 16 registers


def _tile_of(rows: int) -> Any:
    """Return a function that adds the product of this many rows of A and a panel of B to a tile of C.

    The vectors are written in LLVM's language, since its vectorizer does not keep a tile of sums in registers.
    """

    def add_tile(  # of Numba's types
        context: Any,
        a: Any,
        a_start: Any,
        a_stride: Any,
        panels: Any,
        panel_start: Any,
        c: Any,
        c_start: Any,
        c_stride: Any,
        depth: Any,
    ) -> Any:
        signature = types.void(a, a_start, a_stride, panels, panel_start, c, c_start, c_stride, depth)
        return signature, lambda *arguments: _emit_tile(rows, *arguments)

    return intrinsic(add_tile)


def _emit_tile(rows: int, context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Write the code of a tile: load C, add A[:, k] B[k] for each k in a loop, store C."""
    index, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
    a, a_start, a_stride, panels, panel_start, c, c_start, c_stride, depth = values
    a, panels, c = (
        builder.gep(context.make_array(signature.args[position])(context, builder, array).data, [start])
        for position, array, start in ((0, a, a_start), (3, panels, panel_start), (5, c, c_start))
    )

    def at(pointer: Any, offset: Any) -> Any:
        return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

    a_rows = [builder.gep(a, [builder.mul(a_stride, index(row))]) for row in range(rows)]
    targets = [
        at(c, builder.add(builder.mul(c_stride, index(row)), index(half * LANES)))
        for row in range(rows)
        for half in range(2)
    ]
    starts = [builder.load(target, align=4) for target in targets]
    before, loop, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("stored")
    builder.cbranch(builder.icmp_signed(">", depth, index(0)), loop, after)

    builder.position_at_end(loop)
    k, sums = builder.phi(index), [builder.phi(vector) for _ in targets]
    panel_row = builder.mul(k, index(PANEL))
    b = [builder.load(at(panels, builder.add(panel_row, index(half * LANES))), align=4) for half in range(2)]
    added = []
    for row in range(rows):
        factor = _broadcast(builder, builder.load(builder.gep(a_rows[row], [k])), vector)
        for half in range(2):
            product = builder.fmul(factor, b[half], flags=("contract",))
            added.append(builder.fadd(product, sums[2 * row + half], flags=("contract",)))
    k_next = builder.add(k, index(1))
    builder.cbranch(builder.icmp_signed("<", k_next, depth), loop, after)
    for phi, start, following in ((k, index(0), k_next), *zip(sums, starts, added, strict=True)):
        phi.add_incoming(start, before)
        phi.add_incoming(following, loop)

    builder.position_at_end(after)
    results = [builder.phi(vector) for _ in targets]
    for result, start, total in zip(results, starts, added, strict=True):
        result.add_incoming(start, before)
        result.add_incoming(total, loop)
    for result, target in zip(results, targets, strict=True):
        builder.store(result, target, align=4)
    return context.get_dummy_value()


def _broadcast(builder: Any, number: Any, vector: Any) -> Any:
    """Write a vector all of whose numbers are this one."""
    undefined, position = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(undefined, number, position(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(position, LANES), [0] * LANES))


_tile_1, _tile_2, _tile_3, _tile_4, _tile_5, _tile_6 = (_tile_of(rows) for rows in range(1, MAX_ROWS + 1))


@jit
def fill_panels(b: Any, first: int, columns: int, panels: Any) -> None:
    """Copy columns of a matrix into panels: PANEL columns of every row after one another, the last ones filled with 0.

    Args:
        b: The matrix (K, N).
        first: Its first column to copy.
        columns: How many columns to copy.
        panels: The panels (at least `columns` / PANEL, rounded up; K; PANEL), which are written.
    """
    depth = b.shape[0]
    for panel in range((columns + PANEL - 1) // PANEL):
        start = panel * PANEL
        width = min(PANEL, columns - start)
        for k in range(depth):
            target, source = panels[panel, k], b[k, first + start : first + start + width]
            for j in range(width):
                target[j] = source[j]
            for j in range(width, PANEL):
                target[j] = 0.0


@jit
def work_arrays(depth: int, columns: int) -> Any:
    """Return panels for a matrix (depth, columns), and the edge of tiles."""
    panels = np.empty(((columns + PANEL - 1) // PANEL, depth, PANEL), np.float32)
    return panels, np.empty((MAX_ROWS, PANEL), np.float32)


@jit
def add_product(a: Any, panels: Any, c: Any, first: int, columns: int, edge: Any) -> None:
    """Add a product to some columns of a matrix.

    Args:
        a: The left factor (B, K), contiguous.
        panels: The right factor (K, columns), as `fill_panels` writes it.
        c: The matrix (B, N) that the product is added to, contiguous.
        first: Its first column.
        columns: How many columns.
        edge: A work array (MAX_ROWS, PANEL), for a last panel that is not full.
    """
    rows, stride = len(a), c.shape[1]
    tiles = (rows + MAX_ROWS - 1) // MAX_ROWS
    for panel in range((columns + PANEL - 1) // PANEL):
        start = panel * PANEL
        width = min(PANEL, columns - start)
        row = 0
        for tile in range(tiles):
            height = (rows - row) // (tiles - tile)  # rows are spread evenly: four tiles of 5, not 6 + 6 + 6 + 2
            if width == PANEL:
                _add_tile(height, a, row, panels, panel, c, row * stride + first + start, stride)
            else:
                _copy(c[row : row + height, first + start : first + start + width], edge)
                _add_tile(height, a, row, panels, panel, edge, 0, PANEL)
                _copy(edge[:height, :width], c[row : row + height, first + start : first + start + width])
            row += height


@jit
def _copy(source: Any, target: Any) -> None:
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            target[row, column] = source[row, column]


@jit
def _add_tile(height: int, a: Any, row: int, panels: Any, panel: int, c: Any, start: int, stride: int) -> None:
    """Add the product of rows of A and one panel to a tile of C that begins at a flat position."""
    depth = a.shape[1]
    a_start, panel_start = row * depth, panel * depth * PANEL
    if height == 6:
        _tile_6(a, a_start, depth, panels, panel_start, c, start, stride, depth)
    elif height == 5:
        _tile_5(a, a_start, depth, panels, panel_start, c, start, stride, depth)
    elif height == 4:
        _tile_4(a, a_start, depth, panels, panel_start, c, start, stride, depth)
    elif height == 3:
        _tile_3(a, a_start, depth, panels, panel_start, c, start, stride, depth)
    elif height == 2:
        _tile_2(a, a_start, depth, panels, panel_start, c, start, stride, depth)
    else:
        _tile_1(a, a_start, depth, panels, panel_start, c, start, stride, depth)
