from sys import getsizeof
from time import perf_counter

def lazy_range(up_to):
    index = 0
    while index < up_to:
        yield index
        index += 1

huge = lazy_range(1_000_000_000_000)
print(getsizeof(huge), "bytes")

COUNT = 200_000
start = perf_counter()
for x in huge:
    if x == COUNT:
        break
time = perf_counter() - start
print(f"{time * 1e9 / COUNT:.2f} ns a value")
