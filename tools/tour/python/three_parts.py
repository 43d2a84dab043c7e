import asyncio

async def boil():
    return "the water boils"

async def watch():
    return "the news is over"

async def main():
    tasks = [asyncio.create_task(boil()), asyncio.create_task(watch())]
    return await asyncio.gather(*tasks)

for result in asyncio.run(main()):
    print(result)
