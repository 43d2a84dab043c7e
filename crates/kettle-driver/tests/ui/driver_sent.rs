//! E0277: a driver on another thread than the one it was made on.
use kettle_driver::Driver;

fn main() {
    let driver = Driver::new().unwrap();
    std::thread::spawn(move || drop(driver));
}
