//! E0277: a spawner that is given to another thread.
use kettle_rt::{EventLoop, task_group};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let _ = task_group::<_, _, String>(|group| {
            let spawner = group.spawner();
            std::thread::spawn(move || spawner.is_closed());
            Ok(())
        });
    });
}
