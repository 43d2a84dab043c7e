//! E0277: a sender of what may not go to another thread, there.
use kettle::sync::mpsc;
use std::rc::Rc;

fn main() {
    let (sender, _receiver) = mpsc::channel::<Rc<u32>>();
    std::thread::spawn(move || sender.send(Rc::new(1)));
}
