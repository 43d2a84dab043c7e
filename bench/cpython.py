"""CPython's generators, doing the work of the benchmarks' rows.

`cpython.py CASE OPERATIONS` prints the nanoseconds an operation. The consumers do as little as they can: what is compared
are generators.
"""
import sys
import time


def lazy_range(up_to):
    index = 0
    while index < up_to:
        yield index
        index += 1


def consume(values):
    last = 0
    for value in values:
        last ^= value
    return last


def running_total(count):
    total = 0
    index = 0
    while index < count:
        sent = yield total
        total = (total + (sent ^ index)) & 0xFFFF_FFFF
        index += 1
    return total


def converse(count):
    total = running_total(count)
    value = next(total)
    sent = 0
    try:
        while True:
            value = total.send(sent)
            sent += 3
    except StopIteration as end:
        return end.value ^ value


def nested(depth, count):
    if depth == 1:
        yield from lazy_range(count)
    else:
        yield from nested(depth - 1, count)


def tree(start, end):
    if start >= end:
        return None
    value = (start + end) // 2
    return (tree(start, value), value, tree(value + 1, end))


def walk(tree):
    if tree:
        left, value, right = tree
        yield from walk(left)
        yield value
        yield from walk(right)


def text(length):
    words = ["1234567 ", "98 ", "alpha beta", "beta1 gamma_x ", '"some str" ', "=", "\n"]
    parts = []
    size = 0
    while size < length:
        part = words[len(parts) * 5 % 7]
        parts.append(part)
        size += len(part)
    return "".join(parts)


def lexer(text):
    at = 0
    line = 0
    end = len(text)
    while at < end:
        sign = text[at]
        if sign == " ":
            at += 1
        elif sign == "\n":
            at += 1
            line += 1
            yield ("line", line)
        elif sign.isdigit():
            start = at
            while at < end and text[at].isdigit():
                at += 1
            yield ("number", int(text[start:at]))
        elif sign.isalpha() or sign == "_":
            start = at
            while at < end and (text[at].isalnum() or text[at] == "_"):
                at += 1
            yield ("word", start, at)
        elif sign == '"':
            start = at
            at += 1
            while at < end and text[at] != '"':
                at += 1
            at += 1
            yield ("text", start, at)
        else:
            at += 1
            yield ("sign", sign)


def timed(operations, work):
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / operations


def main():
    case, operations = sys.argv[1], int(sys.argv[2])
    sys.setrecursionlimit(10_000)
    if case == "sum":
        result = timed(operations, lambda: sum(lazy_range(operations)))
    elif case == "hash":
        result = timed(operations, lambda: consume(lazy_range(operations)))
    elif case == "send":
        result = timed(operations, lambda: converse(operations))
    elif case == "lexer":
        source = text(operations)
        tokens = sum(1 for _ in lexer(source))
        result = timed(tokens, lambda: sum(1 for _ in lexer(source)))
    elif case.startswith("nested_"):
        values = nested(int(case.removeprefix("nested_")), operations)
        next(values)
        result = timed(operations - 1, lambda: consume(values))
    elif case == "tree":
        nodes = tree(0, operations)
        result = timed(operations, lambda: consume(walk(nodes)))
    else:
        sys.exit(f"no case {case}")
    print(result)


main()
