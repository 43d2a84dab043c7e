//! E0597: a value that borrows from what is gone when it is given.
use kettle_rt::{EventLoop, callback};

fn main() {
    EventLoop::new().unwrap().run(|| {
        let value = callback(|done| {
            let text = String::from("whistle");
            done.call(text.as_str());
        });
        assert_eq!(value, Ok("whistle"));
    });
}
