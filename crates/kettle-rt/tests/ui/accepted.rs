//! accepted: what the others do wrong, done right.
use kettle_rt::{EventLoop, scope, spawn};
use std::rc::Rc;

fn main() {
    std::thread::spawn(|| {
        EventLoop::new().unwrap().run(|| {
            let text = Rc::new(String::from("shared"));
            let mut n = 0;
            let len = scope(|s| {
                s.spawn(|| n += 1);
                s.spawn(|| text.len()).join().unwrap()
            });
            let text = Rc::clone(&text);
            assert_eq!(spawn(move || text.len()).join().unwrap() + n, len + 1);
        });
    });
}
