//! E0277: the one receiver of an `mpsc`, used by two threads.
use kettle::sync::mpsc;

fn main() {
    let (_sender, receiver) = mpsc::channel::<u32>();
    std::thread::scope(|s| {
        s.spawn(|| receiver.recv());
    });
}
