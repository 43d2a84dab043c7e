//! E0382: a callback that is called a second time.
use kettle_rt::{EventLoop, callback};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let value = callback(|done| {
            done.call(1);
            done.call(2);
        });
        assert_eq!(value, Ok(1));
    });
}
