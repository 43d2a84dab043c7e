//! E0133: an operation submitted by safe code, which could let its buffer go.
use kettle_driver::{Driver, Op, Token};

fn main() {
    let mut driver = Driver::new().unwrap();
    let _submitted = driver.submit(Op::Nop, Token(1));
}
