import queue
import threading

# Somebody else's API: returns at once, calls back from a thread.
def ask(cups, most, done):
    def work():
        if cups <= most:
            done(cups, None)
        else:
            done(None, f"{cups} cups are too many")
    threading.Thread(target=work).start()

def tea(cups, done):
    def on_boiled(boiled, error):
        if error:
            done(None, error)
        else:
            ask(boiled, 4, on_poured)

    def on_poured(poured, error):
        if error:
            done(None, error)
        else:
            done(poured, None)

    ask(cups, 9, on_boiled)

for cups in [2, 6, 40]:
    told = queue.Queue()
    tea(cups, lambda cups, error: told.put((cups, error)))
    cups, error = told.get()
    print(error or f"{cups} cups of tea")
