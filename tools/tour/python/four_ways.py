import asyncio

async def boil():
    for minute in range(3):
        await asyncio.sleep(0)
    return "  the water boils"

async def spend_an_evening():
    print("synchronous, blocking: call")
    print(await boil())

    print("synchronous, non-blocking: poll")
    kettle = asyncio.create_task(boil())
    while not kettle.done():
        print("  he watches television, and goes to look")
        await asyncio.sleep(0)
    print(kettle.result())

    print("asynchronous, blocking: join")
    kettle = asyncio.create_task(boil())
    print(await kettle)

    print("asynchronous, non-blocking: be notified")
    kettle = asyncio.create_task(boil())
    whistle = lambda kettle: print("  it whistles")
    kettle.add_done_callback(whistle)
    for episode in range(1, 4):
        print(f"  episode {episode}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    print("  and so to bed")
    print(kettle.result())

asyncio.run(spend_an_evening())
