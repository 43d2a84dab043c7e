//! E0521: a handle of a scope that is kept beyond it.
use kettle_rt::{EventLoop, scope};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let mut kept = None;
        scope(|s| kept = Some(s.spawn(|| 1)));
        drop(kept);
    });
}
