//! E0373: a scoped task that borrows a variable of the closure, which goes before the scope ends.
use kettle_rt::{EventLoop, scope};

fn main() {
    EventLoop::new().unwrap().run(|| {
        scope(|s| {
            let local = 1;
            s.spawn(|| println!("{local}"));
        });
    });
}
