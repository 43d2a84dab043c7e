//! E0277: a receiver of what may not go to another thread, shared with one.
use kettle::sync::channel;
use std::rc::Rc;

fn main() {
    let (_sender, receiver) = channel::unbounded::<Rc<u32>>();
    std::thread::scope(|s| {
        s.spawn(|| receiver.recv().map(|n| *n));
    });
}
