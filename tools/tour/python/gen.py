def gen():
    value = 0
    while True:
        receive = yield value
        if receive == 'e':
            break
        value = 'got: %s' % receive

g = gen()
print(g.send(None))
print(g.send('hello'))
try:
    print(g.send('e'))
except StopIteration:
    print('StopIteration')
g.close()
