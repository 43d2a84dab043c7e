//! lifetime may not live long enough: a handle of a group, kept beyond it, whose result borrows the group.
use kettle_rt::{EventLoop, task_group};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let mut kept = None;
        let _ = task_group(|group| {
            kept = Some(group.spawn(move || Ok::<_, String>(group)));
            Ok(())
        });
        drop(kept);
    });
}
