//! E0521: an owned coroutine that yields borrows of what does not live for ever.
use kettle_fiber::{Yielder, coroutine};

fn take<'a>(text: &'a str) {
    let _ = coroutine(move |y: &mut Yielder<&'a str>| y.yield_(text));
}

fn main() {
    take("text");
}
