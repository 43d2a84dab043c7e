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

for generators in (100, 100_000):
    millions = switches_a_second(generators) / 1e6
    print(f"{generators:>6} alive: {millions:>5.1f} million switches a second")
