//! E0277: the handle of a scope on another thread, inside the scope.
use kettle_fiber::{Yielder, scoped};

fn main() {
    scoped(
        |y: &mut Yielder<u32>| y.yield_iter(0..3),
        |mut co| {
            std::thread::scope(|scope| {
                scope.spawn(move || co.next());
            });
        },
    );
}
