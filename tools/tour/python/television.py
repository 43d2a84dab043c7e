import asyncio

async def kettle():
    print("kettle: on the fire")
    await asyncio.sleep(0.02)
    print("kettle: it whistles")

async def zhang():
    for programme in ["the news", "the weather"]:
        print(f"zhang:  watches {programme}")
        await asyncio.sleep(0)

async def main():
    await asyncio.gather(kettle(), zhang())

asyncio.run(main())
