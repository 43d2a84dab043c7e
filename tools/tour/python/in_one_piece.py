import asyncio
import threading

def ask(cups, most, done):
    def work():
        if cups <= most:
            done(cups, None)
        else:
            done(None, f"{cups} cups are too many")
    threading.Thread(target=work).start()

async def callback(register):
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def set_result(value, error):
        if error:
            future.set_exception(ValueError(error))
        else:
            future.set_result(value)

    def done(value, error):
        loop.call_soon_threadsafe(set_result, value, error)

    register(done)
    return await future

async def serve(cups):
    boiled = await callback(lambda done: ask(cups, 9, done))
    poured = await callback(lambda done: ask(boiled, 4, done))
    return poured

for cups in [2, 6, 40]:
    try:
        print(asyncio.run(serve(cups)), "cups of tea")
    except ValueError as error:
        print(error)
