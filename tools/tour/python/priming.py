def gen():
    value = 0
    while True:
        receive = yield value
        if receive == 'e':
            break
        value = 'got: %s' % receive

g = gen()
try:
    g.send('hello')
except TypeError:
    print('not started')
print(g.send(None))
print(g.send('hello'))
