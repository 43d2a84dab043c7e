//! E0521: a yielder that outlives its body.
use kettle_fiber::{Yielder, scoped};

fn main() {
    let mut kept: Option<&mut Yielder<u32>> = None;
    scoped(|y: &mut Yielder<u32>| kept = Some(y), |mut co| co.next());
}
