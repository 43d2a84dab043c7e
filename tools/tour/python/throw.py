def work():
    for _ in range(10):
        try:
            yield 'working'
        except ValueError:
            print('caught it')

worker = work()
print(next(worker))
print(worker.throw(ValueError()))
try:
    worker.throw(RuntimeError('too hot'))
except RuntimeError as error:
    print('it ended:', error)
