//! E0277: a driver that two threads see.
use kettle_driver::Driver;

fn main() {
    let driver = Driver::new().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| driver.in_flight());
    });
}
