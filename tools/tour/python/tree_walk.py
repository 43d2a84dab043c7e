def tree(low, high):
    if low == high:
        return None
    middle = (low + high) // 2
    return (tree(low, middle), middle, tree(middle + 1, high))

def walk(tree):
    if tree is not None:
        left, value, right = tree
        yield from walk(left)
        yield value
        yield from walk(right)

for value in walk(tree(0, 7)):
    print(value)
