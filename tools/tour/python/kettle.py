def boil():
    print("kettle: on the fire")
    yield
    print("kettle: getting warm")
    yield
    print("kettle: it whistles")

kettle = boil()
print("zhang:  nothing has run yet")
next(kettle)
print("zhang:  watches the news")
next(kettle)
print("zhang:  watches the weather")
next(kettle, None)
print("zhang:  makes tea")
