from itertools import count
from time import perf_counter

def nest(depth):
    if depth == 1:
        yield from count()
    else:
        yield from nest(depth - 1)

COUNT = 2_000
for depth in (1, 10, 100, 900):
    values = nest(depth)
    next(values)
    start = perf_counter()
    for _ in range(COUNT):
        next(values)
    time = perf_counter() - start
    each = time * 1e9 / COUNT
    print(f"depth {depth:>7}: {each:>5.1f} ns a value")
