def read():
    try:
        yield 'line 1'
        yield 'line 2'
    finally:
        print('file closed')

lines = read()
print(next(lines))
lines.close()
print('after close')
print(next(lines, 'StopIteration'))
