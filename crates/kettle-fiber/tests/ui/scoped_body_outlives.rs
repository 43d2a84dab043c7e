//! E0373: a body that borrows what dies before the scope is entered.
use kettle_fiber::{Yielder, scoped};

fn main() {
    let body = {
        let text = String::from("gone");
        |y: &mut Yielder<usize>| y.yield_(text.len())
    };
    scoped(body, |mut co| co.next());
}
