//! accepted: one that owns what it uses, and one in a scope that borrows it.
use kettle_fiber::{Yielder, coroutine, scoped};

fn main() {
    let text = String::from("borrowed");
    scoped(|y: &mut Yielder<usize>| y.yield_(text.len()), |mut co| assert_eq!(co.next(), Some(8)));
    let mut co = coroutine(move |y: &mut Yielder<usize>| y.yield_(text.len()));
    assert_eq!(co.next(), Some(8));
}
