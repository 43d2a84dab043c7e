import asyncio
import time

async def turns(n):
    for _ in range(n):
        await asyncio.sleep(0)

async def main():
    for tasks in [2, 10_000]:
        n = 200_000 // tasks
        start = time.perf_counter()
        await asyncio.gather(*[turns(n) for _ in range(tasks)])
        rate = n * tasks / (time.perf_counter() - start) / 1e6
        print(f"{tasks:>6}: {rate:>5.2f} million a second")

asyncio.run(main())
