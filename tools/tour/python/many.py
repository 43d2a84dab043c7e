from time import perf_counter

def count():
    n = 0
    while True:
        yield n
        n += 1

def switches_a_second(generators):
    every = [count() for _ in range(generators)]
    for generator in every:
        next(generator)
    rounds = 300_000 // generators
    start = perf_counter()
    for _ in range(rounds):
        for generator in every:
            next(generator)
    return rounds * generators / (perf_counter() - start)

for alive in (100, 100_000):
    rate = switches_a_second(alive) / 1e6
    print(f"{alive:>6}: {rate:>5.1f} million a second")
