//! accepted: a notifier on other threads, sent and shared; the twin of `driver_sent` and `driver_shared`.
use kettle_driver::Driver;

fn main() {
    let driver = Driver::new().unwrap();
    let notifier = driver.notifier();
    std::thread::scope(|s| {
        s.spawn(|| notifier.notify());
    });
    std::thread::spawn(move || notifier.clone().notify()).join().unwrap();
}
