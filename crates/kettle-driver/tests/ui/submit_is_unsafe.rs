//! accepted: the twin of `submit_is_safe`.
use kettle_driver::{Driver, Op, Token};

fn main() {
    let mut driver = Driver::new().unwrap();
    // SAFETY: no pointers.
    let _submitted = unsafe { driver.submit(Op::Nop, Token(1)) };
}
