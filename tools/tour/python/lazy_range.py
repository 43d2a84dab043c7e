def lazy_range(up_to):
    index = 0
    while index < up_to:
        yield index
        index += 1

for x in lazy_range(5):
    print(x)
