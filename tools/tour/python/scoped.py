text = "put the whistling kettle on"

def split():
    for word in text.split(" "):
        yield word

for word in split():
    if len(word) > 3:
        print(word)
