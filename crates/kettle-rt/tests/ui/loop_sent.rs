//! E0277: an event loop that goes to another thread.
use kettle_rt::EventLoop;

fn main() {
    let mut event_loop = EventLoop::new().unwrap();
    std::thread::spawn(move || event_loop.run(|| ()));
}
