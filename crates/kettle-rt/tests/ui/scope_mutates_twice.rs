//! E0499: two tasks of a scope that change the same variable.
use kettle_rt::{EventLoop, scope};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let mut n = 0;
        scope(|s| {
            s.spawn(|| n += 1);
            s.spawn(|| n += 1);
        });
    });
}
